"""Who a person is: roles, teams and the actor made of them; and who keeps a team."""

import hashlib
from typing import Final

from django.conf import settings
from django.db.models import QuerySet

from governance.models import Membership, Team, User
from governance.types import Role
from portal.kernel.actor import ALL_SCOPES, Actor, ActorKind
from portal.kernel.errors import NotFoundError

ROLES: Final = frozenset(role.value for role in Role)


def actor_of(
    user: User, *, scopes: frozenset[str] = ALL_SCOPES, key_id: str = "", request_id: str = ""
) -> Actor:
    """The actor a person acts as, in two queries: role names and team ids."""
    roles = user.groups.filter(team__isnull=True).values_list("name", flat=True)
    teams = Membership.objects.filter(user=user).values_list("team_id", flat=True)
    return Actor(
        kind=ActorKind.PERSON,
        id=user.pk,
        label=user.email,
        roles=frozenset(roles),
        team_ids=frozenset(teams),
        scopes=scopes,
        key_id=key_id,
        request_id=request_id,
    )


def people() -> QuerySet[User]:
    """All people with their groups and teams; colleagues know of each other."""
    return User.objects.prefetch_related("groups", "memberships__team")


def get_person(user_id: int) -> User:
    """One person, closed accounts too. Raises NotFoundError."""
    found = people().filter(pk=user_id).first()
    if found is None:
        raise NotFoundError
    return found


def get_team(slug: str) -> Team:
    """One team with its group; teams are no secret. Raises NotFoundError."""
    found = Team.objects.select_related("group").filter(slug=slug).first()
    if found is None:
        raise NotFoundError
    return found


def members_of(team: Team) -> QuerySet[Membership]:
    """Who is in a team."""
    return Membership.objects.filter(team=team).select_related("user", "team__group")


def get_member(team: Team, user_id: int) -> Membership:
    """One person's place in a team. Raises NotFoundError for who is not in it."""
    found = members_of(team).filter(user=user_id).first()
    if found is None:
        raise NotFoundError
    return found


def role_names(user: User) -> list[str]:
    """The names of a person's roles, sorted; of `people()` without a query."""
    return sorted({group.name for group in user.groups.all()} & ROLES)


def revision_of(user: User) -> str:
    """What changes whenever what is shown of a person does."""
    teams = sorted(membership.team.slug for membership in user.memberships.all())
    shown = [user.email, user.name, str(user.is_active), *role_names(user), "", *teams]
    return hashlib.sha256("\0".join(shown).encode()).hexdigest()[:32]


def may_manage(actor: Actor, team: Team) -> bool:
    """Whether somebody keeps a team: an admin, or a lead of it."""
    if actor.is_admin:
        return True
    leads = Membership.objects.filter(team=team, user_id=actor.id, is_lead=True)
    return actor.is_person and leads.exists()


def is_by_group(team: Team) -> bool:
    """Whether a group at the company's sign-in says who is in a team, each time somebody signs in."""
    return bool(team.sign_in_group and settings.OIDC_ISSUER and settings.OIDC_GROUPS_CLAIM)
