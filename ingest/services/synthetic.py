"""Sending synthetic events through the portal's door, and counting what came of each.

1. `plans_for` makes the plans of some streams: contract, curve, distributions. Onto a production
   stream only who says so. All go by the first one's curve, so that what follows comes later.
2. `publisher_key` gives the producer `synthetic` (a test producer, which replays of changes leave
   out) a key for one run; it ends with the run, or by itself after a day.
3. `Run.send` sends in batches as NDJSON, waits as 429 and 503 say, and compares each answer with
   what was expected. A place counts as sent once its batch was answered, so a run that is cut goes
   on from `position`; what was sent twice then is a duplicate, by its identity.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import islice
from typing import Any, Final

from django.db.models import Q

from catalog.models import Producer, ProducerSource, Stream
from catalog.services.producers import create_producer, permit
from catalog.types import Enforcement, Track, VersionState
from governance.keys import ParsedKey
from governance.models import Key
from governance.services.keys import create_key
from ingest.selectors.synthetic import learn, week_of
from ingest.synthetic.curves import LEARNED, Incident, declared
from ingest.synthetic.kinds import check_shares, even_shares, is_expected
from ingest.synthetic.making import SOURCE, Made, Maker, Plan
from ingest.synthetic.several import fitted, merged
from ingest.types import Reason, Status
from portal.kernel import clock
from portal.kernel.actor import SYSTEM, Actor
from portal.kernel.errors import InvalidError, PortalError
from portal.kernel.outbound import rules
from portal.kernel.outbound.answers import Answer, Limits
from portal.kernel.outbound.errors import BlockedError, FailedError
from portal.kernel.outbound.session import Session

PRODUCER: Final = "synthetic"
BATCH: Final = 500
TRIES: Final = 20
KEY_LIFE: Final = timedelta(days=1)
MAX_WAIT_SECONDS: Final = 30.0
MAX_ANSWER_BYTES: Final = 32 * 1024 * 1024
MAX_MISSES: Final = 20
_POINTED: Final = (Reason.SCHEMA_VIOLATION.value, Reason.PRIVACY_REFUSED.value)
Sleep = Callable[[float], None]
_Sent = tuple[str, Made]  # with the name of the stream that it was made for


@dataclass(frozen=True, slots=True)
class Wanted:
    """What somebody asked for. `events` are of the first stream; without them `rate` and span decide.

    `shares` by kind, or one `broken_ratio` that the `rules` share evenly.
    """

    start: datetime
    end: datetime
    seed: int = 1
    events: int | None = None
    rate: float = 10.0
    broken_ratio: float = 0.0
    rules: tuple[str, ...] = (Reason.SCHEMA_VIOLATION.value,)
    shares: Mapping[str, float] = field(default_factory=dict)
    incidents: tuple[Incident, ...] = ()
    curve: str = LEARNED
    learns: bool = True
    production: bool = False

    def kinds(self) -> dict[str, float]:
        """The share of each kind. Raises InvalidError."""
        if self.shares and self.broken_ratio:
            raise InvalidError(
                "Say one share for all that is broken, or one for each kind.", code="share"
            )
        return check_shares(self.shares or even_shares(self.broken_ratio, self.rules))


# Streams of one run, each with how many events it has for one of the first.
Streams = Sequence[tuple[Stream, float]]


def plans_for(streams: Streams, wanted: Wanted, *, actor: Actor) -> list[Plan]:
    """The plans of a run. Raises InvalidError for a production stream that was not meant, a contract
    that rules out everything, and for what none of the streams can have."""
    first, _ = streams[0]
    curve = week_of(first) if wanted.curve == LEARNED else declared(wanted.curve)
    return fitted([
        _plan_for(stream, wanted, ratio, curve, actor=actor) for stream, ratio in streams
    ])  # fmt: skip


def _plan_for(
    stream: Stream, wanted: Wanted, ratio: float, curve: tuple[float, ...], *, actor: Actor
) -> Plan:
    if stream.track == Track.PRODUCTION and not wanted.production:
        raise InvalidError(
            f"{stream.name} is a production stream: consumers and dashboards would take synthetic "
            "events for real ones. Say that it is meant.",
            code="production_stream",
        )
    version = stream.versions.filter(version=stream.default_version or 0).first()
    if version is None:
        raise InvalidError(f"{stream.name} has no active version.", code="no_version")
    plan = Plan(
        stream=stream.name,
        version=version.version,
        document=version.document,
        seed=wanted.seed,
        start=wanted.start,
        end=wanted.end,
        events=max(1, round((wanted.events or 0) * ratio)),
        shares=tuple(wanted.kinds().items()),
        incidents=wanted.incidents,
        curve=curve,
        sets_aside=stream.compatibility_policy == "reader_writer",
        enforces=stream.enforcement == Enforcement.ENFORCE,
        retired_version=_retired_version(stream),
    )
    if wanted.learns:
        profile, subjects = learn(actor, stream, version.document)
        plan = replace(plan, profile=profile, subjects=subjects)
    if wanted.events is None:
        usual = wanted.rate * ratio * (wanted.end - wanted.start).total_seconds()
        plan = replace(plan, events=round(usual * Maker(replace(plan, events=1)).volume_ratio()))
    return plan


def _retired_version(stream: Stream) -> int | None:
    """The newest version that the door refuses by its age."""
    is_over = Q(state=VersionState.RETIRED) | Q(
        state__in=(VersionState.ACTIVE, VersionState.DEPRECATED), sunset_at__lte=clock.now()
    )
    found = stream.versions.filter(is_over).order_by("-version").first()
    return found.version if found is not None else None


def publisher_key(
    streams: Sequence[Stream],
    *,
    made: tuple[str, ParsedKey] | None = None,
    lasts: timedelta = KEY_LIFE,
) -> tuple[Key, str]:
    """A key of the test producer `synthetic` for one run, drawn unless one is given. Who may publish
    was asked before."""
    producer = Producer.objects.filter(name=PRODUCER).first()
    if producer is None:
        producer = create_producer(
            PRODUCER, actor=SYSTEM, title="Synthetic events", sources=(SOURCE,), is_test=True,
            description="Events made from contracts, for testing. See docs/synthetic.md.",
        )  # fmt: skip
    if not producer.is_test or not ProducerSource.objects.filter(
        producer=producer, source=SOURCE, declared=True
    ):
        raise InvalidError(
            f"The producer {PRODUCER} is somebody's own: it is no test producer with the source "
            f"{SOURCE}. Rename it.",
            code="producer_taken",
        )
    permit(producer, actor=SYSTEM, streams=streams)
    glob = streams[0].name if len(streams) == 1 else "*"
    return create_key(
        actor=SYSTEM, kind="prod", name="synthetic run", holder_id=producer.pk,
        streams_glob=glob, expires_at=clock.now() + lasts, made=made,
    )  # fmt: skip


@dataclass(slots=True)
class Run:
    """A run under way. `outcome` counts (stream, rule, expected, seen); `positions` say where each
    maker goes on."""

    makers: Sequence[Maker]
    url: str = ""
    key: str = ""
    positions: list[int] = field(default_factory=list)
    rate: float | None = None
    sleep: Sleep = time.sleep
    outcome: Counter[tuple[str, str, str, str]] = field(default_factory=Counter)
    misses: list[dict[str, str]] = field(default_factory=list)
    sent: int = 0
    waited: int = 0
    at_once: int | None = None  # places a batch; None: what the rate allows
    timeout_seconds: float = 30.0

    def __post_init__(self) -> None:
        self.positions = list(self.positions) or [0] * len(self.makers)

    @property
    def position(self) -> int:
        """How many places of all streams together are done."""
        return sum(self.positions)

    @property
    def total(self) -> int:
        return sum(maker.count for maker in self.makers)

    def places(self) -> Iterator[tuple[datetime, Maker, int]]:
        """What is left in the order of time: when, whose, and the place in that maker."""
        return merged(self.makers, self.positions)

    def send(self, *, tell: Callable[["Run"], None]) -> None:
        """Send all that is left. Raises PortalError when the door refuses the whole of it."""
        places = self.places()
        usual = BATCH if self.rate is None else max(1, min(BATCH, int(self.rate / 4)))
        size = self.at_once or usual
        limits = Limits(self.timeout_seconds, self.timeout_seconds, MAX_ANSWER_BYTES)
        with Session(rules.for_named_by_the_operator(), limits=limits) as door:
            began, done = time.monotonic(), 0
            while batch := list(islice(places, size)):
                self._await_turn(batch[-1][0], began, done)
                made = [
                    (maker.plan.stream, one)
                    for _, maker, place in batch
                    for one in maker.events(place)
                ]
                for start in range(0, len(made), BATCH):
                    self._post(door, made[start : start + BATCH])
                for _, maker, place in batch:
                    self.positions[self.makers.index(maker)] = place + 1
                done += len(batch)
                tell(self)

    def _await_turn(self, moment: datetime, began: float, done: int) -> None:
        """An event of a time to come waits for it; a rate holds back what is past."""
        pause = (moment - clock.now()).total_seconds()
        if self.rate is not None:
            pause = max(pause, began + done / self.rate - time.monotonic())
        if pause > 0:
            self.sleep(pause)

    def _post(self, door: Session, made: list[_Sent]) -> None:
        headers = {"authorization": f"Bearer {self.key}", "content-type": "application/x-ndjson"}
        body = b"".join(one.line.removesuffix(b"\n") + b"\n" for _, one in made)
        for _ in range(TRIES):
            try:
                answer = door.send(
                    "POST", f"{self.url.rstrip('/')}/v1/events", content=body, headers=headers
                )
            except BlockedError as error:
                raise PortalError(f"{self.url} is not sent to. {error}") from error
            except FailedError:
                self._wait(1.0)
                continue
            if answer.status in (429, 503):
                self._wait(float(answer.headers.get("retry-after") or 1))
                continue
            if answer.status not in (202, 422):
                raise PortalError(_said(answer))
            self._count(made, answer.json())
            return
        raise PortalError(f"{self.url} did not take events for {TRIES} tries.")

    def _wait(self, seconds: float) -> None:
        self.waited += 1
        self.sleep(min(max(seconds, 0.1), MAX_WAIT_SECONDS))

    def _count(self, made: list[_Sent], answer: dict[str, Any]) -> None:
        named = {one["index"]: one for one in answer["results"]}
        self.sent += len(made)
        for index, (stream, one) in enumerate(made):
            result = named.get(index, {"status": Status.ACCEPTED})
            seen = result.get("reason") or result["status"]
            pointers = {fault["pointer"] for fault in result.get("errors", ())}
            self.outcome[stream, one.rule, one.expected, seen] += 1
            if not is_expected(one.expected, seen):
                self._miss(stream, one.rule, one.expected, seen)
            elif seen in _POINTED and one.rule.startswith(seen) and one.pointer not in pointers:
                self._miss(stream, one.rule, one.pointer, "elsewhere")

    def _miss(self, stream: str, rule: str, expected: str, seen: str) -> None:
        if len(self.misses) < MAX_MISSES:
            self.misses.append({"stream": stream, "rule": rule, "expected": expected, "seen": seen})

    def rows(self) -> list[dict[str, Any]]:
        """Expected beside seen: one row for each stream, kind and pair that came."""
        return [
            {"stream": stream, "rule": rule, "expected": expected, "seen": seen, "events": count}
            for (stream, rule, expected, seen), count in sorted(self.outcome.items())
        ]


def _said(answer: Answer) -> str:
    try:
        return f"The door answered {answer.status}: {answer.json()['detail']}"
    except (ValueError, KeyError, TypeError):
        return f"The door answered {answer.status}."
