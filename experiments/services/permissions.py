"""Who may write experiments and metrics."""

from typing import Final, Protocol

from governance.errors import PEOPLE_AT, RoleNeededError, TeamNeededError
from governance.models import Team
from governance.types import ResourceRef
from portal.kernel.actor import Actor
from portal.kernel.errors import NotPermittedError

AUTHORS: Final = ("product_manager", "engineer", "analyst")


class Owned(Protocol):
    """What has an owner team and a name: an experiment or a metric."""

    owner_team_id: int | None

    @property
    def ref(self) -> ResourceRef: ...


def require_author(actor: Actor, team: Team | None) -> None:
    """Refuse whoever may not make experiments, or not for this team."""
    if actor.is_admin:
        return
    if not actor.is_person or not actor.has_role(*AUTHORS) or "write" not in actor.scopes:
        raise RoleNeededError(
            "Experiments are made by product managers, engineers, analysts and admins.",
            "experiment.write",
        )
    if team is not None and team.pk not in actor.team_ids:
        raise TeamNeededError("These are made for a team of one's own.", "experiment.write")


def may_write(actor: Actor, thing: Owned) -> bool:
    """Whether the actor may change a thing: its owner team and admins; without a team, authors."""
    if actor.is_admin:
        return True
    if not actor.is_person or "write" not in actor.scopes:
        return False
    if thing.owner_team_id is None:
        return actor.has_role(*AUTHORS)
    return thing.owner_team_id in actor.team_ids


def require_owner(actor: Actor, thing: Owned) -> None:
    """Refuse whoever may not change a thing that they may know of."""
    if not may_write(actor, thing):
        raise NotPermittedError(
            f"Only the owner team of {thing.ref.key} and admins may do this.",
            code="not_owner",
            permission="experiment.write",
            request_at=PEOPLE_AT,
        )
