"""`manage.py test`: the whole suite against servers of its own and a real browser."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Final

from portal.launcher import browser, postgres, redis
from portal.launcher.errors import LauncherError
from portal.launcher.instance import free_port
from portal.launcher.supervisor import say

ROOT: Final = Path(__file__).resolve().parent.parent.parent


def main(argv: Sequence[str]) -> int:
    """Run pytest with these arguments and give its exit code."""
    try:
        with ExitStack() as stack:
            environment = _environment(stack)
            command = [sys.executable, "-m", "pytest", *argv]
            return subprocess.run(  # noqa: S603
                command, cwd=ROOT, env=environment, check=False
            ).returncode
    except LauncherError as error:
        print(error, file=sys.stderr)  # noqa: T201  # a command line speaks here
        return 1


def _environment(stack: ExitStack) -> dict[str, str]:
    place = Path(tempfile.mkdtemp(prefix="portal-test-"))
    stack.callback(shutil.rmtree, place, ignore_errors=True)
    environment = {
        **os.environ,
        "PORTAL_DATA": str(place / "data"),
        "PORTAL_SECRET_KEY": "a-secret-for-tests-only-that-is-long-enough-for-the-checks-0123456789",
        "PORTAL_STATIC_UNHASHED": "1",
        "PORTAL_DB_POOL": "0",
        "DJANGO_SETTINGS_MODULE": "portal.settings",
        "DATABASE_URL": os.environ.get("TEST_DATABASE_URL") or _postgres(stack, place),
        "REDIS_URL": os.environ.get("TEST_REDIS_URL") or _redis(stack, place),
    }
    (place / "data").mkdir()
    found = browser.find_or_install()
    if found:
        environment["PORTAL_BROWSER"] = found
    return environment


def _postgres(stack: ExitStack, place: Path) -> str:
    say("starting a PostgreSQL for the tests")
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
