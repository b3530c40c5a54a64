"""What a stream is outside this portal: the one shape that every format is read into and written from.

A reader of a format gives `OutsideStream`s (or `Unreadable`s), a writer takes them; reading what was
written gives the same again. What a format says and no field here holds goes into `extensions` under
the format's own key, whole, and is written back from there: a round trip loses nothing.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class OutsideVersion:
    """One version: its `label` as the file calls it, the JSON Schema and example payloads."""

    label: str
    document: Any
    examples: tuple[Any, ...] = ()
    note: str = ""
    extensions: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class OutsideStream:
    """A stream as a file names it, its versions in order. `where` says where it was read.

    Facts that the file does not state are empty, and leave what the catalog has as it is. `owner`
    is a team's slug, `producers` and `consumers` are names; words of closed lists (`tier`, `track`,
    `classification`, `compatibility_*`) are as `catalog.types` spells them.
    """

    name: str
    where: str = ""
    title: str = ""
    description: str = ""
    domain: str = ""
    owner: str = ""
    tier: str = ""
    track: str = ""
    classification: str = ""
    compatibility_mode: str = ""
    compatibility_policy: str = ""
    retention_days: int | None = None
    tags: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()
    producers: tuple[str, ...] = ()
    consumers: tuple[str, ...] = ()
    versions: tuple[OutsideVersion, ...] = ()
    extensions: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A line, file or part of one that could not be read, and why."""

    where: str
    why: str


def description_of(document: Any) -> str:
    """The first sentence or two of a schema's own description, else its title."""
    for key in ("description", "title"):
        text = document.get(key) if isinstance(document, dict) else None
        if isinstance(text, str) and text.strip():
            return " ".join(text.split())[:1000]
    return ""


def example_id(stream: str, version: int, place: int) -> str:
    """The id of an example event: made of stream, version and place, so that it is the same again."""
    return f"{stream}:{version}:{place}"[-128:]
