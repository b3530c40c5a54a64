"""A whole portal as its users meet it: started by `manage.py up` in a directory of its own."""

import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import IO, Any

import httpx2

from portal.soak import running as own

ROOT = own.ROOT
environment = own.environment


class Portal(own.Portal):
    """A running portal that tests look into."""

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


def start(
    data: Path,
    *,
    port: int | None = None,
    words: Sequence[str] = (),
    variables: Mapping[str, str] | None = None,
    stderr: IO[str] | None = None,
) -> Portal:
    """Start a portal and wait until it says that it is ready."""
    made = own.start(data, port=port, words=words, variables=variables, stderr=stderr)
    return Portal(made.data, made.port, made.process, made.said)


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
    """Data of a portal that has been up once. A copy of it starts in a third of the first time.

    The processes of a run share it: the first that asks makes it, the others wait.
    """
    place = Path(os.environ["PORTAL_TEST_PLACE"])
    made = place / "once"
    with (place / "once.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not made.exists():
            with running(place / "first", is_first=True) as portal:
                assert portal.stop() == 0
            (portal.data / "run" / "ports.json").unlink()  # which the copy must not share
            shutil.rmtree(portal.data / "logs")
            portal.data.rename(made)
    return made


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
