"""Django's commands as steps of a start: each can be stopped, and says one line when it fails."""

import hashlib
import json
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
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
    lock = ROOT / "requirements.lock"
    target = environment["DATABASE_URL"]

    def run(*words: str) -> str:
        return _run(instance, environment, words, is_stopping)

    with _once(instance, "migrated", target, [*ROOT.glob("*/migrations/*.py"), lock]) as due:
        if due:
            say("migrating the database")
            run("migrate", "--verbosity", "0")
    run("partitions")
    logins: dict[str, Any] = json.loads(run("first_run", "--json"))
    return logins


def collect_static(instance: Instance, environment: dict[str, str], *, is_stopping: Stop) -> None:
    """Static files under hashed names, when any changed."""
    files = [path for path in (ROOT / "static").rglob("*") if path.is_file()]
    lock = ROOT / "requirements.lock"
    with _once(instance, "collected", str(instance.data), [*files, lock]) as due:
        if due:
            say("collecting static files")
            words = ("collectstatic", "--no-input", "--verbosity", "0")
            _run(instance, environment, words, is_stopping)


def is_prepared(instance: Instance, environment: dict[str, str]) -> bool:
    """Whether this database has been migrated by this version of the portal."""
    lock = ROOT / "requirements.lock"
    paths = [*ROOT.glob("*/migrations/*.py"), lock]
    return not _is_due(instance, "migrated", _digest(environment["DATABASE_URL"], paths))


@contextmanager
def _once(instance: Instance, name: str, target: str, paths: Iterable[Path]) -> Iterator[bool]:
    """Say whether work is due: it is not when it was done for the same files and target."""
    digest = _digest(target, paths)
    due = _is_due(instance, name, digest)
    yield due
    if due:
        (instance.run / f"{name}.stamp").write_text(digest)


def _digest(target: str, paths: Iterable[Path]) -> str:
    digest = hashlib.sha256(target.encode())
    for path in sorted(paths):
        digest.update(str(path.relative_to(ROOT)).encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


def _is_due(instance: Instance, name: str, digest: str) -> bool:
    stamp = instance.run / f"{name}.stamp"
    return not stamp.exists() or stamp.read_text() != digest


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
