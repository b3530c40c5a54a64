"""The soak: cycles of load and one fault each, after which everything that was stored is checked.

1. A whole portal is started in a directory, its web processes ready to be struck at failpoints.
2. A cycle: clients send; a fault, drawn from the seed, happens at a random moment; the portal mends
   itself; the clients settle what is open; the reader of the log catches up.
3. The checker judges the cycle together with those that share its minute, for the accounts.
4. At the end the totals of all cycles are compared with the tables, and the audit chain is verified.

The seed decides the faults and the load of every cycle by its number, so a cycle is repeated with
`seed` and `first`. What the operating system does in between is its own affair.
"""

import http.client
import json
import random
import subprocess
import sys
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import psycopg

from portal.soak import running, stored
from portal.soak.checker import Violation, check
from portal.soak.clients import SCHEMA, SETTLE_SECONDS, STREAMS, Client, Load
from portal.soak.faults import FAULTS, NOBODY_LISTENS, Ground
from portal.soak.history import Attempt, History
from portal.soak.running import Portal

CLIENTS: Final = 4
READY_SECONDS: Final = 60.0
CATCH_UP_SECONDS: Final = 30.0
ROLLUP_SECONDS: Final = 90.0  # beat may just have been killed for the third time
_TICK_BEFORE: Final = (0.1, 0.6)
_TICK_AFTER: Final = (0.1, 0.4)
_HISTORIES_KEPT: Final = 20


@dataclass(frozen=True, slots=True)
class Plan:
    """What a run does. It ends after `cycles`, or when `seconds` are over, whichever comes first."""

    data: Path
    seed: int
    cycles: int | None = None
    seconds: float | None = None
    rate: float = 300.0
    first: int = 0
    faults: Sequence[str] = ()  # these in this order; drawn from the seed when there are none


@dataclass(slots=True)
class Summary:
    """What a run came to."""

    seed: int
    cycles: int = 0
    requests: int = 0
    events: int = 0
    dead_letters: int = 0
    seconds: float = 0.0
    faults: Counter[str] = field(default_factory=Counter)
    failpoints: Counter[str] = field(default_factory=Counter)
    statuses: Counter[str] = field(default_factory=Counter)
    violations: list[tuple[int, Violation]] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        return {
            "seed": self.seed,
            "cycles": self.cycles,
            "requests": self.requests,
            "events": self.events,
            "dead_letters": self.dead_letters,
            "seconds": round(self.seconds, 1),
            "faults": dict(sorted(self.faults.items())),
            "failpoints": dict(sorted(self.failpoints.items())),
            "statuses": dict(sorted(self.statuses.items())),
            "violations": [
                {"cycle": cycle, "kind": violation.kind, "detail": violation.detail}
                for cycle, violation in self.violations
            ],
        }


@dataclass(frozen=True, slots=True)
class _Cycle:
    """A finished cycle, as long as its minute may matter to the accounts of the next."""

    began: float
    ended: float
    since_tx: int
    attempts: Sequence[Attempt]


class Soak:
    """One run. `say` gets a line for each cycle; `is_stopping` is asked between cycles."""

    def __init__(
        self,
        plan: Plan,
        *,
        say: Callable[[str], None] = lambda _: None,
        is_stopping: Callable[[], bool] = lambda: False,
    ) -> None:
        self.plan = plan
        self.say = say
        self.is_stopping = is_stopping
        self.summary = Summary(plan.seed)
        self._recent: deque[_Cycle] = deque()
        self._stored: set[int] = set()
        self._letters: set[str] = set()
        self._known: set[Violation] = set()  # what reaches into the next cycle is told once
        self._variables = {
            "PORTAL_FAILPOINTS": f"@{plan.data / 'run' / 'failpoint'}",
            "PORTAL_FAILPOINTS_ALLOWED": "1",
        }

    def run(self) -> Summary:
        """Start the portal, run the cycles, stop it. Raises StartError when it does not come up."""
        began = time.monotonic()
        self.say("starting a portal")
        portal = running.start(self.plan.data, variables=self._variables)
        ground = Ground(
            portal,
            Load(portal.url, [], self.plan.rate),
            random.Random(self.plan.seed),  # noqa: S311  # faults, not secrets
            self.plan.data / "run" / "failpoint",
        )
        ground.restart = lambda: self._restart(ground)
        try:
            ground.load.keys = _prepare(portal)
            self._cycles(ground, began)
        finally:
            ground.portal.close()
        self.summary.failpoints = ground.struck
        self.summary.seconds = time.monotonic() - began
        return self.summary

    def _restart(self, ground: Ground) -> None:
        port = ground.portal.port
        ground.portal.kill()
        ground.portal = running.start(self.plan.data, port=port, variables=self._variables)

    def _cycles(self, ground: Ground, began: float) -> None:
        names = stored.stream_names(ground.portal.database_url, STREAMS)
        reader = stored.LogReader(ground.portal.database_url, names)
        reader.start()
        try:
            for number in self._numbers(began):
                self._cycle(ground, reader, names, number)
            for violation in self._totals(ground.portal, names):
                self._note(self.summary.cycles, violation)
        finally:
            reader.stopping.set()
            reader.join()

    def _numbers(self, began: float) -> Iterator[int]:
        """The numbers of the cycles to come, until it is enough."""
        number = self.plan.first
        while not self.is_stopping():
            if self.plan.cycles is not None and number >= self.plan.first + self.plan.cycles:
                return
            if self.plan.seconds is not None and time.monotonic() - began > self.plan.seconds:
                return
            yield number
            number += 1

    def _cycle(
        self, ground: Ground, reader: stored.LogReader, names: dict[int, str], number: int
    ) -> None:
        plan, load = self.plan, ground.load
        ground.random.seed(f"{plan.seed}-{number}")
        fault = self._fault(ground.random, number)
        ground.last = ""
        load.prefix = f"s{plan.seed}c{number}"
        load.history = History(plan.data / "run" / f"history-{number:06}.jsonl")
        load.recent.clear()
        began, clock = time.time(), time.monotonic()
        since_tx = stored.horizon(ground.portal.database_url)
        found: list[Violation] = []
        was_whole = _is_whole(ground.portal)
        with _clients(load, f"{plan.seed}-{number}"):
            time.sleep(ground.random.uniform(*_TICK_BEFORE))
            found += FAULTS[fault][0](ground)
            ground.disarm()
            time.sleep(ground.random.uniform(*_TICK_AFTER))
            healed = _wait_until(lambda: _answers(ground.portal), READY_SECONDS)
            # With one process gone the other may die too: then connections wait for a new one.
            had_to_wait = not (was_whole and _is_whole(ground.portal)) or fault in NOBODY_LISTENS
        load.history.close()
        if not healed:
            found.append(Violation("not_ready", f"not ready within {READY_SECONDS:.0f} s"))
        found += [Violation("unsettled", text) for text in load.unsettled]
        load.unsettled.clear()
        attempts = load.history.attempts
        self._recent.append(_Cycle(began, time.time(), since_tx, attempts))
        judged = set(self._check(ground, reader, names)) - self._known
        self._known |= judged
        found += [
            violation
            for violation in sorted(judged)
            if violation.kind != "late_answer" or not had_to_wait
        ]
        self._count(fault, attempts)
        for violation in found:
            self._note(number, violation)
        took = time.monotonic() - clock
        self.say(
            f"cycle {number}: {fault}{ground.last}, {len(attempts)} requests, {took:.1f} s"
            + (f", {len(found)} VIOLATIONS" if found else "")
        )
        self._drop_history(number, is_clean=not found)

    def _fault(self, source: random.Random, number: int) -> str:
        if self.plan.faults:
            return self.plan.faults[number % len(self.plan.faults)]
        (name,) = source.choices(list(FAULTS), [weight for _, weight in FAULTS.values()])
        return name

    def _check(
        self, ground: Ground, reader: stored.LogReader, names: dict[int, str]
    ) -> list[Violation]:
        """Judge the last cycle, with those before it that reach into its minute."""
        minute = int(self._recent[-1].began // 60)
        while self._recent[0].ended < minute * 60:
            self._recent.popleft()
        first = self._recent[0]
        attempts = [attempt for cycle in self._recent for attempt in cycle.attempts]
        url = ground.portal.database_url
        resent = {
            sent.identity
            for attempt in attempts
            for sent in attempt.sent
            if hash(sent.identity) in self._stored
        }
        rows = stored.load(
            url,
            names,
            since_tx=first.since_tx,
            since_seconds=first.began,
            first_minute=minute,
            keyring_text=ground.portal.keyring_text,
            named=resent,
        )
        last = max((event.offset for event in rows.events), default=(0, 0))
        if not reader.catches_up(last, seconds=CATCH_UP_SECONDS):
            return [Violation("horizon", f"the log was not readable up to {last}")]
        rows.reads = reader.since(rows.log_from)
        found = check(attempts, rows)
        self._stored |= {hash(event.identity) for event in rows.events}
        self._letters |= {letter.id for letter in rows.letters}
        held = {(event.identity, event.content) for event in rows.events}
        ground.load.settled.extend(
            made
            for made in list(ground.load.recent)[::4]
            if (made.sent.identity, made.sent.content) in held
        )
        return found

    def _count(self, fault: str, attempts: Sequence[Attempt]) -> None:
        summary = self.summary
        summary.cycles += 1
        summary.faults[fault] += 1
        summary.requests += len(attempts)
        summary.events, summary.dead_letters = len(self._stored), len(self._letters)
        summary.statuses.update(str(attempt.status or "no answer") for attempt in attempts)

    def _note(self, number: int, violation: Violation) -> None:
        self.summary.violations.append((number, violation))
        self.say(f"cycle {number}: {violation.kind}: {violation.detail}")

    def _drop_history(self, number: int, *, is_clean: bool) -> None:
        """Histories of clean cycles are let go after a while; a bad one's stays."""
        place = self.plan.data / "run"
        if not is_clean:
            (place / f"history-{number:06}.jsonl").rename(place / f"violation-{number:06}.jsonl")
        (place / f"history-{number - _HISTORIES_KEPT:06}.jsonl").unlink(missing_ok=True)

    def _totals(self, portal: Portal, names: dict[int, str]) -> Iterator[Violation]:
        """What all cycles together must have left, and the audit chain."""
        if not _wait_until(portal.is_ready, READY_SECONDS):
            yield Violation("not_ready", "at the end")
            return
        with psycopg.connect(portal.database_url) as db:
            counts = _one(db, _TOTALS, {"streams": list(names)})
            accounts = _one(db, _ACCOUNT_TOTALS, {"streams": list(names)})
            letters = _one(db, "SELECT count(*), count(DISTINCT id) FROM ingest_dead_letter", {})
        n_events = len(self._stored)
        if counts != (n_events, n_events, 0):
            yield Violation("totals", f"{n_events} events were seen stored; now {counts}")
        if letters != (len(self._letters), len(self._letters)):
            yield Violation("totals", f"{len(self._letters)} dead letters were seen; now {letters}")
        if accounts != (0, n_events):
            yield Violation("totals", f"accounts differ by {accounts[0]}, accepted {accounts[1]}")
        if not _wait_until(lambda: _counted(portal) == n_events, ROLLUP_SECONDS):
            yield Violation("rollups", f"{_counted(portal)} of {n_events} events are counted")
        fault = _audit_fault(self.plan.data)
        if fault:
            yield Violation("audit", fault)


_TOTALS: Final = """
SELECT count(*), count(DISTINCT (stream_id, event_id, CASE WHEN marks & 4 = 0 THEN occurred_at END)),
       count(*) FILTER (WHERE content_hash IS NULL)
FROM ingest_event WHERE stream_id = ANY(%(streams)s)
"""
_ACCOUNT_TOTALS: Final = """
SELECT coalesce(sum(received - accepted - duplicate - dead_lettered), 0)::bigint,
       coalesce(sum(accepted) FILTER (WHERE stream_id = ANY(%(streams)s)), 0)::bigint
FROM ingest_ingestminute
"""


def _counted(portal: Portal) -> int:
    with psycopg.connect(portal.database_url) as db:
        (count,) = _one(db, "SELECT coalesce(sum(events), 0) FROM analytics_streamcount", {})
    return int(count)


def _one(db: psycopg.Connection[Any], query: str, params: dict[str, Any]) -> tuple[Any, ...]:
    row = db.execute(query, params).fetchone()
    assert row is not None
    return tuple(row)


@contextmanager
def _clients(load: Load, seed: str) -> Iterator[None]:
    """Clients that send while the block lasts, and settle what is open when it ends."""
    load.stopping.clear()
    load.settle_by = None
    clients = [Client(load, place, seed) for place in range(CLIENTS)]
    for client in clients:
        client.start()
    try:
        yield
    finally:
        load.settle_by = load.clock() + SETTLE_SECONDS
        load.stopping.set()
        for client in clients:
            client.join()


def _wait_until(is_so: Callable[[], bool], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while not is_so():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def _answers(portal: Portal) -> bool:
    return bool(portal.listening()) and portal.is_ready()


def _is_whole(portal: Portal) -> bool:
    return len(portal.listening()) >= running.WEB_PROCESSES


def _prepare(portal: Portal) -> list[str]:
    """Streams to send to and two producers; gives a key for each client."""
    for stream in STREAMS:
        _post(portal, "/api/v1/streams", {"name": stream, "schema": SCHEMA})
    keys = []
    for name in ("soak-one", "soak-two"):
        _post(portal, "/api/v1/producers", {"name": name, "globs": ["*"]})
        keys.append(str(_post(portal, f"/api/v1/producers/{name}/keys", {})["key"]))
    return [keys[place % 2] for place in range(CLIENTS)]


def _post(portal: Portal, path: str, body: dict[str, Any]) -> dict[str, Any]:
    address = urlsplit(portal.url)
    assert address.hostname is not None
    connection = http.client.HTTPConnection(address.hostname, address.port, timeout=30)
    try:
        connection.request(
            "POST",
            path,
            json.dumps(body),
            {
                "Authorization": f"Bearer {portal.said['admin_token']}",
                "Content-Type": "application/json",
            },
        )
        answer = connection.getresponse()
        text = answer.read()
    finally:
        connection.close()
    if answer.status != 201:
        raise running.StartError(f"{path} answered {answer.status}: {text[:500]!r}")
    made: dict[str, Any] = json.loads(text)
    return made


def _audit_fault(data: Path) -> str:
    """What `audit verify` says against the chain; empty when it is whole."""
    done = subprocess.run(  # noqa: S603
        [sys.executable, "manage.py", "audit", "verify", "--data", str(data)],
        cwd=running.ROOT, env=running.environment(), capture_output=True, text=True, check=False,
        timeout=300,
    )  # fmt: skip
    return "" if done.returncode == 0 else (done.stdout + done.stderr)[-500:]
