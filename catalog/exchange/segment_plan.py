"""Segment tracking plans, read into streams."""

from collections.abc import Mapping
from typing import Any

from catalog.exchange.documents import OutsideStream, Unreadable


def read(document: Mapping[str, Any], *, where: str) -> list[OutsideStream | Unreadable]:
    """A stream per event of the plan; its document is the schema of the event's `properties` or
    `traits`, which is what becomes `data`. Nothing is raised."""
    raise NotImplementedError
