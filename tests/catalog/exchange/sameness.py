"""Comparing what was read and written: equality but for places, and by JSON's types."""

import json
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

from catalog.exchange.documents import OutsideStream, Unreadable
from catalog.exchange.loading import Loaded, load

FILES = Path(__file__).resolve().parents[2] / "data" / "exchange"


def document_in(name: str) -> Any:
    """The one document of a file under tests/data/exchange."""
    loaded = load((FILES / name).read_bytes(), name=name)
    assert isinstance(loaded, Loaded)
    return loaded.documents[0]


def only_streams(found: Iterable[OutsideStream | Unreadable]) -> list[OutsideStream]:
    """The streams, when nothing was unreadable."""
    streams = list(found)
    assert not [one for one in streams if isinstance(one, Unreadable)]
    return [one for one in streams if isinstance(one, OutsideStream)]


def without_where(streams: Iterable[OutsideStream]) -> list[OutsideStream]:
    return [replace(stream, where="") for stream in streams]


def as_json(value: Any) -> str:
    """One text for equal JSON: unlike ==, it tells true from 1 and 1 from 1.0."""
    return json.dumps(value, sort_keys=True, default=str)


def assert_same(found: Iterable[OutsideStream | Unreadable], wanted: list[OutsideStream]) -> None:
    """Both are the same streams, but for where they were read."""
    seen = without_where(only_streams(found))
    assert seen == without_where(wanted)
    for one, other in zip(seen, wanted, strict=True):
        for mine, theirs in zip(one.versions, other.versions, strict=True):
            assert as_json(mine.document) == as_json(theirs.document)
            assert as_json(mine.examples) == as_json(theirs.examples)
