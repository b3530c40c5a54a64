"""Every manage.py command but `test`: find the portal's servers, then run Django's command."""

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from portal.launcher import up
from portal.launcher.errors import LauncherError
from portal.launcher.instance import servers_for_a_command

ROOT: Final = Path(__file__).resolve().parent.parent.parent
# Commands that only look at code, or are told everything by the environment.
NO_SERVERS: Final = frozenset({"help", "--help", "version", "--version"})


def main(argv: Sequence[str]) -> int:
    """Run one command and give its exit code; a LauncherError is one sentence, exit code 1."""
    arguments, data = take_data_option(list(argv))
    command = arguments[1] if len(arguments) > 1 else "help"
    try:
        if command == "up":
            return up.main(arguments[2:], data=data)
        if command in NO_SERVERS or _is_told(data):
            return _django(arguments, {})
        with servers_for_a_command(data or default_data()) as environment:
            return _django(arguments, environment)
    except LauncherError as error:
        print(error, file=sys.stderr)  # noqa: T201  # a command line speaks here
        return 1


def default_data() -> Path:
    return Path(os.environ.get("PORTAL_DATA") or ROOT / ".portal")


def take_data_option(argv: list[str]) -> tuple[list[str], Path | None]:
    """Take `--data DIR` out of a command line, wherever it stands."""
    rest: list[str] = []
    data: Path | None = None
    words = iter(argv)
    for word in words:
        if word == "--data":
            value = next(words, None)
            if value is None:
                raise LauncherError("--data needs a directory.")
            data = Path(value)
        elif word.startswith("--data="):
            data = Path(word.removeprefix("--data="))
        else:
            rest.append(word)
    return rest, data


def _is_told(data: Path | None) -> bool:
    """Whether the environment names both servers and the secret, as in a container."""
    names = ("DATABASE_URL", "REDIS_URL")
    secret = "PORTAL_SECRET_KEY" in os.environ or "PORTAL_SECRET_KEY_FILE" in os.environ
    return data is None and secret and all(os.environ.get(name) for name in names)


def _django(argv: list[str], environment: dict[str, str]) -> int:
    os.environ.update(environment)
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "portal.settings")
    from django.core.management import execute_from_command_line  # noqa: PLC0415  # after settings

    try:
        execute_from_command_line(argv)
    except SystemExit as leaving:
        return leaving.code if isinstance(leaving.code, int) else int(leaving.code is not None)
    return 0
