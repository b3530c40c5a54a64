"""The funnel and the latencies of a stream as its page shows them."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from catalog.models import Stream
from ingest.log.latencies import Measure
from ingest.selectors import funnel, latencies
from ingest.selectors.funnel import UNTOLD, Funnel, Refused
from ingest.selectors.latencies import Percentiles
from portal.http import words

_DAY: Final = timedelta(days=1)
_SHOWN: Final = (
    (Measure.AGE, "It happened → readable", "by the event’s own time"),
    (Measure.COMMIT, "Received → committed", "what the portal takes"),
    (Measure.FRESHNESS, "Age of the newest", "looked at each minute"),
)


@dataclass(frozen=True, slots=True)
class Meter:
    """One part of the funnel; without a ratio where it is no part of what was received."""

    name: str
    words: str
    ratio: float | None
    kind: str = "s1"

    @property
    def said(self) -> str:
        return f"{self.name}: {self.words}"


@dataclass(frozen=True, slots=True)
class Latency:
    """One line of latencies: its name, what stands below it, and what was measured."""

    name: str
    sub: str
    found: Percentiles


def flow_context(stream: Stream) -> dict[str, Any]:
    """What became of the events of 24 hours, and how long those of the last hour took."""
    found = funnel.last(stream.pk, _DAY)
    measured = latencies.of_stream(stream.pk)
    return {
        "funnel": found,
        "funnel_rows": meters(found),
        "latency_rows": [Latency(name, sub, measured[kind]) for kind, name, sub in _SHOWN],
        "has_latency": any(measured[kind].events for kind, _, _ in _SHOWN),
    }


def meters(found: Funnel) -> list[Meter]:
    """Accepted, duplicate and each reason as shares of what was received; what came after beside."""

    def part(name: str, events: int, kind: str) -> Meter:
        ratio = events / found.received if found.received else 0.0
        return Meter(
            name, f"{words.number(events)}, {words.share(ratio if found.received else None)}",
            ratio, kind,
        )  # fmt: skip

    rows = [
        part("Accepted", found.accepted, "ok"),
        part("Duplicate", found.duplicate, "prev"),
        *(part(_refused(one), one.events, "bad") for one in found.refused),
    ]
    if found.replayed:
        said = words.number(found.replayed)
        said += f", {words.number(found.repaired)} put right before" if found.repaired else ""
        rows.append(Meter("Replayed later", said, None))
        rows.append(Meter("Stored in all", words.number(found.stored), None))
    rows.append(Meter("Delivered", "not measured", None))
    return rows


def _refused(one: Refused) -> str:
    if one.reason == UNTOLD:
        return one.sentence
    return f"Refused: {one.sentence[0].lower()}{one.sentence[1:]}"
