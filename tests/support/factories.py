"""Builders of the things tests talk about; each goes through the services, names are counted."""

import itertools
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from django.contrib.auth.models import Group

from catalog.models import Domain, Stream
from catalog.services.streams import NewStream, register_stream
from governance.models import Team, User
from governance.selectors.people import actor_of
from governance.services.grants import Holder, grant_access
from governance.services.keys import create_key
from governance.services.teams import add_member, create_team
from governance.types import Permission, Role
from portal.kernel import clock
from portal.kernel.actor import SYSTEM, Actor

_numbers = itertools.count(1)

ORDER_SCHEMA: dict[str, Any] = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "description": "An order.",
    "type": "object",
    "properties": {
        "order_id": {"type": "string", "description": "Its number."},
        "amount_minor": {"type": "integer", "minimum": 0, "description": "What was paid."},
        "email": {
            "type": "string",
            "description": "Whose.",
            "x-classification": "personal",
            "x-privacy": "tokenize",
        },
    },
    "required": ["order_id"],
}


def make_person(*roles: Role, team: Team | None = None, is_lead: bool = False) -> User:
    number = next(_numbers)
    user = User.objects.create_user(f"person{number}@test.example", None, name=f"Person {number}")
    for role in roles:
        user.groups.add(Group.objects.get_or_create(name=role.value)[0])
    if team is not None:
        add_member(team, user, actor=SYSTEM, is_lead=is_lead)
    return user


def make_actor(*roles: Role, team: Team | None = None) -> Actor:
    return actor_of(make_person(*roles, team=team))


def make_team(name: str = "") -> Team:
    number = next(_numbers)
    return create_team(f"team-{number}", actor=SYSTEM, name=name or f"Team {number}")


def make_stream(
    name: str = "",
    *,
    team: Team | None = None,
    schema: Mapping[str, Any] | None = None,
    **fields: Any,
) -> Stream:
    """A registered, active stream; `extra` fields as `NewStream` takes them."""
    return register_stream(
        NewStream(
            name=name or f"testing.event_{next(_numbers)}",
            document=schema or ORDER_SCHEMA,
            description=fields.pop("description", "Something happened."),
            owner_team=team,
            **fields,
        ),
        actor=SYSTEM,
    )


def make_grant(
    place: Stream | Domain, holder: Holder, permission: Permission, days: int = 30
) -> None:
    grant_access(
        place.ref,
        actor=SYSTEM,
        permission=permission,
        holder=holder,
        purpose="To test that grants hold.",
        until=clock.now() + timedelta(days=days),
    )


def token_of(user: User, *scopes: str) -> str:
    _, text = create_key(actor=SYSTEM, kind="user", name="test", user=user, scopes=scopes)
    return text
