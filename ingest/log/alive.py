"""What of the log may still be read: the one place that every reader asks.

An event is read until it has lived its stream's days, a dead letter for thirty days, and a field with
a life of its own (`x-retention`) until it has lived that. Rows and values leave the disk some hours
later (`ingest/services/retention.py`, `ingest/services/field_expiry.py`), and no reader may see the
difference:

1. A statement that reads rows is bounded by `alive_since`.
2. Who reads data passes it through `FieldLives`; who reads one value by its path bounds it by
   `FieldLives.since`.

`tests/architecture/test_life.py` walks the statements and names those that are no readers.
"""

import copy
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import orjson

from catalog.field_lives import Change, lives_in, over
from catalog.models import Stream
from ingest.log.lives import DEAD_LETTER_DAYS
from ingest.log.partitions import start_of
from portal.kernel import clock

ALWAYS: Final = datetime(1, 1, 1, tzinfo=UTC)


def alive_since(stream: Stream) -> datetime:
    """The time of the oldest event of the stream that may be read now."""
    return clock.now() - timedelta(days=stream.retention_days)


def letters_alive_since() -> datetime:
    """The receipt of the oldest dead letter that may be read now: they live by whole days."""
    return start_of(clock.now().date() - timedelta(days=DEAD_LETTER_DAYS))


class FieldLives:
    """What the contracts of a stream say of the lives of its fields.

    An event is judged by the contract it came under and by today's, as the sweep does.
    """

    def __init__(self, documents: Mapping[int | None, object], default: int | None) -> None:
        self._documents = documents
        self._default = default
        self._lives = sorted({days for one in documents.values() for days in lives_in(one)})
        self._now = clock.now()

    @classmethod
    def of(cls, stream: Stream) -> "FieldLives":
        """Of all contracts that the stream ever had; one query."""
        # Which versions events came under is not known yet, so all of those that speak of lives.
        rows = stream.versions.filter(document__icontains="x-retention")
        return cls(dict(rows.values_list("version", "document")), stream.default_version)

    def left_of(self, data: Any, *, version: int | None, occurred_at: datetime) -> Any:
        """The data as it is to be read: without what has lived its time. Never changed in place."""
        age = (self._now - occurred_at).days
        if not self._lives or age < self._lives[0]:
            return data
        documents = [
            self._documents[one]
            for one in dict.fromkeys((version, self._default))
            if one in self._documents
        ]
        changes = over(documents, data, age)
        return _changed(data, changes) if changes else data

    def since(self, sample: Any) -> datetime:
        """The time from which on every value of this shape may be read, whatever its contract."""
        for days in self._lives:
            if any(over([document], sample, days) for document in self._documents.values()):
                return self._now - timedelta(days=days)
        return ALWAYS


def sample_at(path: Iterable[str]) -> Any:
    """Data that has a value at a path and nothing else."""
    found: Any = "x"
    for step in reversed(list(path)):
        found = {step: found}
    return found


def _changed(data: Any, changes: Iterable[Change]) -> Any:
    found = copy.deepcopy(data)
    for change in changes:
        *way, last = change.path
        holder = found
        for step in way:
            holder = holder[int(step)] if isinstance(holder, list) else holder[step]
        if isinstance(holder, list):
            holder[int(last)] = None if change.value is None else orjson.loads(change.value)
        elif change.value is None:
            del holder[last]
        else:
            holder[last] = orjson.loads(change.value)
    return found
