"""What becomes of an account: its password, its roles, whether it is in use."""

from collections.abc import Collection, Mapping
from typing import Any, Final

from allauth.mfa.models import Authenticator
from django.contrib.auth.models import Group
from django.db import transaction

from governance import audit
from governance.errors import PeopleOnlyError, RoleNeededError
from governance.models import User
from governance.selectors.people import ROLES, revision_of
from governance.services.notices import News, tell
from governance.services.sessions import drop_sessions
from governance.types import Density, NoticeKind, ResourceRef, Role
from portal.kernel.actor import SYSTEM, Actor, ActorKind
from portal.kernel.errors import (
    FieldError,
    InvalidError,
    InvalidStateError,
    PreconditionFailedError,
)

_SETTINGS: Final = "/settings/"


@transaction.atomic
def password_changed(user: User, *, but: str) -> None:
    """Sign a person out wherever they are but in the session of this key, and tell them."""
    drop_sessions(user.pk, but=but)
    self_actor = Actor(ActorKind.PERSON, user.pk, user.email)
    audit.record(
        self_actor, "person.password_changed", _ref(user), summary="changed their password"
    )
    _tell(user, "Your password was changed", "Was it not you? Tell an admin at once.", SYSTEM)


@transaction.atomic
def choose_density(density: Density, *, actor: Actor) -> None:
    """Keep how dense the person wants tables and lists, on every page and in every browser."""
    if not actor.is_person:
        raise PeopleOnlyError("self")
    rows = User.objects.filter(pk=actor.id).exclude(density=density)
    if rows.update(density=density):
        audit.record(
            actor, "person.density_chosen", ResourceRef("person", actor.label),
            summary=f"chose {density.label.lower()} tables and lists",
        )  # fmt: skip


@transaction.atomic
def change_roles(user: User, roles: Collection[str], *, actor: Actor) -> None:
    """Give a person exactly these roles; admins may, the last admin stays one."""
    if not actor.is_admin:
        raise RoleNeededError("Admins give roles.", "admin")
    if set(roles) - ROLES:
        fault = FieldError("/roles", "unknown", f"roles are {', '.join(sorted(ROLES))}")
        raise InvalidError("There is no such role.", errors=[fault])
    before, after = roles_of(user), set(roles)
    if before == after:
        return
    if Role.ADMIN in before - after:
        _require_another_admin(user)
    set_roles(user, add=after - before, remove=before - after)
    said = _said(after - before, before - after)
    audit.record(
        actor,
        "person.roles_changed",
        _ref(user),
        summary=f"changed the roles of {user.email}: {said}",
        before={"roles": sorted(before)},
        after={"roles": sorted(after)},
    )
    _tell(user, "Your roles were changed", f"{actor.label}: {said}.", actor)


@transaction.atomic
def change_person(user: User, changes: Mapping[str, Any], *, actor: Actor, revision: str) -> None:
    """Change the name, the roles, and whether the account is in use; admins may.

    Raises PreconditionFailedError when somebody changed it since that revision, InvalidStateError
    for what would leave no admin, or close the actor's own account.
    """
    if not actor.is_admin:
        raise RoleNeededError("Admins change accounts.", "admin")
    locked = User.objects.select_for_update().get(pk=user.pk)
    if revision_of(locked) != revision:
        raise PreconditionFailedError("It was changed since you read it. Read it again and retry.")
    name = changes.get("name", locked.name).strip()
    if not name:
        fault = FieldError("/name", "empty", "must not be empty")
        raise InvalidError("A person has a name.", errors=[fault])
    if name != locked.name:
        User.objects.filter(pk=user.pk).update(name=name)
        audit.record(
            actor, "person.renamed", _ref(user), summary=f"changed the name of {user.email}"
        )
    if "roles" in changes:
        change_roles(locked, changes["roles"], actor=actor)
    if changes.get("is_active", locked.is_active) != locked.is_active:
        (enable_person if changes["is_active"] else disable_person)(locked, actor=actor)


@transaction.atomic
def disable_person(user: User, *, actor: Actor) -> None:
    """Close an account: its sessions end, its tokens are refused; what it owns stays."""
    _require_admin_over(user, actor)
    _require_another_admin(user)
    if not User.objects.filter(pk=user.pk, is_active=True).update(is_active=False):
        raise InvalidStateError("The account is closed already.")
    ended = drop_sessions(user.pk)
    audit.record(
        actor,
        "person.disabled",
        _ref(user),
        summary=f"closed the account of {user.email}; sessions ended: {ended}",
    )


@transaction.atomic
def enable_person(user: User, *, actor: Actor) -> None:
    """Open a closed account again."""
    _require_admin_over(user, actor)
    if not User.objects.filter(pk=user.pk, is_active=False).update(is_active=True):
        raise InvalidStateError("The account is open already.")
    audit.record(
        actor, "person.enabled", _ref(user), summary=f"opened the account of {user.email} again"
    )


@transaction.atomic
def remove_factors(user: User, *, actor: Actor) -> None:
    """Take all second factors off an account whose owner lost them, and sign it out everywhere."""
    _require_admin_over(user, actor)
    factors: Any = Authenticator.objects.filter(user_id=user.pk)
    if not factors.delete()[0]:
        raise InvalidStateError("The account has no second factor.")
    drop_sessions(user.pk)
    audit.record(
        actor,
        "second_factor.removed",
        _ref(user),
        summary=f"took all second factors off the account of {user.email}",
    )
    _tell(
        user,
        "Your second factors were removed",
        f"{actor.label} took them off your account. Did you not ask for it? Tell another admin.",
        actor,
    )


def roles_of(user: User) -> set[str]:
    """The names of a person's roles."""
    return set(user.groups.filter(team__isnull=True, name__in=ROLES).values_list("name", flat=True))


def set_roles(user: User, *, add: Collection[str], remove: Collection[str]) -> None:
    """Write roles inside the caller's transaction, who says why in the log."""
    for name in sorted(add):
        user.groups.add(Group.objects.get_or_create(name=name)[0])
    user.groups.remove(*Group.objects.filter(name__in=remove, team__isnull=True))


def _said(added: Collection[str], removed: Collection[str]) -> str:
    parts = [f"added {', '.join(sorted(added))}"] if added else []
    parts += [f"removed {', '.join(sorted(removed))}"] if removed else []
    return " and ".join(parts)


def _require_admin_over(user: User, actor: Actor) -> None:
    if not actor.is_admin:
        raise RoleNeededError("Admins open and close accounts.", "admin")
    if actor.is_person and actor.id == user.pk:
        raise InvalidStateError("Nobody does this to their own account; another admin does.")


def _require_another_admin(user: User) -> None:
    """Refuse what would leave the portal without an admin. Locks them, so that two do not go at once."""
    admins = User.objects.select_for_update().filter(is_active=True, groups__name=Role.ADMIN)
    if set(admins.values_list("pk", flat=True)) == {user.pk}:
        raise InvalidStateError("They are the last admin. Make another one first.")


def _ref(user: User) -> ResourceRef:
    return ResourceRef("person", user.email)


def _tell(user: User, title: str, sentence: str, by: Actor) -> None:
    tell([user.pk], News(NoticeKind.SIGN_IN, _ref(user), title, sentence, _SETTINGS), by=by)
