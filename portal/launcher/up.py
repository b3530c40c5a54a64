"""`manage.py up`: everything on one machine, in the order in which things need each other.

1. PostgreSQL and Redis (unless DATABASE_URL or REDIS_URL replace them).
2. Migrations, static files (both skipped when nothing changed), partitions, the first people.
3. Web first, then the worker and beat.
4. When /readyz answers: the address and the logins; then the demo workspace in the background.
"""

import argparse
import hashlib
import json
import shutil
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from portal.launcher import postgres
from portal.launcher.errors import LauncherError
from portal.launcher.instance import Instance
from portal.launcher.processes import Child
from portal.launcher.supervisor import Supervisor, say

ROOT: Final = Path(__file__).resolve().parent.parent.parent
QUEUES: Final = "system,quality,analytics,experimental,bulk,delivery"


def main(argv: Sequence[str], *, data: Path | None) -> int:
    """Run the portal until it is told to stop."""
    options = _parser().parse_args(argv)
    from portal.launcher.commands import default_data  # noqa: PLC0415  # commands imports this

    instance = Instance((data or default_data()).resolve())
    if options.reset:
        _reset(instance, sure=options.yes)
    instance.prepare()
    _refuse_taken_port(options.port)
    instance.hold()
    supervisor = Supervisor()
    supervisor.listen()
    try:
        _run(instance, supervisor, options)
    finally:
        supervisor.stop()
        instance.release()
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="manage.py up", description="Start the whole portal.")
    parser.add_argument("--port", type=_number(1, 65_535), default=8000, help="web port (8000)")
    parser.add_argument(
        "--workers", type=_number(1, 64), default=1, help="Celery worker processes (1)"
    )
    parser.add_argument("--no-demo", action="store_true", help="without the demo workspace")
    parser.add_argument("--reset", action="store_true", help="delete the data directory first")
    parser.add_argument("--yes", action="store_true", help="answer the question of --reset")
    parser.add_argument("--json", action="store_true", help="one line of JSON when ready")
    return parser


def _number(least: int, most: int) -> Callable[[str], int]:
    """An argparse type: a whole number within bounds."""

    def number(text: str) -> int:
        if not (text.isascii() and text.isdigit() and least <= int(text) <= most):
            raise argparse.ArgumentTypeError(f"must be a whole number from {least} to {most}")
        return int(text)

    return number


def _run(instance: Instance, supervisor: Supervisor, options: argparse.Namespace) -> None:
    say("starting PostgreSQL and Redis")
    try:
        instance.start_servers()
    finally:
        for child in instance.children:
            supervisor.adopt(child)
    url = f"http://127.0.0.1:{options.port}"
    environment = instance.environment()
    environment.setdefault("PORTAL_URL", url)
    _prepare_database(instance, environment)
    logins = json.loads(_manage(environment, "first_run", "--json"))
    for child in _processes(instance, environment, options):
        supervisor.add(child)
    say("waiting for the first page")
    if not supervisor.wait_for(lambda: _is_ready(url), seconds=60):
        if supervisor.stopping:
            return
        raise LauncherError(f"The web server did not get ready; {instance.logs}/web.log says why.")
    _announce(url, logins, as_json=options.json)
    if not options.no_demo and (ROOT / "portal/management/commands/demo.py").exists():
        supervisor.add(
            Child(
                "demo",
                _command("demo", "--follow"),
                log=instance.logs / "demo.log",
                env=environment,
                cwd=ROOT,
            )
        )
    supervisor.run()


def _prepare_database(instance: Instance, environment: dict[str, str]) -> None:
    lock = ROOT / "requirements.lock"
    target = environment["DATABASE_URL"]
    with _once(instance, "migrated", target, [*ROOT.glob("*/migrations/*.py"), lock]) as due:
        if due:
            say("migrating the database")
            _manage(environment, "migrate", "--verbosity", "0")
    static = [path for path in (ROOT / "static").rglob("*") if path.is_file()]
    with _once(instance, "collected", str(instance.data), [*static, lock]) as due:
        if due:
            say("collecting static files")
            _manage(environment, "collectstatic", "--no-input", "--verbosity", "0")
    _manage(environment, "partitions")


@contextmanager
def _once(instance: Instance, name: str, target: str, paths: Iterable[Path]) -> Iterator[bool]:
    """Say whether work is due: it is not when it was done for the same files and target."""
    digest = hashlib.sha256(target.encode())
    for path in sorted(paths):
        digest.update(str(path.relative_to(ROOT)).encode() + b"\0" + path.read_bytes())
    stamp = instance.run / f"{name}.stamp"
    due = not stamp.exists() or stamp.read_text() != digest.hexdigest()
    yield due
    if due:
        stamp.write_text(digest.hexdigest())


def _processes(
    instance: Instance, environment: dict[str, str], options: argparse.Namespace
) -> list[Child]:
    python = sys.executable
    web = [
        python, "-m", "uvicorn", "portal.asgi:application", "--host", "127.0.0.1",
        "--port", str(options.port), "--workers", "2", "--loop", "uvloop",
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
              env={**environment, "PORTAL_PROCESS": "web"}),
        Child("worker", worker, log=instance.logs / "worker.log", cwd=ROOT,
              env={**environment, "PORTAL_PROCESS": "worker"}),
        Child("beat", beat, log=instance.logs / "beat.log", cwd=ROOT, grace_seconds=3,
              env={**environment, "PORTAL_PROCESS": "worker"}),
    ]  # fmt: skip


def _command(*words: str) -> list[str]:
    return [sys.executable, "-m", "django", *words]


def _manage(environment: dict[str, str], *words: str) -> str:
    """Run one management command and give what it printed; its failure is ours."""
    done = subprocess.run(  # noqa: S603
        _command(*words), env=environment, cwd=ROOT, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise LauncherError(f"`{words[0]}` failed:\n{done.stderr.strip()[-2000:]}")
    return done.stdout


def _is_ready(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/readyz", timeout=2) as answer:  # noqa: S310  # ours
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def _announce(url: str, logins: dict[str, object], *, as_json: bool) -> None:
    if as_json:
        line = json.dumps({"url": url, **logins})
        print(line, flush=True)  # noqa: T201  # the promised line
        return
    people = logins["logins"]
    assert isinstance(people, dict)
    rows = [f"  {role:16} {who['email']:28} {who['password']}" for role, who in people.items()]
    text = "\n".join(["", f"The portal is at {url}", "Sign in as:", *rows, "", "Ctrl-C stops it."])
    print(text, flush=True)  # noqa: T201  # what the person waited for


def _refuse_taken_port(port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise LauncherError(
                f"Port {port} is taken. Stop what listens there, or choose another with --port."
            ) from error


def _reset(instance: Instance, *, sure: bool) -> None:
    """Delete the data directory, after asking."""
    if not instance.data.exists():
        return
    if not sure:
        if not sys.stdin.isatty():
            raise LauncherError("--reset deletes all data and asks first; add --yes to be sure.")
        answer = input(f"Delete everything in {instance.data}? Type yes: ")
        if answer.strip().lower() != "yes":
            raise LauncherError("Nothing was deleted.")
    instance.run.mkdir(parents=True, exist_ok=True)
    instance.hold()
    postgres.stop_leftover(instance.data / "postgres")
    shutil.rmtree(instance.data)
    instance.release()
