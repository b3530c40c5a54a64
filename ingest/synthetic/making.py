"""A plan of synthetic events: which, when and how broken, as a function of a seed and a place.

1. The plan's span is cut into bins. Each bin weighs as much as the curve (learned or declared) says,
   times what incidents make of it. The events are laid along the sum of the weights, so that equal
   plans give equal times, and place n is found without making what is before it.
2. Event n has a random state of its own, made of the seed, the stream and n: ids, times and data are
   the same bytes in every run, wherever it was cut.
3. Each event carries the extension `synthetic` with the value "true", and one that is broken says in
   `syntheticbreaks` which rule. What is expected of it at the door stands beside it.
"""

import hashlib
import json
import re
from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import accumulate
from random import Random
from typing import Any, Final

from catalog.generation import Generator, Profile
from ingest.judging.contract import Contract
from ingest.synthetic.breaking import break_data
from ingest.types import Reason, Status
from portal.kernel.errors import FieldError, InvalidError

BINS: Final = 2_880
SOURCE: Final = "/synthetic"
MARK: Final = "synthetic"
MAX_EVENTS: Final = 50_000_000
STORM: Final = 3  # how often more each event of a duplicate storm is sent
VOLUME: Final = {"drop_out": 0.0, "spike": 5.0, "volume_shift": 0.5}
KINDS: Final = (*VOLUME, "late", "broken_field", "type_drift", "duplicate_storm", "null_burst")
_SPAN: Final = re.compile(r"(\d+(?:\.\d+)?)(s|m|h|d)")
_SECONDS: Final = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}
_LATE: Final = timedelta(hours=2)


@dataclass(frozen=True, slots=True)
class Incident:
    """Something that goes wrong from `at` after the start, `lasts` long.

    `by` is the factor of a spike or shift; `place` the field (`/data/amount`) of a fault.
    """

    kind: str
    at: timedelta
    lasts: timedelta
    by: float | None = None
    place: str = ""

    def holds(self, after: timedelta) -> bool:
        return self.at <= after < self.at + self.lasts

    @property
    def factor(self) -> float:
        return self.by if self.by is not None else VOLUME.get(self.kind, 1.0)


@dataclass(frozen=True, slots=True)
class Subjects:
    """How many different subjects a hundred events have, and how many of them have one."""

    distinct_ratio: float = 0.4
    presence_ratio: float = 1.0


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be sent to one stream. `curve` weighs the 168 hours of a week from Monday, UTC."""

    stream: str
    version: int
    document: Any
    seed: int
    start: datetime
    end: datetime
    events: int
    broken_ratio: float = 0.0
    rules: tuple[str, ...] = ()
    incidents: tuple[Incident, ...] = ()
    curve: tuple[float, ...] = ()
    profile: Profile = field(default_factory=dict)
    subjects: Subjects = field(default_factory=Subjects)
    sets_aside: bool = False
    enforces: bool = True


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


def read_span(text: str) -> timedelta:
    """`90s`, `10m`, `2h30m`, `1d`. Raises InvalidError."""
    parts = _SPAN.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise InvalidError(f"{text[:40]} is no span; say 90s, 10m or 2h30m.", code="span")
    return timedelta(seconds=sum(float(number) * _SECONDS[unit] for number, unit in parts))


def read_incident(text: str) -> Incident:
    """`KIND@AT+FOR`, as `spike@10m+5m`, with `x3` for a factor or `:/data/amount` for a field."""
    match = re.fullmatch(
        r"([a-z_]+)@([0-9.smhd]+)\+([0-9.smhd]+)(?:x(\d+(?:\.\d+)?))?(?::(/.*))?", text
    )
    if match is None or match[1] not in KINDS:
        raise InvalidError(
            f"{text[:60]} is no incident. Say KIND@AT+FOR, as spike@10m+5mx3 or "
            f"broken_field@10m+5m:/data/amount; kinds are {', '.join(KINDS)}.",
            code="incident",
        )
    return Incident(
        match[1], read_span(match[2]), read_span(match[3]),
        float(match[4]) if match[4] else None, match[5] or "",
    )  # fmt: skip


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
        quiet = Plan(**{
            name: getattr(self.plan, name) for name in Plan.__dataclass_fields__
        } | {"incidents": ()})  # fmt: skip
        return self._ends[-1] / (sum(Maker(quiet)._weights()) or 1.0)

    def check(self) -> None:
        """Find out before anything is sent whether the contract can be met, and each rule broken."""
        rng = self._rng(0, "check")
        data = self._generator.value(rng)
        for rule in self.plan.rules:
            reason, _, keyword = rule.partition(":")
            if reason == Reason.SCHEMA_VIOLATION:
                self._violating(self._envelope(0, self.plan.start, rng), data, rng, keyword, "")

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
        event = self._envelope(place, at - _LATE if "late" in kinds else at, rng)
        if "broken_field" in kinds or "type_drift" in kinds or "null_burst" in kinds:
            made = [self._of_incident(event, data, kinds, rng)]
        elif plan.rules and rng.random() < plan.broken_ratio:
            made = self._broken(event, data, rng)
        else:
            made = [_made(event, data, Status.ACCEPTED)]
        if "duplicate_storm" in kinds and made[0].expected == Status.ACCEPTED:
            first = made[0]
            made += [Made(first.line, first.occurred_at, Status.DUPLICATE)] * STORM
        return made

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
        if not faults:
            return _made(event, data, Status.ACCEPTED)
        return self._refused(event, data, faults[0])

    def _broken(self, event: dict[str, Any], data: Any, rng: Random) -> list[Made]:
        rule = self.plan.rules[rng.randrange(len(self.plan.rules))]
        reason, _, keyword = rule.partition(":")
        if reason == Reason.SCHEMA_VIOLATION:
            return [self._violating(event, data, rng, keyword, "")]
        if reason == Reason.ID_CONFLICT:
            other = event | {"subject": f"{event.get('subject', '')}-other"}
            return [_made(event, data, Status.ACCEPTED), _made(other, data, reason, rule, "/id")]
        changed, pointer = _BROKEN_ENVELOPES[reason](event)
        made = _made(changed, data, reason, rule, pointer)
        if reason == Reason.UNPARSABLE:
            return [Made(made.line[:-2], made.occurred_at, made.expected, rule)]
        if reason == Reason.LIMIT_EXCEEDED:
            return [_made(changed, {"too_deep": _nested()}, reason, rule, "/data/too_deep")]
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

    def _refused(self, event: dict[str, Any], data: Any, fault: FieldError) -> Made:
        rule = f"{Reason.SCHEMA_VIOLATION}:{fault.code}"
        expected = Reason.SCHEMA_VIOLATION if self.plan.enforces else Status.ACCEPTED
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


def merged(makers: Sequence[Maker]) -> Iterator[tuple[datetime, Maker, int]]:
    """The places of several plans in the order of their times; makes no data."""
    waiting = [(maker.time_of(0), at, 0) for at, maker in enumerate(makers) if maker.count]
    while waiting:
        moment, at, place = min(waiting)
        waiting.remove((moment, at, place))
        yield moment, makers[at], place
        if place + 1 < makers[at].count:
            waiting.append((makers[at].time_of(place + 1), at, place + 1))
