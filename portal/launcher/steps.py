"""Django's commands as steps of a start: each can be stopped, and says one line when it fails."""

import hashlib
import json
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Final

from portal.launcher.errors import LauncherError, StoppedError
from portal.launcher.instance import Instance
from portal.launcher.processes import die_with_parent
from portal.launcher.supervisor import say

ROOT: Final = Path(__file__).resolve().parent.parent.parent
Stop = Callable[[], bool]


def django_command(*words: str) -> list[str]:
    return [sys.executable, "-m", "django", *words]


def prepare_database(
    instance: Instance, environment: dict[str, str], *, is_stopping: Stop = lambda: False
) -> dict[str, Any]:
    """Tables, partitions and the first people; gives their logins. Done work is not done again."""

    def run(*words: str) -> str:
        return _run(instance, environment, words, is_stopping)

    if not is_prepared(instance, environment):
        say("migrating the database")
        run("migrate", "--verbosity", "0")
        _stamp(instance, "migrated", _migrations(environment))
    run("partitions")
    logins: dict[str, Any] = json.loads(run("first_run", "--json"))
    return logins


def collect_static(instance: Instance, environment: dict[str, str], *, is_stopping: Stop) -> None:
    """Static files under hashed names, when any changed."""
    files = [path for path in (ROOT / "static").rglob("*") if path.is_file()]
    lock = ROOT / "requirements.lock"
    digest = _digest(str(instance.data), [*files, lock])
    if not _is_stamped(instance, "collected", digest):
        say("collecting static files")
        words = ("collectstatic", "--no-input", "--verbosity", "0")
        _run(instance, environment, words, is_stopping)
        _stamp(instance, "collected", digest)


def is_prepared(instance: Instance, environment: dict[str, str]) -> bool:
    """Whether this very database has been migrated by this version of the portal."""
    if not _is_stamped(instance, "migrated", _migrations(environment)):
        return False
    import psycopg  # noqa: PLC0415  # the launcher's first lines run before it is installed

    # Somebody may have made the database anew under the same address.
    with psycopg.connect(environment["DATABASE_URL"], connect_timeout=5) as db:
        row = db.execute("SELECT to_regclass('governance_audit_head') IS NOT NULL").fetchone()
    return row == (True,)


def _migrations(environment: dict[str, str]) -> str:
    paths = [*ROOT.glob("*/migrations/*.py"), ROOT / "requirements.lock"]
    return _digest(environment["DATABASE_URL"], paths)


def _digest(target: str, paths: Iterable[Path]) -> str:
    digest = hashlib.sha256(target.encode())
    for path in sorted(paths):
        digest.update(str(path.relative_to(ROOT)).encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


def _is_stamped(instance: Instance, name: str, digest: str) -> bool:
    """Whether work was done for the same files and target."""
    stamp = instance.run / f"{name}.stamp"
    return stamp.exists() and stamp.read_text() == digest


def _stamp(instance: Instance, name: str, digest: str) -> None:
    (instance.run / f"{name}.stamp").write_text(digest)


def _run(
    instance: Instance, environment: dict[str, str], words: tuple[str, ...], is_stopping: Stop
) -> str:
    """Run one command and give what it printed. What it complained of stays in the logs."""
    log = instance.logs / f"{words[0]}.log"
    with tempfile.TemporaryFile("w+") as output, log.open("w") as complaints:
        process = subprocess.Popen(  # noqa: S603
            django_command(*words), env=environment, cwd=ROOT, stdin=subprocess.DEVNULL,
            stdout=output, stderr=complaints,
            start_new_session=True,  # Ctrl-C is the launcher's to handle
            preexec_fn=die_with_parent,  # noqa: PLW1509  # no threads
        )  # fmt: skip
        while process.poll() is None:
            if is_stopping():
                process.terminate()
                process.wait()
                raise StoppedError
            time.sleep(0.02)
        output.seek(0)
        said = output.read()
    if process.returncode != 0:
        raise LauncherError(f"`{words[0]}` failed: {_reason(log)} ({log} says more.)")
    return said


def _reason(log: Path) -> str:
    """The line of a traceback that says what happened."""
    lines = log.read_text("utf-8", "replace").splitlines()
    said = [line.partition(": ")[2] for line in lines if re.match(r"[A-Za-z_.]+: ", line)]
    return (said or lines or ["no reason given"])[-1]
