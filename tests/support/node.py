"""The official clients of Node, where Node is at hand: installed on first use, then run."""

import fcntl
import hashlib
import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).resolve().parents[1] / "clients" / "node"
MODULES = HERE / "node_modules"
_STAMP = MODULES / ".installed"


def install() -> None:
    """Install what the lock file names; skip the test, and say why, where that is impossible."""
    npm = shutil.which("npm")
    if npm is None or shutil.which("node") is None:
        pytest.skip("needs Node and npm, which are not here; the recorded requests are replayed")
    wanted = hashlib.sha256((HERE / "package-lock.json").read_bytes()).hexdigest()
    with (HERE / ".gitignore").open() as lock:  # two processes may want it at once
        fcntl.flock(lock, fcntl.LOCK_EX)
        if _STAMP.exists() and _STAMP.read_text() == wanted:
            return
        done = subprocess.run(
            [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund"],
            cwd=HERE, capture_output=True, text=True, check=False, timeout=240,
        )  # fmt: skip
        if done.returncode:
            pytest.skip(
                "npm cannot install the clients here; the recorded requests are replayed: "
                f"{done.stderr.strip()[-300:]}"
            )
        _STAMP.write_text(wanted)


def run(script: str, **variables: str) -> Any:
    """Run a script of ours over the clients and give the JSON it prints."""
    node = shutil.which("node")
    assert node is not None
    done = subprocess.run(
        [node, script], cwd=HERE, env={**os.environ, **variables},
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout.splitlines()[-1])
