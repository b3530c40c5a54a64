"""Reading samples that people give: one event, a list of them, one a line, or a JSON Schema.

What cannot be read is said with its line. Types that arrive without being registered give samples
too; the app that keeps them registers its reader here (`offer_discovered`), for it lies above.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from catalog.inference import MAX_SAMPLES
from portal.kernel import strict_json
from portal.kernel.actor import Actor
from portal.kernel.errors import BadRequestError, InvalidError

MAX_BYTES: Final = 5 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Samples:
    """Events to infer from, `total` of them given; or a schema that was given instead."""

    events: Sequence[Any] = ()
    total: int = 0
    schema: dict[str, Any] | None = None


def read_samples(raw: bytes) -> Samples:
    """The samples in a text; at most MAX_SAMPLES are kept. Raises InvalidError with the line."""
    if len(raw) > MAX_BYTES:
        raise _refused("It is larger than 5 MiB. Send fewer events.")
    raw = raw.removeprefix(b"\xef\xbb\xbf")
    if not raw.strip():
        raise _refused("There is nothing in it. Give one event at least.")
    lines = [(number, line) for number, line in enumerate(raw.split(b"\n"), 1) if line.strip()]
    if len(lines) > 1 and _is_json(lines[0][1]):
        return _each_an_event([(number, _decode(line, number)) for number, line in lines])
    found = _decode(raw, 1)
    if isinstance(found, list):
        return _each_an_event(list(zip(_lines_of(raw, found), found, strict=True)))
    if isinstance(found, dict) and isinstance(found.get("$schema"), str):
        return Samples(schema=found)
    return _each_an_event([(lines[0][0], found)])


def _each_an_event(numbered: Sequence[tuple[int, Any]]) -> Samples:
    for number, value in numbered:
        if not isinstance(value, Mapping):
            raise _refused(f"Line {number}: an event is a JSON object, in braces.")
    if not numbered:
        raise _refused("The list is empty. Give one event at least.")
    return Samples([value for _, value in numbered[:MAX_SAMPLES]], len(numbered))


def _is_json(line: bytes) -> bool:
    try:
        strict_json.decode(line)
    except BadRequestError as error:
        return error.code not in ("malformed_json",)
    return True


def _decode(raw: bytes, first_line: int) -> Any:
    try:
        return strict_json.decode(raw)
    except BadRequestError as error:
        raise _refused(where_it_breaks(raw, first_line, error)) from error


def where_it_breaks(raw: bytes, first_line: int, error: BadRequestError) -> str:
    """Where a text stops being JSON: the position that the standard reader names."""
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as fault:
        line = first_line + raw[: fault.start].count(b"\n")
        return f"Line {line}: it is not UTF-8."
    try:
        json.loads(text)
    except json.JSONDecodeError as fault:
        line = first_line + fault.lineno - 1
        return f"Not JSON at line {line}, column {fault.colno}: {fault.msg}."
    except RecursionError:
        return f"Line {first_line}: nested too deeply."
    place = error.errors[0].pointer if error.errors else ""
    return f"From line {first_line}: {error.detail}{f' See {place}.' if place else ''}"


def _lines_of(raw: bytes, found: Sequence[Any]) -> list[int]:
    """The line on which each element of a list begins."""
    numbers, position, line = [], 0, 1
    for element in strict_json.split_array(raw):
        part = bytes(element)
        start = raw.find(part, position)
        line += raw.count(b"\n", position, start)
        numbers.append(line)
        position, line = start + len(part), line + part.count(b"\n")
    return numbers if len(numbers) == len(found) else [1] * len(found)


def _refused(detail: str) -> InvalidError:
    return InvalidError(detail, code="sample_unreadable")


# --- Types that arrive without being registered -------------------------------------------------


@dataclass(frozen=True, slots=True)
class Discovered:
    """Kept events of a type that nobody registered. `may_show` says whether their values may be
    shown to who asked; the shape of them may."""

    type: str
    events: Sequence[Any] = ()
    total: int = 0
    may_show: bool = False


@dataclass(frozen=True, slots=True)
class DiscoveredType:
    """A type that arrives and is not registered, and how many events of it came."""

    type: str
    events: int


Reader = Callable[[Actor, str], Discovered]
Lister = Callable[[Actor], list[DiscoveredType]]


@dataclass(slots=True)
class _Offer:
    read: Reader = lambda actor, kind: Discovered(kind)
    types: Lister = lambda actor: []


_offer = _Offer()


def offer_discovered(read: Reader, types: Lister) -> None:
    """Register who keeps events of unregistered types; called once at start-up by the app above."""
    _offer.read, _offer.types = read, types


def discovered_samples(actor: Actor, kind: str) -> Discovered:
    """Kept events of an unregistered type, as far as the actor may use them."""
    return _offer.read(actor, kind)


def discovered_types(actor: Actor) -> list[DiscoveredType]:
    """Unregistered types the actor may know of; none until an app above offers some."""
    return _offer.types(actor)
