"""What is done to a portal while its clients send: one fault at a time, undone before the check.

A fault is a function of the ground it happens on. It returns once the harm is done and, for what is
stopped, undone; waiting for the portal to mend itself is the runner's.
"""

import os
import random
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import psycopg
from psycopg import sql

from ingest.log import partitions
from portal.kernel import failpoints
from portal.soak.checker import Violation
from portal.soak.clients import STREAMS, Load, make
from portal.soak.history import Attempt
from portal.soak.running import WEB_WORDS, Portal

# A failpoint that nothing passed in this time had no occasion.
FAILPOINT_SECONDS: Final = 1.5
_FIRST_SECONDS: Final = 5.0
_MAKING: Final = frozenset(name for name in failpoints.NAMES if name.startswith("partitions."))
_IN_INGEST: Final = tuple(sorted(n for n in failpoints.NAMES if n.startswith("ingest.")))
# The day before today that the next missing partition is made for; beyond what the load sends.
_FIRST_DAY, _LAST_DAY = 5, 28


@dataclass
class Ground:
    """One portal, its load, and what the faults of a run have learned."""

    portal: Portal
    load: Load
    random: random.Random
    failpoint_file: Path
    day: int = _FIRST_DAY
    restart: Callable[[], None] = lambda: None
    struck: Counter[str] = field(default_factory=Counter)
    last: str = ""  # what was armed in this cycle, for the line about it

    def arm(self, spec: str) -> None:
        """Arm failpoints in the portal, as PORTAL_FAILPOINTS spells them."""
        unfinished = self.failpoint_file.with_suffix(".new")
        unfinished.write_text(spec)
        unfinished.rename(self.failpoint_file)

    def disarm(self) -> bool:
        """Whether what was armed had not struck."""
        try:
            self.failpoint_file.unlink()
        except FileNotFoundError:
            return False
        return True

    def wait_for_strike(self, seconds: float = FAILPOINT_SECONDS) -> bool:
        """Whether what was armed struck in time; if not, it is disarmed."""
        deadline = time.monotonic() + seconds
        while self.failpoint_file.exists():
            if time.monotonic() > deadline:
                return not self.disarm()
            time.sleep(0.02)
        return True


Fault = Callable[[Ground], Iterator[Violation]]


def _kill(pids: list[int]) -> bool:
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    return bool(pids)


@contextmanager
def _stopped(pids: list[int]) -> Iterator[None]:
    """Hold processes still for the length of the block."""
    try:
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGSTOP)
        yield
    finally:
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)


def nothing(ground: Ground) -> Iterator[Violation]:
    """No fault: what the others are compared with."""
    time.sleep(0.3)
    yield from ()


def web_process(ground: Ground) -> Iterator[Violation]:
    """SIGKILL of one of the processes that answer."""
    pids = ground.portal.pids(WEB_WORDS)
    _kill([ground.random.choice(pids)] if pids else [])
    yield from ()


def web(ground: Ground) -> Iterator[Violation]:
    """SIGKILL of the web server's parent; its children go with it."""
    _kill(ground.portal.pids("uvicorn portal.asgi")[:1])
    yield from ()


def web_stopped(ground: Ground) -> Iterator[Violation]:
    """SIGSTOP of one web process for one to three seconds, its requests half done."""
    pids = ground.portal.pids(WEB_WORDS)
    with _stopped([ground.random.choice(pids)] if pids else []):
        time.sleep(ground.random.uniform(1, 3))
    yield from ()


def worker(ground: Ground) -> Iterator[Violation]:
    """SIGKILL of the Celery worker or one of its children."""
    pids = ground.portal.pids("celery")
    _kill([ground.random.choice(pids)] if pids else [])
    yield from ()


def beat(ground: Ground) -> Iterator[Violation]:
    """SIGKILL of Celery's beat."""
    _kill(ground.portal.pids("beat-schedule"))
    yield from ()


def postgres_backend(ground: Ground) -> Iterator[Violation]:
    """SIGKILL of one server process of the web's: PostgreSQL restarts and recovers."""
    pids = _backends(ground)
    _kill([ground.random.choice(pids)] if pids else [])
    yield from ()


def sessions_cut(ground: Ground) -> Iterator[Violation]:
    """The web's connections to PostgreSQL are cut, some within a transaction or its commit."""
    for _ in range(5):
        with psycopg.connect(ground.portal.database_url) as db:
            db.execute("SELECT pg_terminate_backend(pid) FROM unnest(%s::int[]) AS pid",
                       (_backends(ground),))  # fmt: skip
        time.sleep(ground.random.uniform(0.01, 0.1))
    yield from ()


def _backends(ground: Ground) -> list[int]:
    with psycopg.connect(ground.portal.database_url) as db:
        rows = db.execute(
            "SELECT pid FROM pg_stat_activity WHERE application_name = 'portal-web' ORDER BY pid"
        ).fetchall()
    return [int(pid) for (pid,) in rows]


def postgres(ground: Ground) -> Iterator[Violation]:
    """SIGKILL of the postmaster."""
    _kill(ground.portal.pids("bin/postgres -D")[:1])
    yield from ()


def postgres_stopped(ground: Ground) -> Iterator[Violation]:
    """SIGSTOP of all of PostgreSQL for six seconds: answers are 503 within five, /livez is 200."""
    with _stopped(ground.portal.pids("postgres")):
        until = time.monotonic() + 6
        time.sleep(1)
        if not ground.portal.answers("/livez", within_seconds=4):
            yield Violation("not_alive", "/livez did not answer 200 while PostgreSQL hung")
        time.sleep(max(0.0, until - time.monotonic()))


def redis(ground: Ground) -> Iterator[Violation]:
    """SIGKILL of Redis, which its supervisor starts again."""
    with _answers_go_on(ground) as missed:
        _kill(ground.portal.pids("valkey-server"))
    yield from missed


def redis_gone(ground: Ground) -> Iterator[Violation]:
    """Redis killed and kept down for two seconds: 202s go on."""
    with _stopped([ground.portal.process.pid]), _answers_go_on(ground) as missed:
        _kill(ground.portal.pids("valkey-server"))
        time.sleep(2)
    yield from missed


def redis_stopped(ground: Ground) -> Iterator[Violation]:
    """Redis that takes connections and says nothing, for two seconds: 202s go on."""
    with _stopped(ground.portal.pids("valkey-server")), _answers_go_on(ground) as missed:
        time.sleep(2)
    yield from missed


@contextmanager
def _answers_go_on(ground: Ground) -> Iterator[list[Violation]]:
    """Gather what was not taken of the requests that began and ended inside.

    On a loaded machine a request may take longer than Redis is away: the first 202 is waited for.
    """
    missed: list[Violation] = []
    _wait_for_calm(ground)
    began = ground.load.clock()
    deadline = time.monotonic() + _FIRST_SECONDS
    yield missed
    time.sleep(0.2)
    inside = _between(ground, began, ground.load.clock())
    while not any(attempt.status == 202 for attempt in inside) and time.monotonic() < deadline:
        time.sleep(0.05)
        inside = _between(ground, began, ground.load.clock())
    missed += [
        Violation("refused_without_redis", f"request {attempt.number}: {attempt.status}")
        for attempt in inside
        if attempt.status is None or attempt.status >= 429
    ]
    if not any(attempt.status == 202 for attempt in inside):
        missed.append(Violation("refused_without_redis", f"no 202 in {_FIRST_SECONDS:.0f} s"))


def _between(ground: Ground, began: float, ended: float) -> list[Attempt]:
    """The requests that began and ended within a span of the load's clock."""
    return [
        attempt
        for attempt in list(ground.load.history.attempts)
        if attempt.began >= began and attempt.ended is not None and attempt.ended <= ended
    ]


def _wait_for_calm(ground: Ground, *, seconds: float = 15) -> None:
    """Until half a second long all was taken: what an earlier fault has left is not Redis's."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        time.sleep(0.5)
        since = ground.load.clock() - 0.5
        lately = [
            attempt
            for attempt in list(ground.load.history.attempts)
            if attempt.ended is None or attempt.ended > since
        ]
        if lately and all(
            attempt.began > since or (attempt.status or 503) < 429 for attempt in lately
        ):
            return


def supervisor(ground: Ground) -> Iterator[Violation]:
    """SIGKILL of `up` itself: its children end with it, and a new one carries on."""
    ground.restart()
    yield from ()


def failpoint(ground: Ground) -> Iterator[Violation]:
    """A step of ingest at which one web process dies, stops, or fails."""
    name = ground.random.choice(_IN_INGEST)
    action = ground.random.choice(["kill", "kill", "kill", "stop", "sleep:700"])
    yield from _strike_at(ground, name, action, f"@{ground.random.randrange(1, 6)}")


def missing_partition(ground: Ground) -> Iterator[Violation]:
    """The leaf of a day is gone; events of that day come, and who makes it anew is struck."""
    if ground.day > _LAST_DAY:
        yield from failpoint(ground)
        return
    day = (datetime.now(UTC) - timedelta(days=ground.day)).date()
    ground.day += 1
    leaf = partitions.leaf_name(partitions.EVENT_PARENTS[1], day)
    with psycopg.connect(ground.portal.database_url) as db:
        db.execute("SET lock_timeout = '1s'")
        with suppress(psycopg.errors.LockNotAvailable):
            db.execute(sql.SQL("DROP TABLE {}").format(sql.Identifier(leaf)))
    noon = int(datetime(day.year, day.month, day.day, 12, tzinfo=UTC).timestamp()) * 1_000_000
    name = ground.random.choice(sorted(_MAKING))
    ground.load.wanted += [
        make(STREAMS[0], f"{ground.load.prefix}-day-{place}", time_us=noon + place, data={"n": 1})
        for place in range(6)
    ]
    yield from _strike_at(ground, name, ground.random.choice(["kill", "sleep:300"]), "")


def _strike_at(ground: Ground, name: str, action: str, on: str) -> Iterator[Violation]:
    ground.last = f" {name}={action}{on}"
    ground.arm(f"{name}={action}{on}")
    if not ground.wait_for_strike():
        ground.last += " (not passed)"
        return
    ground.struck[name] += 1
    if action == "stop":
        time.sleep(ground.random.uniform(0.5, 1.5))
        for pid in ground.portal.pids(WEB_WORDS):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)
    yield from ()  # nothing to complain of: a generator like every fault


# While these last nobody listens, or the system keeps connections until somebody does: clients wait.
NOBODY_LISTENS: Final = frozenset({"web", "supervisor"})
# How often each comes, out of their sum.
FAULTS: Final[dict[str, tuple[Fault, int]]] = {
    "nothing": (nothing, 1),
    "failpoint": (failpoint, 14),
    "web process": (web_process, 4),
    "web": (web, 2),
    "web stopped": (web_stopped, 3),
    "worker": (worker, 2),
    "beat": (beat, 1),
    "postgres backend": (postgres_backend, 4),
    "sessions cut": (sessions_cut, 3),
    "postgres": (postgres, 3),
    "postgres stopped": (postgres_stopped, 1),
    "redis": (redis, 2),
    "redis gone": (redis_gone, 1),
    "redis stopped": (redis_stopped, 1),
    "supervisor": (supervisor, 1),
    "missing partition": (missing_partition, 1),
}
