"""Who depends on a stream's fields beyond the catalog: the apps above say so here at start-up.

Until somebody registers for a kind, a report says of it "not measured yet".
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Protocol

from catalog.models import Producer, Stream
from portal.kernel.actor import Actor


@dataclass(frozen=True, slots=True)
class Dependent:
    """A thing that reads fields of a stream. `is_running` where stopping it would hurt now."""

    key: str
    title: str
    url: str
    fields: tuple[str, ...]
    is_running: bool = False


DependentsOf = Callable[[Stream], Sequence[Dependent]]
KINDS: Final = ("rollup", "funnel", "metric", "experiment")
_dependents: dict[str, DependentsOf] = {}


def register_dependents(kind: str, of: DependentsOf) -> None:
    """Say who knows what depends on a stream; `kind` is one of KINDS, the last word counts."""
    assert kind in KINDS
    _dependents[kind] = of


def dependents_of(stream: Stream) -> dict[str, list[Dependent] | None]:
    """By kind what depends on a stream; None where nobody measures it."""
    return {
        kind: list(_dependents[kind](stream)) if kind in _dependents else None for kind in KINDS
    }


@dataclass(frozen=True, slots=True)
class ReplayStep:
    """What one step of a replay found. `tally` is the whole of its phase so far."""

    cursor: Mapping[str, Any]
    tally: Mapping[str, Any]
    done: int
    total: int
    is_finished: bool


class Replayer(Protocol):
    """Validates stored events of a stream against a candidate, a step at a time."""

    def __call__(
        self,
        stream: Stream,
        document: Mapping[str, Any],
        *,
        cursor: Mapping[str, Any],
        tally: Mapping[str, Any],
        budget_seconds: float,
    ) -> ReplayStep: ...


_replayers: list[Replayer] = []


def register_replayer(replayer: Replayer) -> None:
    """Say how stored events are replayed; the log lies above the catalog."""
    _replayers[:] = [replayer]


def replayer() -> Replayer | None:
    """What replays stored events; None until somebody says how."""
    return _replayers[0] if _replayers else None


class Sampler(Protocol):
    """Validates a bounded sample of the stored events of a stream against a candidate, at once."""

    def __call__(
        self, stream: Stream, document: Mapping[str, Any], *, budget_seconds: float
    ) -> Mapping[str, Any]: ...


_samplers: list[Sampler] = []


def register_sampler(sampler: Sampler) -> None:
    """Say how a sample of stored events is tried while somebody waits."""
    _samplers[:] = [sampler]


def sampler() -> Sampler | None:
    """What tries a sample of stored events; None until somebody says how."""
    return _samplers[0] if _samplers else None


@dataclass(frozen=True, slots=True)
class OldUse:
    """Events of one producer that used a deprecated version (`name` its number) or field (path)."""

    stream_id: int
    producer: str
    name: str
    events: int
    last_at: datetime
    kind: str = ""
    stream: str = ""


OldUsesOf = Callable[[Producer, Actor], Sequence[OldUse]]
_old_uses: list[OldUsesOf] = []


def register_old_uses(of: OldUsesOf) -> None:
    """Say who counts the uses of what is deprecated; events are counted above the catalog."""
    _old_uses[:] = [of]


def old_uses_of(producer: Producer, actor: Actor) -> list[OldUse]:
    """What a producer has still to move away from, of streams that the actor may know of."""
    return [use for of in _old_uses for use in of(producer, actor)]
