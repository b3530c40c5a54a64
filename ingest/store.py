"""The writer: requests of one process share transactions, and are answered after their commit.

1. A request hands over its events as one submission, which is never split over transactions.
2. One thread takes whatever has queued while the previous commit ran, up to 2,000 rows (a larger
   submission stands alone). There is no timer: an idle writer starts at once.
3. Within the group an identity counts once; the first submission is credited.
4. Rows are sorted by the unique key, so that two writers can't wait for each other in a circle.
5. They go by binary COPY into the event table, on the hope that no identity is stored yet; a group
   that holds nothing else goes with its accounts and the commit in one message (`exchange`). On a
   unique violation the group is redone through a staging table, INSERT … ON CONFLICT DO NOTHING,
   and a comparison of contents: same is `duplicate`, other is a dead letter `id_conflict`.
6. Dead letters, discovered types, new sources, the per-minute accounts and the uses of what is
   deprecated follow in the same transaction, in that fixed order of tables.
7. Only after COMMIT are the submissions finished. When the outcome of a commit is not known, they
   end with `UnavailableError`: a retry converges, as identities are unique.
"""

import asyncio
import logging
import os
import random
import threading
import time
from collections import Counter, deque
from collections.abc import Sequence
from concurrent.futures import Future
from datetime import date
from operator import attrgetter
from typing import Any, Final, Protocol
from uuid import UUID

import msgspec
import psycopg
from django.conf import settings
from psycopg import errors as pg

from governance.privacy import keys
from ingest import exchange, partitions, privacy, rows, sealing
from ingest.connection import Connection, connect
from ingest.deprecations import Use
from ingest.latencies import close_latencies, latencies
from ingest.times import moment_of
from ingest.types import MAX_UNPARSABLE_BYTES, Envelope, Mark, Reason, Status
from portal.kernel import sql
from portal.kernel.errors import BadRequestError, FieldError, PortalError, UnavailableError
from portal.kernel.failpoints import failpoint, is_armed
from portal.kernel.identifiers import uuid7

logger = logging.getLogger(__name__)

MAX_GROUP_ROWS: Final = 2000
MAX_VERSION_CHARACTERS: Final = 60
VERSION_MARK: Final = "|producerversion="
_MINUTE_US: Final = 60_000_000
_DAY_US: Final = 86_400_000_000
_MAX_TRIES: Final = 3
# Above this share of groups with a conflict the optimistic COPY costs more than it saves.
_CONFLICT_BOUND: Final = 0.25
_CONFLICT_MEMORY: Final = 0.1
# Names the locks over dead letters of like bodies, and how many there are.
_REFUSAL_LOCK: Final = 0x0DEAD1E7
_REFUSAL_LOCKS: Final = 1024

_STAGE: Final = sql.load("ingest", "stage_events")
_INSERT_STAGED: Final = sql.load("ingest", "insert_staged_events")
_STORED_BEFORE: Final = sql.load("ingest", "staged_events_stored_before")
_CLAIM_LEDGER: Final = sql.load("ingest", "claim_ledger")
_LEDGER_CONTENTS: Final = sql.load("ingest", "ledger_contents")
_ADD_TO_ACCOUNTS: Final = sql.load("ingest", "add_to_accounts")
_ADD_REFUSALS: Final = sql.load("ingest", "add_refusals")
_RECORD_DISCOVERIES: Final = sql.load("ingest", "record_discoveries")
_LOCK_REFUSALS: Final = sql.load("ingest", "lock_refusals")
_DEAD_LETTERS_KEPT_BEFORE: Final = sql.load("ingest", "dead_letters_kept_before")
_ADD_DEPRECATED_USES: Final = sql.load("ingest", "add_deprecated_uses")
_RECORD_SOURCES: Final = sql.load("ingest", "record_sources")
_EVENT_COLUMNS: Final = (
    "stream_id, track, occurred_at, event_id, received_at, producer_id, version, subject, source,"
    " attributes, data, data_base64, extra, content_hash, marks"
)
_COPY_EVENTS: Final = f"COPY ingest_event ({_EVENT_COLUMNS}) FROM STDIN (FORMAT BINARY)"
_COPY_STAGE: Final = f"COPY ingest_stage ({_EVENT_COLUMNS}) FROM STDIN (FORMAT BINARY)"
_COPY_DEAD_LETTERS: Final = (
    "COPY ingest_dead_letter (id, received_at, stream_id, producer_id, type, event_id, occurred_at,"
    " source, reason, errors, body, content_type, body_sha256, group_key)"
    " FROM STDIN (FORMAT BINARY)"
)

# producer, reason, type, event id, microseconds of its time, keyed hash of its bytes
Refusal = tuple[int, str, str, str, int | None, bytes]
# (stream, microseconds of its time or None for the ledger's, id)
Key = tuple[int, int | None, str]


class Item(msgspec.Struct, gc=False):
    """One event on its way in: refused already (`reason`), or packed for the table.

    `stream_id` is 0 while the type is unknown to this producer. The writer fills in `status`,
    `dead_letter`, and for a conflict `reason` and `errors`.
    """

    envelope: Envelope
    stream_id: int = 0
    occurred_us: int = 0
    packed: bytes = b""
    content_hash: bytes = b""
    uses_ledger: bool = False
    marks: int = 0
    track: int = 0
    reason: Reason | None = None
    errors: tuple[FieldError, ...] = ()
    is_discovery: bool = False
    note: str = ""
    uses: tuple[Use, ...] = ()
    status: Status = Status.ACCEPTED
    dead_letter: UUID | None = None

    @property
    def key(self) -> Key:
        return (self.stream_id, None if self.uses_ledger else self.occurred_us, self.envelope.id)


class Waiter(Protocol):
    """What is told, once, how a submission ended; a future is one."""

    def done(self) -> bool: ...

    def set_result(self, result: None, /) -> None: ...

    def set_exception(self, exception: Any, /) -> None: ...


class Submission(msgspec.Struct):
    """The events of one request, or of dead letters that are replayed: those are in the accounts
    already, and leave no second dead letter."""

    items: list[Item]
    producer_id: int
    received_us: int
    is_rehearsal: bool = False
    is_replay: bool = False
    new_sources: frozenset[str] = frozenset()
    queued_us: int = 0  # when it was judged and given to the writer
    waiter: "Waiter | None" = None
    loop: asyncio.AbstractEventLoop | None = None


_CONFLICT: Final = (
    FieldError("/id", "id_conflict", "is stored already for this time with other content"),
)


def write_group(
    connection: Connection,
    group: Sequence[Submission],
    *,
    optimistic: bool,
    is_again: bool = False,
) -> bool:
    """Write submissions into the open transaction; gives whether an identity was stored before.

    `is_again` when an attempt before this one may have left outcomes in the items.

    Raises psycopg's UniqueViolation when `optimistic` and one was. Does not commit.
    """
    items = [item for submission in group for item in submission.items]
    packed = [item for item in items if item.packed]
    if is_again:
        for item in packed:
            item.status, item.reason = Status.ACCEPTED, None
    if len(packed) < len(items):
        for item in items:
            if not item.packed:
                item.status = Status.DEAD_LETTERED
    keys = [
        (item.stream_id, None if item.uses_ledger else item.occurred_us, item.envelope.id)
        for item in packed
    ]
    firsts = dict(zip(reversed(keys), reversed(packed), strict=True))
    failpoint("ingest.before_ledger")
    stored = _claim_ledger(connection, [key for key in firsts if key[1] is None], firsts)
    failpoint("ingest.after_ledger")
    fresh = [item for key, item in firsts.items() if key not in stored]
    fresh.sort(key=_sort_key)
    if fresh:
        if optimistic:
            failpoint("ingest.before_copy")
            _copy(connection, _COPY_EVENTS, [item.packed for item in fresh])
            failpoint("ingest.after_copy")
        else:
            stored.update(_insert(connection, fresh))
    for key, content in stored.items():
        _settle(firsts[key], content)
    if len(firsts) < len(packed):
        for item, key in zip(packed, keys, strict=True):
            if firsts[key] is not item:
                _settle(item, stored.get(key, firsts[key].content_hash))
    failpoint("ingest.before_dead_letters")
    _write_dead_letters(connection, group)
    failpoint("ingest.after_dead_letters")
    _record_discoveries(connection, group)
    _record_sources(connection, group)
    failpoint("ingest.before_accounts")
    _add_to_accounts(connection, group)
    failpoint("ingest.after_accounts")
    _add_deprecated_uses(connection, group)
    return bool(stored)


# Code points order like the bytes of COLLATE "C".
_sort_key: Final = attrgetter("stream_id", "occurred_us", "envelope.id")


def _settle(item: Item, stored_hash: bytes) -> None:
    if item.content_hash == stored_hash:
        item.status = Status.DUPLICATE
    else:
        item.status, item.reason, item.errors = Status.DEAD_LETTERED, Reason.ID_CONFLICT, _CONFLICT


def _copy(connection: Connection, statement: str, packed: list[bytes]) -> None:
    with connection.cursor() as cursor, cursor.copy(statement) as copy:
        copy.write(b"".join((rows.HEADER, *packed, rows.TRAILER)))


def _insert(connection: Connection, fresh: list[Item]) -> dict[Key, bytes]:
    """The slow road; gives the content hashes of identities that were stored before."""
    connection.execute(_STAGE)
    _copy(connection, _COPY_STAGE, [item.packed for item in fresh])
    failpoint("ingest.after_staging")
    with connection.cursor() as cursor:
        cursor.execute(_INSERT_STAGED)
        failpoint("ingest.after_slow_insert")
        if cursor.rowcount == len(fresh):
            return {}
        cursor.execute(_STORED_BEFORE)
        found = {
            (int(stream), int(us), str(event_id)): bytes(content)
            for stream, us, event_id, content in cursor
        }
    stored: dict[Key, bytes] = {}
    for item in fresh:
        content = found.get(_sort_key(item))
        if content is not None:
            stored[item.key] = content
    return stored


def _claim_ledger(
    connection: Connection, keys: list[Key], firsts: dict[Key, Item]
) -> dict[Key, bytes]:
    """Claim identities without a time; gives the content hashes of those already claimed."""
    if not keys:
        return {}
    items = [firsts[key] for key in keys]
    claimed = connection.execute(
        _CLAIM_LEDGER,
        {
            "streams": [item.stream_id for item in items],
            "ids": [item.envelope.id for item in items],
            "times": [moment_of(item.occurred_us) for item in items],
            "hashes": [item.content_hash for item in items],
        },
    ).fetchall()
    new = {(int(stream), None, str(event_id)) for stream, event_id in claimed}
    taken = [key for key in keys if key not in new]
    if not taken:
        return {}
    found = connection.execute(
        _LEDGER_CONTENTS,
        {"streams": [key[0] for key in taken], "ids": [key[2] for key in taken]},
    ).fetchall()
    return {
        (int(stream), None, str(event_id)): bytes(content) for stream, event_id, content in found
    }


def _write_dead_letters(connection: Connection, group: Sequence[Submission]) -> None:
    """Keep each refused event once: one that is sent again, as after an answer that got lost,
    is told the dead letter it has."""
    refused: dict[Refusal, list[tuple[Item, Submission]]] = {}
    for submission in group:
        if submission.is_replay:
            continue
        for item in submission.items:
            if item.status is Status.DEAD_LETTERED and item.reason is not None:
                refused.setdefault(_refusal(item, submission), []).append((item, submission))
    if not refused:
        return
    kept = _kept_before(connection, [refusal[-1] for refusal in refused])
    packed: list[bytes] = []
    for refusal, same in refused.items():
        item, submission = same[0]
        letter = kept.get(refusal)
        if letter is None:
            letter = uuid7()
            packed.append(_pack_dead_letter(letter, item, submission, body_sha256=refusal[-1]))
        for item, _ in same:
            item.dead_letter = letter
    if packed:
        _copy(connection, _COPY_DEAD_LETTERS, packed)


def _refusal(item: Item, submission: Submission) -> Refusal:
    envelope = item.envelope
    return (
        submission.producer_id,
        item.reason or "",
        envelope.type,
        envelope.id,
        envelope.occurred_us,
        keys.body_hash(envelope.raw),
    )


def _kept_before(connection: Connection, bodies: list[bytes]) -> dict[Refusal, UUID]:
    places = sorted({int.from_bytes(body[:4]) % _REFUSAL_LOCKS for body in bodies})
    connection.execute(_LOCK_REFUSALS, {"lock": _REFUSAL_LOCK, "places": places})
    found = connection.execute(_DEAD_LETTERS_KEPT_BEFORE, {"bodies": bodies}).fetchall()
    return {
        (int(producer), str(reason), str(kind), str(name), us, bytes(body)): UUID(str(letter))
        for producer, reason, kind, name, us, body, letter in found
    }


def _pack_dead_letter(
    letter: UUID, item: Item, submission: Submission, *, body_sha256: bytes
) -> bytes:
    assert item.reason is not None
    body = privacy.body_of(item.envelope)
    if item.reason is Reason.UNPARSABLE:  # nothing can be repaired in it; its hash is the whole's
        body = body[:MAX_UNPARSABLE_BYTES]
    if sealing.is_due(item.envelope, was_packed=bool(item.packed)):
        body = sealing.sealed(body, letter)
    return rows.pack_dead_letter(
        letter_id=letter,
        received_us=submission.received_us,
        stream_id=item.stream_id or None,
        producer_id=submission.producer_id,
        envelope=item.envelope,
        reason=item.reason.value,
        errors=item.errors,
        body=body,
        body_sha256=body_sha256,
        group_key=group_key(item, submission.producer_id),
    )


def group_key(item: Item, producer_id: int) -> str:
    """What dead letters of one cause have in common: reason, type, producer and its version (the
    extension `producerversion`), first broken rule and its place with array indexes left out."""
    rule = ""
    if item.errors:
        first = item.errors[0]
        place = "/".join("*" if step.isdigit() else step for step in first.pointer.split("/"))
        rule = f"{first.code} {place[:200]}"
    version = str(item.envelope.extensions.get("producerversion", ""))[:MAX_VERSION_CHARACTERS]
    key = f"{item.reason or ''}|{item.envelope.type}|{producer_id}|{rule}"
    return f"{key}{VERSION_MARK}{version}" if version else key


def _record_discoveries(connection: Connection, group: Sequence[Submission]) -> None:
    counts: dict[str, list[int]] = {}
    latest = 0
    for submission in group:
        for item in submission.items:
            if item.is_discovery:
                counts.setdefault(item.envelope.type, [0, submission.producer_id])[0] += 1
                latest = max(latest, submission.received_us)
    if counts:
        connection.execute(
            _RECORD_DISCOVERIES,
            {
                "types": list(counts),
                "counts": [count for count, _ in counts.values()],
                "producers": [producer for _, producer in counts.values()],
                "at": moment_of(latest),
            },
        )


def _record_sources(connection: Connection, group: Sequence[Submission]) -> None:
    seen = {
        (submission.producer_id, source)
        for submission in group
        for source in submission.new_sources
    }
    if seen:
        connection.execute(
            _RECORD_SOURCES,
            {
                "producers": [producer for producer, _ in seen],
                "sources": [source for _, source in seen],
                "at": moment_of(max(submission.received_us for submission in group)),
            },
        )


_COUNT_NAMES: Final = (
    "received", "accepted", "duplicate", "dead_lettered", "invalid", "violations", "drift",
)  # fmt: skip
_COUNTS: Final = len(_COUNT_NAMES)
_account_of: Final = attrgetter("stream_id", "status", "reason", "marks")


Accounts = dict[tuple[int, int, int], list[int]]  # by stream, minute and producer
Refusals = dict[tuple[int, int, int, str], int]  # by reason too


def _counted(group: Sequence[Submission]) -> tuple[Accounts, Refusals]:
    """What the group adds to the accounts."""
    accounts: Accounts = {}
    refusals: Refusals = {}
    for submission in group:
        if submission.is_replay:
            continue
        minute = submission.received_us - submission.received_us % _MINUTE_US
        for (stream, status, reason, marks), count in Counter(
            map(_account_of, submission.items)
        ).items():
            counts = accounts.setdefault((stream, minute, submission.producer_id), [0] * _COUNTS)
            counts[0] += count
            if status is Status.ACCEPTED:
                counts[1] += count
                counts[5] += count * bool(marks & Mark.VIOLATION)
                counts[6] += count * bool(marks & Mark.DRIFT)
            elif status is Status.DUPLICATE:
                counts[2] += count
            else:
                counts[3] += count
                counts[4] += count * (reason is Reason.SCHEMA_VIOLATION)
                place = (stream, minute, submission.producer_id, str(reason))
                refusals[place] = refusals.get(place, 0) + count
    return accounts, refusals


def _columns(accounts: Accounts) -> dict[str, list[Any]]:
    """The parameters of `add_to_accounts.sql`."""
    columns = zip(*accounts.values(), strict=True)
    return {
        "streams": [stream for stream, _, _ in accounts],
        "minutes": [moment_of(minute) for _, minute, _ in accounts],
        "producers": [producer for _, _, producer in accounts],
        **{name: list(column) for name, column in zip(_COUNT_NAMES, columns, strict=True)},
    }


def _add_to_accounts(connection: Connection, group: Sequence[Submission]) -> None:
    accounts, refusals = _counted(group)
    if not accounts:
        return
    connection.execute(_ADD_TO_ACCOUNTS, _columns(accounts))
    if refusals:
        connection.execute(
            _ADD_REFUSALS,
            {
                "streams": [place[0] for place in refusals],
                "minutes": [moment_of(place[1]) for place in refusals],
                "producers": [place[2] for place in refusals],
                "reasons": [place[3] for place in refusals],
                "events": list(refusals.values()),
            },
        )


def _store_plain(connection: Connection, group: Sequence[Submission]) -> bool:
    """Store and commit a group that holds nothing but plain events that differ; False: it is not
    such a group, and nothing was done. Raises like `exchange.store`."""
    items: list[Item] = []
    for submission in group:
        if submission.is_rehearsal or submission.is_replay or submission.new_sources:
            return False
        items += submission.items
    # What waits in an item for the ledger, the dead letters or the uses goes the long way.
    if not all(item.packed and not item.uses_ledger and not item.uses for item in items):
        return False
    by_key = {_sort_key(item): item.packed for item in items}
    if len(by_key) < len(items):
        return False
    accounts, _ = _counted(group)
    packed = [by_key[key] for key in sorted(by_key)]
    exchange.store(connection, _COPY_EVENTS, packed, _columns(accounts))
    return True


def _add_deprecated_uses(connection: Connection, group: Sequence[Submission]) -> None:
    """Count by day and producer which accepted events used a deprecated version or field."""
    uses: dict[tuple[int, date, int, str, str], int] = {}
    latest = 0
    for submission in group:
        for item in submission.items:
            if item.uses and item.status is Status.ACCEPTED:
                latest = max(latest, submission.received_us)
                day = moment_of(submission.received_us).date()
                for kind, name in item.uses:
                    key = (item.stream_id, day, submission.producer_id, kind, name)
                    uses[key] = uses.get(key, 0) + 1
    if uses:
        streams, days, producers, kinds, names = (
            list(column) for column in zip(*uses, strict=True)
        )
        connection.execute(
            _ADD_DEPRECATED_USES,
            {
                "streams": streams, "days": days, "producers": producers, "kinds": kinds,
                "names": names, "events": list(uses.values()), "at": moment_of(latest),
            },
        )  # fmt: skip


class Writer:
    """The thread that writes for one process. Submit from any thread or event loop."""

    def __init__(self, *, max_queued_events: int) -> None:
        self._max_queued = max_queued_events
        self._queue: deque[Submission] = deque()
        self._ready = threading.Condition()
        self._queued = 0
        self._closed = False
        self._connection: Connection | None = None
        self._conflicts = 0.0
        self._thread = threading.Thread(target=self._run, name="ingest-writer", daemon=True)
        self._thread.start()

    @property
    def is_full(self) -> bool:
        """Whether a request should be turned away before its body is read."""
        return self._queued >= self._max_queued

    @property
    def queued_events(self) -> int:
        """Events that wait for their commit."""
        return self._queued

    def submit(self, submission: Submission) -> "Future[None]":
        """Queue from a thread; the future is done after the commit."""
        future: Future[None] = Future()
        submission.waiter = future
        self.enqueue(submission)
        return future

    async def write(self, submission: Submission) -> None:
        """Queue from an event loop and wait for the commit."""
        submission.loop = asyncio.get_running_loop()
        future: asyncio.Future[None] = submission.loop.create_future()
        submission.waiter = future
        self.enqueue(submission)
        await future

    def enqueue(self, submission: Submission) -> None:
        """Queue what has a waiter. Raises UnavailableError when too much waits already."""
        submission.queued_us = time.time_ns() // 1000
        with self._ready:
            if self._closed or self._queued > self._max_queued:
                raise UnavailableError(
                    "The portal has more to write than it can hold.",
                    retry_after_seconds=random.randint(1, 5),  # noqa: S311  # jitter
                )
            self._queue.append(submission)
            self._queued += len(submission.items)
            self._ready.notify()

    def close(self) -> None:
        """Write what is queued, then end the thread and its connection."""
        with self._ready:
            self._closed = True
            self._ready.notify()
        self._thread.join(timeout=30)

    def _run(self) -> None:
        while group := self._take():
            began_ns = time.time_ns()
            error = self._write(group)
            ended_ns = time.time_ns()
            with self._ready:
                self._queued -= sum(len(submission.items) for submission in group)
            _finish(group, error)
            if error is None:
                latencies().note(group, began_ns, ended_ns)
        self._drop_connection()

    def _take(self) -> list[Submission]:
        """The next group; waits for one. Empty when closed and drained."""
        with self._ready:
            while not self._queue and not self._closed:
                self._ready.wait()
            group: list[Submission] = []
            size = 0
            while self._queue:
                upcoming = self._queue[0]
                alone = upcoming.is_rehearsal
                if group and (alone or size + len(upcoming.items) > MAX_GROUP_ROWS):
                    break
                group.append(self._queue.popleft())
                size += len(upcoming.items)
                if alone:
                    break
            return group

    def _write(self, group: list[Submission], *, is_again: bool = False) -> PortalError | None:
        """Bring a group to its commit; the error that its submissions end with, or None."""
        try:
            self._write_with_retries(group, is_again=is_again)
        except (psycopg.OperationalError, psycopg.InterfaceError) as error:
            self._drop_connection()
            logger.warning("ingest could not write: %s", type(error).__name__)
            return UnavailableError(
                "The database does not answer just now. Send the same events again.",
                retry_after_seconds=random.randint(1, 5),  # noqa: S311  # jitter
            )
        except UnavailableError as error:  # the vault's key of the dead letters is not at hand
            self._roll_back()
            if len(group) > 1:
                self._write_one_by_one(group)
                return None
            return error
        except psycopg.Error as error:
            self._roll_back()
            if len(group) > 1:
                self._write_one_by_one(group)
                return None
            # The strict decoder should have kept this out: a bug, but of one request only. Neither
            # the database's message nor its details are logged: they may quote the row.
            logger.error("ingest met data that it could not store", extra={"code": error.sqlstate})
            code = "unstorable" if isinstance(error, psycopg.DataError) else "not_stored"
            return BadRequestError("The events cannot be stored.", code=code)
        except Exception:
            self._roll_back()
            logger.exception("ingest failed unexpectedly")
            return PortalError("It has been logged. Nothing was stored.")
        return None

    def _write_one_by_one(self, group: list[Submission]) -> None:
        """A submission that can't be stored must not take its neighbours with it."""
        for submission in group:
            error = self._write([submission], is_again=True)
            if error is not None:
                _finish([submission], error)

    def _write_with_retries(self, group: list[Submission], *, is_again: bool) -> None:
        optimistic = self._conflicts < _CONFLICT_BOUND and not group[0].is_rehearsal
        tries = 0
        while True:
            tries += 1
            connection = self._connected()
            try:
                is_again = is_again or tries > 1
                # Faults that a test has armed strike between the statements of the long way.
                hopes = optimistic and not is_again and not is_armed()
                is_stored = hopes and _store_plain(connection, group)
                had_conflict = not is_stored and write_group(
                    connection, group, optimistic=optimistic, is_again=is_again
                )
            except pg.UniqueViolation:
                connection.rollback()
                if not optimistic and tries >= _MAX_TRIES:
                    raise
                optimistic = False
                continue
            except pg.CheckViolation:
                connection.rollback()
                if tries >= _MAX_TRIES:
                    raise
                _make_missing_partitions(group)
                continue
            except (pg.DeadlockDetected, pg.SerializationFailure, pg.LockNotAvailable):
                connection.rollback()
                if tries >= _MAX_TRIES:
                    raise
                time.sleep(random.uniform(0.005, 0.05))  # noqa: S311  # jitter
                continue
            except (psycopg.OperationalError, psycopg.InterfaceError) as error:
                # Nothing was committed yet. A connection that died while idle gets one more try.
                self._drop_connection()
                if tries > 1 or isinstance(error, exchange.UnknownOutcomeError):
                    raise
                continue
            if group[0].is_rehearsal:
                connection.rollback()
                for item in group[0].items:
                    item.dead_letter = None
                return
            if not is_stored:
                failpoint("ingest.before_commit")
                connection.commit()
                failpoint("ingest.after_commit")
            self._conflicts += _CONFLICT_MEMORY * (had_conflict - self._conflicts)
            return

    def _connected(self) -> Connection:
        if self._connection is None or self._connection.closed:
            self._connection = connect()
            exchange.prepare(self._connection)
        return self._connection

    def _roll_back(self) -> None:
        try:
            if self._connection is not None:
                self._connection.rollback()
        except psycopg.Error:
            self._drop_connection()

    def _drop_connection(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def _make_missing_partitions(group: Sequence[Submission]) -> None:
    """Make the days that a group needs: an import reaches far back, or the daily task was late."""
    days: dict[str, set[int]] = {parent: set() for parent in partitions.PARENTS}
    for submission in group:
        days[partitions.DEAD_LETTERS].add(submission.received_us // _DAY_US)
        for item in submission.items:
            if item.packed:
                days[partitions.EVENT_PARENTS[item.track]].add(item.occurred_us // _DAY_US)
    with connect(autocommit=True) as connection:
        for parent, numbers in days.items():
            wanted = [moment_of(number * _DAY_US).date() for number in sorted(numbers)]
            partitions.make_days(connection, [parent], wanted)


def _finish(group: Sequence[Submission], error: PortalError | None) -> None:
    """Wake the waiters, with one call into each event loop."""
    by_loop: dict[asyncio.AbstractEventLoop, list[Waiter]] = {}
    for submission in group:
        waiter = submission.waiter
        if isinstance(waiter, Future):
            if waiter.done():
                continue
            if error is None:
                waiter.set_result(None)
            else:
                waiter.set_exception(error)
        elif waiter is not None and submission.loop is not None:
            by_loop.setdefault(submission.loop, []).append(waiter)
    for loop, waiters in by_loop.items():
        try:
            loop.call_soon_threadsafe(_wake, waiters, error)
        except RuntimeError:
            logger.info("a client's event loop ended before its answer")


def _wake(waiters: list[Waiter], error: PortalError | None) -> None:
    for waiter in waiters:
        if waiter.done():
            continue
        if error is None:
            waiter.set_result(None)
        else:
            waiter.set_exception(error)


_writers: dict[int, Writer] = {}
_writers_lock = threading.Lock()


def writer() -> Writer:
    """The writer of this process (a fork gets its own), started on first use."""
    found = _writers.get(os.getpid())
    if found is None:
        with _writers_lock:
            found = _writers.get(os.getpid())
            if found is None:
                found = Writer(max_queued_events=settings.INGEST_QUEUE_EVENTS)
                _writers[os.getpid()] = found
    return found


def close_writer() -> None:
    """Drain and end this process's writer; the next use starts another."""
    with _writers_lock:
        found = _writers.pop(os.getpid(), None)
    if found is not None:
        found.close()
    close_latencies()
