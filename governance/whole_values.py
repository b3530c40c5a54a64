"""Identifiers of erased persons in JSON: found, and taken out while all beside them stays to the digit.

A whole value counts, text or number, and the name of a member. Text that holds JSON itself (a context
that an SDK sent) is looked into. Where a value stood, a member goes with its name, and in an array
there is null.
"""

import json
import re
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any, Final
from urllib.parse import unquote_plus

import orjson

from governance.erasing import Sought, plain_of

_MOST_REMEMBERED: Final = 100_000
_SURE_DIGITS: Final = 18  # a whole number of so many is the same in every reader
_WHOLE: Final = re.compile(r"-?[0-9]+")
_QUOTED: Final = re.compile(r'"([^"]*)"')
_BROADLY: Final = re.compile(r"[\s\"'<>(){}\[\],;&=]+")
_BETWEEN: Final = re.compile(r"[^\w.@+%-]+")
# What is asked of a value and of its pointer: whether it has to go.
IsMeant = Callable[[Any, str], bool]


class _Gone:
    """In place of what was taken out."""


GONE: Final = _Gone()


class Number:
    """A number as it is spelled, where Python would round it."""

    __slots__ = ("text",)

    def __init__(self, text: str) -> None:
        self.text = text


class Names:
    """Who is sought, with what was asked before. One for a step: it remembers values in clear."""

    def __init__(self, sought: Sought) -> None:
        self._sought = sought
        # Where they are known in clear, comparing costs a fifth of hashing, and says the same.
        self._clear: dict[str, datetime | None] | None = None
        if sought.clear is not None:
            self._clear = {plain_of(text): sought.until(text) for text in sought.clear}
        self._known: dict[str, datetime | None] = {}

    def until(self, value: Any) -> datetime | None:
        """As `Sought.until`, of what `read_exact` gave."""
        if isinstance(value, Number):
            value = value.text if _WHOLE.fullmatch(value.text) else None
        if isinstance(value, bool) or not isinstance(value, str | int):
            return None
        text = str(value)
        if text not in self._known:
            if len(self._known) >= _MOST_REMEMBERED:
                self._known.clear()
            self._known[text] = (
                self._sought.until(text) if self._clear is None else self._clear.get(plain_of(text))
            )
        return self._known[text]

    def latest(self, values: Iterator[Any]) -> datetime | None:
        """The latest of the moments of those that are sought; None where nobody is."""
        found = [until for value in values if (until := self.until(value)) is not None]
        return max(found, default=None)


def read_exact(text: str | bytes) -> Any:
    """JSON with its numbers as they are spelled. Raises ValueError for what is none."""
    return json.loads(text, parse_float=Number, parse_int=_int, parse_constant=Number)


def _int(text: str) -> int | Number:
    return int(text) if len(text) <= _SURE_DIGITS else Number(text)


def write_exact(value: Any) -> str:
    """The JSON of what `read_exact` gave, its numbers to the digit."""
    return orjson.dumps(value, default=_spelled).decode()


def _spelled(value: Any) -> orjson.Fragment:
    if not isinstance(value, Number):
        raise TypeError(type(value).__name__)
    return orjson.Fragment(value.text)


def inner(text: str) -> Any:
    """The object or array that a text holds as JSON; None where it holds none."""
    if not text.startswith(("{", "[")):
        return None
    try:
        found = read_exact(text)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict | list) else None


def values_in(document: Any) -> Iterator[Any]:
    """Every value that is no object or array, and every name of a member; within texts too."""
    todo = [document]
    while todo:
        one = todo.pop()
        if isinstance(one, dict):
            yield from one
            todo += one.values()
        elif isinstance(one, list):
            todo += one
        elif isinstance(one, str):
            yield one
            within = inner(one)
            if within is not None:
                todo.append(within)
        elif one is not None:
            yield one


def words_in(text: str) -> Iterator[str]:
    """What may be a whole value in text that is no JSON (any more): what stands between quotes, between
    blanks and brackets, and between all that is no part of an address or a number."""
    yield from _QUOTED.findall(text)
    yield from _BROADLY.split(text)
    for word in _BETWEEN.split(text):
        yield word
        bare = word.strip(".-+%")
        if bare != word:
            yield bare


def words_of_bytes(body: bytes) -> Iterator[str]:
    """As `words_in`, of bytes of any kind; what is coded for an address is decoded too."""
    text = body.decode("utf-8", "replace")
    yield from words_in(text)
    decoded = unquote_plus(text)
    if decoded != text:
        yield from words_in(decoded)


def taken_out(
    value: Any,
    is_meant: IsMeant,
    pointer: str = "",
    *,
    keeps_places: bool = True,
    instead: Any = GONE,
) -> tuple[Any, int]:
    """A copy without what has to go, and how much that was; GONE in place of the whole.

    In arrays there is null then, or, where the places of the others need not stay, nothing. `instead`
    stands where a value was, if others read the document by its shape; a member that is named so goes.
    """
    if isinstance(value, dict):
        return _of_object(value, is_meant, pointer, keeps_places, instead)
    if isinstance(value, list):
        return _of_array(value, is_meant, pointer, keeps_places, instead)
    if value is None:
        return None, 0
    if is_meant(value, pointer):
        return instead, 1
    within = inner(value) if isinstance(value, str) else None
    if within is not None:
        left, count = taken_out(
            within, is_meant, pointer, keeps_places=keeps_places, instead=instead
        )
        if count:
            return write_exact(left), count
    return value, 0


def _of_object(
    value: dict[str, Any], is_meant: IsMeant, pointer: str, keeps_places: bool, instead: Any
) -> tuple[dict[str, Any], int]:
    left: dict[str, Any] = {}
    total = 0
    for name, one in value.items():
        place = f"{pointer}/{name.replace('~', '~0').replace('/', '~1')}"
        made, count = GONE, 1
        if not is_meant(name, place):
            made, count = taken_out(
                one, is_meant, place, keeps_places=keeps_places, instead=instead
            )
        total += count
        if made is not GONE:
            left[name] = made
    return left, total


def _of_array(
    value: list[Any], is_meant: IsMeant, pointer: str, keeps_places: bool, instead: Any
) -> tuple[list[Any], int]:
    left: list[Any] = []
    total = 0
    for number, one in enumerate(value):
        place = f"{pointer}/{number}"
        made, count = taken_out(one, is_meant, place, keeps_places=keeps_places, instead=instead)
        total += count
        if made is not GONE:
            left.append(made)
        elif keeps_places:
            left.append(None)
    return left, total
