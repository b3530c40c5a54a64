"""A group: submissions that share a transaction, and all that it writes, in a fixed order of tables.

1. Within the group an identity counts once; the first submission is credited.
2. Rows are sorted by the unique key, so that two writers can't wait for each other in a circle.
3. They go by binary COPY into the event table, on the hope that no identity is stored yet; a group
   that holds nothing else goes with its accounts and the commit in one message (`exchange`).
4. Where an identity was stored, the group goes through a staging table, INSERT … ON CONFLICT DO
   NOTHING, and a comparison of contents: same is `duplicate`, other is a dead letter `id_conflict`.
5. Dead letters, discovered types, new sources, the per-minute accounts and the uses of what is
   deprecated follow.
"""

import asyncio
from collections import Counter
from collections.abc import Sequence
from datetime import date
from operator import attrgetter
from typing import Any, Final, Protocol
from uuid import UUID

import msgspec

from governance.privacy import keys
from ingest.judging.deprecations import Use
from ingest.log import rows
from ingest.log.connection import Connection
from ingest.privacy import sealing, treating
from ingest.protocols import cloudevents
from ingest.times import moment_of
from ingest.types import MAX_UNPARSABLE_BYTES, Envelope, Mark, Reason, Status
from portal.kernel import sql
from portal.kernel.errors import FieldError
from portal.kernel.failpoints import failpoint
from portal.kernel.identifiers import uuid7

MAX_VERSION_CHARACTERS: Final = 60
VERSION_MARK: Final = "|producerversion="
_MINUTE_US: Final = 60_000_000
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
COPY_EVENTS: Final = f"COPY ingest_event ({_EVENT_COLUMNS}) FROM STDIN (FORMAT BINARY)"
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

    `sent` is how it came: its envelope, or the text of a structured event of which none was made.
    `stream_id` is 0 while the type is unknown to this producer. The writer fills in `status`,
    `dead_letter`, and for a conflict `reason` and `errors`.
    """

    id: str
    sent: Envelope | bytes
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
    def envelope(self) -> Envelope:
        """Its envelope, read from the text when first asked for, and kept."""
        if isinstance(self.sent, bytes):
            self.sent = cloudevents.read_structured(self.sent)
        return self.sent

    @property
    def key(self) -> Key:
        return (self.stream_id, None if self.uses_ledger else self.occurred_us, self.id)


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
    is_known: bool = False  # an identity of its group was stored before
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
        (item.stream_id, None if item.uses_ledger else item.occurred_us, item.id) for item in packed
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
            _copy(connection, COPY_EVENTS, [item.packed for item in fresh])
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
_sort_key: Final = attrgetter("stream_id", "occurred_us", "id")


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
            "ids": [item.id for item in items],
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
        item.id,
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
    body = treating.body_of(item.envelope)
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


def plain_rows(
    group: Sequence[Submission],
) -> tuple[list[bytes], dict[str, list[Any]]] | None:
    """The rows and accounts of a group that holds nothing but plain events that differ, as
    `exchange.store` takes them; None: it is not such a group."""
    items: list[Item] = []
    for submission in group:
        if submission.is_rehearsal or submission.is_replay or submission.new_sources:
            return None
        items += submission.items
    # What waits in an item for the ledger, the dead letters or the uses goes the long way.
    if not all(item.packed and not item.uses_ledger and not item.uses for item in items):
        return None
    by_key = {_sort_key(item): item.packed for item in items}
    if len(by_key) < len(items):
        return None
    accounts, _ = _counted(group)
    return [by_key[key] for key in sorted(by_key)], _columns(accounts)


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
