"""The facts of a stream as plain values: what extension keys of other formats and our YAML hold."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from catalog.exchange.documents import OutsideStream, OutsideVersion

TEXTS: Final = (
    "title", "description", "domain", "owner", "tier", "track", "classification",
    "compatibility_mode", "compatibility_policy",
)  # fmt: skip
LISTS: Final = ("tags", "aliases", "producers", "consumers")
STREAM_FACTS: Final = (*TEXTS, "retention_days", *LISTS, "extensions")
VERSION_FACTS: Final = ("label", "note", "examples", "extensions")


def is_text(value: object) -> bool:
    return isinstance(value, str)


def is_texts(value: object) -> bool:
    """A list of texts, which may be empty."""
    return isinstance(value, list | tuple) and all(isinstance(one, str) for one in value)


def is_whole(value: object) -> bool:
    """A whole number, 0 or more; a boolean is none."""
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def is_object(value: object) -> bool:
    return isinstance(value, Mapping)


def is_list(value: object) -> bool:
    return isinstance(value, list | tuple)


Rule = tuple[Callable[[object], bool], str]
RULES: Final[dict[str, Rule]] = {
    **dict.fromkeys((*TEXTS, "label", "note"), (is_text, "must be text")),
    **dict.fromkeys(LISTS, (is_texts, "must be a list of texts")),
    "retention_days": (
        lambda value: value is None or is_whole(value),
        "must be a whole number of days",
    ),
    "extensions": (is_object, "must be an object"),
    "examples": (is_list, "must be a list"),
}


def value_of(holder: OutsideStream | OutsideVersion, name: str) -> Any:
    """A fact as JSON holds it."""
    value = getattr(holder, name)
    return list(value) if isinstance(value, tuple) else value


def facts_in(values: Mapping[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    """Those of the named facts that the values state, as the dataclasses hold them.

    Raises ValueError `(name, what it must be)` for a value of another type.
    """
    facts: dict[str, Any] = {}
    for name in names:
        if name not in values:
            continue
        value = values[name]
        is_right, must = RULES[name]
        if not is_right(value):
            raise ValueError(name, must)
        facts[name] = tuple(value) if isinstance(value, list) else value
    return facts
