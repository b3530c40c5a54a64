"""What the fields of a stream mean, for people who read what was kept about them.

Contracts stand in an app above, which says here at start-up how they are looked up.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class FieldFacts:
    """What a contract says of a field; empty where it says nothing."""

    description: str
    classification: str


# A stream's name to the facts by path: dotted below the data, `[]` for items; `subject` itself.
Describe = Callable[[str], Mapping[str, FieldFacts]]
_described_by: list[Describe] = []


def describe_by(describe: Describe) -> None:
    """Say how a stream's fields are described; called once by its app at start-up."""
    _described_by[:] = [describe]


def facts_of(stream: str) -> Mapping[str, FieldFacts]:
    """What the contract of a stream says of its fields; nothing of a stream that is not known."""
    return _described_by[0](stream) if _described_by else {}


def facts_in(stream: str, event: Mapping[str, Any]) -> dict[str, dict[str, str]]:
    """The facts of those fields that an event (its `data`, its `subject`) holds."""
    held = {*_paths(event.get("data"), ""), *(["subject"] if event.get("subject") else [])}
    return {
        path: {"description": one.description, "classification": one.classification}
        for path, one in facts_of(stream).items()
        if path in held
    }


def _paths(value: Any, path: str) -> set[str]:
    if isinstance(value, dict):
        below = [(f"{path}.{name}" if path else name, one) for name, one in value.items()]
    elif isinstance(value, list):
        below = [(f"{path}[]", one) for one in value]
    else:
        return set()
    found = {where for where, _ in below}
    for where, one in below:
        found |= _paths(one, where)
    return found
