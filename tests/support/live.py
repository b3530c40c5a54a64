"""A whole portal as its users meet it: started by `manage.py up` in a directory of its own."""

import atexit
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import IO, Any

import httpx2

from portal.launcher import postgres
from portal.launcher.instance import free_port

ROOT = Path(__file__).resolve().parents[2]
# What the tests' own servers set must not reach the portal under test.
_OURS = {"DATABASE_URL", "REDIS_URL", "PORTAL_SECRET_KEY", "PORTAL_DATA", "PORTAL_DB_POOL",
         "PORTAL_STATIC_UNHASHED", "PORTAL_PROCESS", "DJANGO_SETTINGS_MODULE",
         "PORTAL_EMBEDDED", "PORTAL_SECRET_KEY_FILE", "PORTAL_PRIVACY_KEYS"}  # fmt: skip


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

    @property
    def database_url(self) -> str:
        """Where its embedded PostgreSQL answers."""
        ports = json.loads((self.data / "run" / "ports.json").read_text())
        password = (self.data / "secrets" / "postgres_password").read_text()
        return postgres.Server(self.data / "postgres", ports["postgres"], password).url()

    def is_ready(self) -> bool:
        try:
            return httpx2.get(f"{self.url}/readyz", timeout=2).status_code == 200
        except httpx2.HTTPError:
            return False

    def manage(self, *words: str) -> str:
        """Run a management command on this portal's data and give what it printed."""
        done = subprocess.run(
            [sys.executable, "manage.py", *words, "--data", str(self.data)],
            cwd=ROOT, env=environment(), capture_output=True, text=True, check=False, timeout=200,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr[-2000:]
        return done.stdout

    def manage_json(self, *words: str) -> Any:
        return json.loads(self.manage(*words, "--json").splitlines()[-1])

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
                works_in = str((place / "cwd").readlink())
            except OSError:
                continue
            data = str(self.data)
            mine = data in command or data in works_in or data.encode() in variables
            if mine and words in command:
                found.append(int(place.name))
        return found

    def stop(self, number: int = signal.SIGINT) -> int:
        self.process.send_signal(number)
        return self.process.wait(60)

    def close(self) -> None:
        """Stop it if it still runs."""
        if self.process.poll() is None:
            self.stop()
        if self.process.stdout is not None:
            self.process.stdout.close()


def start(
    data: Path,
    *,
    port: int | None = None,
    words: Sequence[str] = (),
    variables: Mapping[str, str] | None = None,
    stderr: IO[str] | None = None,
) -> Portal:
    """Start a portal and wait until it says that it is ready."""
    chosen = port or free_port()
    process = subprocess.Popen(
        [sys.executable, "manage.py", "up", "--no-demo", "--json", "--data", str(data),
         "--port", str(chosen), *words],
        cwd=ROOT, env=environment() | dict(variables or {}), stdout=subprocess.PIPE,
        stderr=stderr or subprocess.DEVNULL, text=True,
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
def heard(number: int) -> Iterator[None]:
    """What starts inside hears this signal, also under `nohup` or in the background of a script."""
    before = signal.signal(number, signal.SIG_DFL)
    try:
        yield
    finally:
        signal.signal(number, before)


def wait_until(is_so: Callable[[], bool], what: str, *, seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < deadline, f"{what} took longer than {seconds} s"
        time.sleep(0.1)


@cache
def started_once() -> Path:
    """Data of a portal that has been up once. A copy of it starts in a third of the first time."""
    place = Path(tempfile.mkdtemp(prefix="portal-once-"))
    atexit.register(shutil.rmtree, place, ignore_errors=True)
    with running(place / "data", is_first=True) as portal:
        assert portal.stop() == 0
    shutil.rmtree(place / "data" / "run")  # its ports, which the copy must not share
    shutil.rmtree(place / "data" / "logs")
    return place / "data"


def copy_started(data: Path) -> None:
    """Make this the data of a portal that was up before, files' owners and all."""
    subprocess.run(["cp", "--archive", str(started_once()), str(data)], check=True)


@contextmanager
def running(data: Path, *, is_first: bool = False, **options: Any) -> Iterator[Portal]:
    """A portal while the block lasts; the other options are those of `start`.

    Where there is no data yet, it goes on from `started_once`, unless the first start is the matter.
    """
    if not is_first and not data.exists():
        copy_started(data)
    portal = start(data, **options)
    try:
        yield portal
    finally:
        portal.close()
