"""Making a person, and the link with which they choose their first password.

1. An admin makes the account with its roles and teams, in one transaction; no password fits it.
2. After the commit the link goes out by mail, to the address alone. Where the portal sends no mail the
   admin is shown it, this once: it is kept nowhere, and no log and no row of the audit chain has it.
3. It is the link of a forgotten password: it opens once, within `PASSWORD_RESET_TIMEOUT`.

Where the company's sign-in is the only one there is no link: the address is what lets them in.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

from allauth.account.adapter import get_adapter
from allauth.account.forms import default_token_generator
from allauth.account.utils import user_pk_to_url_str
from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import transaction

from governance import audit
from governance.errors import RoleNeededError, TeamByGroupError
from governance.models import Team, User
from governance.selectors.people import ROLES, is_by_group
from governance.services.accounts import set_roles
from governance.services.mails import send_link
from governance.services.notices import is_mail_on
from governance.services.teams import add_member
from governance.types import ResourceRef
from portal.kernel.actor import Actor
from portal.kernel.errors import FieldError, InvalidError, InvalidStateError
from portal.kernel.once import only_once

MOST_TEAMS: Final = 50
LONGEST_NAME: Final = 120


class Handed(StrEnum):
    """What became of the link."""

    MAILED = "mailed"
    NOT_MAILED = "not_mailed"  # the mail server did not take it: ask for another
    SHOWN = "shown"
    COMPANY = "company"  # there is none: they sign in at the company


@dataclass(frozen=True, slots=True)
class Invited:
    """A person and what became of their link; `link` is a secret, there where it is to be shown."""

    person: User
    handed: Handed
    link: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class NewPerson:
    """Who is made; teams by slug."""

    email: str
    name: str
    roles: Sequence[str] = ()
    teams: Sequence[str] = ()


def create_person(new: NewPerson, *, actor: Actor) -> Invited:
    """Make a person and hand the link over; admins may.

    Raises InvalidError at each field that is wrong, ConflictError at `/email` for an address that
    has an account.
    """
    return _hand_over(_make(new, actor))


def invite_again(person: User, *, actor: Actor) -> Invited:
    """Another link, for who has never signed in. Links that were not used yet work as long as before.

    Raises InvalidStateError for who has been here: their account is theirs alone.
    """
    _invited_again(person, actor)
    return _hand_over(person)


def may_be_invited(person: User) -> bool:
    """Whether an admin may have a link made: the account is open, and nobody has ever used it."""
    return (
        not settings.OIDC_ONLY
        and person.is_active
        and person.last_login is None
        and not person.has_usable_password()
    )


@transaction.atomic
def _make(new: NewPerson, actor: Actor) -> User:
    if not actor.is_admin:
        raise RoleNeededError("Admins make accounts.", "admin")
    teams = list(Team.objects.select_related("group").filter(slug__in=new.teams).order_by("slug"))
    email, name = new.email.strip().lower(), new.name.strip()
    _check(new, email, name, teams)
    taken = FieldError("/email", "taken", "has an account already")
    with only_once("There is an account of this address.", errors=[taken]):
        person = User.objects.create_user(email, None, name=name)
    set_roles(person, add=new.roles, remove=())
    audit.record(
        actor,
        "person.signed_up",
        _ref(person),
        summary=f"made the account of {email}"
        + (f" with the roles {', '.join(sorted(set(new.roles)))}" if new.roles else "")
        + _says_how(),
    )
    for team in teams:
        add_member(team, person, actor=actor)
    return person


def _check(new: NewPerson, email: str, name: str, teams: Sequence[Team]) -> None:
    faults = []
    try:
        validate_email(email)
    except ValidationError:
        faults.append(FieldError("/email", "format", "must be the address of a mailbox"))
    if len(email) > 254:
        faults.append(FieldError("/email", "too_long", "may have 254 characters at most"))
    if not 0 < len(name) <= LONGEST_NAME:
        faults.append(FieldError("/name", "length", f"must have 1 to {LONGEST_NAME} characters"))
    if set(new.roles) - ROLES:
        said = f"roles are {', '.join(sorted(ROLES))}"
        faults.append(FieldError("/roles", "unknown", said))
    if len(new.teams) > MOST_TEAMS:
        faults.append(FieldError("/teams", "too_many", f"may have {MOST_TEAMS} entries at most"))
    known = {team.slug: team for team in teams}
    for place, slug in enumerate(new.teams[:MOST_TEAMS]):
        if slug not in known:
            faults.append(FieldError(f"/teams/{place}", "unknown", "is no team here"))
        elif is_by_group(known[slug]):
            said = "follows a group at the company's sign-in"
            faults.append(FieldError(f"/teams/{place}", TeamByGroupError.code, said))
    if faults:
        raise InvalidError("The account is not made.", errors=faults)


@transaction.atomic
def _invited_again(person: User, actor: Actor) -> None:
    if not actor.is_admin:
        raise RoleNeededError("Admins have links made.", "admin")
    if not may_be_invited(User.objects.select_for_update().get(pk=person.pk)):
        raise InvalidStateError(
            "There is no link for this account: it is closed, or its person has set a password or "
            "signed in before."
        )
    audit.record(
        actor,
        "person.invited",
        _ref(person),
        summary=f"had another link made for {person.email}{_says_how()}",
    )


def _says_how() -> str:
    if settings.OIDC_ONLY:
        return "; they sign in at the company"
    return "; the link is mailed to them" if is_mail_on() else "; was shown the link"


def _hand_over(person: User) -> Invited:
    """Send the link, or give it to be shown. Outside a transaction: a mail server may take its time."""
    if settings.OIDC_ONLY:
        return Invited(person, Handed.COMPANY)
    link = _link_of(person)
    if not is_mail_on():
        return Invited(person, Handed.SHOWN, link)
    taken = send_link(person.email, link)
    return Invited(person, Handed.MAILED if taken else Handed.NOT_MAILED)


def _link_of(person: User) -> str:
    adapter: Any = get_adapter()
    key = f"{user_pk_to_url_str(person)}-{default_token_generator.make_token(person)}"
    return str(adapter.get_reset_password_from_key_url(key))


def _ref(person: User) -> ResourceRef:
    return ResourceRef("person", person.email)
