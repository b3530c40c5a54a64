"""What the compatibility engine is asked and what it answers."""

from dataclasses import dataclass
from enum import IntEnum, StrEnum
from typing import Any


class Mode(StrEnum):
    """Confluent's seven levels."""

    NONE = "NONE"
    BACKWARD = "BACKWARD"
    BACKWARD_TRANSITIVE = "BACKWARD_TRANSITIVE"
    FORWARD = "FORWARD"
    FORWARD_TRANSITIVE = "FORWARD_TRANSITIVE"
    FULL = "FULL"
    FULL_TRANSITIVE = "FULL_TRANSITIVE"

    @property
    def is_transitive(self) -> bool:
        """Whether all earlier versions count, and not the newest of them alone."""
        return self.value.endswith("_TRANSITIVE")

    @property
    def directions(self) -> tuple["Direction", ...]:
        """What the mode asks for; nothing under NONE."""
        level = self.value.removesuffix("_TRANSITIVE")
        return tuple(one for one in Direction if level in ("FULL", one.value.upper()))


class Policy(StrEnum):
    """How content models are taken: as written; with properties let pass that come to an open
    one or leave a closed one; or closed for writers and open for readers."""

    STRICT = "strict"
    LENIENT = "lenient"
    READER_WRITER = "reader_writer"


class Direction(StrEnum):
    BACKWARD = "backward"  # a new reader reads old data
    FORWARD = "forward"  # an old reader reads new data


class Outcome(IntEnum):
    """What could be shown of "each document of the left is one of the right"; minimum is "and"."""

    NO = 0
    UNKNOWN = 1
    YES = 2


@dataclass(frozen=True, slots=True)
class Difference:
    """One change between an earlier version and the candidate.

    `change` is a stable code (changes.py); `breaks` names the directions it breaks, whatever the
    mode; `example` is a document valid on one side and invalid on the other, checked, or None;
    `version` is the place of the earlier version in the question, counted from 0.
    """

    path: str
    pointer_old: str | None
    pointer_new: str | None
    change: str
    breaks: tuple[Direction, ...]
    detail: str
    example: Any
    remedy: str
    version: int

    def as_dict(self) -> dict[str, Any]:
        return {
            "path": self.path,
            "pointer_old": self.pointer_old,
            "pointer_new": self.pointer_new,
            "change": self.change,
            "breaks": [str(one) for one in self.breaks],
            "detail": self.detail,
            "example": self.example,
            "remedy": self.remedy,
            "version": self.version,
        }


@dataclass(frozen=True, slots=True)
class Verdict:
    """`undecided`: the work was capped or a rule could not be shown; counted as a break."""

    compatible: bool
    undecided: bool
    differences: tuple[Difference, ...]
    notes: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        return {
            "compatible": self.compatible,
            "undecided": self.undecided,
            "differences": [one.as_dict() for one in self.differences],
            "notes": list(self.notes),
        }
