"""Open Data Contract Standard 3: a contract of one stream, read and written."""

from collections.abc import Mapping
from typing import Any

from catalog.exchange.documents import OutsideStream, Unreadable


def read(document: Mapping[str, Any], *, where: str) -> list[OutsideStream | Unreadable]:
    """The streams of a contract: one per object of its `schema`. Nothing is raised."""
    raise NotImplementedError


def write(stream: OutsideStream, *, status: str = "active") -> dict[str, Any]:
    """A contract (ODCS v3.1.0) of the stream's newest version. `read` gives the stream again, but
    for `where`, all its versions included. `status` is the contract's own (`draft`, `active`, …);
    a contract that the stream was read from keeps its own."""
    raise NotImplementedError
