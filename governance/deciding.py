"""Nobody decides on their own request, nor does who decides in their place while they are away."""

from governance.errors import NotOwnRequestError
from governance.selectors.delegations import is_deputy_of
from governance.types import ResourceRef
from portal.kernel.actor import Actor


def is_other(actor: Actor, asked_by: int | None) -> bool:
    """Whether `require_other` would let them decide; for pages."""
    if not actor.is_person or not asked_by:
        return True
    return asked_by != actor.id and not is_deputy_of(actor, asked_by)


def require_other(
    actor: Actor, asked_by: int | None, *, permission: str, request_at: str, about: ResourceRef
) -> None:
    """Refuse who asked and their deputy; whether somebody may decide at all is `governance.access`'s.

    `permission` is what deciding takes, `request_at` where the request stands for who may, `about`
    the thing that is decided on. Raises NotOwnRequestError.
    """
    if not actor.is_person or not asked_by:
        return
    if asked_by == actor.id:
        raise NotOwnRequestError(
            "Somebody else must decide on your own request.", permission, request_at, about=about
        )
    if is_deputy_of(actor, asked_by):
        raise NotOwnRequestError(
            "You decide for who asked: somebody else must decide on it.",
            permission,
            request_at,
            about=about,
        )
