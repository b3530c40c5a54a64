"""Files and bodies of any known format: parse within bounds, and tell which format it is."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from catalog.exchange.documents import OutsideStream, Unreadable


class Format(StrEnum):
    """What a document is."""

    ASYNCAPI = "asyncapi"
    ODCS = "odcs"
    SEGMENT = "segment"
    PORTAL = "portal"
    JSON_SCHEMA = "json_schema"


@dataclass(frozen=True, slots=True)
class Loaded:
    """The documents of a text, parsed: JSON has one, YAML one or more."""

    documents: tuple[Any, ...]


def load(raw: bytes, *, name: str) -> Loaded | Unreadable:
    """Parse a JSON or YAML text; `name` (a file's) says which, else the text itself.

    Bounds: 5 MiB, 200 levels, 200,000 values once aliases are expanded; a key twice is refused.
    """
    raise NotImplementedError


def format_of(document: Any) -> Format | None:
    """Which format a parsed document is of; None when it is none that is known."""
    raise NotImplementedError


def read_document(document: Mapping[str, Any], *, where: str) -> list[OutsideStream | Unreadable]:
    """The streams of one parsed document of any format, `Unreadable`s for what is not one."""
    raise NotImplementedError


def read_bytes(
    raw: bytes, *, name: str, format_: Format | None = None
) -> list[OutsideStream | Unreadable]:
    """The streams of a text of any format: the door for uploads and for `import`.

    `format_` says what it must be; None sniffs. A portal YAML gives its streams alone.
    """
    raise NotImplementedError


def dump_yaml(document: Any) -> str:
    """A document as YAML that `load` reads as the same: block style, keys in order, UTF-8."""
    raise NotImplementedError


def dump_json(document: Any) -> bytes:
    """A document as JSON, indented by two, keys in order."""
    raise NotImplementedError


def unreadable_of(found: Sequence[OutsideStream | Unreadable]) -> list[Unreadable]:
    """The faults alone."""
    return [one for one in found if isinstance(one, Unreadable)]
