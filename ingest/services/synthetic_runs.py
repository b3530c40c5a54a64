"""Runs of synthetic events that people start on the page or by the API, and workers send.

1. `start_run` asks for the right to publish, learns what the starter may read, tries the contracts,
   gives the run a key of the test producer and starts a job.
2. A step sends for a second through the real door, over HTTP, and keeps its place. It never sleeps:
   where the door says wait, or the next event's time is still to come, it gives the worker back.
3. The text of the run's key is derived from the portal's secret and stands nowhere. It lives for a
   quarter of an hour and is renewed while the starter may still publish; the last step revokes it.

A step that dies is done again: what the door had taken then is a duplicate, by its identity.
"""

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Final, NoReturn
from uuid import UUID

from django.conf import settings
from django.db import transaction

from catalog.models import SchemaVersion, Stream
from governance import access, audit, keys
from governance.job_kinds import Step
from governance.models import Job, Key, User
from governance.selectors.people import actor_of
from governance.services.jobs import start_job
from governance.services.keys import revoke_key
from governance.types import Permission
from ingest.models import SyntheticPart, SyntheticRun
from ingest.selectors.synthetic_runs import RUN, streams_of
from ingest.services.synthetic import BATCH, Run, Streams, Wanted, plans_for, publisher_key
from ingest.synthetic.curves import FLAT
from ingest.synthetic.joining import MAX_STREAMS
from ingest.synthetic.making import LATE_BY, Made, Maker, Plan
from ingest.synthetic.plans import (
    PlanBody,
    read_plan,
    say_incident,
    say_learned,
    say_time,
    whole_plan,
)
from ingest.synthetic.several import joined_fields, makers_of
from portal.kernel import clock
from portal.kernel.actor import SYSTEM, Actor
from portal.kernel.errors import (
    FieldError,
    InvalidError,
    InvalidStateError,
    NotPermittedError,
    PortalError,
)

MAX_EVENTS: Final = 1_000_000
MAX_INCIDENTS: Final = 20
MAX_AHEAD: Final = timedelta(days=7)
KEY_LIFE: Final = timedelta(minutes=15)
BUDGET_SECONDS: Final = 1.0
POST_SECONDS: Final = 5.0  # a step holds a transaction, so that it waits for no slow door
GIVES_UP_AFTER: Final = timedelta(minutes=5)
LEAST_REST_SECONDS: Final = 0.5
SHOWN: Final = 5


def start_run(
    stream: Stream, wanted: Wanted, *, actor: Actor, further: Streams = ()
) -> SyntheticRun:
    """Begin to send synthetic events to a stream, and to further ones; workers do it.

    Raises NotPermittedError without the right to publish to each, InvalidError for a plan that cannot
    be, for a contract that rules out everything, a kind that no stream can have, and for a
    production stream that was not meant.
    """
    streams = [(stream, 1.0), *further]
    plans = _planned(streams, wanted, actor=actor)
    makers = makers_of(plans)
    run = SyntheticRun(
        stream=stream, plan=_said(streams, plans, wanted, makers), learned=say_learned(plans[0]),
        is_learned=any(plan.profile for plan in plans),
        total=sum(maker.count for maker in makers), started_by=actor.label,
        started_by_user=actor.id if actor.is_person else 0,
    )  # fmt: skip
    forget_learned()
    with transaction.atomic():
        made = keys.derive("prod", run.ref.key, settings.SECRET_KEY)
        key, _ = publisher_key([one for one, _ in streams], made=made, lasts=KEY_LIFE)
        run.key_id = key.pk
        run.save(force_insert=True)
        SyntheticPart.objects.bulk_create(
            SyntheticPart(run=run, at=at, stream=one, learned=say_learned(plans[at]))
            for at, (one, _) in enumerate(streams)
            if at
        )
        title = f"Synthetic events to {stream.name}" + _and_others(len(further))
        start_job(
            RUN, run.ref, actor=actor, title=title[:200], owner_team_id=stream.owner_team_id,
            track=stream.track,
        )  # fmt: skip
        for one, _ in streams:
            audit.record(
                actor, "stream.filled", one.ref, summary=f"sends synthetic events to {one.name}",
                after={"run": str(run.pk), **run.plan, "events": run.total},
            )  # fmt: skip
    return run


def _and_others(count: int) -> str:
    return f" and {count} other{'s' if count > 1 else ''}" if count else ""


def preview(
    stream: Stream, wanted: Wanted, *, actor: Actor, further: Streams = ()
) -> tuple[list[Made], list[str]]:
    """Five events of a run, and the fields by which those of several streams join.

    Of one stream: over its whole time, from its incidents, and two of those that break. Of several:
    one journey through them, as far as it goes, then some that break. The places are the run's own,
    so that the same event comes when it is sent; only where a break is shown, the run may break
    another place. Sends nothing.
    """
    plans = _planned(
        [(stream, 1.0), *further], replace(wanted, production=True), actor=actor
    )  # nothing is sent
    whole = makers_of([replace(plan, shares=()) for plan in plans])
    first = whole[0]
    if not first.count:
        return [], []
    kinds = list(dict.fromkeys(kind for plan in plans for kind, _ in plan.shares))
    shown = kinds[:3] if len(kinds) != 1 else kinds * 2
    places = [first.count * (2 * at + 1) // (2 * SHOWN) for at in range(SHOWN)]
    if len(whole) > 1:
        found = _one_journey(whole)[: SHOWN - min(len(shown), 2)]
    else:
        struck = [_place_in(first, one.at + one.lasts / 2) for one in plans[0].incidents]
        usual = list(dict.fromkeys([*struck, *places]))[: SHOWN - len(shown)]
        found = [first.events(place)[0] for place in usual]
    for place, kind in list(zip(reversed(places), shown, strict=False))[: SHOWN - len(found)]:
        at = next(at for at, one in enumerate(plans) if kind in dict(one.shares))
        broken = makers_of([
            replace(plan, shares=((kind, 1.0),) if at == step else (), incidents=())
            for step, plan in enumerate(plans)
        ])[at]  # fmt: skip
        found.append(broken.events(min(place, broken.count - 1))[-1])  # the last of two
    return found, joined_fields(whole)


def _one_journey(makers: Sequence[Maker]) -> list[Made]:
    """The events of the journey that the middle of the rarest stream goes on with."""
    rarest = min((maker for maker in makers if maker.count), key=lambda maker: maker.count)
    journey = rarest.journey_of(rarest.count // 2)
    places = [maker.place_of(journey) for maker in makers]
    return [
        maker.events(place)[0]
        for maker, place in zip(makers, places, strict=True)
        if place is not None
    ]


def _place_in(maker: Maker, after: timedelta) -> int:
    """The first place that is not before a moment of the run."""
    low, high, at = 0, maker.count - 1, maker.plan.start + after
    while low < high:
        middle = (low + high) // 2
        low, high = (middle + 1, high) if maker.time_of(middle) < at else (low, middle)
    return low


def _planned(streams: Streams, wanted: Wanted, *, actor: Actor) -> list[Plan]:
    for stream, _ in streams:
        access.require(actor, Permission.PUBLISH, stream)
    kinds = wanted.kinds()
    now = clock.now()
    faults = []
    if len({stream.pk for stream, _ in streams}) < len(streams):
        faults.append(FieldError("/streams", "repeated", "names a stream twice"))
    if len(streams) > MAX_STREAMS:
        faults.append(FieldError("/streams", "range", f"a run has {MAX_STREAMS} streams at most"))
    if wanted.end <= wanted.start:
        faults.append(FieldError("/until", "order", "lies after the beginning"))
    is_late = "late" in kinds or any(one.kind == "late" for one in wanted.incidents)
    earliest = wanted.start - (LATE_BY if is_late else timedelta())
    window = min(stream.late_seconds for stream, _ in streams)
    if earliest < now - timedelta(seconds=window):
        days = f"the stream takes events of the last {window / 86_400:g} days"
        late = ", and late ones lie two hours before" if is_late else ""
        faults.append(FieldError("/since", "window", days + late))
    if wanted.end > now + MAX_AHEAD:
        faults.append(FieldError("/until", "range", f"lies {MAX_AHEAD.days} days ahead at most"))
    usual = wanted.events or wanted.rate * (wanted.end - wanted.start).total_seconds()
    if usual * sum(ratio for _, ratio in streams) > MAX_EVENTS:
        faults.append(FieldError("/events", "range", f"a run has {MAX_EVENTS} events at most"))
    if faults:
        said = "; ".join(f"{fault.pointer.strip('/')} {fault.detail}" for fault in faults)
        raise InvalidError(f"That cannot be sent: {said}.", errors=faults)
    plans = plans_for(streams, wanted, actor=actor)
    if sum(plan.events for plan in plans) > MAX_EVENTS:
        raise InvalidError(
            f"With its incidents the run has more than {MAX_EVENTS} events.", code="too_many"
        )
    return plans


def _said(
    streams: Streams, plans: Sequence[Plan], wanted: Wanted, makers: Sequence[Maker]
) -> PlanBody:
    kinds = wanted.kinds()
    return {
        "version": plans[0].version,
        "since": say_time(wanted.start),
        "until": say_time(wanted.end),
        "events": sum(plan.events for plan in plans),
        "rate": wanted.rate if wanted.events is None else None,
        "seed": wanted.seed,
        "broken_ratio": min(sum(kinds.values()), 1.0),
        "rules": list(kinds),
        "shares": kinds,
        "incidents": [say_incident(one) for one in wanted.incidents],
        "curve": wanted.curve,
        "seasonal": wanted.curve != FLAT,
        "learns": wanted.learns,
        "streams": [
            {
                "stream": plan.stream,
                "version": plan.version,
                "events": plan.events,
                "ratio": ratio,
                "shares": dict(plan.shares),
                "incidents": [say_incident(one) for one in plan.incidents],
            }
            for plan, (_, ratio) in zip(plans, streams, strict=True)
        ],
        "joins": joined_fields(makers),
    }


def run_step(job: Job) -> Step:
    """Send for a second, as far as the door and the events' times allow."""
    run = SyntheticRun.objects.select_for_update().filter(pk=UUID(job.object_key)).first()
    if run is None:
        raise InvalidStateError("The run is gone.")
    if not run.learned:
        raise InvalidStateError("What this run went by is forgotten by now; start another.")
    if run.parts.count() + 1 < len(run.plan.get("streams", ())):
        raise InvalidStateError("A stream of this run is gone; start another.")
    if _renew_key(run):  # only now the door knows of it, so that the next step sends
        return Step(job.cursor, run.position, run.total, "begins", rest_seconds=LEAST_REST_SECONDS)
    sending = _Sending(run)
    rest, is_finished = sending.go()
    sending.keep()
    since = _stuck_since(job, sending)
    if is_finished:
        _finish(run)
    said = f"{run.sent} events sent"
    if sending.run.waited:
        said += "; the door asked to wait"
    elif rest > LEAST_REST_SECONDS and not is_finished:
        said += "; the next ones wait for their time"
    return Step(
        {"stuck_since": since}, run.position, run.total, said, is_finished, rest_seconds=rest
    )


class _RestError(Exception):
    """Inside a step: nothing more can be sent for some seconds."""

    def __init__(self, seconds: float) -> None:
        super().__init__(seconds)
        self.seconds = seconds


def _rest(seconds: float) -> NoReturn:
    raise _RestError(seconds)


class _Sending:
    """One step's sending. Only whole batches are kept, so that none is counted twice."""

    def __init__(self, run: SyntheticRun) -> None:
        makers = _makers(run.pk)
        self.parts = list(run.parts.order_by("at"))
        further = [part.position for part in self.parts]
        positions = [run.position - sum(further), *further]
        text, _ = keys.derive("prod", run.ref.key, settings.SECRET_KEY)
        self.row = run
        self.run = Run(
            makers, settings.PUBLIC_URL, text, positions, sleep=_rest, sent=run.sent,
            misses=list(run.misses), at_once=_at_once(makers, positions),
            timeout_seconds=POST_SECONDS,
        )  # fmt: skip
        for one in run.outcome:
            stream = one.get("stream", run.stream.name)
            self.run.outcome[stream, one["rule"], one["expected"], one["seen"]] = one["events"]
        self._until = time.monotonic() + BUDGET_SECONDS
        self._keep_place(self.run)

    def _keep_place(self, run: Run) -> None:
        self._outcome, self._sent = Counter(run.outcome), run.sent
        self._misses = list(run.misses)

    def _tell(self, run: Run) -> None:
        self._keep_place(run)
        if time.monotonic() >= self._until:
            _rest(0.0)

    def go(self) -> tuple[float, bool]:
        """How long to rest, and whether all is sent."""
        if self.run.position >= self.run.total:
            return 0.0, True
        try:
            self.run.send(tell=self._tell)
        except _RestError as rest:
            is_whole = self.run.position >= self.run.total
            wait = max(rest.seconds, LEAST_REST_SECONDS) if rest.seconds else 0.0
            return wait, is_whole
        return 0.0, True

    def keep(self) -> None:
        self.run.outcome = self._outcome
        row = self.row
        row.position, row.sent = self.run.position, self._sent
        row.outcome, row.misses = self.run.rows(), self._misses
        row.save(update_fields=["position", "sent", "outcome", "misses"])
        for part, position in zip(self.parts, self.run.positions[1:], strict=True):
            part.position = position
        SyntheticPart.objects.bulk_update(self.parts, ["position"])


@lru_cache(maxsize=8)
def _makers(run_id: UUID) -> tuple[Maker, ...]:
    """The makers of a run, compiled once in each worker: neither plan nor contract ever change."""
    run = SyntheticRun.objects.select_related("stream").get(pk=run_id)
    parts = [(run.stream_id, run.learned)]
    parts += run.parts.order_by("at").values_list("stream_id", "learned")
    said = whole_plan(run.plan, run.stream.name)
    plans = []
    for at, (stream_id, learned) in enumerate(parts):
        version = SchemaVersion.objects.get(
            stream_id=stream_id, version=said["streams"][at]["version"]
        )
        plans.append(read_plan(said, at, version.document, learned))
    return tuple(makers_of(plans))


def _at_once(makers: Sequence[Maker], positions: Sequence[int]) -> int:
    """How many places make a batch: what is past goes in large ones, what comes by the second."""
    now = clock.now()
    ahead = [
        maker.time_of(min(position + BATCH, maker.count) - 1)
        for maker, position in zip(makers, positions, strict=True)
        if maker.count
    ]
    if all(moment <= now for moment in ahead):
        return BATCH
    plan = makers[0].plan
    seconds = (plan.end - plan.start).total_seconds()
    total = sum(maker.count for maker in makers)
    return max(1, min(BATCH, round(total / max(seconds, 1.0))))


def _stuck_since(job: Job, sending: _Sending) -> str | None:
    """Since when the door takes nothing. Raises PortalError when that has been for too long."""
    if not sending.run.waited or sending.row.position > job.done:
        return None
    since: str = job.cursor.get("stuck_since") or clock.now().isoformat()
    if clock.now() - datetime.fromisoformat(since) > GIVES_UP_AFTER:
        minutes = GIVES_UP_AFTER.seconds // 60
        raise PortalError(f"{settings.PUBLIC_URL} took no events for {minutes} minutes.")
    return since


def _renew_key(run: SyntheticRun) -> bool:
    """Let the run's key live on when its end is near; whether it did.

    Asks once more whether who started the run may publish. The row is not touched in a step that
    sends: the door notes the key's use there.
    """
    key = Key.objects.filter(pk=run.key_id, revoked_at=None).first()
    if key is None:
        raise InvalidStateError("The key of this run was revoked.")
    assert key.expires_at is not None
    if key.expires_at - clock.now() > KEY_LIFE / 2:
        return False
    if run.started_by_user:
        user = User.objects.filter(pk=run.started_by_user, is_active=True).first()
        for stream in streams_of(run):
            if user is None or not access.may(actor_of(user), Permission.PUBLISH, stream):
                raise NotPermittedError(
                    f"{run.started_by} may not publish to {stream.name} any more.",
                    code="not_permitted",
                )
    Key.objects.filter(pk=key.pk).update(expires_at=clock.now() + KEY_LIFE)
    return True


def _finish(run: SyntheticRun) -> None:
    revoke_key(run.key_id, actor=SYSTEM)
    run.learned = {}
    run.save(update_fields=["learned"])
    run.parts.update(learned={})


def forget_learned(*, before: timedelta = timedelta(days=7)) -> int:
    """Let go what runs have learned that were stopped or failed a while ago; gives how many."""
    ended = Job.objects.filter(
        kind=RUN, state__in=("stopped", "failed"), finished_at__lt=clock.now() - before
    )
    numbers = [UUID(one) for one in ended.values_list("object_key", flat=True)]
    SyntheticPart.objects.filter(run__in=numbers).exclude(learned={}).update(learned={})
    return SyntheticRun.objects.filter(pk__in=numbers).exclude(learned={}).update(learned={})
