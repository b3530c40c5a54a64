"""Reading long work: people see what they started and what is their teams'; admins see all."""

from uuid import UUID

from django.db.models import Q, QuerySet

from governance.models import AuditEntry, Job
from governance.types import ResourceRef
from portal.kernel.actor import Actor
from portal.kernel.errors import NotFoundError


def visible_jobs(actor: Actor) -> QuerySet[Job]:
    """Work that the actor started or their teams own; all for admins, none for keys."""
    if actor.is_admin:
        return Job.objects.all()
    if not actor.is_person:
        return Job.objects.none()
    return Job.objects.filter(Q(created_by_user=actor.id) | Q(owner_team__in=actor.team_ids))


def get_job(actor: Actor, job_id: UUID) -> Job:
    """One job; NotFoundError for missing and forbidden alike."""
    found = visible_jobs(actor).filter(pk=job_id).first()
    if found is None:
        raise NotFoundError
    return found


def wishes_of(job: Job, *, limit: int = 50) -> list[AuditEntry]:
    """What people wished for a piece of work (pause, resume, stop), the oldest first.

    The log knows the thing, not the job: words of later work of the kind on it are left out.
    """
    rows = AuditEntry.objects.filter(
        object_kind=job.object_kind,
        object_key=job.object_key,
        action__startswith="job.",
        summary__endswith=f": {job.title}",
        at__gte=job.created_at,
    )
    after = Job.objects.filter(
        kind=job.kind,
        object_kind=job.object_kind,
        object_key=job.object_key,
        created_at__gt=job.created_at,
    )
    later = after.order_by("created_at").first()
    if later is not None:
        rows = rows.filter(at__lt=later.created_at)
    return list(rows.order_by("seq")[:limit])


def newest_job(kind: str, about: ResourceRef) -> Job | None:
    """The newest work of a kind on a thing, whoever may see the thing."""
    return (
        Job.objects.filter(kind=kind, object_kind=about.kind, object_key=about.key)
        .order_by("-created_at")
        .first()
    )
