"""A whole portal as its users meet it: started by `manage.py up` in a directory of its own."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2

from portal.launcher.instance import free_port

ROOT = Path(__file__).resolve().parents[2]
# What the tests' own servers set must not reach the portal under test.
_OURS = {"DATABASE_URL", "REDIS_URL", "PORTAL_SECRET_KEY", "PORTAL_DATA", "PORTAL_DB_POOL",
         "PORTAL_STATIC_UNHASHED", "PORTAL_PROCESS", "DJANGO_SETTINGS_MODULE",
         "PORTAL_EMBEDDED", "PORTAL_SECRET_KEY_FILE"}  # fmt: skip


def environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name not in _OURS}


@dataclass
class Portal:
    """A running portal. `said` is the line of JSON that it printed when it was ready."""

    data: Path
    port: int
    process: subprocess.Popen[str]
    said: dict[str, Any] = field(default_factory=dict)

    @property
    def url(self) -> str:
        return str(self.said["url"])

    def manage(self, *words: str) -> str:
        """Run a management command on this portal's data and give what it printed."""
        done = subprocess.run(
            [sys.executable, "manage.py", *words, "--data", str(self.data)],
            cwd=ROOT, env=environment(), capture_output=True, text=True, check=False, timeout=200,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr[-2000:]
        return done.stdout

    def get(self, path: str) -> Any:
        answer = httpx2.get(
            self.url + path,
            headers={"Authorization": f"Bearer {self.said['admin_token']}"},
            timeout=20,
        )
        assert answer.status_code == 200, answer.text
        return answer.json()

    def pids(self, words: str) -> list[int]:
        """Processes of this portal whose command line holds the words."""
        found = []
        for place in Path("/proc").iterdir():
            if not place.name.isdigit():
                continue
            try:
                command = (place / "cmdline").read_bytes().replace(b"\0", b" ").decode()
                variables = (place / "environ").read_bytes()
            except OSError:
                continue
            mine = str(self.data) in command or f"PORTAL_DATA={self.data}".encode() in variables
            if mine and words in command:
                found.append(int(place.name))
        return found

    def stop(self, number: int = signal.SIGINT) -> int:
        self.process.send_signal(number)
        return self.process.wait(60)


def start(data: Path, *, port: int | None = None) -> Portal:
    """Start a portal and wait until it says that it is ready."""
    chosen = port or free_port()
    process = subprocess.Popen(
        [sys.executable, "manage.py", "up", "--no-demo", "--json", "--data", str(data),
         "--port", str(chosen)],
        cwd=ROOT, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    line = process.stdout.readline()
    if not line:
        log = data / "logs" / "web.log"
        raise AssertionError(
            f"up did not get ready: {log.read_text()[-2000:] if log.exists() else ''}"
        )
    return Portal(data, chosen, process, json.loads(line))


@contextmanager
def running(data: Path) -> Iterator[Portal]:
    portal = start(data)
    try:
        yield portal
    finally:
        if portal.process.poll() is None:
            portal.stop()
        if portal.process.stdout is not None:
            portal.process.stdout.close()
