"""Fields whose own life (`x-retention`) is over leave the events that carry them, in place.

For each stream whose contracts give lives to fields, the shortest life first:

1. What came since the last run with a time that was looked at already (an event may be late) is found
   by its position in the log.
2. From where the last run ended, on to what has just grown old enough.

Each event is judged by the contract it came under and by today's. The values are changed by the
database, so that numbers beside them stay as they were sent. The content hash stays that of before: a
late retry is a duplicate still. The mark `FIELDS_EXPIRED` tells that the content is not what was sent.
Doing it again changes nothing, so a run may be cut anywhere.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from django.db import transaction

from catalog.field_lives import lives_in, over
from catalog.models import SchemaVersion, Stream
from ingest.log.connection import connect
from ingest.models import FieldExpiry
from ingest.services.retention import check_clock
from ingest.services.storage_runs import Run, begin
from ingest.types import Mark
from portal.kernel import clock, sql

BATCH: Final = 500
_FIRST: Final = datetime(1, 1, 1, tzinfo=UTC)
_READ: Final = sql.load("ingest", "read_for_field_expiry")
_READ_LATE: Final = sql.load("ingest", "read_late_for_field_expiry")
_EXPIRE: Final = sql.load("ingest", "expire_field")
_OLDEST_RUNNING: Final = sql.load("ingest", "oldest_running")
Rows = Sequence[Mapping[str, Any]]


def expire_fields(*, budget_seconds: float = 150.0) -> Mapping[str, Any]:
    """Take out what has lived its time until the budget is spent; gives how many events changed.

    Raises BusyError while another keeper of storage runs.
    """
    with begin("fields", budget_seconds=budget_seconds) as run:
        with connect(autocommit=True) as link:
            check_clock(link)
        for stream in _streams():
            contracts = _Contracts(stream)
            for days in contracts.lives:
                if not run.has_time:
                    return run.result
                _expire(stream, contracts, days, run)
    return run.result


def _streams() -> list[Stream]:
    """Streams whose contracts speak of lives anywhere."""
    said = SchemaVersion.objects.filter(document__icontains="x-retention")
    return list(Stream.objects.filter(pk__in=said.values("stream_id")).order_by("pk"))


class _Contracts:
    """A stream's contracts, and a name for the lives that they give to fields."""

    def __init__(self, stream: Stream) -> None:
        rows = list(stream.versions.order_by("version").values_list("version", "document"))
        self._documents: dict[int | None, object] = dict(rows)
        self._default = stream.default_version
        self.lives = sorted(
            {days for _, document in rows for days in lives_in(document)
             if days < stream.retention_days}
        )  # fmt: skip
        said = json.dumps([rows, self._default], sort_keys=True)
        self.plan = hashlib.sha256(said.encode()).hexdigest()

    def of(self, version: int | None) -> list[object]:
        return [self._documents[one] for one in (version, self._default) if one in self._documents]


def _expire(stream: Stream, contracts: _Contracts, days: int, run: Run) -> None:
    row = sql.fetch_one(_OLDEST_RUNNING)
    assert row is not None
    running = int(row["tx"])
    place, _ = FieldExpiry.objects.get_or_create(
        stream_id=stream.pk, days=days, defaults={"plan": contracts.plan, "from_tx": running}
    )
    if place.plan != contracts.plan:
        place.plan, place.done_before, place.from_tx = contracts.plan, None, running
        place.save()
    until = clock.now() - timedelta(days=days)
    if place.done_before is not None:
        for rows in _late(stream, place.from_tx, place.done_before):
            _take_out(stream, contracts, days, rows, place, run)
            if not run.has_time:
                return
    for rows in _grown_old(stream, place.done_before or _FIRST, until):
        _take_out(stream, contracts, days, rows, place, run)
        if not run.has_time:
            place.done_before = rows[-1]["occurred_at"]
            place.save()
            return
    place.done_before, place.from_tx = until, running
    place.save()


def _late(stream: Stream, from_tx: int, until: datetime) -> Iterator[Rows]:
    at, seq = from_tx, -1
    while rows := sql.fetch_all(_READ_LATE, {
        "stream_id": stream.pk, "after_tx": at, "after_seq": seq, "until": until, "batch": BATCH,
    }):  # fmt: skip
        yield rows
        at, seq = rows[-1]["tx"], rows[-1]["seq"]


def _grown_old(stream: Stream, since: datetime, until: datetime) -> Iterator[Rows]:
    at, name = since, ""
    while rows := sql.fetch_all(_READ, {
        "stream_id": stream.pk, "after_at": at, "after_id": name, "until": until, "batch": BATCH,
    }):  # fmt: skip
        yield rows
        at, name = rows[-1]["occurred_at"], rows[-1]["event_id"]


def _take_out(
    stream: Stream, contracts: _Contracts, days: int, rows: Rows, place: FieldExpiry, run: Run
) -> None:
    """Change a batch of events, in one transaction."""
    changed = 0
    with transaction.atomic():
        for row in rows:
            if row["data"] is None:
                continue
            changes = over(contracts.of(row["version"]), json.loads(row["data"]), days)
            for change in changes:
                sql.execute(_EXPIRE, {
                    "track": row["track"], "stream_id": stream.pk,
                    "occurred_at": row["occurred_at"], "event_id": row["event_id"],
                    "path": list(change.path), "value": change.value,
                    "mark": int(Mark.FIELDS_EXPIRED),
                })  # fmt: skip
            changed += bool(changes)
    place.changed += changed
    run.add("events_changed", changed)
    run.beat()
