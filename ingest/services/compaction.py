"""Streams that are declared as state keep the newest event of each key, and what is younger than a day.

The key is what `state_key` points to in the data; without one the event's partition key, else its
subject. Events without a key stay. The newest is that of the latest time, then of the latest position.
An older state that is sent again is accepted again, and goes with the next run. The life of the stream
holds all the same: a state that has lived its days goes.

What is superseded is listed once a stream, then deleted some thousands at a time, by transactions of
their own; a run that is killed is begun anew, and finds what is left.
"""

import logging
from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final

from psycopg.errors import QueryCanceled

from catalog.models import Stream
from ingest.log.connection import Connection, connect
from ingest.services.retention import check_clock
from ingest.services.storage_runs import Run, begin
from portal.kernel import clock, sql

logger = logging.getLogger(__name__)
YOUNG: Final = timedelta(hours=24)
BATCH: Final = 5_000
_LIST: Final = sql.load("ingest", "list_superseded")
_DELETE: Final = sql.load("ingest", "delete_superseded")
_TABLE: Final = """
CREATE TEMPORARY TABLE IF NOT EXISTS ingest_superseded (
    n bigint NOT NULL, stream_id bigint NOT NULL, track smallint NOT NULL,
    occurred_at timestamptz NOT NULL, event_id text COLLATE "C" NOT NULL
)
"""


def compact_state(*, budget_seconds: float = 150.0) -> Mapping[str, Any]:
    """Compact every stream of state until the budget is spent; gives how many events went.

    Raises BusyError while another keeper of storage runs.
    """
    with begin("compact", budget_seconds=budget_seconds) as run, connect(autocommit=True) as link:
        check_clock(link)
        link.execute(_TABLE)
        for stream in Stream.objects.filter(is_state=True).order_by("pk"):
            if not run.has_time:
                break
            try:
                _compact(link, stream, run)
            except QueryCanceled:  # longer than a worker may ask; the others have their turn
                logger.warning("%s is too large to be compacted in a worker's time", stream.name)
                run.add("streams_too_large", 1)
        link.execute("DROP TABLE ingest_superseded")
    return run.result


def _compact(link: Connection, stream: Stream, run: Run) -> None:
    run.beat()
    link.execute("TRUNCATE ingest_superseded")
    path = [step.replace("~1", "/").replace("~0", "~") for step in stream.state_key.split("/")[1:]]
    listed = link.execute(
        _LIST, {"stream_id": stream.pk, "before": clock.now() - YOUNG, "path": path}
    ).rowcount
    link.execute("ANALYZE ingest_superseded")
    for first in range(0, listed, BATCH):
        if not run.has_time:
            return
        gone = link.execute(_DELETE, {"first": first, "last": first + BATCH}).rowcount
        run.add("events_deleted", gone)
        run.beat()
