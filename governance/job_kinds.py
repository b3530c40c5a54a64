"""What kinds of long work there are: the apps above register here how a step of each is done."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from governance.models import Job


@dataclass(frozen=True, slots=True)
class Step:
    """What one step did: where the next begins, how much is done of how much, and in words.

    With `rest_seconds` the work gives its worker back, and goes on after so long at the earliest,
    behind what has waited longer; without, the next step follows at once.
    """

    cursor: Mapping[str, Any]
    done: int
    total: int | None = None
    said: str = ""
    is_finished: bool = False
    rest_seconds: float | None = None


StepOf = Callable[[Job], Step]
_kinds: dict[str, StepOf] = {}


@dataclass(frozen=True, slots=True)
class Face:
    """How pages speak of a kind: its name, and where what it is about (or made) is looked at.

    `address` holds `{key}`, the key of the thing; empty where the thing has no page.
    """

    name: str
    address: str = ""


_faces: dict[str, Face] = {}


def register(kind: str, step: StepOf, *, face: Face | None = None) -> None:
    """Say how a step of a kind is done, and how pages speak of it; called once by its app at
    start-up.

    A step runs in a transaction of its own, which also keeps its cursor: what it writes counts
    exactly once. It takes a second or two, never more: a writing transaction holds back readers.
    It raises a PortalError when the work cannot be done, whose sentence people read.
    """
    _kinds[kind] = step
    if face is not None:
        _faces[kind] = face


def forget(kind: str) -> None:
    """Take a kind out again; its jobs wait until it is registered."""
    _kinds.pop(kind, None)


def step_of(kind: str) -> StepOf:
    """How a step of a kind is done. Raises KeyError for one that is not registered."""
    return _kinds[kind]


def name_of(kind: str) -> str:
    """A kind in words; its code where nobody said any."""
    return _faces[kind].name if kind in _faces else kind


def address_of(job: Job) -> str:
    """Where what the work is about is looked at; empty where it has no page."""
    face = _faces.get(job.kind)
    return face.address.format(key=quote(job.object_key, safe="")) if face else ""


def known_kinds() -> list[str]:
    """The registered kinds, sorted; jobs of others wait."""
    return sorted(_kinds)
