"""What a portal stored, read straight from its tables, and a reader that follows the log."""

import hashlib
import json
import threading
import time
from collections.abc import Iterable, Sequence
from typing import Any, Final
from uuid import UUID

import psycopg
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from governance.privacy import keyring, keys
from governance.privacy.ciphers import DataKey
from ingest.privacy import sealing
from portal.soak.checker import Account, Stored, StoredEvent, StoredLetter
from portal.soak.clients import content_of
from portal.soak.history import Identity

_FROM_RECEIPT: Final = 4  # ingest.types.Mark.TIME_FROM_RECEIPT
_PAGE: Final = 5000
_POLL_SECONDS: Final = 0.1

_COLUMNS: Final = """
SELECT e.stream_id, e.event_id, (extract(epoch FROM e.occurred_at) * 1000000)::bigint, e.marks,
       e.source, e.subject, e.data::text, floor(extract(epoch FROM e.received_at) / 60)::bigint,
       e.tx::text::bigint, e.seq
"""
_SINCE: Final = f"""{_COLUMNS} FROM ingest_event AS e
WHERE e.stream_id = ANY(%(streams)s) AND e.tx >= %(tx)s::text::xid8"""
# One look-up each in the index of identities; the ledger knows the times of those sent without one.
_NAMED: Final = f"""{_COLUMNS}
FROM unnest(%(ids)s::bigint[], %(names)s::text[], %(times)s::bigint[]) AS n (stream, name, us)
LEFT JOIN ingest_event_ledger AS l
    ON n.us IS NULL AND l.stream_id = n.stream AND l.event_id = n.name COLLATE "C"
CROSS JOIN LATERAL (
    SELECT * FROM ingest_event
    WHERE stream_id = n.stream AND event_id = n.name COLLATE "C"
        AND occurred_at = coalesce(
            timestamptz 'epoch' + n.us * interval '1 microsecond', l.occurred_at
        )
    LIMIT 2
) AS e
"""  # noqa: S608  # of fixed pieces
# Below the oldest transaction that still runs nothing can appear any more.
_NEXT: Final = f"""{_SINCE} AND (e.tx, e.seq) > (%(tx)s::text::xid8, %(seq)s)
AND e.tx < pg_snapshot_xmin(pg_current_snapshot())
ORDER BY e.tx, e.seq LIMIT %(page)s"""
_LETTERS: Final = """
SELECT id::text, stream_id, event_id, producer_id, reason, jsonb_array_length(errors),
       body, floor(extract(epoch FROM received_at) / 60)::bigint
FROM ingest_dead_letter WHERE received_at >= to_timestamp(%(since)s)
"""
_WRAPPED: Final = """
SELECT id, ref, wrapped, version FROM governance_privacykey WHERE wrapped IS NOT NULL
"""
_ACCOUNTS: Final = """
SELECT stream_id, floor(extract(epoch FROM minute) / 60)::bigint, sum(received)::bigint,
       sum(accepted)::bigint, sum(duplicate)::bigint, sum(dead_lettered)::bigint
FROM ingest_ingestminute WHERE minute >= to_timestamp(%(since)s) GROUP BY 1, 2
"""


def _event(row: Sequence[Any], names: dict[int, str]) -> StoredEvent:
    stream, name, time_us, marks, source, subject, data, minute, tx, seq = row
    return StoredEvent(
        names[stream],
        name,
        None if marks & _FROM_RECEIPT else int(time_us),
        content_of(source, subject, json.loads(data) if data is not None else None),
        int(minute),
        (int(tx), int(seq)),
    )


def stream_names(database_url: str, wanted: Iterable[str]) -> dict[int, str]:
    """By id the names of the wanted streams that are there."""
    with psycopg.connect(database_url) as db:
        return dict(
            db.execute(
                "SELECT id, name FROM catalog_stream WHERE name = ANY(%s)", (list(wanted),)
            ).fetchall()
        )


def _keys(db: psycopg.Connection[Any], keyring_text: str) -> list[DataKey]:
    """The keys that seal dead letters, out of the vault's table."""
    versions = keyring.parse(keyring_text).versions
    return [
        DataKey(number, AESGCM(keys.unwrap_with(versions[version], ref, version, wrapped)))
        for number, ref, wrapped, version in db.execute(_WRAPPED).fetchall()
    ]


def _sha256(letter_keys: Sequence[DataKey], letter: str, body: bytes) -> str:
    """The hash of what a letter holds, opened when it is sealed."""
    if body.startswith(sealing.MARK):
        found = (sealing.opened_with(key, body, UUID(letter)) for key in letter_keys)
        body = next((clear for clear in found if clear != body), body)
    return hashlib.sha256(body).hexdigest()


def load(
    database_url: str,
    names: dict[int, str],
    *,
    since_tx: int,
    since_seconds: float,
    first_minute: int,
    keyring_text: str,
    named: Iterable[Identity] = (),
) -> Stored:
    """What was stored since a transaction and a moment, and what older identities hold.

    All of it is of one snapshot. Accounts begin with `first_minute` (since 1970). `keyring_text` are
    the portal's privacy keys: dead letters are compared by what they hold when they are opened.
    """
    ids = {name: number for number, name in names.items()}
    stored = Stored(accounts_from=first_minute, log_from=(since_tx, 0))
    with psycopg.connect(database_url) as db:
        db.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
        stored.events = [
            _event(row, names)
            for row in db.execute(_SINCE, {"streams": list(names), "tx": str(since_tx)})
        ]
        here = {event.identity for event in stored.events}
        old = [identity for identity in set(named) if identity not in here]
        if old:
            params = {
                "ids": [ids[stream] for stream, _, _ in old],
                "names": [name for _, name, _ in old],
                "times": [time_us for _, _, time_us in old],
            }
            stored.events += [_event(row, names) for row in db.execute(_NAMED, params)]
        letter_keys = _keys(db, keyring_text)
        stored.letters = [
            StoredLetter(
                letter, names.get(stream, ""), name, producer, reason, n_errors,
                _sha256(letter_keys, letter, body), int(minute),
            )
            for letter, stream, name, producer, reason, n_errors, body, minute in db.execute(
                _LETTERS, {"since": since_seconds}
            ).fetchall()
        ]  # fmt: skip
        stored.accounts = [
            Account(names.get(stream, ""), int(minute), *(int(count) for count in counts))
            for stream, minute, *counts in db.execute(_ACCOUNTS, {"since": first_minute * 60})
        ]
    return stored


def horizon(database_url: str) -> int:
    """The transaction below which the log is complete."""
    with psycopg.connect(database_url) as db:
        row = db.execute("SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint").fetchone()
    assert row is not None
    return int(row[0])


class LogReader(threading.Thread):
    """Follows the log by (transaction, number) as a consumer would, over every restart."""

    def __init__(self, database_url: str, names: dict[int, str]) -> None:
        super().__init__(name="log-reader", daemon=True)
        self.database_url = database_url
        self.names = names
        self.reads: list[StoredEvent] = []
        self.stopping = threading.Event()
        self._cursor = (0, 0)
        self._lock = threading.Lock()

    def run(self) -> None:
        while not self.stopping.is_set():
            try:
                with psycopg.connect(self.database_url, autocommit=True, connect_timeout=2) as db:
                    while not self.stopping.is_set():
                        if not self._page(db):
                            self.stopping.wait(_POLL_SECONDS)
            except psycopg.Error:  # it restarts; the cursor stays
                self.stopping.wait(_POLL_SECONDS)

    def _page(self, db: psycopg.Connection[Any]) -> bool:
        tx, seq = self._cursor
        rows = db.execute(
            _NEXT, {"streams": list(self.names), "tx": str(tx), "seq": seq, "page": _PAGE}
        ).fetchall()
        if not rows:
            return False
        served = [_event(row, self.names) for row in rows]
        with self._lock:
            self.reads += served
            self._cursor = served[-1].offset
        return True

    def since(self, offset: tuple[int, int]) -> list[StoredEvent]:
        """What was served from an offset on; what came before is let go."""
        with self._lock:
            at = next(
                (place for place, event in enumerate(self.reads) if event.offset >= offset),
                len(self.reads),
            )
            del self.reads[:at]
            return list(self.reads)

    def catches_up(self, offset: tuple[int, int], *, seconds: float) -> bool:
        """Wait until it was served this offset."""
        deadline = time.monotonic() + seconds
        while self._cursor < offset:
            if time.monotonic() > deadline:
                return False
            time.sleep(0.02)
        return True
