"""`manage.py up`: everything on one machine, in the order in which things need each other.

1. PostgreSQL and Redis (unless DATABASE_URL or REDIS_URL replace them).
2. Migrations, partitions, the first people, static files (what was done before is not done again).
3. Web first, then the worker and beat.
4. When /readyz answers: the address and the logins; then the demo workspace in the background.

A wish to stop ends it at each of these steps, the last started first.
"""

import argparse
import contextlib
import errno
import json
import os
import shutil
import signal
import socket
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

from portal.launcher import postgres
from portal.launcher.errors import LauncherError, StoppedError
from portal.launcher.instance import Instance, free_bytes
from portal.launcher.processes import Child
from portal.launcher.steps import ROOT, django_command, prepare
from portal.launcher.supervisor import Supervisor, say, tell

QUEUES: Final = "system,quality,analytics,experimental,bulk,delivery"
# Long: two busy cores without compiled modules took a minute.
READY_SECONDS: Final = 180
LITTLE_SPACE: Final = 100 * 1024 * 1024


def main(argv: Sequence[str], *, data: Path) -> int:
    """Run the portal until it is told to stop."""
    options = parser().parse_args(argv)
    instance = Instance(data.resolve())
    if options.reset:
        _reset(instance, sure=options.yes)
    instance.prepare()
    instance.hold(wait_seconds=0.5)
    supervisor = Supervisor()
    supervisor.listen()
    try:
        _run(instance, supervisor, options)
    except StoppedError:
        say("stopped before it was up")
    finally:
        supervisor.stop()
        instance.release()
    return 0


def parser() -> argparse.ArgumentParser:
    """The options of `manage.py up`; `--data` is taken out before, as of every command."""
    made = argparse.ArgumentParser(
        prog="manage.py up",
        description="Start the whole portal on this machine. Ctrl-C stops it.",
        epilog="DATABASE_URL and REDIS_URL each replace one embedded server (docs/settings.md).",
    )
    made.add_argument("--port", type=_number(1, 65_535), default=8000, help="web port (8000)")
    made.add_argument(
        "--data", metavar="DIR", help="where it keeps everything (PORTAL_DATA, else .portal)"
    )
    made.add_argument(
        "--workers", type=_number(1, 64), default=1, help="Celery worker processes (1)"
    )
    made.add_argument("--no-demo", action="store_true", help="without the demo workspace")
    made.add_argument("--reset", action="store_true", help="delete the data directory first")
    made.add_argument("--yes", action="store_true", help="answer the question of --reset")
    made.add_argument("--json", action="store_true", help="one line of JSON when ready")
    return made


def _number(least: int, most: int) -> Callable[[str], int]:
    """An argparse type: a whole number within bounds."""

    def number(text: str) -> int:
        if not (text.isascii() and text.isdigit() and least <= int(text) <= most):
            raise argparse.ArgumentTypeError(f"must be a whole number from {least} to {most}")
        return int(text)

    return number


def _run(instance: Instance, supervisor: Supervisor, options: argparse.Namespace) -> None:
    instance.end_leftovers()
    _refuse_port(options.port)
    _say_servers()
    try:
        instance.start_servers(is_stopping=supervisor.is_stopping)
    finally:
        for child in instance.children:
            supervisor.adopt(child)
    if supervisor.stopping:
        raise StoppedError
    url = f"http://127.0.0.1:{options.port}"
    environment = instance.environment()
    environment.setdefault("PORTAL_URL", url)
    logins = prepare(instance, environment, is_stopping=supervisor.is_stopping)
    *needed, beat = _processes(instance, environment, options)
    for child in needed:
        supervisor.add(child)
    say("waiting for the first page")
    if not supervisor.wait_for(lambda: _is_ready(url), seconds=READY_SECONDS):
        if supervisor.stopping:
            raise StoppedError
        raise LauncherError(f"The web server did not get ready; {instance.logs}/web.log says why.")
    supervisor.add(beat)  # the first page does not wait for it
    instance.announce(environment)
    _announce(url, logins, as_json=options.json)
    if not options.no_demo:
        say(f"the demo shop loads behind the first page ({instance.logs}/demo.log)")
        supervisor.add(_demo(instance, environment))
    supervisor.run(_watch_space(instance.data))


def _say_servers() -> None:
    ours = {"DATABASE_URL": "PostgreSQL", "REDIS_URL": "Redis"}
    embedded = [name for variable, name in ours.items() if not os.environ.get(variable)]
    if embedded:
        say(f"starting {' and '.join(embedded)}")


def _watch_space(data: Path) -> Callable[[], None]:
    """A look at the disk that speaks once when space gets short, and once when it is back."""
    is_short = False

    def look() -> None:
        nonlocal is_short
        free = free_bytes(data)
        if free < LITTLE_SPACE and not is_short:
            is_short = True
            say(f"{data} has little space left: free some, or events will be answered 503")
        elif free > 2 * LITTLE_SPACE and is_short:
            is_short = False
            say(f"{data} has space again")

    return look


def _processes(
    instance: Instance, environment: dict[str, str], options: argparse.Namespace
) -> list[Child]:
    python = sys.executable
    web = [
        python, "-m", "uvicorn", "portal.asgi:application", "--host", "127.0.0.1",
        "--port", str(options.port), "--workers", "2", "--loop", "portal.http.loop:Loop",
        "--http", "portal.http.server:Protocol", "--ws", "none",
        "--no-server-header", "--no-access-log", "--log-level", "warning",
        "--timeout-graceful-shutdown", "10",
    ]  # fmt: skip
    worker = [
        python, "-m", "celery", "-A", "portal.celery:app", "worker", "--queues", QUEUES,
        "--concurrency", str(options.workers), "--loglevel", "WARNING", "--without-mingle",
        "--without-gossip",
    ]  # fmt: skip
    beat = [
        python, "-m", "celery", "-A", "portal.celery:app", "beat", "--loglevel", "WARNING",
        "--schedule", str(instance.run / "beat-schedule"), "--pidfile", "",
    ]  # fmt: skip
    return [
        Child("web", web, log=instance.logs / "web.log", cwd=ROOT, grace_seconds=12,
              pid_file=instance.pid_file("web"), env={**environment, "PORTAL_PROCESS": "web"}),
        # Its second signal makes a worker give a running task back.
        Child("worker", worker, log=instance.logs / "worker.log", cwd=ROOT, grace_seconds=5,
              last_signal=signal.SIGQUIT, pid_file=instance.pid_file("worker"),
              env={**environment, "PORTAL_PROCESS": "worker"}),
        Child("beat", beat, log=instance.logs / "beat.log", cwd=ROOT, grace_seconds=3,
              pid_file=instance.pid_file("beat"),
              env={**environment, "PORTAL_PROCESS": "worker"}),
    ]  # fmt: skip


def _demo(instance: Instance, environment: dict[str, str]) -> Child:
    """The demo shop. What it does is whole after each transaction, so it is not waited for long."""
    return Child(
        "demo", django_command("demo", "--follow"), log=instance.logs / "demo.log",
        env=environment, cwd=ROOT, grace_seconds=2, pid_file=instance.pid_file("demo"),
    )  # fmt: skip


def _is_ready(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/readyz", timeout=2) as answer:  # noqa: S310  # ours
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def _announce(url: str, logins: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        tell(json.dumps({"url": url, **logins}))
        return
    rows = [
        f"  {role:16} {who['email']:28} {who['password']}" for role, who in logins["logins"].items()
    ]
    text = "\n".join(["", f"The portal is at {url}", "Sign in as:", *rows, "", "Ctrl-C stops it."])
    tell(text)


def _refuse_port(port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            if error.errno in {errno.EACCES, errno.EPERM}:
                raise LauncherError(
                    f"Port {port} is not for this user. Choose one from 1024 on with --port."
                ) from error
            raise LauncherError(
                f"Port {port} is taken. Stop what listens there, or choose another with --port."
            ) from error


def _reset(instance: Instance, *, sure: bool) -> None:
    """Delete the data directory, after asking."""
    if not instance.data.exists():
        return
    if any(instance.data.iterdir()) and not (instance.data / "VERSION").exists():
        raise LauncherError(
            f"{instance.data} is not a portal's directory (it has no VERSION), so --reset leaves "
            "it alone. Delete it yourself, or name another with --data."
        )
    if not sure:
        if not sys.stdin.isatty():
            raise LauncherError("--reset deletes all data and asks first; add --yes to be sure.")
        if not _says_yes(f"Delete everything in {instance.data}? Type yes: "):
            raise LauncherError("Nothing was deleted.")
    try:
        for place in (instance.run, instance.data / "secrets"):
            place.mkdir(mode=0o700, exist_ok=True)
        instance.hold(wait_seconds=0.5)
        instance.end_leftovers()
        postgres.stop_leftover(instance.data / "postgres")
        _delete(instance.data)
    except OSError as error:
        raise LauncherError(
            f"{error.filename} cannot be deleted ({error.strerror}). Delete it yourself, or name "
            "another directory with --data."
        ) from error
    finally:
        instance.release()


def _delete(data: Path) -> None:
    """Empty the directory so that an interruption leaves nothing that looks whole."""
    with contextlib.suppress(FileNotFoundError):
        (data / "postgres").rename(data / postgres.UNFINISHED)
    for place in sorted(data.iterdir(), key=lambda place: place.name == "VERSION"):
        if place.is_dir() and not place.is_symlink():
            shutil.rmtree(place)
        else:
            place.unlink()


def _says_yes(question: str) -> bool:
    try:
        return input(question).strip().lower() == "yes"
    except EOFError:
        return False
