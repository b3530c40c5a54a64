"""Who a person is: roles, teams and the actor made of them."""

from governance.models import Membership, User
from portal.kernel.actor import ALL_SCOPES, Actor, ActorKind


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
