"""Every manage.py command but `test`: find the portal's servers, then run Django's command."""

import os
import secrets
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from governance.privacy import keyring
from portal.launcher import up
from portal.launcher.errors import LauncherError
from portal.launcher.instance import SERVERS, Instance, servers_for_a_command
from portal.launcher.steps import is_prepared, prepare
from portal.launcher.supervisor import say

ROOT: Final = Path(__file__).resolve().parent.parent.parent
HELP: Final = frozenset({"-h", "--help", "help"})
COMMANDS: Final = {
    "up": "start everything on this machine",
    "test": "run the whole suite against servers of its own",
    "import": "take in contracts, and their example events, from files",
    "apply": "make the catalog as portal YAML says, after a plan",
    "check-contract": "check contracts against the catalog, for CI",
    "keys": "make and revoke credentials",
    "privacy_keys": "renew the keys that personal values are sealed with",
    "erase": "erase a person in every store, replay erasures after a restore",
    "subject_export": "gather what is kept about a person, read it, remove it",
    "demo": "load the demo workspace",
    "load": "send synthetic events made from contracts, valid and broken",
    "replay": "replay dead letters, as they are or by an approved repair",
    "partitions": "make the days ahead of the event tables",
    "audit": "verify and sign the audit chain, prove a row of it",
    "doctor": "look at database, Redis, workers, files and settings, and say what to do",
    "soak": "load and faults against a portal of its own, with the history checker",
    "verify-statistics": "run numeric cases against the shipped functions",
}
# What Django wants to be told before it shows the help of a command; nothing is reached.
NO_SERVERS: Final = {
    "DATABASE_URL": "postgresql://nobody@127.0.0.1:1/none",
    "REDIS_URL": "redis://127.0.0.1:1/0",
    "PORTAL_SECRET_KEY": secrets.token_urlsafe(48),
    "PORTAL_PRIVACY_KEYS": keyring.new_text(),
}


def main(argv: Sequence[str]) -> int:
    """Run one command and give its exit code; a LauncherError is one sentence, exit code 1."""
    try:
        return _run(list(argv))
    except LauncherError as error:
        print(error, file=sys.stderr)  # noqa: T201  # a command line speaks here
        return 1


def _run(argv: list[str]) -> int:
    _take_files()
    words, data = take_data_option(argv[1:])
    if words[:1] == ["help"] and len(words) > 1 and not words[1].startswith("-"):
        words = [words[1], "--help"]
    command = words[0] if words else "help"
    if command == "up":
        return up.main(words[1:], data=data or default_data())
    if command in HELP and "--commands" not in words:
        print(overview())  # noqa: T201
        return 0
    line = [argv[0], *words]
    if command in {"help", "version", "--version"} or HELP & set(words[1:]) or _is_remote(words):
        return _django(
            line, {name: os.environ.get(name) or text for name, text in NO_SERVERS.items()}
        )
    if _is_told(data):
        return _django(line, {})
    with servers_for_a_command(data or default_data(), _prepare) as (instance, environment):
        if command == "migrate" and instance.owner_url:
            code = _django(line, environment | instance.make_ready_to_migrate())
            instance.hand_over()
            return code
        return _django(line, environment)


def _is_remote(words: Sequence[str]) -> bool:
    """Whether a command asks a portal elsewhere, or one of its own, and so needs no server here."""
    if words[:1] == ["soak"]:
        return True
    return words[:1] == ["check-contract"] and any(
        word == "--url" or word.startswith("--url=") for word in words
    )


def default_data() -> Path:
    """Where the portal keeps everything unless `--data` says: PORTAL_DATA, else .portal."""
    return Path(os.environ.get("PORTAL_DATA") or ROOT / ".portal")


def take_data_option(words: Sequence[str]) -> tuple[list[str], Path | None]:
    """Take `--data DIR` out of a command line, wherever it stands."""
    rest: list[str] = []
    data: str | None = None
    waiting = iter(words)
    for word in waiting:
        if word == "--data":
            data = next(waiting, "")
        elif word.startswith("--data="):
            data = word.removeprefix("--data=")
        else:
            rest.append(word)
    if data == "":
        raise LauncherError("--data needs a directory.")
    return rest, Path(data) if data is not None else None


def overview() -> str:
    """What `manage.py` says when it is asked nothing."""
    rows = [f"  {name:18} {what}" for name, what in COMMANDS.items()]
    return "\n".join([
        "Usage: python3 manage.py COMMAND [--data DIR] …", "", *rows, "",
        "COMMAND --help says more. --data names the portal's directory (else PORTAL_DATA, else",
        ".portal); a command finds the portal that runs there, or starts its servers while it lasts.",
        "Django's own commands (migrate, shell, check …): python3 manage.py help --commands",
    ])  # fmt: skip


def _take_files() -> None:
    """DATABASE_URL_FILE and REDIS_URL_FILE are as good as what they hold (docs/settings.md)."""
    for name in SERVERS:
        path = os.environ.get(f"{name}_FILE")
        if path:
            try:
                os.environ[name] = Path(path).read_text("utf-8").strip()
            except OSError as error:
                raise LauncherError(f"{name}_FILE cannot be read: {error.strerror}.") from error


def _prepare(instance: Instance, environment: dict[str, str]) -> None:
    """A command before the first `up`: the embedded database gets its tables and people."""
    if not os.environ.get("DATABASE_URL") and not is_prepared(environment):
        say(f"a new portal in {instance.data}")
        prepare(instance, environment)


def _is_told(data: Path | None) -> bool:
    """Whether the environment names both servers and all secrets, as in a container."""
    names = ("DATABASE_URL", "REDIS_URL")
    has_secrets = all(
        name in os.environ or f"{name}_FILE" in os.environ
        for name in ("PORTAL_SECRET_KEY", "PORTAL_PRIVACY_KEYS")
    )
    return data is None and has_secrets and all(os.environ.get(name) for name in names)


def _django(argv: list[str], environment: dict[str, str]) -> int:
    os.environ.update(environment)
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "portal.settings")
    import psycopg  # noqa: PLC0415  # the servers are known only now
    from django.core.exceptions import ImproperlyConfigured  # noqa: PLC0415
    from django.core.management import execute_from_command_line  # noqa: PLC0415
    from django.db import OperationalError, ProgrammingError  # noqa: PLC0415

    try:
        execute_from_command_line(argv)
    except SystemExit as leaving:
        return leaving.code if isinstance(leaving.code, int) else int(leaving.code is not None)
    except ImproperlyConfigured as error:
        raise LauncherError(str(error)) from error
    except (OperationalError, psycopg.OperationalError) as error:
        first = str(error).strip().splitlines()[0]
        raise LauncherError(f"The database does not answer: {first}") from error
    except ProgrammingError as error:
        if getattr(error.__cause__, "sqlstate", None) not in {"42P01", "42703"}:
            raise
        raise LauncherError(
            "The database lacks tables of this portal. Run `python3 manage.py migrate` on it first."
        ) from error
    return 0
