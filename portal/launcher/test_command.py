"""`manage.py test`: the whole suite against servers of its own and a real browser.

Without arguments it runs in two goes: what shares a machine well in two processes, each with servers
of its own, then what measures time or starts whole portals, alone. Arguments are pytest's, for one go
in one process.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Final

from governance.privacy import keyring
from portal.launcher import browser, postgres, redis
from portal.launcher.errors import LauncherError
from portal.launcher.instance import free_port
from portal.launcher.supervisor import say

ROOT: Final = Path(__file__).resolve().parent.parent.parent
PROCESSES: Final = 2
TOGETHER: Final = (
    "-n",
    str(PROCESSES),
    "--dist",
    "loadfile",
    "--no-loadscope-reorder",
    "-m",
    "not alone",
)
ALONE: Final = ("-m", "alone")
_MARK: Final = "mark.alone"
# Servers that somebody gave are one set, which two processes would share.
GIVEN: Final = ("TEST_DATABASE_URL", "TEST_REDIS_URL")


def main(argv: Sequence[str]) -> int:
    """Run pytest with these arguments, or everything, and give the first exit code that is not 0."""
    is_whole = not argv and not any(os.environ.get(name) for name in GIVEN)
    goes = (TOGETHER, (*ALONE, *_files_with_alone())) if is_whole else (tuple(argv),)
    try:
        with ExitStack() as stack:
            environment = _environment(stack, PROCESSES if is_whole else 1)
            codes = [_pytest(arguments, environment) for arguments in goes]
            return next((code for code in codes if code), 0)
    except LauncherError as error:
        print(error, file=sys.stderr)  # noqa: T201  # a command line speaks here
        return 1


def _files_with_alone() -> list[str]:
    """The files that the second go needs; reading all the others takes longer than some tests."""
    return [
        str(file.relative_to(ROOT))
        for file in sorted((ROOT / "tests").rglob("test_*.py"))
        if _MARK in file.read_text("utf-8")
    ]


def _pytest(arguments: Sequence[str], environment: Mapping[str, str]) -> int:
    command = [sys.executable, "-m", "pytest", *arguments]
    return subprocess.run(command, cwd=ROOT, env=environment, check=False).returncode  # noqa: S603


def _environment(stack: ExitStack, processes: int) -> dict[str, str]:
    place = Path(tempfile.mkdtemp(prefix="portal-test-"))
    stack.callback(shutil.rmtree, place, ignore_errors=True)
    say("starting servers for the tests")
    sets = [_servers(stack, place / str(number)) for number in range(processes)]
    environment = {
        **os.environ,
        "PORTAL_SECRET_KEY": "a-secret-for-tests-only-that-is-long-enough-for-the-checks-0123456789",
        "PORTAL_PRIVACY_KEYS": keyring.new_text(),
        "PORTAL_STATIC_UNHASHED": "1",
        "PORTAL_DB_POOL": "0",
        "DJANGO_SETTINGS_MODULE": "portal.settings",
        "PORTAL_TEST_PLACE": str(place),  # what processes of the run share; gone at its end
        "PORTAL_TEST_SERVERS": json.dumps(sets),
        **sets[0],
    }
    found = browser.find_or_install()
    if found:
        environment["PORTAL_BROWSER"] = found
    return environment


def _servers(stack: ExitStack, place: Path) -> dict[str, str]:
    """The variables of one process: a PostgreSQL, a Redis and a data directory."""
    (place / "data").mkdir(parents=True)
    return {
        "PORTAL_DATA": str(place / "data"),
        "DATABASE_URL": os.environ.get("TEST_DATABASE_URL") or _postgres(stack, place),
        "REDIS_URL": os.environ.get("TEST_REDIS_URL") or _redis(stack, place),
    }


def _postgres(stack: ExitStack, place: Path) -> str:
    server = postgres.Server(place / "postgres", free_port(), "test", unsafe=True)
    postgres.initialise(server)
    child = postgres.child(server, place / "postgres.log")
    child.start()
    stack.callback(child.stop)
    postgres.wait_ready(server, child)
    return server.url()


def _redis(stack: ExitStack, place: Path) -> str:
    server = redis.Server(place / "redis", free_port(), "test", place / "redis.conf")
    child = redis.child(server, place / "redis.log")
    child.start()
    stack.callback(child.stop)
    redis.wait_ready(server, child)
    return server.url
