"""What bringing streams in does, or would do: one record that a plan, a report and a page are made of.

    + stream shop.order_placed                 a new stream
    ~ stream shop.refund_issued                a known one that changes
        description: Old. → New.
        + version 2 (1.1.0)
    = stream shop.basket_closed                nothing to do
    ! stream shop.order_paid                   refused, with why

A plan is the record of work that was done and rolled back, so it cannot promise anything else.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any, Final

from catalog.compatibility.types import Difference, Direction

LONGEST_VALUE: Final = 80


class Action(StrEnum):
    CREATE = "create"
    CHANGE = "change"
    UNCHANGED = "unchanged"
    REFUSED = "refused"


class Step(StrEnum):
    """What became of one version: added and active, there already, or proposed for approval."""

    ADD = "add"
    KNOWN = "known"
    PROPOSE = "propose"


MARKS: Final = {
    Action.CREATE: "+",
    Action.CHANGE: "~",
    Action.UNCHANGED: "=",
    Action.REFUSED: "!",
}


@dataclass(frozen=True, slots=True)
class FieldChange:
    """One fact that changes; `old` is None where there was nothing."""

    name: str
    old: Any
    new: Any

    def line(self) -> str:
        """`title: (none) → Orders`, each value 80 characters at most."""
        return f"{self.name}: {_shown(self.old)} → {_shown(self.new)}"


@dataclass(frozen=True, slots=True)
class Breaking:
    """A difference that breaks what the stream's mode asks for, as the engine says it."""

    path: str
    change: str
    detail: str
    remedy: str = ""


@dataclass(frozen=True, slots=True)
class VersionPlan:
    """One version of a file. `opens_group`: it breaks the ones before and starts a new group."""

    version: int
    label: str
    step: Step
    opens_group: bool = False
    breaking: tuple[Breaking, ...] = ()

    def line(self) -> str:
        """`+ version 2 (1.1.0)`; a label that only repeats the number is left out."""
        label = f" ({self.label})" if self.label and self.label != str(self.version) else ""
        said = {
            Step.ADD: "+ version",
            Step.PROPOSE: "+ proposal of version",
            Step.KNOWN: "= version",
        }[self.step]
        group = ", opens a compatibility group" if self.opens_group else ""
        return f"{said} {self.version}{label}{group}"


@dataclass(frozen=True, slots=True)
class StreamPlan:
    """One stream (or another `kind` of thing) of a file: its name here and there, what changes, what
    was refused and why."""

    name: str
    original: str
    where: str
    action: Action
    kind: str = "stream"
    changes: tuple[FieldChange, ...] = ()
    versions: tuple[VersionPlan, ...] = ()
    notes: tuple[str, ...] = ()
    refused: str = ""
    breaking: tuple[Breaking, ...] = ()

    @property
    def mark(self) -> str:
        return MARKS[self.action]

    @property
    def said(self) -> str:
        """The plan's head in words, beside the mark."""
        name = self.name or self.original or self.where
        return f"{name} (from {self.original})" if self.name not in ("", self.original) else name

    @property
    def why(self) -> str:
        """Why it was refused, with what breaks, in one line."""
        return " ".join([self.refused, *(one.detail for one in self.breaking)])

    @property
    def new_versions(self) -> tuple[VersionPlan, ...]:
        """Those that are added or proposed, without what is there already."""
        return tuple(one for one in self.versions if one.step is not Step.KNOWN)

    def lines(self) -> Iterator[str]:
        """The plan of this stream, one line a change, ready to be read."""
        where = f"  [{self.where}]" if self.action is Action.REFUSED and self.where else ""
        yield f"{self.mark} {self.kind} {self.said}{where}"
        if self.refused:
            yield f"    {self.refused}"
        yield from (f"    breaks: {one.detail}" for one in self.breaking)
        yield from (f"    {change.line()}" for change in self.changes)
        for version in self.new_versions:
            yield f"    {version.line()}"
            yield from (f"        breaks: {one.detail}" for one in version.breaking)
        yield from (f"    note: {note}" for note in self.notes)

    def as_dict(self) -> dict[str, Any]:
        return asdict(self) | {"action": str(self.action)}


@dataclass(frozen=True, slots=True)
class Plan:
    """All streams of an input in its order. `is_applied`: it was done, not only tried."""

    streams: tuple[StreamPlan, ...]
    is_applied: bool = False

    def count(self, action: Action) -> int:
        return sum(one.action is action for one in self.streams)

    @property
    def refused(self) -> tuple[StreamPlan, ...]:
        return tuple(one for one in self.streams if one.action is Action.REFUSED)

    @property
    def has_work(self) -> bool:
        """Whether anything is made or changed."""
        return any(one.action in (Action.CREATE, Action.CHANGE) for one in self.streams)

    @property
    def new_versions(self) -> int:
        """How many versions are added or proposed, over all streams."""
        return sum(len(one.new_versions) for one in self.streams)

    @property
    def known_versions(self) -> int:
        """How many versions are there already, over all streams."""
        return sum(len(one.versions) - len(one.new_versions) for one in self.streams)

    def summary(self) -> str:
        """`Plan: 3 to add, 1 to change, 0 to remove.`; nothing is ever removed."""
        added, changed = self.count(Action.CREATE), self.count(Action.CHANGE)
        refused = f", {len(self.refused)} refused" if self.refused else ""
        if self.is_applied:
            return f"Applied: {added} added, {changed} changed, 0 removed{refused}."
        return f"Plan: {added} to add, {changed} to change, 0 to remove{refused}."

    def lines(self) -> Iterator[str]:
        for one in self.streams:
            yield from one.lines()

    def as_dict(self) -> dict[str, Any]:
        """As JSON, with counts of entries and of versions; `remove` is always 0."""
        return {
            "applied": self.is_applied,
            "add": self.count(Action.CREATE),
            "change": self.count(Action.CHANGE),
            "remove": 0,
            "unchanged": self.count(Action.UNCHANGED),
            "refused": len(self.refused),
            "versions_new": self.new_versions,
            "versions_known": self.known_versions,
            "streams": [one.as_dict() for one in self.streams],
        }


def breaking_of(
    differences: Sequence[Difference], asked: Sequence[Direction]
) -> tuple[Breaking, ...]:
    """The differences that break a direction that is asked for, each sentence once."""
    found: dict[tuple[str, str], Breaking] = {}
    for one in differences:
        if not set(asked).isdisjoint(one.breaks):
            found.setdefault(
                (one.path, one.detail), Breaking(one.path, one.change, one.detail, one.remedy)
            )
    return tuple(found.values())


def _shown(value: Any) -> str:
    if value is None or value == "":
        return "(none)"
    said = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    said = " ".join(said.split())
    return said if len(said) <= LONGEST_VALUE else f"{said[: LONGEST_VALUE - 1]}…"
