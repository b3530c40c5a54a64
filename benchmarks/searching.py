"""Looking for planted values byte for byte, in files of any size.

A value is looked for in clear, in hexadecimal, in base64 at each of its three alignments, coded for an
address and escaped as in JSON and HTML, in any case. `grep` does it: one pass a file, whatever the
number of values.
"""

import base64
import html
import json
import os
import subprocess
import tempfile
from collections.abc import Iterable
from pathlib import Path
from urllib.parse import quote, quote_plus


def forms(text: str) -> set[str]:
    """What to look for; texts in base64 without the characters that depend on what stands beside."""
    raw = text.encode()
    found = {
        text,
        raw.hex(),
        quote(text, safe=""),
        "".join(f"%{byte:02x}" for byte in raw),
        quote_plus(text),
        json.dumps(text)[1:-1],
        "".join(f"\\u{ord(char):04x}" for char in text),
        html.escape(text),
    }
    for shift in range(3):
        encoded = base64.b64encode(b"x" * shift + raw).decode().rstrip("=")
        end = len(encoded) - (1 if (len(raw) + shift) % 3 else 0)
        found.add(encoded[(0, 2, 3)[shift] : end])
    return found


class Search:
    """Values and all their forms, ready to be looked for."""

    def __init__(self, values: Iterable[str], folder: Path) -> None:
        wanted = sorted({form for value in values for form in forms(value)})
        with tempfile.NamedTemporaryFile("w", dir=folder, delete=False) as file:
            file.write("\n".join(wanted) + "\n")
        self._file = file.name

    def finds(self, place: Path) -> list[str]:
        """What of them stands in a file, each form once (a hundred at most)."""
        command = ["grep", "-a", "-i", "-o", "-F", "-f", self._file, "--", str(place)]
        done = subprocess.run(
            command, capture_output=True, check=False, env={**os.environ, "LC_ALL": "C"}
        )
        if done.returncode > 1:
            raise SystemExit(f"grep cannot look into {place}: {done.stderr.decode()}")
        found = {line.decode("utf-8", "replace").lower() for line in done.stdout.splitlines()}
        return sorted(found)[:100]
