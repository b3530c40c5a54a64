"""Fields with a life of their own: `x-retention`, shorter than their stream's.

The walk is that of `catalog.classified`: whatever subschema applies to a value may give it a life, and
the shortest counts. A value whose life is over is taken out; where its contract truncates it
(`x-privacy: truncate`) it is made coarser instead, when that can be done.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import ip_address, ip_network
from typing import Any, Final

import orjson

from catalog.applying import Gatherer, Schema, nodes_of, of_item, of_property

_DURATION: Final = re.compile(
    r"P(?:([0-9]{1,4})Y)?(?:([0-9]{1,4})M)?(?:([0-9]{1,4})W)?(?:([0-9]{1,5})D)?"
)
_DAYS: Final = (365, 30, 7, 1)
_MONTH: Final = re.compile(r"([0-9]{4}-[0-9]{2})-[0-9]{2}([Tt ].*)?")
_PREFIX: Final = {4: 16, 6: 32}


@dataclass(frozen=True, slots=True)
class Change:
    """One value to take out (`value` None) or to replace by JSON text; `path` leads to it."""

    path: tuple[str, ...]
    value: str | None


def days_of(said: object) -> int | None:
    """The whole days of an `x-retention`: days as a number, or an ISO 8601 duration of days and more.

    A month counts 30 days, a year 365. None for what is neither.
    """
    if isinstance(said, bool):
        return None
    if isinstance(said, int):
        return said if said > 0 else None
    found = _DURATION.fullmatch(said) if isinstance(said, str) else None
    if found is None:
        return None
    days = sum(int(text) * unit for text, unit in zip(found.groups(), _DAYS, strict=True) if text)
    return days or None


def lives_in(document: object) -> set[int]:
    """The lives, in days, that fields of a contract have."""
    found = (days_of(node.get("x-retention")) for node in nodes_of(document))
    return {days for days in found if days is not None}


def unreadable_in(document: object) -> list[str]:
    """What stands as `x-retention` in a contract and is no number of days."""
    said = [node["x-retention"] for node in nodes_of(document) if "x-retention" in node]
    return [str(one)[:60] for one in said if days_of(one) is None]


def over(documents: Sequence[object], data: Any, age_days: int) -> list[Change]:
    """What of an event of that age has to change."""
    top = [(document, document) for document in documents if isinstance(document, Mapping)]
    return list(_changes(Gatherer(), top, data, (), age_days, in_list=False))


def _changes(
    gatherer: Gatherer,
    schemas: list[tuple[Schema, Schema]],
    value: Any,
    path: tuple[str, ...],
    age_days: int,
    *,
    in_list: bool,
) -> Iterator[Change]:
    applying = gatherer.gather(schemas)
    said = (days_of(schema.get("x-retention")) for schema, _ in applying)
    if path and any(days is not None and days <= age_days for days in said):
        change = _change(applying, value, path, in_list=in_list)
        if change is not None:
            yield change
        return
    if isinstance(value, dict):
        for key, item in value.items():
            inner = list(of_property(applying, key))
            if inner:
                yield from _changes(gatherer, inner, item, (*path, key), age_days, in_list=False)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            inner = list(of_item(applying, index))
            if inner:
                step = (*path, str(index))
                yield from _changes(gatherer, inner, item, step, age_days, in_list=True)


def _change(
    applying: Sequence[tuple[Schema, Schema]], value: Any, path: tuple[str, ...], *, in_list: bool
) -> Change | None:
    if any(schema.get("x-privacy") == "truncate" for schema, _ in applying):
        coarse = truncated(value)
        if coarse is not None:
            return None if coarse == value else Change(path, orjson.dumps(coarse).decode())
    if in_list:  # the places of its neighbours stay
        return None if value is None else Change(path, "null")
    return Change(path, None)


def truncated(value: Any) -> Any:
    """A coarser value: a date its month, an address its network, a number one digit. None for others.

    Truncating again changes nothing.
    """
    if isinstance(value, bool) or value is None:
        return None
    if isinstance(value, int | float):
        return type(value)(f"{value:.0e}") if isinstance(value, float) else _one_digit(value)
    if not isinstance(value, str):
        return None
    month = _MONTH.fullmatch(value)
    if month is not None:
        return f"{month[1]}-01" + ("T00:00:00Z" if month[2] else "")
    try:
        version = ip_address(value).version
    except ValueError:
        return None
    return str(ip_network(f"{value}/{_PREFIX[version]}", strict=False).network_address)


def _one_digit(value: int) -> int:
    unit = int("1".ljust(len(str(abs(value))), "0"))
    return value // unit * unit if value >= 0 else -(-value // unit * unit)
