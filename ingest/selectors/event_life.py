"""One event's life: each stage with when it came, how long it took and what it may take.

Sent → received → judged → committed → readable → delivered; of one that was a dead letter first,
refused → put right → replayed between. What nobody measures says so: judgement is measured for the
stream (`ingest.log.latencies`), not for each event, and delivery is to come.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final

from catalog.models import Stream
from ingest.log.latencies import Measure
from ingest.models import DeadLetter, Repair, RepairKind
from ingest.selectors import latencies
from ingest.selectors.dead_letters import SENTENCES
from ingest.selectors.events import StoredEvent
from portal.kernel import log_buckets, sql

_MOMENTS: Final = sql.load("ingest", "event_moments")
# Beyond this a time of commit is another transaction's, of a database that was copied.
_LONGEST: Final = timedelta(hours=1)
_NOT_KEPT: Final = "The database keeps no times of commits (track_commit_timestamp)"


class Step(StrEnum):
    HAPPENED = "happened"
    RECEIVED = "received"
    REFUSED = "refused"
    REPAIRED = "repaired"
    REPLAYED = "replayed"
    DISCARDED = "discarded"
    WAITING = "waiting"
    JUDGED = "judged"
    COMMITTED = "committed"
    READABLE = "readable"
    DELIVERED = "delivered"


@dataclass(frozen=True, slots=True)
class Stage:
    """A stage of a life. `seconds` since the stage before it; `at` and `seconds` are None where they
    are not known, and `says` then says why. `typical_seconds`: half of the stream's events of that
    hour took less."""

    step: Step
    at: datetime | None = None
    seconds: float | None = None
    budget_seconds: float | None = None
    typical_seconds: float | None = None
    says: str = ""

    @property
    def is_late(self) -> bool:
        """Whether it took longer than its budget; False where either is not known."""
        if self.seconds is None or self.budget_seconds is None:
            return False
        return self.seconds > self.budget_seconds

    @property
    def ratio(self) -> float | None:
        """Of its budget, at most 1; None without one, or when it is not known."""
        if self.seconds is None or not self.budget_seconds:
            return None
        return min(1.0, max(0.0, self.seconds / self.budget_seconds))


@dataclass(frozen=True, slots=True)
class Life:
    """The stages in order, and the event's position in the log (transaction and number)."""

    stages: tuple[Stage, ...]
    position: tuple[int, int] | None
    is_readable: bool
    p95_seconds: float | None = None  # from event time to commit, of the stream in that hour
    letter: DeadLetter | None = None

    def stage(self, step: Step) -> Stage | None:
        """Its stage of this step; None where the event has not gone through it."""
        return next((stage for stage in self.stages if stage.step is step), None)

    @property
    def readable_seconds(self) -> float | None:
        """From when it happened to when it could be read."""
        first, last = self.stages[0].at, self.stage(Step.READABLE)
        if first is None or last is None or last.at is None:
            return None
        return (last.at - first).total_seconds()


def life_of(stream: Stream, event: StoredEvent) -> Life:
    """The life of a stored event; four small indexed queries, five of one that was replayed."""
    letter = _letter_of(event) if event.is_replayed else None
    found = _moments(stream, event)
    happened = event.corrected_time or event.occurred_at
    stages = [Stage(Step.HAPPENED, happened), _since(Step.RECEIVED, event.received_at, happened)]
    begun = event.received_at
    if letter is not None:
        stages += _of_letter(letter)
        begun = letter.decided_at or begun
    usual = _usual(stream, event.received_at)
    judged = log_buckets.quantile(usual.get(Measure.JUDGE, {}), 0.5)
    stages.append(
        Stage(
            Step.JUDGED,
            budget_seconds=latencies.JUDGE_SECONDS,
            typical_seconds=None if judged is None else judged / 1e6,
            says="Measured for the stream, not for each event",
        )
    )
    committed, readable = _plausible(event, found, is_replayed=letter is not None)
    if committed is None:
        stages += [
            Stage(Step.COMMITTED, says=_NOT_KEPT),
            Stage(Step.READABLE, says="" if found["is_readable"] else "Not yet"),
        ]
    else:
        # An import says itself when its history was received; no writer was waited for.
        budget = None if event.is_imported else latencies.COMMIT_SECONDS
        says = "Taken in later, as history" if event.is_imported else ""
        stages.append(_since(Step.COMMITTED, committed, begun, budget, says))
        if found["is_readable"] and readable is not None:
            stages.append(_since(Step.READABLE, readable, committed, latencies.READABLE_SECONDS))
        else:
            stages.append(Stage(Step.READABLE, says="Not yet: an earlier transaction still runs"))
    stages.append(Stage(Step.DELIVERED, says="Not measured"))
    p95 = log_buckets.quantile(usual.get(Measure.AGE, {}), 0.95)
    return Life(
        tuple(stages), (found["tx"], found["seq"]), found["is_readable"],
        None if p95 is None else p95 / 1e6, letter,
    )  # fmt: skip


def life_of_letter(letter: DeadLetter) -> tuple[Stage, ...]:
    """The life of a dead letter, up to where it is now."""
    stages = []
    if letter.occurred_at is not None:
        stages.append(Stage(Step.HAPPENED, letter.occurred_at))
        stages.append(_since(Step.RECEIVED, letter.received_at, letter.occurred_at))
    else:
        stages.append(Stage(Step.RECEIVED, letter.received_at))
    return (*stages, *_of_letter(letter))


def _since(
    step: Step, at: datetime, before: datetime, budget: float | None = None, says: str = ""
) -> Stage:
    return Stage(step, at, (at - before).total_seconds(), budget, says=says)


def _of_letter(letter: DeadLetter) -> list[Stage]:
    """From its refusal to where it is now."""
    stages = [Stage(Step.REFUSED, letter.received_at, 0.0, says=SENTENCES.get(letter.reason, ""))]
    if letter.state == "open":
        return [*stages, Stage(Step.WAITING, says="Kept with its bytes until somebody decides")]
    ended = letter.decided_at
    if letter.state == "discarded":
        return [*stages, _ended(Step.DISCARDED, ended, letter.received_at)]
    repair = Repair.objects.filter(pk=letter.repair_id).first() if letter.repair_id else None
    before = letter.received_at
    if repair is not None and repair.kind == RepairKind.REPAIR:
        stages.append(_ended(Step.REPAIRED, repair.decided_at, before))
        before = repair.decided_at or before
    return [*stages, _ended(Step.REPLAYED, ended, before)]


def _ended(step: Step, at: datetime | None, before: datetime) -> Stage:
    return Stage(step) if at is None else _since(step, at, before)


def _letter_of(event: StoredEvent) -> DeadLetter | None:
    """The letter that a replayed event was: it keeps the moment of its first receipt."""
    rows = DeadLetter.objects.filter(
        received_at=event.received_at, event_id=event.id, state="replayed"
    ).defer("body")
    return rows.first()


def _moments(stream: Stream, event: StoredEvent) -> Mapping[str, Any]:
    row = sql.fetch_one(
        _MOMENTS,
        {"track": event.track, "stream": stream.pk, "at": event.occurred_at, "id": event.id},
    )
    # It may have gone since it was read: then nothing more is known of it.
    return row or {
        "tx": 0, "seq": 0, "is_readable": True, "committed_at": None, "readable_at": None,
    }  # fmt: skip


def _plausible(
    event: StoredEvent, found: Mapping[str, Any], *, is_replayed: bool
) -> tuple[datetime | None, datetime | None]:
    """The times of commits, unless they cannot be this event's: in a database that was restored from
    a dump the numbers of transactions are those of another one."""
    committed = found["committed_at"]
    if committed is None or committed < event.received_at - timedelta(seconds=1):
        return None, None
    came_later = is_replayed or event.is_imported
    if not came_later and committed > event.received_at + _LONGEST:
        return None, None
    return committed, found["readable_at"]


def _usual(stream: Stream, at: datetime) -> latencies.Histograms:
    hour = at.replace(minute=0, second=0, microsecond=0)
    return latencies.histograms(stream.pk, hour, hour + timedelta(hours=1))
