"""What a check says: one finding, and what to do about it."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from enum import StrEnum


class State(StrEnum):
    """`unmeasured`: nothing can be said, and why stands in the finding."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"
    UNMEASURED = "unmeasured"


@dataclass(frozen=True, slots=True)
class Finding:
    """What was seen, without any secret, and the way out where there is something to do."""

    state: State
    found: str
    todo: str = ""


@dataclass(frozen=True, slots=True)
class Check:
    """A check by its name. `asks` names what must answer first: `database`, `redis` or nothing; one
    with `runs` looks at what only a running portal has."""

    name: str
    look: Callable[[], Finding]
    asks: str = ""
    runs: bool = False


@dataclass(frozen=True, slots=True)
class Checked:
    """A check with what it found, as it is told."""

    name: str
    state: State
    found: str
    todo: str

    def as_dict(self) -> dict[str, str]:
        return {name: str(value) for name, value in asdict(self).items()}


def ok(found: str) -> Finding:
    return Finding(State.OK, found)


def warn(found: str, todo: str) -> Finding:
    return Finding(State.WARN, found, todo)


def fail(found: str, todo: str) -> Finding:
    return Finding(State.FAIL, found, todo)


def unmeasured(found: str) -> Finding:
    return Finding(State.UNMEASURED, found)
