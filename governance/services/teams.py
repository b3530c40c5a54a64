"""Writing teams and who is in them."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.contrib.auth.models import Group
from django.db import transaction

from governance import audit
from governance.errors import RoleNeededError, TeamByGroupError
from governance.models import Membership, Team, User
from governance.selectors.people import is_by_group, may_manage
from governance.services.notices import News, tell
from governance.types import NoticeKind, ResourceRef
from portal.kernel import clock
from portal.kernel.actor import Actor
from portal.kernel.errors import InvalidStateError, NotFoundError, PreconditionFailedError
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
    """Put a person into a team, or change whether they lead it; what came by the team is theirs at once.

    Raises TeamByGroupError where a group at the company's sign-in says who is in it, InvalidStateError
    for a closed account.
    """
    _require_lead(team, actor, "Admins and leads of the team add people.")
    found = Membership.objects.select_for_update().filter(team=team, user=user).first()
    if found is not None:
        return set_lead(found, is_lead, actor=actor)
    require_by_hand(team)
    if not user.is_active:
        raise InvalidStateError("Their account is closed. An admin opens it first.")
    with only_once("Somebody else put them into the team just now.", code="conflict"):
        membership = Membership.objects.create(team=team, user=user, is_lead=is_lead)
    user.groups.add(team.group)
    role = " as a lead" if is_lead else ""
    audit.record(
        actor,
        "team.joined",
        ResourceRef("team", team.slug),
        summary=f"put {user.email} into {team.name}{role}",
    )
    _tell(team, user, f"You are in the team {team.name} now", actor)
    return membership


@transaction.atomic
def set_lead(membership: Membership, is_lead: bool, *, actor: Actor) -> Membership:
    """Say whether somebody of a team leads it, unless somebody else said so meanwhile."""
    team, user = membership.team, membership.user
    _require_lead(team, actor, "Admins and leads of the team name its leads.")
    if membership.is_lead == is_lead:
        return membership
    moved = Membership.objects.filter(pk=membership.pk, is_lead=membership.is_lead)
    if not moved.update(is_lead=is_lead):
        raise PreconditionFailedError("It was changed since you read it. Read it again and retry.")
    membership.is_lead = is_lead
    said = f"made {user.email} a lead of" if is_lead else f"has {user.email} no longer lead"
    audit.record(
        actor, "team.lead_changed", ResourceRef("team", team.slug), summary=f"{said} {team.name}"
    )
    title = f"You lead the team {team.name} now" if is_lead else f"You no longer lead {team.name}"
    _tell(team, user, title, actor)
    return membership


@transaction.atomic
def remove_member(team: Team, user: User, *, actor: Actor) -> None:
    """Take a person out of a team: what they might by it, its things and its grants, ends at once.

    What they hold by themselves stays. Raises NotFoundError for who is not in it, TeamByGroupError
    where a group at the company's sign-in says who is.
    """
    _require_lead(team, actor, "Admins and leads of the team take people out.")
    require_by_hand(team)
    if not Membership.objects.filter(team=team, user=user).delete()[0]:
        raise NotFoundError
    user.groups.remove(team.group)
    audit.record(
        actor,
        "team.left",
        ResourceRef("team", team.slug),
        summary=f"took {user.email} out of {team.name}",
    )
    _tell(team, user, f"You are no longer in the team {team.name}", actor)


def require_by_hand(team: Team) -> None:
    """Refuse to touch who is in a team that follows a group: the next sign-in would undo it."""
    if is_by_group(team):
        raise TeamByGroupError


def _tell(team: Team, user: User, title: str, actor: Actor) -> None:
    if actor.is_person:  # what the portal makes by itself is no news
        news = News(
            NoticeKind.SIGN_IN, ResourceRef("person", user.email), title,
            f"{actor.label} did this.", f"/teams/{team.slug}/",
        )  # fmt: skip
        tell([user.pk], news, by=actor)


def _require_lead(team: Team, actor: Actor, said: str) -> None:
    if not may_manage(actor, team):
        raise RoleNeededError(said, "team.manage")
