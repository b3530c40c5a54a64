"""Places where two versions are compared, and what was found there."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from catalog.compatibility.joined import Key
from catalog.compatibility.nodes import Node
from catalog.compatibility.types import Direction

BOTH = frozenset(Direction)


class Pair(NamedTuple):
    """What writers of one side may send, and what readers of the other take."""

    left: Key
    right: Key


class Step(NamedTuple):
    """How to come from a value to a part of it: a name or a place, below the left keys there."""

    at: str | int
    above: Mapping[Direction, Pair]


@dataclass(frozen=True, slots=True)
class Place:
    """One place in both versions; `pairs` hold what is compared there in each direction."""

    path: str
    pairs: Mapping[Direction, Pair]
    steps: tuple[Step, ...] = ()

    @property
    def old(self) -> Key:
        """What writers of the old version may send here."""
        return self.pairs[Direction.BACKWARD].left

    @property
    def new(self) -> Key:
        """What writers of the new version may send here."""
        return self.pairs[Direction.FORWARD].left


@dataclass(slots=True)
class Found:
    """A difference before it is put into words; `focus` is the property it is about."""

    place: Place
    change: str
    pointer_old: str | None
    pointer_new: str | None
    breaks: frozenset[Direction] = frozenset()
    words: dict[str, Any] = field(default_factory=dict)
    focus: str | None = None


def pointer_of(node: Node | None, keyword: str = "", name: str = "") -> str | None:
    """The JSON Pointer of a keyword of a node in its document."""
    if node is None:
        return None
    found = node.pointer
    for part in (keyword, name):
        if part:
            found += "/" + part.replace("~", "~0").replace("/", "~1")
    return found
