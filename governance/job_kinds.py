"""What kinds of long work there are: the apps above register here how a step of each is done."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from governance.models import Job


@dataclass(frozen=True, slots=True)
class Step:
    """What one step did: where the next begins, how much is done of how much, and in words."""

    cursor: Mapping[str, Any]
    done: int
    total: int | None = None
    said: str = ""
    is_finished: bool = False


StepOf = Callable[[Job], Step]
_kinds: dict[str, StepOf] = {}


def register(kind: str, step: StepOf) -> None:
    """Say how a step of a kind is done; called once by its app at start-up.

    A step runs in a transaction of its own, which also keeps its cursor: what it writes counts
    exactly once. It takes a second or two, never more: a writing transaction holds back readers.
    It raises a PortalError when the work cannot be done, whose sentence people read.
    """
    _kinds[kind] = step


def forget(kind: str) -> None:
    """Take a kind out again; its jobs wait until it is registered."""
    _kinds.pop(kind, None)


def step_of(kind: str) -> StepOf:
    return _kinds[kind]


def known_kinds() -> list[str]:
    return sorted(_kinds)
