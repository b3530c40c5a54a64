"""A whole portal of one's own: started by `manage.py up` in a directory, found process by process."""

import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Final

from portal.launcher import postgres
from portal.launcher.instance import free_port
from portal.launcher.processes import die_with_parent

ROOT: Final = Path(__file__).resolve().parents[2]
# What the caller's own servers are told must not reach the portal that is started.
_OURS: Final = frozenset(
    {
        "DATABASE_URL",
        "REDIS_URL",
        "PORTAL_SECRET_KEY",
        "PORTAL_SECRET_KEY_FILE",
        "PORTAL_DATA",
        "PORTAL_DB_POOL",
        "PORTAL_STATIC_UNHASHED",
        "PORTAL_PROCESS",
        "PORTAL_EMBEDDED",
        "PORTAL_PRIVACY_KEYS",
        "DJANGO_SETTINGS_MODULE",
    }
)


# On the command line of each process that answers requests.
WEB_WORDS: Final = "multiprocessing.spawn"
WEB_PROCESSES: Final = 2
_LISTENS: Final = "0A"


class StartError(Exception):
    """The portal did not get ready; the text ends with the last of its log."""


def environment() -> dict[str, str]:
    """This process's variables without those that name servers."""
    return {name: value for name, value in os.environ.items() if name not in _OURS}


@dataclass
class Portal:
    """A running portal. `said` is the line of JSON that it printed when it was ready."""

    data: Path
    port: int
    process: subprocess.Popen[str]
    said: dict[str, Any] = field(default_factory=dict)

    @property
    def url(self) -> str:
        return str(self.said["url"])

    @property
    def database_url(self) -> str:
        """Where its embedded PostgreSQL answers."""
        ports = json.loads((self.data / "run" / "ports.json").read_text())
        password = (self.data / "secrets" / "postgres_password").read_text()
        return postgres.Server(self.data / "postgres", ports["postgres"], password).url()

    @property
    def redis_url(self) -> str:
        """Where its embedded Redis answers."""
        ports = json.loads((self.data / "run" / "ports.json").read_text())
        password = (self.data / "secrets" / "redis_password").read_text()
        return f"redis://:{password}@127.0.0.1:{ports['redis']}/0"

    @property
    def keyring_text(self) -> str:
        """Its privacy keys."""
        return (self.data / "secrets" / "privacy_keys").read_text().strip()

    def is_ready(self) -> bool:
        return self.answers("/readyz")

    def answers(self, path: str, *, within_seconds: float = 2) -> bool:
        """Whether a page answers 200 in time."""
        try:
            with urllib.request.urlopen(self.url + path, timeout=within_seconds) as answer:  # noqa: S310  # ours
                return bool(answer.status == 200)
        except (urllib.error.URLError, OSError):
            return False

    def pids(self, words: str) -> list[int]:
        """Processes of this portal whose command line holds the words, the first started first."""
        return sorted(pid for pid, command in self._processes() if words in command)

    def _processes(self) -> list[tuple[int, str]]:
        found = []
        data = str(self.data)
        for place in Path("/proc").iterdir():
            if not place.name.isdigit():
                continue
            try:
                command = (place / "cmdline").read_bytes().replace(b"\0", b" ").decode()
                variables = (place / "environ").read_bytes()
                works_in = str((place / "cwd").readlink())
            except OSError:
                continue
            if data in command or data in works_in or data.encode() in variables:
                found.append((int(place.name), command))
        return found

    def listening(self) -> list[int]:
        """The web processes that take connections: not those that are still starting, nor those
        that a killed web server left behind."""
        inodes = _listeners(self.port)
        parents = self.pids("uvicorn portal.asgi")
        return [
            pid for pid in self.pids(WEB_WORDS) if _parent(pid) in parents and _watches(pid, inodes)
        ]

    def stop(self, number: int = signal.SIGINT) -> int:
        """Send a signal and wait up to 60 seconds; gives the exit code. Raises TimeoutExpired."""
        self.process.send_signal(number)
        return self.process.wait(60)

    def close(self) -> None:
        """Stop it if it still runs."""
        if self.process.poll() is None:
            self.stop()
        if self.process.stdout is not None:
            self.process.stdout.close()

    def kill(self) -> None:
        """Kill the supervisor and wait until its children, which end with it, are gone."""
        self.process.kill()
        self.process.wait()
        deadline = time.monotonic() + 30
        while self.pids("") and time.monotonic() < deadline:
            time.sleep(0.05)
        if self.process.stdout is not None:
            self.process.stdout.close()


def start(
    data: Path,
    *,
    port: int | None = None,
    words: Sequence[str] = (),
    variables: Mapping[str, str] | None = None,
    stderr: IO[str] | None = None,
) -> Portal:
    """Start a portal and wait until it says that it is ready. Raises StartError."""
    chosen = port or free_port()
    process = subprocess.Popen(  # noqa: S603
        [sys.executable, "manage.py", "up", "--no-demo", "--json", "--data", str(data),
         "--port", str(chosen), *words],
        cwd=ROOT, env=environment() | dict(variables or {}), stdout=subprocess.PIPE,
        stderr=stderr or subprocess.DEVNULL, text=True,
        start_new_session=True,  # Ctrl-C is the caller's to handle
        preexec_fn=die_with_parent,  # noqa: PLW1509  # before any thread of ours
    )  # fmt: skip
    assert process.stdout is not None
    line = process.stdout.readline()
    if not line:
        process.stdout.close()
        log = data / "logs" / "web.log"
        raise StartError(f"up did not get ready: {log.read_text()[-2000:] if log.exists() else ''}")
    return Portal(data, chosen, process, json.loads(line))


def _parent(pid: int) -> int:
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:  # it ended meanwhile
        return 0
    return int(status.partition("PPid:")[2].split()[0])


def _listeners(port: int) -> set[str]:
    """The sockets that listen on a port, as the kernel numbers them."""
    found = set()
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        fields = line.split()
        if fields[3] == _LISTENS and int(fields[1].partition(":")[2], 16) == port:
            found.add(f"socket:[{fields[9]}]")
    return found


def _watches(pid: int, sockets: set[str]) -> bool:
    """Whether an event loop of the process waits for news of one of the sockets."""
    place = Path(f"/proc/{pid}")
    try:
        for descriptor in (place / "fd").iterdir():
            if str(descriptor.readlink()) != "anon_inode:[eventpoll]":
                continue
            for line in (place / "fdinfo" / descriptor.name).read_text().splitlines():
                if line.startswith("tfd:"):
                    watched = place / "fd" / line.split()[1]
                    if str(watched.readlink()) in sockets:
                        return True
    except OSError:  # it ended meanwhile
        return False
    return False
