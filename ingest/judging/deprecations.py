"""What is on its way out: fields of a contract, and what producers are told of it.

A contract's deprecated fields become a plan once, when it is compiled; an event then pays for a look
into the objects that have such fields, and nothing where there are none. A field ends at the start
of the day (UTC) that its `x-sunset` names, unless an approved extension says later. One that its
contract requires is counted and never ends: an event could neither carry nor leave it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from email.utils import format_datetime
from typing import Any, Final

from catalog.field_index import FieldRow, fields_of
from ingest.times import moment_of, us_of
from portal.kernel.errors import FieldError
from portal.kernel.strict_json import pointer_part

FIELD: Final = "field"
VERSION: Final = "version"
# The kind and name under which a use is counted.
Use = tuple[str, str]


def start_of(day: date) -> int:
    """Microseconds since 1970 at which a day begins in UTC."""
    return us_of(datetime(day.year, day.month, day.day, tzinfo=UTC))


@dataclass(frozen=True, slots=True)
class _Field:
    path: str
    use: Use
    ends_us: int | None
    steps: tuple[str | None, ...]  # None stands for each item of an array


@dataclass(slots=True)
class _Place:
    marks: dict[str, int] = field(default_factory=dict)
    children: dict[str, "_Place"] = field(default_factory=dict)
    items: "_Place | None" = None


class DeprecatedFields:
    """The deprecated fields of a contract, compiled."""

    __slots__ = ("_fields", "_first_end_us", "_root")

    def __init__(self, fields: list[_Field], root: _Place) -> None:
        self._fields = fields
        self._root = root
        ends = [one.ends_us for one in fields if one.ends_us is not None]
        self._first_end_us: int | None = min(ends, default=None)

    def carried(self, data: Any) -> set[int]:
        """The numbers of those that the data carries, null values too."""
        found: set[int] = set()
        _look(data, self._root, found)
        return found

    def uses(self, carried: set[int]) -> tuple[Use, ...]:
        """What the fields that `carried` found are counted under."""
        return tuple(self._fields[number].use for number in carried)

    def ended(
        self, data: Any, carried: set[int], now_us: int, extended: Mapping[str, int]
    ) -> tuple[FieldError, ...]:
        """Where the data carries a field whose day has come."""
        if self._first_end_us is None or now_us < self._first_end_us:
            return ()
        found = []
        for one in (self._fields[number] for number in sorted(carried)):
            if one.ends_us is None:
                continue
            end_us = max(one.ends_us, extended.get(one.path, one.ends_us))
            if now_us >= end_us:
                detail = f"is a field that ended on {moment_of(end_us).date()}; leave it out"
                place = f"/data{_pointer(data, one.steps)}"
                found.append(FieldError(place, "field_retired", detail))
        return tuple(found)


def plan_of(document: Any) -> DeprecatedFields | None:
    """The plan of a contract; None when it has no deprecated field."""
    fields: list[_Field] = []
    root = _Place()
    ways: list[tuple[str, tuple[str | None, ...]]] = []  # path and steps of the parents, by depth
    for row in fields_of(document):
        del ways[row.depth :]
        steps = _steps(row, ways[-1] if ways else None)
        if not steps:  # of two fields with one path the index knows the first only
            continue
        ways.append((row.path, steps))
        if row.deprecated:
            ends = row.sunset_on is not None and not row.required
            fields.append(
                _Field(
                    row.path,
                    (FIELD, row.path),
                    start_of(row.sunset_on) if ends and row.sunset_on else None,
                    steps,
                )
            )
            _mark(root, steps, len(fields) - 1)
    return DeprecatedFields(fields, root) if fields else None


def _steps(
    row: FieldRow, parent: tuple[str, tuple[str | None, ...]] | None
) -> tuple[str | None, ...]:
    """The way to a field; names may hold dots, so it is not read out of the path."""
    if parent is None:
        return (row.name,) if row.depth == 0 else ()
    path, steps = parent
    if row.path == f"{path}[].{row.name}":
        return (*steps, None, row.name)
    return (*steps, row.name) if row.path == f"{path}.{row.name}" else ()


def _mark(root: _Place, steps: tuple[str | None, ...], number: int) -> None:
    place = root
    *before, last = steps
    for step in before:
        if step is None:
            place.items = place.items or _Place()
            place = place.items
        else:
            place = place.children.setdefault(step, _Place())
    assert last is not None  # a field has a name
    place.marks[last] = number


def _look(value: Any, place: _Place, found: set[int]) -> None:
    if isinstance(value, dict):
        for name, number in place.marks.items():
            if name in value:
                found.add(number)
        for name, child in place.children.items():
            if name in value:
                _look(value[name], child, found)
    elif place.items is not None and isinstance(value, list):
        for item in value:
            _look(item, place.items, found)


def _pointer(value: Any, steps: tuple[str | None, ...]) -> str:
    """Where the data carries the field first; the field is known to be there."""
    if not steps:
        return ""
    step, rest = steps[0], steps[1:]
    if step is not None:
        return f"/{pointer_part(step)}{_pointer(value[step], rest)}"
    for index, item in enumerate(value):
        if _carries(item, rest):
            return f"/{index}{_pointer(item, rest)}"
    return ""


def _carries(value: Any, steps: tuple[str | None, ...]) -> bool:
    if not steps:
        return True
    step, rest = steps[0], steps[1:]
    if step is None:
        return isinstance(value, list) and any(_carries(item, rest) for item in value)
    return isinstance(value, dict) and step in value and _carries(value[step], rest)


@dataclass(frozen=True, slots=True)
class Ending:
    """Since when something is deprecated and when it ends, in microseconds; whose it is."""

    deprecated_us: int
    sunset_us: int | None
    stream: str

    def sooner(self, other: "Ending | None") -> "Ending":
        """Of two, what the answer to both has to say: the one that ends first."""
        if other is None or _end(self) <= _end(other):
            return self
        return other

    def headers(self, base_url: str) -> dict[str, str]:
        """`Deprecation` (RFC 9745), `Sunset` (RFC 8594) and where it is explained."""
        said = {
            "Deprecation": f"@{self.deprecated_us // 1_000_000}",
            "Link": f'<{base_url}/streams/{self.stream}/versions/>; rel="deprecation"; '
            'type="text/html"',
        }
        if self.sunset_us is not None:
            said["Sunset"] = format_datetime(moment_of(self.sunset_us), usegmt=True)
        return said


def _end(ending: Ending) -> tuple[bool, int, int]:
    return (ending.sunset_us is None, ending.sunset_us or 0, ending.deprecated_us)
