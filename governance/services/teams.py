"""Writing teams and who is in them."""

from django.contrib.auth.models import Group
from django.db import transaction

from governance import audit
from governance.models import Membership, Team, User
from governance.types import ResourceRef
from portal.kernel.actor import Actor
from portal.kernel.errors import ConflictError, NotPermittedError


@transaction.atomic
def create_team(slug: str, *, actor: Actor, name: str, description: str = "") -> Team:
    """Make a team with the group that carries its grants; admins may."""
    if not actor.is_admin:
        raise NotPermittedError("Admins make teams.", code="role")
    if Team.objects.filter(slug=slug).exists():
        raise ConflictError("There is a team of this name already.", code="name_taken")
    team = Team.objects.create(
        slug=slug,
        name=name,
        description=description,
        group=Group.objects.create(name=f"team:{slug}"),
    )
    audit.record(actor, "team.created", ResourceRef("team", slug), summary=f"made the team {name}")
    return team


@transaction.atomic
def add_member(team: Team, user: User, *, actor: Actor, is_lead: bool = False) -> Membership:
    """Put a person into a team, or change whether they lead it."""
    leads = Membership.objects.filter(team=team, user_id=actor.id, is_lead=True).exists()
    if not actor.is_admin and not (actor.is_person and leads):
        raise NotPermittedError("Admins and leads of the team add people.", code="role")
    membership, _ = Membership.objects.update_or_create(
        team=team, user=user, defaults={"is_lead": is_lead}
    )
    user.groups.add(team.group)
    audit.record(
        actor,
        "team.joined",
        ResourceRef("team", team.slug),
        summary=f"put {user.email} into {team.name}",
    )
    return membership
