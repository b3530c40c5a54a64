"""Writing teams and who is in them."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.contrib.auth.models import Group
from django.db import transaction

from governance import audit
from governance.errors import RoleNeededError
from governance.models import Membership, Team, User
from governance.types import ResourceRef
from portal.kernel import clock
from portal.kernel.actor import Actor
from portal.kernel.errors import PreconditionFailedError
from portal.kernel.once import only_once
from portal.kernel.slugs import check_slug


@transaction.atomic
def create_team(slug: str, *, actor: Actor, name: str, description: str = "") -> Team:
    """Make a team with the group that carries its grants; admins may."""
    if not actor.is_admin:
        raise RoleNeededError("Admins make teams.", "admin")
    check_slug(slug)
    with only_once("There is a team of this name already."):
        team = Team.objects.create(
            slug=slug,
            name=name,
            description=description,
            group=Group.objects.create(name=f"team:{slug}"),
        )
    audit.record(actor, "team.created", ResourceRef("team", slug), summary=f"made the team {name}")
    return team


@transaction.atomic
def change_team(
    team: Team, changes: Mapping[str, Any], *, actor: Actor, unless_after: datetime
) -> Team:
    """Change name or description, unless somebody changed it after that time."""
    _require_lead(team, actor, "Admins and leads of the team change it.")
    if not changes:
        return team
    moved = Team.objects.filter(pk=team.pk, updated_at=unless_after).update(
        **changes, updated_at=clock.now()
    )
    if not moved:
        raise PreconditionFailedError("It was changed since you read it. Read it again and retry.")
    team.refresh_from_db()
    audit.record(
        actor,
        "team.changed",
        ResourceRef("team", team.slug),
        summary=f"changed {', '.join(sorted(changes))} of the team {team.name}",
    )
    return team


@transaction.atomic
def add_member(team: Team, user: User, *, actor: Actor, is_lead: bool = False) -> Membership:
    """Put a person into a team, or change whether they lead it."""
    _require_lead(team, actor, "Admins and leads of the team add people.")
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


def _require_lead(team: Team, actor: Actor, said: str) -> None:
    leads = Membership.objects.filter(team=team, user_id=actor.id, is_lead=True).exists()
    if not actor.is_admin and not (actor.is_person and leads):
        raise RoleNeededError(said, "team.manage")
