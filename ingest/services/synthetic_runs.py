"""Runs of synthetic events that people start on the page or by the API, and workers send.

1. `start_run` asks for the right to publish, learns what the starter may read, tries the contract,
   gives the run a key of the test producer and starts a job.
2. A step sends for a second through the real door, over HTTP, and keeps its place. It never sleeps:
   where the door says wait, or the next event's time is still to come, it gives the worker back.
3. The text of the run's key is derived from the portal's secret and stands nowhere. It lives for a
   quarter of an hour and is renewed while the starter may still publish; the last step revokes it.

A step that dies is done again: what the door had taken then is a duplicate, by its identity.
"""

import time
from collections import Counter
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
from ingest.models import SyntheticRun
from ingest.selectors.synthetic_runs import RUN
from ingest.services.synthetic import BATCH, Run, Wanted, plan_for, publisher_key
from ingest.synthetic.breaking import check_rule
from ingest.synthetic.making import Made, Maker, Plan, read_incident
from ingest.synthetic.plans import PlanBody, read_plan, say_incident, say_learned, say_time
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


def start_run(stream: Stream, wanted: Wanted, *, actor: Actor) -> SyntheticRun:
    """Begin to send synthetic events to a stream; workers do it.

    Raises NotPermittedError without the right to publish, InvalidError for a plan that cannot be,
    for a contract that rules out everything, a rule that it cannot be broken by alone, and for a
    production stream that was not meant.
    """
    plan = _planned(stream, wanted, actor=actor)
    maker = Maker(plan)
    maker.check()
    run = SyntheticRun(
        stream=stream, plan=_said(plan, wanted), learned=say_learned(plan),
        is_learned=bool(plan.profile), total=maker.count, started_by=actor.label,
        started_by_user=actor.id if actor.is_person else 0,
    )  # fmt: skip
    forget_learned()
    with transaction.atomic():
        made = keys.derive("prod", run.ref.key, settings.SECRET_KEY)
        key, _ = publisher_key([stream], made=made, lasts=KEY_LIFE)
        run.key_id = key.pk
        run.save(force_insert=True)
        start_job(
            RUN, run.ref, actor=actor, title=f"Synthetic events to {stream.name}"[:200],
            owner_team_id=stream.owner_team_id,
        )  # fmt: skip
        audit.record(
            actor, "stream.filled", stream.ref,
            summary=f"sends synthetic events to {stream.name}",
            after={"run": str(run.pk), "events": run.total, **run.plan},
        )  # fmt: skip
    return run


def preview(stream: Stream, wanted: Wanted, *, actor: Actor) -> list[Made]:
    """Five events of a run: over its whole time, from its incidents, and two of those that break.

    The places are the run's own, so that the same event comes when it is sent; only where a break
    is shown, the run may break another place. Sends nothing.
    """
    plan = _planned(stream, replace(wanted, production=True), actor=actor)  # nothing is sent
    whole = Maker(replace(plan, broken_ratio=0.0))
    if not whole.count:
        return []
    rules = list(plan.rules[:3]) if len(plan.rules) != 1 else [plan.rules[0]] * 2
    places = [whole.count * (2 * at + 1) // (2 * SHOWN) for at in range(SHOWN)]
    struck = [_place_in(whole, one.at + one.lasts / 2) for one in plan.incidents]
    usual = list(dict.fromkeys([*struck, *places]))[: SHOWN - len(rules)]
    found = [whole.events(place)[0] for place in usual]
    for place, rule in zip(reversed(places), rules, strict=False):
        broken = Maker(replace(plan, broken_ratio=1.0, rules=(rule,), incidents=()))
        found.append(broken.events(place)[-1])  # the last of two that conflict
    return found


def _place_in(maker: Maker, after: timedelta) -> int:
    """The first place that is not before a moment of the run."""
    low, high, at = 0, maker.count - 1, maker.plan.start + after
    while low < high:
        middle = (low + high) // 2
        low, high = (middle + 1, high) if maker.time_of(middle) < at else (low, middle)
    return low


def _planned(stream: Stream, wanted: Wanted, *, actor: Actor) -> Plan:
    access.require(actor, Permission.PUBLISH, stream)
    for rule in wanted.rules:
        check_rule(rule)
    now = clock.now()
    faults = []
    if wanted.end <= wanted.start:
        faults.append(FieldError("/until", "order", "lies after the beginning"))
    if wanted.start < now - timedelta(seconds=stream.late_seconds):
        days = stream.late_seconds / 86_400
        faults.append(
            FieldError("/since", "window", f"the stream takes events of the last {days:g} days")
        )
    if wanted.end > now + MAX_AHEAD:
        faults.append(FieldError("/until", "range", f"lies {MAX_AHEAD.days} days ahead at most"))
    usual = wanted.events or wanted.rate * (wanted.end - wanted.start).total_seconds()
    if usual > MAX_EVENTS:
        faults.append(FieldError("/events", "range", f"a run has {MAX_EVENTS} events at most"))
    if faults:
        said = "; ".join(f"{fault.pointer.strip('/')} {fault.detail}" for fault in faults)
        raise InvalidError(f"That cannot be sent: {said}.", errors=faults)
    plan = plan_for(stream, wanted, actor=actor)
    if plan.events > MAX_EVENTS:
        raise InvalidError(
            f"With its incidents the run has more than {MAX_EVENTS} events.", code="too_many"
        )
    return plan


def _said(plan: Plan, wanted: Wanted) -> PlanBody:
    return {
        "version": plan.version,
        "since": say_time(plan.start),
        "until": say_time(plan.end),
        "events": plan.events,
        "rate": wanted.rate if wanted.events is None else None,
        "seed": plan.seed,
        "broken_ratio": plan.broken_ratio,
        "rules": list(plan.rules),
        "incidents": [say_incident(one) for one in plan.incidents],
        "seasonal": wanted.is_seasonal,
        "learns": wanted.learns,
    }


def run_step(job: Job) -> Step:
    """Send for a second, as far as the door and the events' times allow."""
    run = SyntheticRun.objects.select_for_update().filter(pk=UUID(job.object_key)).first()
    if run is None:
        raise InvalidStateError("The run is gone.")
    if not run.learned:
        raise InvalidStateError("What this run went by is forgotten by now; start another.")
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
        maker = _maker(run.pk)
        text, _ = keys.derive("prod", run.ref.key, settings.SECRET_KEY)
        self.row = run
        self.run = Run(
            [maker], settings.PUBLIC_URL, text, run.position, sleep=_rest, sent=run.sent,
            misses=list(run.misses), at_once=_at_once(maker, run.position),
            timeout_seconds=POST_SECONDS,
        )  # fmt: skip
        for one in run.outcome:
            self.run.outcome[one["rule"], one["expected"], one["seen"]] = one["events"]
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


@lru_cache(maxsize=8)
def _maker(run_id: UUID) -> Maker:
    """The maker of a run, compiled once in each worker: neither plan nor contract ever change."""
    run = SyntheticRun.objects.select_related("stream").get(pk=run_id)
    version = SchemaVersion.objects.get(stream_id=run.stream_id, version=run.plan["version"])
    incidents = [read_incident(one) for one in run.plan["incidents"]]
    return Maker(read_plan(run.stream.name, version.document, run.plan, run.learned, incidents))


def _at_once(maker: Maker, position: int) -> int:
    """How many places make a batch: what is past goes in large ones, what comes by the second."""
    ahead = min(position + BATCH, maker.count) - 1
    if ahead < 0 or maker.time_of(ahead) <= clock.now():
        return BATCH
    seconds = (maker.plan.end - maker.plan.start).total_seconds()
    return max(1, min(BATCH, round(maker.count / max(seconds, 1.0))))


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
        if user is None or not access.may(actor_of(user), Permission.PUBLISH, run.stream):
            raise NotPermittedError(
                f"{run.started_by} may not publish to this stream any more.", code="not_permitted"
            )
    Key.objects.filter(pk=key.pk).update(expires_at=clock.now() + KEY_LIFE)
    return True


def _finish(run: SyntheticRun) -> None:
    revoke_key(run.key_id, actor=SYSTEM)
    run.learned = {}
    run.save(update_fields=["learned"])


def forget_learned(*, before: timedelta = timedelta(days=7)) -> int:
    """Let go what runs have learned that were stopped or failed a while ago; gives how many."""
    ended = Job.objects.filter(
        kind=RUN, state__in=("stopped", "failed"), finished_at__lt=clock.now() - before
    )
    numbers = [UUID(one) for one in ended.values_list("object_key", flat=True)]
    return SyntheticRun.objects.filter(pk__in=numbers).exclude(learned={}).update(learned={})
