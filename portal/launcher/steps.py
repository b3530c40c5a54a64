"""Django's commands as steps of a start: each can be stopped, and says one line when it fails."""

import contextlib
import hashlib
import json
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import IO, Any, Final

from portal.launcher.errors import LauncherError, StoppedError
from portal.launcher.instance import Instance
from portal.launcher.processes import die_with_parent
from portal.launcher.supervisor import say

ROOT: Final = Path(__file__).resolve().parent.parent.parent
Stop = Callable[[], bool]


def django_command(*words: str) -> list[str]:
    return [sys.executable, "-m", "django", *words]


def prepare(
    instance: Instance, environment: dict[str, str], *, is_stopping: Stop = lambda: False
) -> dict[str, Any]:
    """All that comes before the first page; gives the logins. Done work is not done again.

    Tables, partitions and the first people on one side, static files under hashed names on the other.
    """
    first_run: tuple[str, ...] = ("first_run", "--json")
    for_migrations: dict[str, str] = {}
    commands: list[tuple[str, ...]] = []
    is_new, static = not is_prepared(environment), _static(environment)
    if is_new:
        say("migrating the database")
        first_run = (*first_run, "--migrate")
        for_migrations = instance.make_ready_to_migrate()
    collected = instance.run / "collected.stamp"
    is_stale = not collected.exists() or collected.read_text() != static
    if is_stale:
        say("collecting static files")
        commands.append(("collectstatic", "--no-input", "--verbosity", "0"))
    told = environment | for_migrations
    said, *_ = _run(instance, told, first_run, *commands, is_stopping=is_stopping)
    if is_new:
        instance.hand_over()
        _say_prepared(environment)
    if is_stale:
        collected.write_text(static)
    logins: dict[str, Any] = json.loads(said)
    return logins


def is_prepared(environment: dict[str, str]) -> bool:
    """Whether this very database was migrated by this version of the portal: it says so itself."""
    import psycopg  # noqa: PLC0415  # the launcher's first lines run before it is installed

    with psycopg.connect(environment["DATABASE_URL"], connect_timeout=5) as db:
        row = db.execute("SELECT obj_description(to_regclass('django_migrations'))").fetchone()
    return row == (_migrations(),)


def _say_prepared(environment: dict[str, str]) -> None:
    import psycopg  # noqa: PLC0415  # as above
    from psycopg.sql import SQL, Literal  # noqa: PLC0415

    # Only the table's owner may say it; for anybody else the next start looks at the migrations again.
    with (
        contextlib.suppress(psycopg.errors.InsufficientPrivilege),
        psycopg.connect(environment["DATABASE_URL"], connect_timeout=5) as db,
    ):
        db.execute(SQL("COMMENT ON TABLE django_migrations IS {}").format(Literal(_migrations())))


def _static(environment: dict[str, str]) -> str:
    files = [path for path in (ROOT / "static").rglob("*") if path.is_file()]
    how = [ROOT / "requirements.lock", ROOT / "portal" / "http" / "static.py"]
    return _digest(environment.get("PORTAL_STATIC_ROOT", ""), [*files, *how])


def _migrations() -> str:
    return _digest("", [*ROOT.glob("*/migrations/*.py"), ROOT / "requirements.lock"])


def _digest(target: str, paths: Iterable[Path]) -> str:
    digest = hashlib.sha256(target.encode())
    for path in sorted(paths):
        digest.update(str(path.relative_to(ROOT)).encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


def _run(
    instance: Instance,
    environment: dict[str, str],
    *commands: tuple[str, ...],
    is_stopping: Stop,
) -> list[str]:
    """Run commands side by side and give what each printed. What they complained of is logged."""
    with contextlib.ExitStack() as opened:
        outputs = [opened.enter_context(tempfile.TemporaryFile("w+")) for _ in commands]
        processes = [
            _start(instance, environment, words, output)
            for words, output in zip(commands, outputs, strict=True)
        ]
        while any(process.poll() is None for process in processes):
            if is_stopping():
                for process in processes:
                    process.terminate()
                for process in processes:
                    process.wait()
                raise StoppedError
            time.sleep(0.02)
        for words, process in zip(commands, processes, strict=True):
            if process.returncode != 0:
                log = _log(instance, words)
                raise LauncherError(f"`{words[0]}` failed: {_reason(log)} ({log} says more.)")
        for output in outputs:
            output.seek(0)
        return [output.read() for output in outputs]


def _start(
    instance: Instance, environment: dict[str, str], words: tuple[str, ...], output: IO[str]
) -> subprocess.Popen[bytes]:
    with _log(instance, words).open("w") as complaints:
        return subprocess.Popen(  # noqa: S603
            django_command(*words), env=environment, cwd=ROOT, stdin=subprocess.DEVNULL,
            stdout=output, stderr=complaints,
            start_new_session=True,  # Ctrl-C is the launcher's to handle
            preexec_fn=die_with_parent,  # noqa: PLW1509  # no threads
        )  # fmt: skip


def _log(instance: Instance, words: tuple[str, ...]) -> Path:
    return instance.logs / f"{words[0]}.log"


def _reason(log: Path) -> str:
    """The line of a traceback that says what happened."""
    lines = log.read_text("utf-8", "replace").splitlines()
    said = [line.partition(": ")[2] for line in lines if re.match(r"[A-Za-z_.]+: ", line)]
    return (said or lines or ["no reason given"])[-1]
