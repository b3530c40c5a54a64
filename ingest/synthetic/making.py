"""A plan of synthetic events: which, when and how broken, as a function of a seed and a place.

1. The plan's span is cut into bins. Each bin weighs as much as the curve (learned or declared) says,
   times what incidents make of it. The events are laid along the sum of the weights, so that equal
   plans give equal times, and place n is found without making what is before it.
2. Event n has a random state of its own, made of the seed, the stream and n: ids, times and data are
   the same bytes in every run, wherever it was cut.
3. Plans of one run share a cast (`ingest.synthetic.joining`): who does something, and the fields by
   which their events join.
4. Each event carries the extension `synthetic` with the value "true", and one that is broken says in
   `syntheticbreaks` which rule. What is expected of it at the door stands beside it.
"""

import hashlib
import json
from bisect import bisect_left
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import accumulate
from random import Random
from typing import Any, Final

from catalog.generation import Generator, Profile
from ingest.judging.contract import Contract
from ingest.synthetic.breaking import break_data, break_privacy, privacy_faults
from ingest.synthetic.curves import FIELD_FAULTS, Incident
from ingest.synthetic.joining import Cast, Journey, Path, put, say
from ingest.synthetic.kinds import DUPLICATE, LATE
from ingest.types import Reason, Status
from portal.kernel.errors import FieldError, InvalidError

BINS: Final = 2_880
SOURCE: Final = "/synthetic"
MARK: Final = "synthetic"
MAX_EVENTS: Final = 50_000_000
STORM: Final = 3  # how often more each event of a duplicate storm is sent
LATE_BY: Final = timedelta(hours=2)


@dataclass(frozen=True, slots=True)
class Subjects:
    """How many different subjects a hundred events have, and how many of them have one."""

    distinct_ratio: float = 0.4
    presence_ratio: float = 1.0


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be sent to one stream.

    `shares` are the ratios of what is not plain, by kind. `curve` weighs the 168 hours of a week
    from Monday, UTC. `retired_version` is one that the door refuses, where there is one.
    """

    stream: str
    version: int
    document: Any
    seed: int
    start: datetime
    end: datetime
    events: int
    shares: tuple[tuple[str, float], ...] = ()
    incidents: tuple[Incident, ...] = ()
    curve: tuple[float, ...] = ()
    profile: Profile = field(default_factory=dict)
    subjects: Subjects = field(default_factory=Subjects)
    sets_aside: bool = False
    enforces: bool = True
    retired_version: int | None = None


@dataclass(frozen=True, slots=True)
class Made:
    """One event to send, and what the door should answer: `accepted`, or `duplicate`, or a reason.

    `line` is its JSON. `rule` and `pointer` say what is broken, where something is.
    """

    line: bytes
    occurred_at: datetime
    expected: str
    rule: str = ""
    pointer: str = ""


class Maker:
    """Makes the events of a plan by their place. Raises InvalidError where the contract rules out
    everything, or where a fault was asked for that it cannot have."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self._contract = Contract(plan.document, version=plan.version, sets_aside=plan.sets_aside)
        self._generator = Generator(plan.document, plan.profile, plan.end)
        self._ends = list(accumulate(self._weights()))
        self.count = _bounded(plan.events)
        if not self._ends[-1]:
            self.count = 0
        self._subjects = max(1, round(self.count * plan.subjects.distinct_ratio))
        self._id = hashlib.sha256(f"{plan.seed}:{plan.stream}:{plan.start}".encode()).hexdigest()[
            :8
        ]
        self._cast: Cast | None = None
        self._step = 0

    def join(self, cast: Cast, step: int) -> None:
        """Make this the run's stream number `step` (from 0), whose events join those of the others."""
        self._cast, self._step = cast, step

    def place_of(self, journey: Journey) -> int | None:
        """The first place that belongs to a journey of the cast; None where none does."""
        cast, step = self._cast, self._step
        assert cast is not None

        def order(place: int) -> tuple[int, int]:
            at, first = cast.journey(step, place)
            return -at, first

        wanted = (-journey[0], journey[1])
        found = bisect_left(range(self.count), wanted, key=order)
        return found if found < self.count and order(found) == wanted else None

    def journey_of(self, place: int) -> Journey:
        """The journey that a place belongs to, once the maker has joined a cast."""
        assert self._cast is not None
        return self._cast.journey(self._step, place)

    def joined(self) -> set[str]:
        """The fields that the contract takes from the cast; by one event, made for that."""
        if self._cast is None:
            return set()
        data = self._generator.value(self._rng(0, "joined"))
        return {key for key, _ in self._put_shared(data, (0, 0))}

    def _weights(self) -> Iterator[float]:
        plan = self.plan
        step = (plan.end - plan.start) / BINS
        for place in range(BINS):
            after = step * (place + 0.5)
            at = plan.start + after
            weight = plan.curve[at.weekday() * 24 + at.hour] if plan.curve else 1.0
            for incident in plan.incidents:
                if incident.holds(after):
                    weight *= incident.factor
            yield weight

    def volume_ratio(self) -> float:
        """What incidents make of the volume: the weight with them over that without."""
        quiet = replace(self.plan, incidents=())
        return self._ends[-1] / (sum(Maker(quiet)._weights()) or 1.0)

    def check(self) -> None:
        """Find out before anything is sent whether the contract can be met."""
        self._generator.value(self._rng(0, "check"))

    def check_kind(self, kind: str) -> None:
        """Find out whether an event can be made of a kind. Raises InvalidError."""
        rng = self._rng(0, "check")
        data = self._generator.value(rng)
        self._broken(kind, self._envelope(0, self.plan.start, rng), data, rng)

    def check_incident(self, incident: Incident) -> None:
        """Find out whether a fault of an incident can be made. Raises InvalidError."""
        if incident.kind in FIELD_FAULTS:
            rng = self._rng(0, "check")
            data = self._generator.value(rng)
            event = self._envelope(0, self.plan.start, rng)
            self._of_incident(event, data, {incident.kind: incident}, rng)

    def time_of(self, place: int) -> datetime:
        """When event `place` happens; never before the one in front of it."""
        rng = self._rng(place, "time")
        wanted = (place + rng.random()) / self.count * self._ends[-1]
        found = min(bisect_left(self._ends, wanted), BINS - 1)
        before = self._ends[found - 1] if found else 0.0
        weight = self._ends[found] - before
        share = (found + (wanted - before) / weight if weight else found) / BINS
        return self.plan.start + (self.plan.end - self.plan.start) * min(share, 1.0)

    def events(self, place: int) -> list[Made]:
        """What is sent at a place: one event, or in a storm of duplicates several times the same."""
        plan, rng = self.plan, self._rng(place, "event")
        at = self.time_of(place)
        now = [one for one in plan.incidents if one.holds(at - plan.start)]
        kinds = {one.kind: one for one in now}
        data = self._generator.value(rng)
        event = self._envelope(place, at - LATE_BY if "late" in kinds else at, rng)
        self._take_part(place, event, data)
        kind = ""
        if any(fault in kinds for fault in FIELD_FAULTS):
            made = [self._of_incident(event, data, kinds, rng)]
        elif plan.shares and (kind := self._drawn(rng)):
            made = self._broken(kind, event, data, rng)
        else:
            made = [self._plain(event, data)]
        if "duplicate_storm" in kinds and not kind and made[0].expected == Status.ACCEPTED:
            made += [self._again(made[0])] * STORM
        return made

    def _drawn(self, rng: Random) -> str:
        """A kind by its share; none for what is left over."""
        left = rng.random()
        for kind, share in self.plan.shares:
            left -= share
            if left < 0:
                return kind
        return ""

    def _take_part(self, place: int, event: dict[str, Any], data: Any) -> None:
        """Make the event one of its journey: subject, correlation and shared fields."""
        cast = self._cast
        if cast is None:
            return
        journey = cast.journey(self._step, place)
        event["correlationid"] = f"synthetic-{cast.tag}-{say(journey)}"
        subject = cast.subject(journey)
        if subject is None:
            event.pop("subject", None)
        else:
            event["subject"] = subject
        self._put_shared(data, journey)

    def _put_shared(self, data: Any, journey: Journey) -> list[tuple[str, Path]]:
        """Those shared values that the contract takes, put into the data."""
        assert self._cast is not None
        taken = []
        for key, path, value in self._cast.values(self._step, journey):
            undo = put(data, path, value)
            if undo is not None:
                if self._contract.check_data(data):
                    undo()
                else:
                    taken.append((key, path))
        return taken

    def _rng(self, place: int, what: str) -> Random:
        text = f"{self.plan.seed}:{self.plan.stream}:{place}:{what}"
        return Random(hashlib.sha256(text.encode()).digest())  # noqa: S311  # reproducible by design

    def _envelope(self, place: int, at: datetime, rng: Random) -> dict[str, Any]:
        event = {
            "specversion": "1.0",
            "id": f"synthetic-{self._id}-{place}",
            "source": SOURCE,
            "type": self.plan.stream,
            "time": _text(at),
            "dataschema": str(self.plan.version),
            "datacontenttype": "application/json",
            MARK: "true",
        }
        if rng.random() < self.plan.subjects.presence_ratio:
            event["subject"] = f"synthetic_{rng.randrange(self._subjects):06d}"
        return event

    def _of_incident(
        self, event: dict[str, Any], data: Any, kinds: Mapping[str, Incident], rng: Random
    ) -> Made:
        """A fault of an incident: of its field alone, where it names one."""
        if "null_burst" in kinds:
            return self._with_null(event, data, kinds["null_burst"])
        incident = kinds.get("type_drift") or kinds["broken_field"]
        keyword = "type" if incident.kind == "type_drift" else ""
        return self._violating(event, data, rng, keyword, incident.place)

    def _with_null(self, event: dict[str, Any], data: Any, incident: Incident) -> Made:
        """Null in the named field, or in every field at the top; whatever that means to the door."""
        name = incident.place.removeprefix("/data/")
        if isinstance(data, dict):
            data = {key: None if not incident.place or key == name else value
                    for key, value in data.items()}  # fmt: skip
        faults = self._contract.check_data(data)
        return self._refused(event, data, faults[0]) if faults else self._plain(event, data)

    def _plain(self, event: Mapping[str, Any], data: Any, kind: str = "", at: str = "") -> Made:
        """What the contract takes; its privacy plan may still be able to do nothing for it."""
        faults = privacy_faults(self._contract, data)
        if faults:
            return _made(event, data, Reason.PRIVACY_REFUSED, kind, at or faults[0].pointer)
        return _made(event, data, Status.ACCEPTED, kind, at)

    def _again(self, made: Made) -> Made:
        """The same bytes once more."""
        expected = DUPLICATE if made.expected == Status.ACCEPTED else made.expected
        return Made(made.line, made.occurred_at, expected, DUPLICATE, "/id")

    def _broken(self, kind: str, event: dict[str, Any], data: Any, rng: Random) -> list[Made]:
        """What is sent for a kind: one event, or a good one and what doesn't go with it."""
        reason, _, keyword = kind.partition(":")
        if reason == Reason.SCHEMA_VIOLATION:
            return [self._violating(event, data, rng, keyword, "")]
        if reason == Reason.PRIVACY_REFUSED:
            return [self._untreatable(event, data, rng)]
        if reason == LATE:
            late = event | {"time": _text(_moment(event["time"]) - LATE_BY)}
            return [self._plain(late, data, LATE, "/time")]
        if reason == DUPLICATE:
            first = self._plain(event, data)
            return [first, self._again(first)]
        if reason == Reason.ID_CONFLICT:
            other = event | {"subject": f"{event.get('subject', '')}-other"}
            first = self._plain(event, data)
            expected = reason if first.expected == Status.ACCEPTED else first.expected
            return [first, _made(other, data, expected, kind, "/id")]
        if reason == Reason.VERSION_RETIRED:
            if self.plan.retired_version is None:
                raise InvalidError(
                    f"{self.plan.stream} has no version that is retired.", code="rule_unbreakable"
                )
            old = event | {"dataschema": str(self.plan.retired_version)}
            return [_made(old, data, reason, kind, "/dataschema")]
        changed, pointer = _BROKEN_ENVELOPES[reason](event)
        made = _made(changed, data, reason, kind, pointer)
        if reason == Reason.UNPARSABLE:
            return [Made(made.line[:-2], made.occurred_at, made.expected, kind)]
        if reason == Reason.LIMIT_EXCEEDED:
            return [_made(changed, {"too_deep": _nested()}, reason, kind, "/data/too_deep")]
        return [made]

    def _violating(
        self, event: dict[str, Any], data: Any, rng: Random, keyword: str, place: str
    ) -> Made:
        """Data with one fault, tried on some more data where this one cannot have it."""
        for _ in range(8):
            broken = break_data(
                self._contract, self.plan.document, data, rng, keyword=keyword, pointer=place
            )
            if broken is not None:
                return self._refused(event, broken.data, broken.fault)
            data = self._generator.value(rng)
        raise InvalidError(
            f"No event of {self.plan.stream} can break {keyword or 'its contract'}"
            f"{' at ' + place if place else ''} and nothing else.",
            code="rule_unbreakable",
        )

    def _untreatable(self, event: dict[str, Any], data: Any, rng: Random) -> Made:
        """Data for which the privacy plan can do nothing, and that is not refused before."""
        for _ in range(8):
            broken = break_privacy(self._contract, data, rng, enforces=self.plan.enforces)
            if broken is not None:
                reason = Reason.PRIVACY_REFUSED
                return _made(event, broken.data, reason, reason.value, broken.fault.pointer)
            data = self._generator.value(rng)
        raise InvalidError(
            f"No event of {self.plan.stream} is refused by its privacy plan"
            f"{' alone' if self._contract.privacy is not None else ': it has none'}.",
            code="rule_unbreakable",
        )

    def _refused(self, event: dict[str, Any], data: Any, fault: FieldError) -> Made:
        """Data that breaks the contract: refused, or where it is not enforced, what privacy says."""
        rule = f"{Reason.SCHEMA_VIOLATION}:{fault.code}"
        expected = Reason.SCHEMA_VIOLATION.value
        if not self.plan.enforces:
            odd = privacy_faults(self._contract, data, is_odd=True)
            expected = Reason.PRIVACY_REFUSED if odd else Status.ACCEPTED
        return _made(event, data, expected, rule, fault.pointer)


def _bounded(count: int) -> int:
    if not 0 <= count <= MAX_EVENTS:
        raise InvalidError(f"A run has at most {MAX_EVENTS} events.", code="too_many")
    return count


def _made(
    event: Mapping[str, Any], data: Any, expected: str, rule: str = "", pointer: str = ""
) -> Made:
    whole = {**event, "data": data}
    if rule:
        whole["syntheticbreaks"] = f"{rule} {pointer}".strip()[:1000]
    line = json.dumps(whole, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"
    return Made(line, _moment(event["time"]), str(expected), rule, pointer)


def _text(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


def _nested() -> Any:
    value: Any = 1
    for _ in range(40):
        value = [value]
    return value


_Changed = tuple[dict[str, Any], str]
_BROKEN_ENVELOPES: Final[Mapping[str, Any]] = {
    Reason.UNPARSABLE: lambda event: (event, ""),
    Reason.ENVELOPE_INVALID: lambda event: (event | {"specversion": "0.3"}, "/specversion"),
    Reason.LIMIT_EXCEEDED: lambda event: (event, ""),
    Reason.UNKNOWN_STREAM: lambda event: (event | {"type": "synthetic.nobody_knows"}, "/type"),
    Reason.NOT_PERMITTED: lambda event: (event | {"source": "/not-declared"}, "/source"),
    Reason.OUT_OF_WINDOW: lambda event: (
        event | {"time": _text(_moment(event["time"]) - timedelta(days=4_000))}, "/time"
    ),
    Reason.SCHEMA_UNKNOWN: lambda event: (event | {"dataschema": "999999"}, "/dataschema"),
}  # fmt: skip
