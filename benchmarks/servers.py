"""A whole portal for one benchmark: started by `manage.py up` in a directory that goes afterwards."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

ROOT = Path(__file__).resolve().parent.parent


@contextmanager
def portal() -> Iterator[dict[str, Any]]:
    """What `up --json` said (address, logins, token); this process can use its database too."""
    from portal.launcher.instance import Instance, free_port

    place = Path(tempfile.mkdtemp(prefix="portal-bench-"))
    command = [
        sys.executable, str(ROOT / "manage.py"), "up", "--no-demo", "--json",
        "--data", str(place), "--port", str(free_port()),
    ]  # fmt: skip
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        line = process.stdout.readline()
        if not line:
            raise SystemExit("The portal did not start; its messages stand above.")
        os.environ.update(Instance(place).environment())
        yield json.loads(line)
    finally:
        process.terminate()
        process.wait(60)
        shutil.rmtree(place, ignore_errors=True)


def owner_url() -> str:
    """Inside `portal`: its database by who owns it. The portal's own role may do less."""
    from portal.launcher.postgres import Server

    data, url = Path(os.environ["PORTAL_DATA"]), os.environ["DATABASE_URL"]
    password = data / "secrets" / "postgres_password"
    if not password.exists():  # DATABASE_URL was given, with one role for everything
        return url
    return Server(data / "postgres", urlsplit(url).port or 0, password.read_text()).url()
