"""The life of an event in words: what its page and the finder show of `ingest.selectors.event_life`."""

from collections.abc import Iterable
from dataclasses import dataclass
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


def subs_of(event: StoredEvent, life: Life, track: str) -> dict[Step, str]:
    """What stands below each stage of a stored event."""
    trace = trace_of(event.attributes)
    position = f"Position {life.position[0]}.{life.position[1]}" if life.position else ""
    day = words.day(event.occurred_at)
    wrong = ""
    if event.corrected_time is not None:
        wrong = "its clock was wrong, corrected by ours"
    checked = f"against version {event.version}" if event.version else "without a contract"
    kept = "unknown fields kept aside" if event.extra else "no field unknown"
    return {
        Step.HAPPENED: f"says {event.source}",
        Step.RECEIVED: " · ".join(
            part
            for part in (f"from {event.producer}", f"trace {trace}" if trace else "", wrong)
            if part
        ),
        Step.JUDGED: f"{checked}, {kept}; what half of the stream’s took in that hour",
        Step.COMMITTED: f"{position} · {track}, {day}, before the producer was answered",
        Step.READABLE: "Every earlier position is visible too" if life.is_readable else "",
        Step.DELIVERED: "Consumers are not followed yet",
    }


def trace_of(attributes: dict[str, Any]) -> str:
    """The trace of an event, shortened: 4bf9…36."""
    told = attributes.get("traceparent")
    if not isinstance(told, str) or not TRACEPARENT.fullmatch(told):
        return ""
    trace_id = told.split("-")[1]
    return f"{trace_id[:4]}…{trace_id[-4:]}"


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
