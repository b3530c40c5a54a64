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
from ingest.judging.drift import DriftPlan
from ingest.judging.routes import Route
from ingest.log import rows
from ingest.log.group import Item
from ingest.protocols import heads
from ingest.protocols.heads import Known
from ingest.types import Envelope, Mark
from portal.kernel import strict_json


class Ready(msgspec.Struct, frozen=True, eq=False):
    """A route as it holds for one batch: the bounds of its window, both of which belong to it, the
    cells of its rows, and what goes before and after the subject into the hash of contents."""

    stream: StreamEntry
    earliest_us: int
    latest_us: int
    is_valid: Callable[[Any], bool]
    drift: DriftPlan | None
    ids: tuple[int, int] | None  # stream and track; None where the track depends on the time
    middle: bytes
    source_cell: bytes
    cells: bytes
    hasher: "blake2b"
    identity_after: bytes

    def item(
        self, known: Known, data: Any, sent: Envelope | bytes, *, may_vary: bool
    ) -> Item | None:
        """An event that fits, packed; None for one that has to be looked at.

        `sent` is how it came; `may_vary`: its data may hold a number with more than one spelling.
        """
        head, name, us, subject, extensions, has_data = known
        if (
            us is None
            or not has_data
            or not self.earliest_us <= us <= self.latest_us
            or not self.is_valid(data)
        ):
            return None
        content = stored = rows.dump(data)
        if may_vary and strict_json.may_vary(content):
            return None
        marks, extra = 0, None
        if self.drift is not None and not self.drift.is_closed_over(data):
            kept, beyond = self.drift.split(data)
            if beyond is not None:
                marks, stored, extra = Mark.DRIFT.value, rows.dump(kept), rows.dump(beyond)
        spelled, subject_cell = rows.subject_forms(subject)
        if extensions is head.extensions:
            cells = self.cells
            hasher = self.hasher.copy()
            hasher.update(spelled + self.identity_after + content)
        else:
            envelope = heads.envelope_of(known, {}, b"", "")
            cells = self.source_cell + rows.jsonb_cell(rows.dump(rows.attributes_of(envelope)))
            hasher = keys.content_hasher()
            hasher.update(b"%b\x00%b" % (rows.identity_text(envelope), content))
        content_hash = hasher.digest()
        ids = self.ids or (self.stream.id, self.stream.track_of(us))
        packed = rows.pack_known_event(
            ids, us, name.encode(), self.middle, subject_cell, cells, stored, extra, content_hash,
            marks,
        )  # fmt: skip
        return Item(name, sent, ids[0], us, packed, content_hash, False, marks, ids[1])


def ready_for(route: Route, producer_id: int, received_us: int) -> Ready:
    """A route for what came from a producer at a moment, in microseconds."""
    hasher = keys.content_hasher()
    hasher.update(route.identity_before)
    stream = route.stream
    earliest_us = received_us - stream.late_us
    return Ready(
        stream,
        earliest_us,
        received_us + stream.ahead_us,
        route.contract.is_valid,
        route.contract.drift,
        (stream.id, stream.track) if earliest_us > stream.moved_us else None,
        rows.middle_cells(received_us, producer_id, route.contract.version),
        route.source_cell,
        route.source_cell + route.attributes_cell,
        hasher,
        route.identity_after + b"\x00",
    )
