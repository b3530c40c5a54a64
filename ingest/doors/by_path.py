"""Every door of ingest by its address; the raw handler and the Django views find them here."""

from collections.abc import Mapping
from typing import Final

from ingest.doors.door import Door
from ingest.doors.door_events import EventsDoor
from ingest.doors.door_segment import SegmentDoor

EVENTS: Final = EventsDoor()
SEGMENT: Final = SegmentDoor()
BY_PATH: Final[Mapping[str, Door]] = {
    path: found for found in (EVENTS, SEGMENT) for path in found.paths
}
