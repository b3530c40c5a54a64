"""Who somebody from the company's provider is here: found, joined to an account, or made one.

1. An identity (issuer and subject) that signed in before is the account it signed in to.
2. Otherwise its e-mail address decides, and only one that the provider confirms: an account of that
   address is joined to the identity, unless another identity of the provider has it already.
3. Otherwise an account is made, where the settings name the address's domain or one of the groups.
4. Teams and roles that have a group there are taken from the groups, each time.
"""

from collections.abc import Collection, Mapping
from typing import Any, Final

from allauth.socialaccount.models import SocialAccount
from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import transaction

from governance import audit
from governance.errors import RoleNeededError
from governance.models import Membership, Team, User
from governance.oidc.errors import OidcError
from governance.services.accounts import roles_of, set_roles
from governance.services.notices import News, tell
from governance.types import NoticeKind, ResourceRef, Role
from portal.kernel.actor import SYSTEM, Actor
from portal.kernel.errors import FieldError, InvalidError
from portal.kernel.once import only_once

_LONGEST_GROUP: Final = 200
_MOST_GROUPS: Final = 2_000


@transaction.atomic
def person_of(claims: Mapping[str, Any]) -> User:
    """The account of verified claims, with its teams and roles brought up to date.

    Raises OidcError: `email`, `taken`, `no_account`, `closed` or `groups`.
    """
    groups = groups_of(claims)
    known: Any = (
        SocialAccount.objects.select_related("user")
        .filter(provider=settings.OIDC_ISSUER, uid=claims["sub"])
        .first()
    )
    user: User = known.user if known is not None else _join(claims, groups)
    if not user.is_active:
        raise OidcError("closed")
    if settings.OIDC_GROUPS_CLAIM:
        apply_groups(user, groups)
    return user


def _join(claims: Mapping[str, Any], groups: Collection[str]) -> User:
    """The account of a new identity, by its confirmed address; made where that is allowed."""
    email = _email_of(claims)
    user = User.objects.select_for_update().filter(email=email).first()
    if user is None:
        user = _make(email, claims, groups)
    elif not user.is_active:
        raise OidcError("closed")
    elif SocialAccount.objects.filter(user=user, provider=settings.OIDC_ISSUER).exists():
        raise OidcError("taken")
    else:
        audit.record(
            SYSTEM, "person.joined_company", _ref(user),
            summary=f"joined the account of {email} to its company account",
        )  # fmt: skip
        news = News(
            NoticeKind.SIGN_IN, _ref(user), "Your company account signs you in from now on",
            "It has your e-mail address, confirmed. Was it not you? Tell an admin at once.",
            "/settings/",
        )  # fmt: skip
        tell([user.pk], news, by=SYSTEM)
    SocialAccount.objects.create(
        user=user, provider=settings.OIDC_ISSUER, uid=claims["sub"], extra_data={}
    )
    return user


def _email_of(claims: Mapping[str, Any]) -> str:
    """The address that the provider confirms. One that it merely repeats would be anybody's."""
    email = claims.get("email")
    is_confirmed = claims.get("email_verified") in (True, "true") or settings.OIDC_TRUST_EMAILS
    if not isinstance(email, str) or not is_confirmed:
        raise OidcError("email")
    try:
        validate_email(email)
    except ValidationError as error:
        raise OidcError("email") from error
    return email.lower()


def _make(email: str, claims: Mapping[str, Any], groups: Collection[str]) -> User:
    domain = email.rpartition("@")[2]
    if domain not in settings.OIDC_MAKE_DOMAINS and settings.OIDC_MAKE_GROUPS.isdisjoint(groups):
        raise OidcError("no_account")
    name = claims.get("name")
    user = User.objects.create_user(
        email, None, name=name.strip()[:120] if isinstance(name, str) and name.strip() else email
    )
    audit.record(
        SYSTEM, "person.signed_up", _ref(user),
        summary=f"made the account of {email}, who signed in at the company",
    )  # fmt: skip
    return user


def groups_of(claims: Mapping[str, Any]) -> frozenset[str]:
    """The groups that the token names; none where it names none.

    Raises OidcError `groups` where they are named at another place, as large directories do: to take
    that for none would put people out of their teams.
    """
    name = settings.OIDC_GROUPS_CLAIM
    if not name:
        return frozenset()
    elsewhere = claims.get("_claim_names")
    if isinstance(elsewhere, Mapping) and name in elsewhere:
        raise OidcError("groups")
    found = claims.get(name, [])
    if isinstance(found, str):
        found = [found]
    if not isinstance(found, list) or len(found) > _MOST_GROUPS:
        raise OidcError("groups")
    return frozenset(group for group in found if isinstance(group, str))


def apply_groups(user: User, groups: Collection[str]) -> None:
    """Put a person into the teams and roles of their groups, and out of the others that have one.

    Teams and roles without a group at the provider are not touched.
    """
    mapped = Team.objects.exclude(sign_in_group="").select_related("group")
    held = set(Membership.objects.filter(user=user).values_list("team_id", flat=True))
    for team in mapped.order_by("pk"):
        if team.sign_in_group in groups and team.pk not in held:
            Membership.objects.create(team=team, user=user)
            user.groups.add(team.group)
            _moved("team.joined", team, f"put {user.email} into {team.name}")
        elif team.sign_in_group not in groups and team.pk in held:
            Membership.objects.filter(team=team, user=user).delete()
            user.groups.remove(team.group)
            _moved("team.left", team, f"took {user.email} out of {team.name}")
    _apply_roles(user, groups)


def _apply_roles(user: User, groups: Collection[str]) -> None:
    mapped = set(settings.OIDC_ROLE_MAP.values())
    wanted = {role for group, role in settings.OIDC_ROLE_MAP.items() if group in groups}
    before = roles_of(user)
    after = (before - mapped) | wanted
    if Role.ADMIN in before - after and _is_last_admin(user):
        after.add(Role.ADMIN.value)  # somebody must be able to mend the mapping
    if before == after:
        return
    set_roles(user, add=after - before, remove=before - after)
    audit.record(
        SYSTEM,
        "person.roles_changed",
        _ref(user),
        summary=f"changed the roles of {user.email} to those of their groups",
        before={"roles": sorted(before)},
        after={"roles": sorted(after)},
    )


def _is_last_admin(user: User) -> bool:
    others = User.objects.filter(is_active=True, groups__name=Role.ADMIN).exclude(pk=user.pk)
    return not others.exists()


def _moved(action: str, team: Team, summary: str) -> None:
    audit.record(
        SYSTEM,
        action,
        ResourceRef("team", team.slug),
        summary=f"{summary}, by the groups at the company's sign-in",
    )


@transaction.atomic
def set_sign_in_group(team: Team, group: str, *, actor: Actor) -> None:
    """Name the group at the provider whose people are in a team; empty: it is kept by hand again."""
    if not actor.is_admin:
        raise RoleNeededError("Admins tie teams to groups.", "admin")
    group = group.strip()
    if len(group) > _LONGEST_GROUP:
        fault = FieldError("/group", "too_long", f"at most {_LONGEST_GROUP} characters")
        raise InvalidError("The group's name is too long.", errors=[fault])
    before = team.sign_in_group
    with only_once("Another team is tied to this group."):
        Team.objects.filter(pk=team.pk).update(sign_in_group=group)
    audit.record(
        actor,
        "team.group_changed",
        ResourceRef("team", team.slug),
        summary=f"tied the team {team.name} to a group at the company's sign-in"
        if group
        else f"has the team {team.name} kept by hand again",
        before={"group": before},
        after={"group": group},
    )


def _ref(user: User) -> ResourceRef:
    return ResourceRef("person", user.email)
