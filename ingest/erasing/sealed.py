"""Encrypted values of many events opened at once, to see who stands in them and to give them in clear."""

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any, Final, NamedTuple

import orjson

from governance.privacy import vault
from governance.privacy.ciphers import PREFIX, DataKey, key_id_of
from governance.whole_values import Names, inner, values_in
from ingest.privacy.treating import place_of

_AT_A_TIME: Final = 1_000  # keys asked for in one statement


class Sealed(NamedTuple):
    """One encrypted value where it stands; it opens at this place only."""

    text: str
    stream_id: int
    pointer: str
    event_id: str


def sealed_in(
    document: Any, *, stream_id: int, event_id: str, pointer: str = ""
) -> Iterator[Sealed]:
    """The encrypted values of a document, by their form."""
    if isinstance(document, dict):
        for name, one in document.items():
            place = f"{pointer}/{name.replace('~', '~0').replace('/', '~1')}"
            yield from sealed_in(one, stream_id=stream_id, event_id=event_id, pointer=place)
    elif isinstance(document, list):
        for number, one in enumerate(document):
            place = f"{pointer}/{number}"
            yield from sealed_in(one, stream_id=stream_id, event_id=event_id, pointer=place)
    elif isinstance(document, str):
        if document.startswith(PREFIX):
            yield Sealed(document, stream_id, pointer, event_id)
        elif PREFIX in document and (within := inner(document)) is not None:
            yield from sealed_in(within, stream_id=stream_id, event_id=event_id, pointer=pointer)


def opened(found: Iterable[Sealed]) -> dict[str, Any]:
    """What encrypted values hold, by their text; those whose key was destroyed are absent.

    Raises UnavailableError when a key-encryption key is not at hand.
    """
    by_key: dict[int, list[Sealed]] = {}
    for one in found:
        key_id = key_id_of(one.text)
        if key_id is not None:
            by_key.setdefault(key_id, []).append(one)
    ids = sorted(by_key)
    clear: dict[str, Any] = {}
    for first in range(0, len(ids), _AT_A_TIME):
        keys = vault.keys_by_id(ids[first : first + _AT_A_TIME])
        for key_id, key in keys.items():
            clear |= _opened_with(key, by_key[key_id])
    return clear


def _opened_with(key: DataKey, found: Iterable[Sealed]) -> dict[str, Any]:
    clear: dict[str, Any] = {}
    for one in found:
        text = key.open(one.text, place_of(one.stream_id, one.pointer, one.event_id))
        if text is not None:
            clear[one.text] = orjson.loads(text)
    return clear


def meant_in(found: Iterable[Sealed], names: Names) -> dict[str, datetime]:
    """Up to when encrypted values are meant that hold somebody who is sought, by their text."""
    meant: dict[str, datetime] = {}
    for text, value in opened(found).items():
        until = names.latest(values_in(value))
        if until is not None:
            meant[text] = until
    return meant
