"""What thousands of events have in common, read once.

Most attributes of an event are those of the event before it: its type, source, schema, content type,
producer version. A *head* is one such combination, found again by the names of an event's members in
their order and the values of those attributes. It is only ever made of an event that passed the full
reading in `ingest.protocols.cloudevents`; an event whose head is known needs its id, time, subject
and limits looked at, and nothing else of its envelope. Where events with a head go, and the parts of
their rows that are alike, is known by its route (`ingest.judging.routes`).
"""

from collections.abc import Callable, Hashable
from operator import itemgetter
from typing import Any, Final, TypeAlias

import msgspec

from ingest.times import TimeError, parse_recent_us
from ingest.types import Envelope

# Members that differ from event to event; extensions beyond the fixed ones do too.
_VARIABLE: Final = frozenset(
    {"id", "time", "subject", "data", "traceparent", "tracestate", "partitionkey",
     "correlationid", "causationid"}
)  # fmt: skip
_FIXED: Final = (
    "specversion", "type", "source", "dataschema", "datacontenttype", "environment",
    "producerversion",
)  # fmt: skip
_ENVELOPE: Final = frozenset({"id", "time", "subject", "data"})
_MAX_HEADS: Final = 20_000
_MAX_ID: Final = 128
_MAX_SUBJECT: Final = 256


class Head(msgspec.Struct, frozen=True, eq=False):
    """The attributes that many events share; `extensions` are the shared ones."""

    type: str
    source: str
    dataschema: str | None
    datacontenttype: str | None
    extensions: dict[str, str | int | bool]


# What an event with a known head is: the head, its id, its time in microseconds, its subject, its
# extensions (the head's very own where it has none beyond) and whether it has data. One for each
# event: a plain tuple is made in a tenth of the time that one with names takes.
Known: TypeAlias = tuple[Head, str, int | None, str | None, dict[str, str | int | bool], bool]


class _Shape(msgspec.Struct):
    """An order of member names: which of them pick the head, and which extensions are its own."""

    pick: Callable[[dict[str, Any]], Hashable]
    own: tuple[str, ...]
    has_data: bool
    heads: dict[Hashable, Head]


class _Memory:
    """All shapes with their heads. Emptied when full: what is in use is soon learnt again."""

    def __init__(self) -> None:
        self.shapes: dict[tuple[str, ...], _Shape] = {}
        self.n_heads = 0

    def put(self, names: tuple[str, ...], shape: _Shape, values: Hashable, head: Head) -> None:
        if self.n_heads >= _MAX_HEADS:
            self.shapes, self.n_heads = {}, 0
        self.shapes.setdefault(names, shape).heads[values] = head
        self.n_heads += 1


_memory: Final = _Memory()


def find(event: dict[str, Any]) -> Known | None:
    """What an event is whose head is known; None: it needs the full reading.

    The text of the event must have been found free of limit breaks before.
    """
    shape = _memory.shapes.get(tuple(event))
    if shape is None:
        return None
    try:
        head = shape.heads.get(shape.pick(event))
    except TypeError:  # a list or an object where a text is due
        return None
    if head is None:
        return None
    name = event["id"]
    if type(name) is not str or not 0 < len(name) <= _MAX_ID or not name.isprintable():
        return None
    subject = event.get("subject")
    if subject is not None and (type(subject) is not str or len(subject) > _MAX_SUBJECT):
        return None
    time = event.get("time")
    if time is not None:
        if type(time) is not str:
            return None
        try:
            time = parse_recent_us(time)
        except TimeError:
            return None
    extensions = head.extensions
    if shape.own:
        extensions = dict(extensions)
        for own in shape.own:
            value = event[own]
            if type(value) is not str:
                return None
            extensions[own] = value
    return head, name, time, subject, extensions, shape.has_data


def envelope_of(known: Known, event: dict[str, Any], raw: bytes, content_type: str) -> Envelope:
    """The envelope of an event that was found."""
    head, name, occurred_us, subject, extensions, has_data = known
    return Envelope(
        raw, content_type, name, head.type, head.source, occurred_us, subject, head.dataschema,
        head.datacontenttype, extensions, has_data, event.get("data"), None, None, (), head,
    )  # fmt: skip


def learn(event: dict[str, Any], envelope: Envelope) -> None:
    """Remember the head of an event that passed the full reading, when it can have one, and say so
    in the envelope."""
    names = tuple(event)
    fixed = tuple(name for name in names if name not in _VARIABLE)
    if not set(fixed) <= set(_FIXED) or any(
        not isinstance(event[name], str | None) for name in fixed
    ):
        return
    own = tuple(name for name in names if name in _VARIABLE and name not in _ENVELOPE)
    shape = _memory.shapes.get(names) or _Shape(itemgetter(*fixed), own, "data" in event, {})
    envelope.head = Head(
        envelope.type,
        envelope.source,
        envelope.dataschema,
        envelope.datacontenttype,
        {name: value for name, value in envelope.extensions.items() if name not in own},
    )
    _memory.put(names, shape, shape.pick(event), envelope.head)
