"""Reading runs of synthetic events: whoever may know of a stream sees what was sent to it.

A run tells counts, rules and who started it, never a value.
"""

from collections.abc import Sequence
from typing import Final
from uuid import UUID

from django.db.models import Exists, OuterRef, Q, QuerySet

from catalog.models import Stream
from governance import access
from governance.models import Job
from governance.types import Permission
from ingest.models import SyntheticPart, SyntheticRun
from portal.kernel.actor import Actor
from portal.kernel.errors import NotFoundError

RUN: Final = "synthetic.run"
MAX_CHOICES: Final = 500


def visible_runs(actor: Actor) -> QuerySet[SyntheticRun]:
    """Runs of which the actor may know every stream."""
    known = access.condition(actor, Permission.DISCOVER, Stream, via="stream")
    hidden = SyntheticPart.objects.filter(run=OuterRef("pk")).exclude(known)
    return (
        SyntheticRun.objects.filter(known, ~Exists(hidden))
        .select_related("stream")
        .defer("learned")
    )


def runs_to(rows: QuerySet[SyntheticRun], stream: Stream) -> QuerySet[SyntheticRun]:
    """Those of the runs that send to a stream, as the first or a further one."""
    further = SyntheticPart.objects.filter(stream=stream).values("run")
    return rows.filter(Q(stream=stream) | Q(pk__in=further))


def streams_of(run: SyntheticRun) -> list[Stream]:
    """All streams of a run, the first in front."""
    parts = run.parts.select_related("stream").order_by("at")
    return [run.stream, *(part.stream for part in parts)]


def get_run(actor: Actor, run_id: UUID) -> SyntheticRun:
    """One run; NotFoundError for missing and forbidden alike."""
    found = visible_runs(actor).filter(pk=run_id).first()
    if found is None:
        raise NotFoundError
    return found


def jobs_of_runs(rows: Sequence[SyntheticRun]) -> dict[str, Job]:
    """The work behind each of many, by the run's id, in one query."""
    found = Job.objects.filter(
        kind=RUN, object_kind="synthetic_run", object_key__in=[str(row.pk) for row in rows]
    )
    return {job.object_key: job for job in found.order_by("created_at")}


def streams_to_fill(actor: Actor) -> list[Stream]:
    """Streams that the actor may publish to and that take events, by name."""
    rows = access.permitted(actor, Permission.PUBLISH, Stream.objects.all())
    rows = rows.filter(lifecycle__in=("active", "deprecated"), default_version__isnull=False)
    return list(rows.order_by("name")[:MAX_CHOICES])
