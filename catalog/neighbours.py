"""The catalog around a contract, as values: what its fields are called and typed elsewhere.

Names mean the same when their words do: abbreviations written out, plurals made singular, in any
order (`cust_id`, `id_customer`); or when they differ by a slip of the pen (rapidfuzz, a ratio of
NEAR or more). Numbers inside names must agree: `line1` is not `line2`.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final

from rapidfuzz import fuzz, process

from catalog.style_words import ABBREVIATIONS

NEAR: Final = 92
NEAR_STREAM: Final = 90
SHARED: Final = 0.7
LEAST_SHARED: Final = 4
MAX_LOOKED_UP: Final = 300
_DIGITS: Final = re.compile(r"[0-9]+")


@dataclass(frozen=True, slots=True)
class FieldUse:
    """How other streams use a name: the usual type, how many streams, one of them, its meaning."""

    kind: str
    streams: int
    example: str
    meaning: str = ""


@dataclass(frozen=True)
class Neighbours:
    """Fields by name and streams with the names of their fields at the top. Empty: nothing known."""

    fields: Mapping[str, FieldUse] = field(default_factory=dict)
    streams: Mapping[str, frozenset[str]] = field(default_factory=dict)
    looked_up: set[str] = field(default_factory=set)

    @cached_property
    def _by_meaning(self) -> dict[frozenset[str], str]:
        """The name that most streams use for a set of words."""
        found: dict[frozenset[str], str] = {}
        for name, use in self.fields.items():
            words = meaning_of(name)
            if words not in found or use.streams > self.fields[found[words]].streams:
                found[words] = name
        return found

    def meaning(self, name: str) -> tuple[str, str] | None:
        """A stream that says what a field of this name means, and its words; None without one."""
        use = self.fields.get(name)
        return (use.example, use.meaning) if use is not None and use.meaning else None

    def like(self, name: str, types: tuple[str, ...]) -> str | None:
        """Another name that more streams use for the same thing of the same type; None mostly."""
        here = self.fields.get(name)
        if not self.fields or (here is not None and here.streams >= 2):
            return None
        other = self._by_meaning.get(meaning_of(name))
        if (other is None or other == name) and len(self.looked_up) < MAX_LOOKED_UP:
            self.looked_up.add(name)
            near = process.extractOne(
                name, self.fields.keys(), scorer=fuzz.ratio, score_cutoff=NEAR,
                processor=None,
            )  # fmt: skip
            other = near[0] if near is not None else None
        if other is None or other == name or _DIGITS.findall(other) != _DIGITS.findall(name):
            return None
        use = self.fields[other]
        same = use.kind in types and use.streams >= 2
        return other if same and use.streams > (here.streams if here else 0) else None

    def most_similar(self, name: str, names: frozenset[str]) -> tuple[str, int, int] | None:
        """The stream most like this one: its name, fields shared, fields of ours. By name alone
        the fields are 0."""
        best: tuple[float, str, int] | None = None
        for other, theirs in self.streams.items():
            shared = len(names & theirs)
            if other == name or shared < LEAST_SHARED:
                continue
            share = shared / max(len(names | theirs), 1)
            if share >= SHARED and (best is None or share > best[0]):
                best = (share, other, shared)
        if best is not None:
            return best[1], best[2], len(names)
        others = [other for other in self.streams if other != name]
        near = (
            process.extractOne(name, others, scorer=fuzz.ratio, score_cutoff=NEAR_STREAM)
            if (name)
            else None
        )
        if near is None or _DIGITS.findall(near[0]) != _DIGITS.findall(name):
            return None
        return near[0], 0, len(names)


def meaning_of(name: str) -> frozenset[str]:
    """The words of a name in the house's spelling, without order and number."""
    words = (ABBREVIATIONS.get(word, word) for word in name.lower().split("_") if word)
    return frozenset(_singular(word) for word in words)


def _singular(word: str) -> str:
    if len(word) > 3 and word.endswith("ies"):
        return f"{word[:-3]}y"
    return word[:-1] if len(word) > 3 and word.endswith("s") and not word.endswith("ss") else word
