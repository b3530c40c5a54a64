"""The life of an event in words: what its page and the finder show of `ingest.selectors.event_life`."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from ingest.selectors.event_life import Life, Stage, Step
from ingest.selectors.events import StoredEvent
from portal.http import words
from portal.kernel.identifiers import TRACEPARENT

_LOOKS: Final = {
    Step.HAPPENED: ("bolt", "", "It happened"),
    Step.RECEIVED: ("down-tray", "ok", "Received"),
    Step.REFUSED: ("dead", "bad", "Refused first, and kept with its bytes"),
    Step.WAITING: ("clock", "", "Waits in the dead letters"),
    Step.REPAIRED: ("wand", "ok", "Put right: the repair was approved"),
    Step.REPLAYED: ("replay", "ok", "Replayed through the same door"),
    Step.DISCARDED: ("x", "bad", "Discarded"),
    Step.JUDGED: ("check", "ok", "Checked and treated"),
    Step.COMMITTED: ("lock", "ok", "Stored for good"),
    Step.READABLE: ("eye", "ok", "Readable"),
    Step.DELIVERED: ("out", "", "Delivered"),
}


@dataclass(frozen=True, slots=True)
class Row:
    """A line of the chain: `took` and `beside` stand over the gauge, `said` is what it says aloud."""

    stage: Stage
    icon: str
    knot: str
    title: str
    sub: str
    took: str
    beside: str
    gauge: str  # its kind, empty for none
    ratio: float
    said: str

    @property
    def clock(self) -> str:
        """When, down to a millisecond; empty when that is not known."""
        at = self.stage.at
        return "" if at is None else f"{at:%H:%M:%S}.{at.microsecond // 1000:03d}"


def rows(stages: Iterable[Stage], subs: dict[Step, str] | None = None) -> list[Row]:
    """The lines of a chain, in order; `subs` says what stands below the title of a step."""
    return [_row(stage, (subs or {}).get(stage.step, "")) for stage in stages]


def _row(stage: Stage, sub: str) -> Row:
    icon, knot, title = _LOOKS[stage.step]
    took, beside = "", ""
    if stage.step is Step.DELIVERED:
        took = "not measured"
    elif stage.seconds is not None and stage.step is not Step.REFUSED:
        took = words.took(stage.seconds) if stage.seconds >= 0 else "clock ahead"
        beside = _budget(stage)
        if stage.step is Step.RECEIVED:
            beside = "producer, no budget"
    elif stage.typical_seconds is not None:
        took, beside = f"about {words.took(stage.typical_seconds)}", _budget(stage)
    elif stage.step in (Step.JUDGED, Step.COMMITTED, Step.READABLE):
        took = "not known" if stage.step is not Step.READABLE or not stage.says else "not yet"
        if stage.step is Step.READABLE and not stage.says:
            took = "yes"
    if stage.is_late:
        knot = "bad"
    says = stage.says if stage.step not in (Step.DELIVERED, Step.JUDGED) else ""
    return Row(
        stage=stage,
        icon=icon,
        knot=knot if took not in ("not yet", "not known") else "",
        title=title,
        sub=" · ".join(part for part in (sub, says) if part),
        took=took,
        beside=beside,
        gauge="" if stage.budget_seconds is None else "bad" if stage.is_late else "ok",
        ratio=_ratio(stage),
        said=f"{title}: {took} {beside}".strip(),
    )


def _ratio(stage: Stage) -> float:
    if stage.ratio is None and stage.typical_seconds is not None and stage.budget_seconds:
        return min(1.0, stage.typical_seconds / stage.budget_seconds)
    return stage.ratio or 0.0


def _budget(stage: Stage) -> str:
    return f"of {words.took(stage.budget_seconds)}" if stage.budget_seconds else ""


@dataclass(frozen=True, slots=True)
class Span:
    """A stage on the axis of the portal's own work: where it begins and how long it is, 0 to 1 of
    the whole; `length` is None where nothing was measured."""

    title: str
    took: str
    start: float
    length: float | None
    kind: str
    said: str


@dataclass(frozen=True, slots=True)
class Trace:
    """The work of the portal on one event, to scale, and the trace of its producer.

    `before` is what lay between its own time and the portal; the ids are empty without a trace.
    """

    spans: list[Span]
    total: str
    before: str
    trace_id: str
    parent_id: str
    is_sampled: bool


def trace(event: StoredEvent, life: Life) -> Trace:
    """What the page shows under "Trace"."""
    told = _traceparent(event.attributes)
    parts = told.split("-") if told else ["", "", "", "0"]
    begun = life.stage(Step.REPLAYED) or life.stage(Step.RECEIVED)
    zero = begun.at if begun is not None else None
    measured = [life.stage(step) for step in (Step.COMMITTED, Step.READABLE)]
    ends = [stage.at for stage in measured if stage is not None and stage.at is not None]
    total = max(((at - zero).total_seconds() for at in ends), default=0.0) if zero else 0.0
    received = life.stage(Step.RECEIVED)
    before = "" if received is None or received.seconds is None else _before(received.seconds)
    return Trace(
        spans=[_span(stage, zero, total) for stage in life.stages if stage.step in _WORK],
        total=words.took(total) if total else "",
        before=before,
        trace_id=parts[1],
        parent_id=parts[2],
        is_sampled=bool(int(parts[3], 16) & 1),
    )


_WORK: Final = (Step.JUDGED, Step.COMMITTED, Step.READABLE, Step.DELIVERED)


def _before(seconds: float) -> str:
    if seconds < 0:
        return "The producer’s clock is ahead of the portal’s."
    return f"It reached the portal {words.took(seconds)} after its own time; that is not drawn."


def _span(stage: Stage, zero: datetime | None, total: float) -> Span:
    """Judging and committing begin with the request; readable begins with the commit."""
    title = _LOOKS[stage.step][2]
    if stage.step is Step.JUDGED and stage.typical_seconds is not None and total:
        took = f"about {words.took(stage.typical_seconds)}"
        return _drawn(title, took, 0.0, stage.typical_seconds / total, "vA")
    if stage.at is None or zero is None or stage.seconds is None:
        said = _row(stage, "").took or "not measured"
        return Span(title, said, 0.0, None, "", f"{title}: {said}")
    begin = max(0.0, (stage.at - zero).total_seconds() - stage.seconds)
    kind = "bad" if stage.is_late else "s1"
    took = words.took(max(0.0, stage.seconds))
    return _drawn(title, took, *_of(begin, stage.seconds, total), kind)


def _of(begin: float, seconds: float, total: float) -> tuple[float, float]:
    return (begin / total, max(0.0, seconds) / total) if total else (0.0, 0.0)


def _drawn(title: str, took: str, start: float, length: float, kind: str) -> Span:
    return Span(title, took, start, min(1.0, length), kind, f"{title}: {took}")


def subs_of(event: StoredEvent, life: Life, track: str, treated: str = "") -> dict[Step, str]:
    """What stands below each stage of a stored event."""
    trace = trace_of(event.attributes)
    position = f"Position {life.position[0]}.{life.position[1]}" if life.position else ""
    day = words.day(event.occurred_at)
    wrong = ""
    if event.corrected_time is not None:
        wrong = "its clock was wrong, corrected by ours"
    checked = f"against version {event.version}" if event.version else "without a contract"
    kept = "unknown fields kept aside" if event.has_extra else "no field unknown"
    done = f"{checked}, {kept}{f'; {treated}' if treated else ''}"
    return {
        Step.HAPPENED: f"as {event.source} says",
        Step.RECEIVED: " · ".join(
            part
            for part in (f"from {event.producer}", f"trace {trace}" if trace else "", wrong)
            if part
        ),
        Step.JUDGED: f"{done}. Its time is the stream’s usual one of that hour",
        Step.COMMITTED: f"{position} · {track}, {day}, before the producer was answered",
        Step.READABLE: "Every earlier position is visible too" if life.is_readable else "",
        Step.DELIVERED: "Consumers are not followed yet",
    }


def trace_of(attributes: dict[str, Any]) -> str:
    """The trace of an event, shortened: 4bf9…36."""
    told = _traceparent(attributes)
    if not told:
        return ""
    trace_id = told.split("-")[1]
    return f"{trace_id[:4]}…{trace_id[-4:]}"


def _traceparent(attributes: dict[str, Any]) -> str:
    told = attributes.get("traceparent")
    return told if isinstance(told, str) and TRACEPARENT.fullmatch(told) else ""


def sentence(event: StoredEvent, life: Life) -> tuple[str, str]:
    """The verdict of a life, and why."""
    seconds = life.readable_seconds
    at = f"{(event.corrected_time or event.occurred_at):%H:%M:%S}"
    if life.letter is not None:
        refused = life.letter.reason.replace("_", " ")
        return (
            f"Refused first ({refused}), then taken. Nothing was lost.",
            "It was kept with its bytes, and went through the same door again under its own id.",
        )
    if not life.is_readable:
        return f"Happened at {at}, stored, and not readable yet.", _ONCE
    if seconds is None:
        lag = (event.received_at - (event.corrected_time or event.occurred_at)).total_seconds()
        came = "before its own clock said" if lag < 0 else f"{words.took(lag)} after it happened"
        return f"It came {came}, and was accepted.", _ONCE
    if seconds < 0:
        return f"Readable before {at}, when its own clock says it happened.", _ONCE
    return f"Happened at {at}, readable {words.took(seconds)} later.", _ONCE


_ONCE: Final = "Accepted on the first try and stored once; the same id at the same time is answered “duplicate”."
