"""Who still uses what is deprecated, from the counts that ingest keeps by day."""

from dataclasses import replace
from datetime import date, timedelta
from typing import Any, Final

from catalog.impact import OldUse
from catalog.models import Producer, Stream
from catalog.selectors.streams import visible_streams
from ingest.judging.deprecations import FIELD, VERSION
from portal.kernel import clock, sql
from portal.kernel.actor import Actor

SPAN: Final = timedelta(days=7)
MAX_USES: Final = 500
_USES: Final = sql.load("ingest", "deprecated_uses")


def since() -> date:
    """The first day that is counted."""
    return (clock.now() - SPAN).date()


def uses_of_stream(stream: Stream, kind: str) -> list[OldUse]:
    """Who used deprecated versions or fields of a stream in the last days, most events first."""
    return _uses({"stream_id": stream.pk, "producer_id": None, "kind": kind})


def uses_of_producer(producer: Producer, actor: Actor) -> list[OldUse]:
    """What a producer has still to move away from, of streams that the actor may know of."""
    found = [
        replace(use, kind=kind)
        for kind in (VERSION, FIELD)
        for use in _uses({"stream_id": None, "producer_id": producer.pk, "kind": kind})
    ]
    known = visible_streams(actor).order_by().filter(pk__in={use.stream_id for use in found})
    names = dict(known.values_list("pk", "name"))
    return [replace(use, stream=names[use.stream_id]) for use in found if use.stream_id in names]


def _uses(asked: dict[str, Any]) -> list[OldUse]:
    rows = sql.fetch_all(_USES, asked | {"since": since()})
    return [
        OldUse(
            row["stream_id"], row["producer"] or "unknown", row["name"], int(row["events"]),
            row["last_at"],
        )
        for row in rows[:MAX_USES]
    ]  # fmt: skip
