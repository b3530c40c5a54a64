"""Taking whole values that are somebody's identifiers out of JSON."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from governance.erasing import Sought


def without(
    value: Any, sought: Sought, moment: datetime, *, instead: str | None = None
) -> tuple[Any, int]:
    """The JSON value without what names somebody who was erased at `moment` or later, and how many
    values that took: members of objects are left out, entries of arrays become null. Where shapes
    matter, `instead` takes their place.
    """
    if isinstance(value, Mapping):
        return _object(value, sought, moment, instead)
    if isinstance(value, list):
        kept: list[Any] = []
        taken = 0
        for item in value:
            if is_meant(item, sought, moment):
                left, n = instead, 1
            else:
                left, n = without(item, sought, moment, instead=instead)
            kept.append(left)
            taken += n
        return kept, taken
    return value, 0


def _object(
    value: Mapping[str, Any], sought: Sought, moment: datetime, instead: str | None
) -> tuple[Any, int]:
    kept: dict[str, Any] = {}
    taken = 0
    for name, item in value.items():
        if is_meant(name, sought, moment):
            taken += 1
        elif is_meant(item, sought, moment):
            taken += 1
            if instead is not None:
                kept[name] = instead
        else:
            kept[name], n = without(item, sought, moment, instead=instead)
            taken += n
    return kept, taken


def is_meant(value: object, sought: Sought, moment: datetime) -> bool:
    """Whether it is the identifier of somebody who was erased at this moment or later."""
    until = sought.until(value)
    return until is not None and moment <= until


def names(value: Any, sought: Sought) -> Iterator[str]:
    """Where in a JSON value somebody who is sought is named, as JSON Pointers."""
    if isinstance(value, Mapping):
        for name, item in value.items():
            if sought.until(name) is not None:
                yield f"/{name}"
            yield from (f"/{name}{rest}" for rest in names(item, sought))
    elif isinstance(value, list):
        for place, item in enumerate(value):
            yield from (f"/{place}{rest}" for rest in names(item, sought))
    elif sought.until(value) is not None:
        yield ""
