"""The first people of a portal, and what every portal has: five roles."""

import secrets
from dataclasses import dataclass
from typing import Final

from django.contrib.auth.models import Group
from django.db import transaction

from governance import audit
from governance.models import Key, User
from governance.services.keys import create_key
from governance.types import ResourceRef, Role
from portal.kernel.actor import SYSTEM

FIRST_PEOPLE: Final = {
    Role.PRODUCT_MANAGER: ("maya@shop.example", "Maya Aalto"),
    Role.ENGINEER: ("elias@shop.example", "Elias Brandt"),
    Role.ADMIN: ("ada@shop.example", "Ada Marsh"),
    Role.ANALYST: ("ivo@shop.example", "Ivo Petrov"),
    Role.ON_CALL: ("noor@shop.example", "Noor Haddad"),
}


@dataclass(frozen=True, slots=True)
class FirstPeople:
    """What was made: a password for each role's account and the admin's token."""

    passwords: dict[Role, str]
    admin_token: str


@transaction.atomic
def renew_first_passwords(emails: list[str]) -> dict[str, str]:
    """New random passwords for first accounts that nobody used, by address; their old ones end."""
    made: dict[str, str] = {}
    for user in User.objects.select_for_update().filter(email__in=emails, last_login=None):
        made[user.email] = secrets.token_urlsafe(12)
        user.set_password(made[user.email])
        user.save(update_fields=["password"])
        audit.record(
            SYSTEM,
            "person.password_changed",
            ResourceRef("person", user.email),
            summary=f"made a new first password for {user.email}; nobody used the old one",
        )
    return made


@transaction.atomic
def make_first_people() -> FirstPeople:
    """Make the five roles with one account each and an admin token; again: new secrets for them.

    Running it again resets the five passwords and replaces the token, so it is called only when
    their file is gone.
    """
    passwords: dict[Role, str] = {}
    for role, (email, name) in FIRST_PEOPLE.items():
        group, _ = Group.objects.get_or_create(name=role.value)
        passwords[role] = secrets.token_urlsafe(12)
        user = User.objects.filter(email=email).first()
        if user is None:
            user = User.objects.create_user(email, passwords[role], name=name)
        else:
            user.set_password(passwords[role])
            user.save(update_fields=["password"])
        user.groups.add(group)
        audit.record(
            SYSTEM,
            "person.signed_up",
            ResourceRef("person", email),
            summary=f"made the account of {email} with the role {role.value}",
        )
    admin = User.objects.get(email=FIRST_PEOPLE[Role.ADMIN][0])
    Key.objects.filter(user=admin, name="first admin token").delete()
    _, token = create_key(actor=SYSTEM, kind="user", name="first admin token", user=admin)
    return FirstPeople(passwords, token)
