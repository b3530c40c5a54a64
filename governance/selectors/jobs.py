"""Reading long work: people see what they started and what is their teams'; admins see all."""

from uuid import UUID

from django.db.models import Q, QuerySet

from governance.models import Job
from governance.types import ResourceRef
from portal.kernel.actor import Actor
from portal.kernel.errors import NotFoundError


def visible_jobs(actor: Actor) -> QuerySet[Job]:
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


def newest_job(kind: str, about: ResourceRef) -> Job | None:
    """The newest work of a kind on a thing, whoever may see the thing."""
    return (
        Job.objects.filter(kind=kind, object_kind=about.kind, object_key=about.key)
        .order_by("-created_at")
        .first()
    )
