"""One data directory and the servers that are embedded in it.

`<data>/postgres` and `redis` hold the servers, `secrets` what nobody else may read, `logs` what
they say, `run` what only a running portal needs. `VERSION` is the layout's number.
"""

import fcntl
import json
import os
import secrets
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Final

from portal.launcher import postgres, redis
from portal.launcher.errors import LauncherError
from portal.launcher.processes import Child

LAYOUT: Final = 1
FIRST_PORT: Final = 20_000
LAST_PORT: Final = 32_000


@dataclass(slots=True)
class Instance:
    """The place of one portal. `children` are the embedded servers this process started."""

    data: Path
    children: list[Child] = field(default_factory=list)
    _lock: IO[str] | None = None

    @property
    def logs(self) -> Path:
        return self.data / "logs"

    @property
    def run(self) -> Path:
        return self.data / "run"

    def prepare(self) -> None:
        """Make the directory, or refuse one that a newer portal wrote."""
        try:
            for place in (self.data, self.logs, self.run, self.data / "secrets"):
                place.mkdir(parents=True, exist_ok=True)
            (self.data / "secrets").chmod(0o700)
            version = self.data / "VERSION"
            if not version.exists():
                version.write_text(f"{LAYOUT}\n")
        except OSError as error:
            raise LauncherError(
                f"{self.data} cannot be written ({error.strerror}). Free some space there or name "
                "another directory with --data."
            ) from error
        if int((self.data / "VERSION").read_text()) > LAYOUT:
            raise LauncherError(
                f"{self.data} was written by a newer portal. Update this checkout, or name another "
                "directory with --data."
            )
        if _free_bytes(self.data) < 300 * 1024 * 1024:
            raise LauncherError(
                f"Less than 300 MB are free for {self.data}. Free some space or name another "
                "directory with --data."
            )

    def secret(self, name: str) -> str:
        """A secret of this portal, made on first use, readable by its owner only."""
        path = self.data / "secrets" / name
        if not path.exists():
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "w") as handle:
                handle.write(secrets.token_urlsafe(48))
        return path.read_text()

    def environment(self) -> dict[str, str]:
        """What every process of this portal is told; the caller's own variables win."""
        self.secret("secret_key")
        values = {
            "PORTAL_DATA": str(self.data),
            "PORTAL_SECRET_KEY_FILE": str(self.data / "secrets" / "secret_key"),
            "PORTAL_EMBEDDED": "1",
            "DJANGO_SETTINGS_MODULE": "portal.settings",
        }
        if "PORTAL_SECRET_KEY" in os.environ or "PORTAL_SECRET_KEY_FILE" in os.environ:
            del values["PORTAL_SECRET_KEY_FILE"]
        values["DATABASE_URL"] = os.environ.get("DATABASE_URL") or self._postgres().url()
        values["REDIS_URL"] = os.environ.get("REDIS_URL") or self._redis().url
        return {**os.environ, **values}

    def start_servers(self) -> None:
        """Start what is embedded and not replaced by DATABASE_URL or REDIS_URL."""
        if not os.environ.get("DATABASE_URL"):
            server = self._postgres()
            postgres.initialise(server)
            postgres.stop_leftover(server.data)
            child = postgres.child(server, self.logs / "postgres.log")
            child.start()
            self.children.append(child)
            postgres.wait_ready(server, child)
        if not os.environ.get("REDIS_URL"):
            store = self._redis()
            child = redis.child(store, self.logs / "redis.log")
            child.start()
            self.children.append(child)
            redis.wait_ready(store, child)

    def stop_servers(self) -> None:
        for child in reversed(self.children):
            child.stop()
        self.children.clear()

    def _postgres(self) -> postgres.Server:
        return postgres.Server(
            self.data / "postgres", self._port("postgres"), self.secret("postgres_password")
        )

    def _redis(self) -> redis.Server:
        return redis.Server(
            self.data / "redis",
            self._port("redis"),
            self.secret("redis_password"),
            self.data / "secrets" / "redis.conf",
        )

    def _port(self, name: str) -> int:
        """The port of an embedded server: chosen once, changed when somebody else took it."""
        path = self.run / "ports.json"
        ports: dict[str, int] = json.loads(path.read_text()) if path.exists() else {}
        mine = name in {child.name for child in self.children} or self.is_running()
        if name not in ports or not (mine or port_is_free(ports[name])):
            ports[name] = free_port(taken=set(ports.values()))
            path.write_text(json.dumps(ports))
        return ports[name]

    def is_running(self) -> bool:
        """Whether another process (an `up`, or a command with servers of its own) holds it."""
        if self._lock is not None:
            return False
        try:
            with (self.run / "lock").open("a") as handle:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        return False

    def hold(self) -> None:
        """Take the directory for this process until it ends, or say that it is taken."""
        handle = (self.run / "lock").open("a")
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            handle.close()
            raise LauncherError(
                f"A portal already runs on {self.data}. Stop it first, or name another directory "
                "with --data."
            ) from error
        self._lock = handle

    def release(self) -> None:
        if self._lock is not None:
            self._lock.close()
            self._lock = None


@contextmanager
def servers_for_a_command(data: Path) -> Iterator[dict[str, str]]:
    """The environment for one command: the running portal's servers, or ours while it lasts."""
    instance = Instance(data.resolve())
    instance.prepare()
    if instance.is_running():
        yield instance.environment()
        return
    with ExitStack() as stack:
        instance.hold()
        stack.callback(instance.release)
        stack.callback(instance.stop_servers)
        instance.start_servers()
        yield instance.environment()


def port_is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def free_port(*, taken: set[int] | None = None) -> int:
    """A free port below the range from which outgoing connections take theirs."""
    for _ in range(1000):
        port = FIRST_PORT + secrets.randbelow(LAST_PORT - FIRST_PORT)
        if port not in (taken or set()) and port_is_free(port):
            return port
    raise LauncherError("No free port was found between 20000 and 32000.")


def _free_bytes(path: Path) -> int:
    status = os.statvfs(path)
    return status.f_bavail * status.f_frsize
