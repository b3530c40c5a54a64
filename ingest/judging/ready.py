"""What a route means for the events of one batch, and how such an event becomes a row.

The short way of an event ends here: its head was found (`ingest.protocols.heads`), its route is known
(`ingest.judging.routes`), and of the rest only what differs from event to event is looked at.
"""

from collections.abc import Callable
from hashlib import blake2b
from typing import Any

import msgspec

from governance.privacy import keys
from ingest.judging.admission import StreamEntry
from ingest.judging.routes import Route
from ingest.log import rows
from ingest.log.group import Item
from ingest.protocols import heads
from ingest.protocols.heads import Head
from ingest.types import Envelope


class Ready(msgspec.Struct, frozen=True, eq=False):
    """A route as it holds for one batch: the bounds of its window, both of which belong to it, the
    cells of its rows, and what goes before and after the subject into the hash of contents."""

    stream: StreamEntry
    earliest_us: int
    latest_us: int
    checks: tuple[Callable[[Any], bool], ...]
    ids: tuple[int, int] | None
    middle: bytes
    source_cell: bytes
    cells: bytes
    hasher: "blake2b"
    identity_after: bytes

    def admits(self, us: int | None, data: Any) -> bool:
        """Whether there is nothing about an event with this time and data."""
        if us is None or not self.earliest_us <= us <= self.latest_us:
            return False
        for check in self.checks:  # noqa: SIM110  # all() would cost as much as a check
            if not check(data):
                return False
        return True

    def item(
        self,
        head: Head,
        name: str,
        us: int | None,
        subject: str | None,
        extensions: dict[str, str | int | bool],
        content: bytes,
        sent: Envelope | bytes,
    ) -> Item:
        """An event that is admitted, packed; `content` is its data as stored and compared, `sent`
        how it came."""
        assert us is not None
        spelled, subject_cell = rows.subject_forms(subject)
        if extensions is head.extensions:
            cells = self.cells
            hasher = self.hasher.copy()
            hasher.update(spelled + self.identity_after + content)
        else:
            envelope = heads.envelope_of((head, name, us, subject, extensions, True), {}, b"", "")
            cells = self.source_cell + rows.jsonb_cell(rows.dump(rows.attributes_of(envelope)))
            hasher = keys.content_hasher()
            hasher.update(b"%b\x00%b" % (rows.identity_text(envelope), content))
        content_hash = hasher.digest()
        ids = self.ids or (self.stream.id, self.stream.track_of(us))
        packed = rows.pack_plain_event(
            ids, us, name.encode(), self.middle, subject_cell, cells, content, content_hash
        )
        return Item(name, sent, ids[0], us, packed, content_hash, False, 0, ids[1])


def ready_for(route: Route, producer_id: int, received_us: int) -> Ready:
    """A route for what came from a producer at a moment, in microseconds."""
    hasher = keys.content_hasher()
    hasher.update(route.identity_before)
    return Ready(
        route.stream,
        received_us - route.stream.late_us,
        received_us + route.stream.ahead_us,
        route.checks,
        route.ids,
        rows.middle_cells(received_us, producer_id, route.version),
        route.source_cell,
        route.source_cell + route.attributes_cell,
        hasher,
        route.identity_after + b"\x00",
    )
