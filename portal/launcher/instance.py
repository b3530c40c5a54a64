"""One data directory and the servers that are embedded in it.

`<data>/postgres` and `redis` hold the servers, `secrets` what nobody else may read, `logs` what
they say, `run` what only a running portal needs. `VERSION` is the layout's number. Whoever holds
the lock `run/lock` is the only one that starts processes here: an `up`, or one command at a time.
"""

import fcntl
import json
import os
import secrets
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Final

from governance.chain import ownership
from governance.privacy import keyring
from portal.kernel.files import write_private
from portal.launcher import postgres, redis
from portal.launcher.errors import LauncherError
from portal.launcher.processes import Child, end_leftover

LAYOUT: Final = 1
FIRST_PORT: Final = 20_000
LAST_PORT: Final = 32_000
SERVERS: Final = ("DATABASE_URL", "REDIS_URL")
COMMAND_WAIT_SECONDS: Final = 120


@contextmanager
def _said_by_the_launcher() -> Iterator[None]:
    try:
        yield
    except ownership.OwnershipError as error:
        raise LauncherError(str(error)) from error


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
        version = self.data / "VERSION"
        try:
            self.data.mkdir(parents=True, exist_ok=True)
            if not version.exists() or not version.read_text().strip():
                version.write_text(f"{LAYOUT}\n")
            written = version.read_text().strip()
        except OSError as error:
            raise self._unwritable(error) from error
        if not written.isdecimal():
            raise LauncherError(
                f"{version} should hold the number {LAYOUT} and holds something else. Write that "
                "number into it if this is a portal's directory, or name another with --data."
            )
        if int(written) > LAYOUT:
            raise LauncherError(
                f"{self.data} was written by a newer portal. Update this checkout, or name another "
                "directory with --data."
            )
        try:
            for place in (self.logs, self.run):
                place.mkdir(exist_ok=True)
            self.logs.chmod(0o700)  # whoever may read the log learns who works here, and when
            for place in (self.data / "secrets", self.data / "redis"):
                place.mkdir(mode=0o700, exist_ok=True)
        except OSError as error:
            raise self._unwritable(error) from error
        if free_bytes(self.data) < 300 * 1024 * 1024:
            raise LauncherError(
                f"Less than 300 MB are free for {self.data}. Free some space or name another "
                "directory with --data."
            )

    def _unwritable(self, error: OSError) -> LauncherError:
        return LauncherError(
            f"{self.data} cannot be written ({error.strerror}). Free some space there or name "
            "another directory with --data."
        )

    def secret(self, name: str) -> str:
        """A secret of this portal, made on first use, readable by its owner only."""
        path = self.data / "secrets" / name
        if not path.exists() or not path.stat().st_size:
            write_private(path, secrets.token_urlsafe(48))
        return path.read_text()

    @property
    def privacy_keys(self) -> Path:
        """Where the embedded privacy keys lie; without them what they sealed is lost."""
        return self.data / "secrets" / "privacy_keys"

    def _make_privacy_keys(self) -> None:
        """Make them on first use, by one process even when several start."""
        if self.privacy_keys.exists() and self.privacy_keys.stat().st_size:
            return
        with (self.run / "privacy_keys.lock").open("a") as handle:
            fcntl.flock(handle, fcntl.LOCK_EX)
            if not self.privacy_keys.exists() or not self.privacy_keys.stat().st_size:
                write_private(self.privacy_keys, keyring.new_text())

    def environment(self) -> dict[str, str]:
        """What every process of this portal is told; the caller's own variables win."""
        self.secret("secret_key")
        values = {
            "PORTAL_DATA": str(self.data),
            "PORTAL_SECRET_KEY_FILE": str(self.data / "secrets" / "secret_key"),
            "PORTAL_PRIVACY_KEYS_FILE": str(self.privacy_keys),
            "PORTAL_EMBEDDED": "1",
            "DJANGO_SETTINGS_MODULE": "portal.settings",
        }
        if "PORTAL_SECRET_KEY" in os.environ or "PORTAL_SECRET_KEY_FILE" in os.environ:
            del values["PORTAL_SECRET_KEY_FILE"]
        if "PORTAL_PRIVACY_KEYS" in os.environ or "PORTAL_PRIVACY_KEYS_FILE" in os.environ:
            del values["PORTAL_PRIVACY_KEYS_FILE"]
        else:
            self._make_privacy_keys()
        told = {name: os.environ.get(name) for name in SERVERS}
        if not all(told.values()):
            told = self._announced() | {name: url for name, url in told.items() if url}
        values["DATABASE_URL"] = told.get("DATABASE_URL") or self._portal_url()
        values["REDIS_URL"] = told.get("REDIS_URL") or self._redis().url
        if told.get("PORTAL_URL"):
            values["PORTAL_URL"] = os.environ.get("PORTAL_URL") or str(told["PORTAL_URL"])
        return {**os.environ, **values}

    @property
    def owner_url(self) -> str | None:
        """Who owns the embedded database; None where DATABASE_URL names another."""
        return None if os.environ.get("DATABASE_URL") else self._postgres().url()

    def _portal_url(self) -> str:
        return self._postgres().portal_url(self.secret("postgres_portal_password"))

    def make_ready_to_migrate(self) -> dict[str, str]:
        """Let the portal's role migrate the embedded database; gives what a migration is told more."""
        if not self.owner_url:
            return {}
        with _said_by_the_launcher():
            ownership.make_ready(self.owner_url, self._portal_url())
        return {"PORTAL_OWNER_DATABASE_URL": self.owner_url}

    def hand_over(self) -> None:
        """Give each table of the embedded database its owner: migrations have made new ones."""
        if self.owner_url:
            with _said_by_the_launcher():
                ownership.hand_over(self.owner_url, self._portal_url())

    def start_servers(self, *, is_stopping: Callable[[], bool] = lambda: False) -> None:
        """Start what is embedded; what DATABASE_URL or REDIS_URL replace must answer."""
        self.end_leftovers()
        outside = {name: os.environ.get(name) for name in SERVERS}
        if outside["DATABASE_URL"]:
            postgres.check_outside(outside["DATABASE_URL"])
        if outside["REDIS_URL"]:
            redis.check_outside(outside["REDIS_URL"])
        if not outside["DATABASE_URL"]:
            server = self._postgres()
            postgres.initialise(server)
            postgres.stop_leftover(server.data)
            child = postgres.child(server, self.logs / "postgres.log")
            child.start()
            self.children.append(child)
            postgres.wait_ready(server, child, is_stopping=is_stopping)
            if not is_stopping():
                with _said_by_the_launcher():
                    ownership.make_roles(server.url(), self._portal_url())
        if not outside["REDIS_URL"]:
            store = self._redis()
            child = redis.child(store, self.logs / "redis.log", self.pid_file("redis"))
            child.start()
            self.children.append(child)
            redis.wait_ready(store, child, is_stopping=is_stopping)

    def pid_file(self, name: str) -> Path:
        """Where a child says who it is, so that a later start finds what this one left behind."""
        return self.run / f"{name}.pid"

    def end_leftovers(self) -> None:
        """End processes of an `up` that was killed. PostgreSQL knows its own (stop_leftover)."""
        for file in sorted(self.run.glob("*.pid"), key=lambda path: path.name == "redis.pid"):
            end_leftover(file)

    def announce(self, environment: dict[str, str]) -> None:
        """Say to commands that the portal runs, which servers it uses, and where it answers."""
        servers = {name: environment[name] for name in (*SERVERS, "PORTAL_URL")}
        write_private(self.data / "secrets" / "servers.json", json.dumps(servers))

    def _announced(self) -> dict[str, str | None]:
        """The servers of the portal that runs here; nothing when none does."""
        path = self.data / "secrets" / "servers.json"
        if not path.exists() or not self.is_running():
            return {}
        found: dict[str, str | None] = json.loads(path.read_text())
        return found

    def stop_servers(self) -> None:
        """Stop the servers that this process started, the last first."""
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
        try:
            ports: dict[str, int] = json.loads(path.read_text())
        except (OSError, ValueError):
            ports = {}
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

    def hold(self, *, wait_seconds: float = 0) -> None:
        """Take the directory for this process until it ends, or say that it is taken."""
        handle = (self.run / "lock").open("a")
        deadline = time.monotonic() + wait_seconds
        while True:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                if time.monotonic() > deadline:
                    handle.close()
                    raise LauncherError(self._taken()) from error
                time.sleep(0.1)
            else:
                break
        self._lock = handle
        (self.data / "secrets" / "servers.json").unlink(missing_ok=True)

    def _taken(self) -> str:
        if (self.data / "secrets" / "servers.json").exists():
            return (
                f"A portal already runs on {self.data}. Stop it first, or name another directory "
                "with --data."
            )
        return (
            f"A command, or a portal that is starting, uses {self.data}. Wait until it is done, or "
            "name another directory with --data."
        )

    def is_announced(self) -> bool:
        """Whether a portal runs here and its servers can be used."""
        return bool(self._announced())

    def release(self) -> None:
        """Let go of the directory and take back what was announced; again changes nothing."""
        if self._lock is not None:
            (self.data / "secrets" / "servers.json").unlink(missing_ok=True)
            self._lock.close()
            self._lock = None


@contextmanager
def servers_for_a_command(
    data: Path, prepare: Callable[[Instance, dict[str, str]], object]
) -> Iterator[tuple[Instance, dict[str, str]]]:
    """The place and the environment for one command: the running portal's servers, or ours while it lasts.

    A portal that is just starting, or another command, is waited for. `prepare` is called with
    servers that this command started, before it runs.
    """
    instance = Instance(data.resolve())
    instance.prepare()
    deadline = time.monotonic() + COMMAND_WAIT_SECONDS
    with ExitStack() as stack:
        while not instance.is_announced():
            try:
                instance.hold()
            except LauncherError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.1)
                continue
            stack.callback(instance.release)
            stack.callback(instance.stop_servers)
            instance.start_servers()
            prepare(instance, instance.environment())
            break
        yield instance, instance.environment()


def port_is_free(port: int) -> bool:
    """Whether a server could listen on a port of 127.0.0.1 now."""
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


def free_bytes(path: Path) -> int:
    """What the file system of a path has left for this user."""
    status = os.statvfs(path)
    return status.f_bavail * status.f_frsize
