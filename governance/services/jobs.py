"""Long work: started, run step by step by workers, paused, resumed and stopped by people.

1. `start_job` writes the row; a message only wakes a worker, and a sweep finds what it missed.
2. A worker claims the oldest due job of its track with a lease and a fence, whichever worker that
   is. Work on experimental streams has a queue of its own, so production's never waits behind it.
3. Each step is one transaction: the kind's own writes, the cursor and the progress. A crash
   between steps loses nothing and repeats nothing; one within a step undoes it.
4. After each step the wish of the people is looked at. When the worker's time is over, the job
   waits for the next. Work that says it rests waits at once, and others go before it.
5. A job that was claimed five times without finishing a step has failed, and says so.
"""

import logging
import time
from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

from django.db import IntegrityError, transaction
from django.db.models import F
from django.db.models.functions import Now

from governance import audit, job_kinds
from governance.errors import PEOPLE_AT
from governance.models import Job
from governance.models.jobs import LIVE, JobState
from governance.types import ResourceRef
from portal.kernel import clock, jobs, sql
from portal.kernel.actor import Actor
from portal.kernel.errors import InvalidStateError, NotPermittedError, PortalError

logger = logging.getLogger(__name__)

TRACKS: Final = ("production", "experimental")
LEASE: Final = timedelta(seconds=60)
BUDGET_SECONDS: Final = 20.0
MAX_ATTEMPTS: Final = 5
SWEEP_SECONDS: Final = 10.0  # whatever rests longer is found by the sweep
_CLAIM: Final = sql.load("governance", "claim_job")


@transaction.atomic
def start_job(
    kind: str,
    about: ResourceRef,
    *,
    actor: Actor,
    title: str,
    owner_team_id: int | None = None,
    cursor: Mapping[str, Any] | None = None,
    track: str = "production",
) -> Job:
    """Start work of a kind on a thing; while such work lives, it is given instead of another.

    `track` is that of the stream it is about; work on none of one is production's.
    """
    live = Job.objects.filter(
        kind=kind, object_kind=about.kind, object_key=about.key, state__in=LIVE
    )
    found = live.first()
    if found is not None:
        return found
    try:
        with transaction.atomic():
            job = Job.objects.create(
                kind=kind, object_kind=about.kind, object_key=about.key, title=title[:200],
                owner_team_id=owner_team_id, cursor=dict(cursor or {}), created_by=actor.label,
                created_by_user=actor.id if actor.is_person else 0, track=track,
            )  # fmt: skip
    except IntegrityError:
        return live.get()
    wake_workers(track)
    return job


def wake_workers(track: str) -> None:
    """Have a worker look for due jobs of a track once the transaction has committed."""
    jobs.enqueue("governance.run_jobs", track=track)


@transaction.atomic
def pause_job(job: Job, *, actor: Actor) -> Job:
    """Let work rest after its present step."""
    return _wish(job, "pause", JobState.PAUSED, (JobState.WAITING, JobState.RUNNING), actor)


@transaction.atomic
def stop_job(job: Job, *, actor: Actor) -> Job:
    """End work after its present step, for good. What it did stays."""
    return _wish(job, "stop", JobState.STOPPED, LIVE, actor)


@transaction.atomic
def resume_job(job: Job, *, actor: Actor) -> Job:
    """Go on with paused or failed work where it was."""
    _require_hand(job, actor)
    moved = Job.objects.filter(pk=job.pk, state__in=(JobState.PAUSED, JobState.FAILED)).update(
        state=JobState.WAITING, wish="", attempts=0, finished_at=None, due_at=None,
        updated_at=clock.now(), revision=F("revision") + 1,
    )  # fmt: skip
    if moved != 1:
        raise InvalidStateError("Only paused or failed work can go on.")
    audit.record(actor, "job.resumed", job.about, summary=f"resumed: {job.title}")
    wake_workers(job.track)
    job.refresh_from_db()
    return job


def may_steer(actor: Actor, job: Job) -> bool:
    """Whether the actor may pause, resume or stop the work: who started it, its team, admins."""
    if actor.is_admin:
        return True
    if not actor.is_person or "write" not in actor.scopes:
        return False
    return job.created_by_user == actor.id or job.owner_team_id in actor.team_ids


def _require_hand(job: Job, actor: Actor) -> None:
    if not may_steer(actor, job):
        raise NotPermittedError(
            "Work is steered by who started it, its team, and admins.",
            code="not_owner",
            permission="job.steer",
            request_at=PEOPLE_AT,
        )


def _wish(
    job: Job, wish: str, outcome: JobState, allowed: tuple[JobState, ...], actor: Actor
) -> Job:
    """Move a job that no worker holds at once; one that runs is asked, and ends its step first."""
    _require_hand(job, actor)
    locked = Job.objects.select_for_update().get(pk=job.pk)
    if locked.state not in allowed:
        raise InvalidStateError(f"The work is {locked.state}.")
    if locked.state == JobState.RUNNING:
        locked.wish = wish
    else:
        _settle(locked, outcome)
    locked.updated_at = clock.now()
    locked.revision += 1
    locked.save()
    audit.record(actor, f"job.{wish}_wanted", job.about, summary=f"{wish}: {job.title}")
    return locked


def _settle(job: Job, state: JobState) -> None:
    job.state, job.wish, job.lease_until = state, "", None
    if state not in LIVE:
        job.finished_at = clock.now()


def run_due_jobs(*, budget_seconds: float = BUDGET_SECONDS, track: str | None = None) -> int:
    """Run what is due on a track, or on both, until nothing is or the budget is spent; gives how many
    jobs ended."""
    until = time.monotonic() + budget_seconds
    ended = 0
    while time.monotonic() < until:
        claimed = sql.fetch_one(
            _CLAIM, {"kinds": job_kinds.known_kinds(), "lease": LEASE, "track": track}
        )
        if claimed is None:
            return ended
        if claimed["attempts"] > MAX_ATTEMPTS:
            _fail(claimed["id"], claimed["fence"], "It ended five times without finishing a step.")
            ended += 1
        else:
            ended += _run(claimed["id"], claimed["fence"], until)
    for one in (track,) if track is not None else TRACKS:
        wake_workers(one)
    return ended


def _run(job_id: UUID, fence: int, until: float) -> bool:
    """Do steps of a claimed job; whether it ended."""
    while True:
        try:
            with transaction.atomic():
                job = _held(job_id, fence)
                if job is None:
                    return False
                if not _go_on(job):
                    return not job.is_live
        except PortalError as error:
            _fail(job_id, fence, error.detail)
            return True
        if time.monotonic() >= until:
            Job.objects.filter(pk=job_id, fence=fence, state=JobState.RUNNING).update(
                state=JobState.WAITING, lease_until=None
            )
            return False


def _held(job_id: UUID, fence: int) -> Job | None:
    return (
        Job.objects.select_for_update()
        .filter(pk=job_id, fence=fence, state=JobState.RUNNING)
        .first()
    )


def _go_on(job: Job) -> bool:
    """Heed a wish, or do a step and keep it; whether there is more to do now."""
    if job.wish:
        _settle(job, JobState.PAUSED if job.wish == "pause" else JobState.STOPPED)
    else:
        step = job_kinds.step_of(job.kind)(job)
        job.cursor, job.done, job.said = dict(step.cursor), step.done, step.said
        job.total = step.total if step.total is not None else job.total
        job.attempts = 0
        job.lease_until = Now() + LEASE  # leases live by the database's clock
        if step.is_finished:
            _settle(job, JobState.DONE)
        elif step.rest_seconds is not None:
            _rest(job, step.rest_seconds)
    job.updated_at = clock.now()
    job.revision += 1
    job.save()
    return job.state == JobState.RUNNING


def _rest(job: Job, seconds: float) -> None:
    """Give the worker back. One message a rest, so that they never grow in number."""
    job.state, job.lease_until = JobState.WAITING, None
    job.due_at = Now() + timedelta(seconds=seconds)
    if 0 < seconds < SWEEP_SECONDS:
        jobs.enqueue_in(seconds, "governance.run_jobs", track=job.track)


def _fail(job_id: UUID, fence: int, why: str) -> None:
    logger.warning("job %s failed: %s", job_id, why)
    Job.objects.filter(pk=job_id, fence=fence, state=JobState.RUNNING).update(
        state=JobState.FAILED, said=why, lease_until=None, wish="", finished_at=clock.now(),
        updated_at=clock.now(), revision=F("revision") + 1,
    )  # fmt: skip
