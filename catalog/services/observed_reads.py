"""Counting what consumers are given: whatever hands events to a consumer's key calls `note_read`.

1. The fields are those that the projection showed, masked ones too: a change of them is felt. Of
   everything, those of the stream's present contract.
2. Many fields are counted by the objects that hold them; where those are too many as well, only the
   events are, as of somebody who reads all of them.
3. One statement, with its rows in key order, after the events were read and judged. Who reads is
   given their events also when it fails; then the log names what was not counted.
"""

import logging
from collections.abc import Sequence
from datetime import timedelta
from typing import Final

from django.db import DatabaseError, InterfaceError, transaction

from catalog.models import ObservedRead, Stream
from catalog.models.observed import EVENTS
from catalog.selectors.fields import granted_fields
from governance.projection import NOTHING, Projection
from portal.kernel import clock, sql
from portal.kernel.actor import Actor, ActorKind

MAX_PATHS: Final = 500
KEPT: Final = timedelta(days=400)  # a year, and who reads once a year
_ADD: Final = sql.load("catalog", "add_observed_reads")

logger = logging.getLogger(__name__)


def note_read(actor: Actor, stream: Stream, seen: Projection, n_events: int) -> None:
    """Count events that a consumer's key was given, under each field that it was shown.

    In the caller's transaction where there is one. What people and others read is counted for
    nobody. It raises nothing: a count that the database refuses is a line of the log.
    """
    if actor.kind is not ActorKind.CONSUMER or n_events < 1 or seen == NOTHING:
        return
    now = clock.now()
    try:
        with transaction.atomic():
            sql.execute(
                _ADD,
                {
                    "stream": stream.pk, "consumer": actor.id, "events": n_events,
                    "day": now.date(), "at": now, "paths": [EVENTS, *shown_paths(stream, seen)],
                },
            )  # fmt: skip
    except (DatabaseError, InterfaceError):
        logger.exception(
            "not counted: consumer %s was given %s events of stream %s",
            actor.id, n_events, stream.pk,
        )  # fmt: skip


def shown_paths(stream: Stream, seen: Projection) -> Sequence[str]:
    """The fields that a projection shows of a stream, each once; none where they are too many."""
    shown = [path for path in granted_fields(stream) if seen.shows(path)]
    # A grant may name a field that only earlier versions have; their events still show it.
    shown += sorted((seen.fields or frozenset()).difference(shown))
    if len(shown) > MAX_PATHS:
        known = frozenset(shown)
        shown = [path for path in shown if _above(path) not in known]
    return shown if len(shown) <= MAX_PATHS else ()


def _above(path: str) -> str:
    """The object that holds a field: `items` of `items[].sku`; empty for one of the event itself."""
    above = path.rpartition(".")[0]
    while above.endswith("[]"):
        above = above.removesuffix("[]")
    return above


def forget_old_reads() -> int:
    """Delete counts of days that nobody asks about any more; gives how many."""
    deleted, _ = ObservedRead.objects.filter(day__lt=(clock.now() - KEPT).date()).delete()
    return deleted
