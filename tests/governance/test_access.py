import time
from datetime import timedelta

import pytest
from django.contrib.auth.models import Permission as PermissionRow
from django.db import connection

from catalog.models import Stream, StreamUserPermission
from governance import access
from governance.explaining import why_not
from governance.models import User
from governance.selectors.people import actor_of
from governance.services.requests import ask_for_access
from governance.types import Permission, Role
from portal.kernel import clock
from portal.kernel.actor import SYSTEM, Actor, ActorKind
from portal.kernel.errors import NotFoundError, NotPermittedError
from tests.support.factories import (
    make_actor,
    make_grant,
    make_person,
    make_stream,
    make_team,
)

pytestmark = pytest.mark.django_db


def held(actor: Actor, stream: Stream) -> set[Permission]:
    return {permission for permission in Permission if access.may(actor, permission, stream)}


def test_a_stranger_may_know_of_an_open_stream_and_nothing_else() -> None:
    assert held(make_actor(Role.ENGINEER), make_stream(team=make_team())) == {Permission.DISCOVER}


def test_a_restricted_stream_does_not_exist_for_strangers() -> None:
    stream = make_stream(team=make_team(), extra={"restricted": True})
    stranger = make_actor(Role.ANALYST)
    assert held(stranger, stream) == set()
    with pytest.raises(NotFoundError):
        access.require(stranger, Permission.READ_PAYLOAD, stream)


def test_the_owner_team_holds_everything_but_personal_fields() -> None:
    team = make_team()
    actor = make_actor(Role.ENGINEER, team=team)
    assert held(actor, make_stream(team=team)) == set(Permission) - {Permission.READ_PERSONAL}


def test_a_domain_owner_holds_streams_without_an_owner() -> None:
    team = make_team()
    stream = make_stream()
    stream.domain.owner_team = team
    stream.domain.save()
    assert access.may(make_actor(team=team), Permission.EDIT, stream)


def test_an_admin_reads_payloads_but_not_personal_fields() -> None:
    admin = make_actor(Role.ADMIN)
    stream = make_stream(team=make_team())
    assert Permission.READ_PAYLOAD in held(admin, stream)
    assert Permission.READ_PERSONAL not in held(admin, stream)
    assert Permission.PUBLISH not in held(admin, stream)


def test_a_grant_gives_what_it_says_to_a_person_or_a_team() -> None:
    stream, team = make_stream(team=make_team()), make_team()
    person, member = make_person(), make_actor(team=team)
    make_grant(stream, person, Permission.READ_PERSONAL)
    make_grant(stream, team, Permission.READ_PAYLOAD)
    assert {Permission.READ_PERSONAL, Permission.READ_PAYLOAD} <= held(actor_of(person), stream)
    assert held(member, stream) == {Permission.DISCOVER, Permission.READ_PAYLOAD}


def test_a_grant_ends_by_the_databases_clock() -> None:
    stream, person = make_stream(team=make_team()), make_person()
    make_grant(stream, person, Permission.READ_PAYLOAD)
    assert access.may(actor_of(person), Permission.READ_PAYLOAD, stream)
    with connection.cursor() as cursor:
        cursor.execute("UPDATE catalog_streamuserpermission SET valid_until = now()")
    assert not access.may(actor_of(person), Permission.READ_PAYLOAD, stream)


def test_a_refusal_names_the_permission_and_where_to_ask() -> None:
    stream = make_stream(team=make_team())
    with pytest.raises(NotPermittedError) as caught:
        access.require(make_actor(), Permission.READ_PAYLOAD, stream)
    assert caught.value.extra == {
        "permission": "read_payload",
        "request_at": f"/access/new/?stream={stream.name}",
    }


def test_scopes_of_a_token_narrow_what_its_owner_may() -> None:
    team = make_team()
    person = make_person(team=team)
    stream = make_stream(team=team)
    reader = actor_of(person, scopes=frozenset({"read"}))
    assert access.may(reader, Permission.READ_PAYLOAD, stream)
    assert not access.may(reader, Permission.EDIT, stream)
    assert not actor_of(make_person(Role.ADMIN), scopes=frozenset({"read"})).is_admin


def test_keys_hold_only_what_is_open() -> None:
    stream = make_stream(team=make_team())
    key = Actor(kind=ActorKind.PRODUCER, id=1, label="p")
    assert held(key, stream) == {Permission.DISCOVER}


def test_every_reason_is_explained() -> None:
    team = make_team()
    person = make_person(Role.ADMIN, team=team)
    stream = make_stream(team=team)
    make_grant(stream, person, Permission.READ_PAYLOAD)
    reasons = access.explain(actor_of(person), Permission.READ_PAYLOAD, stream)
    assert {reason.by for reason in reasons} == {"role", "owner", "grant"}
    assert access.explain(make_actor(), Permission.READ_PAYLOAD, stream) == []


def test_why_not_says_what_was_held_what_waits_and_who_decides() -> None:
    stream = make_stream(team=make_team("Payments"))
    ida = make_person()
    actor = actor_of(ida)
    (told,) = why_not(actor, Permission.READ_PAYLOAD, stream)
    assert told.startswith("Neither a role")
    assert "team Payments decides" in told
    with clock.at(clock.now() - timedelta(days=40)):
        make_grant(stream, ida, Permission.READ_PAYLOAD)
    ask_for_access(
        stream.ref, actor=actor, purpose="To test it once more.",
        until=clock.now() + timedelta(days=5),
    )  # fmt: skip
    ended, waits, _ = why_not(actor, Permission.READ_PAYLOAD, stream)
    assert ended.startswith("Your grant ended on ")
    assert waits.endswith("waits for an answer.")
    reading = actor_of(ida, scopes=frozenset({"write"}))
    assert why_not(reading, Permission.READ_PAYLOAD, stream)[0] == (
        "This token lacks the scope read."
    )
    make_grant(stream, ida, Permission.READ_PAYLOAD)
    assert why_not(actor, Permission.READ_PAYLOAD, stream) == []
    assert "whatever the role" in why_not(actor, Permission.READ_PERSONAL, stream)[-1]


def test_lists_and_single_questions_agree() -> None:
    team, other = make_team(), make_team()
    for index in range(6):
        make_stream(team=team if index % 2 else other, extra={"restricted": index % 3 == 0})
    actor = make_actor(team=team)
    for permission in Permission:
        listed = set(access.permitted(actor, permission, Stream.objects.all()))
        assert listed == {s for s in Stream.objects.all() if access.may(actor, permission, s)}


@pytest.mark.alone
def test_twenty_thousand_grants_are_judged_in_two_milliseconds() -> None:
    stream, person = make_stream(team=make_team()), make_person()
    row = PermissionRow.objects.get(codename="read_payload_stream")
    people = User.objects.bulk_create(
        [User(email=f"crowd{n}@test.example", name="x") for n in range(20_000)]
    )
    now = clock.now()
    StreamUserPermission.objects.bulk_create(
        [
            StreamUserPermission(
                user=one,
                permission=row,
                content_object=stream,
                valid_from=now,
                valid_until=now + timedelta(days=365),
            )
            for one in [*people, person]
        ],
        batch_size=5000,
    )
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE catalog_streamuserpermission")
    actor = actor_of(person)
    found = access.permitted(actor, Permission.READ_PAYLOAD, Stream.objects.filter(pk=stream.pk))
    statement, params = found.values("pk").query.sql_with_params()
    medians: list[float] = []
    while len(medians) < 5 and min(medians, default=1) >= 0.002:  # others may use the machine too
        times = []
        for _ in range(30):
            began = time.perf_counter()
            with connection.cursor() as cursor:
                cursor.execute(statement, params)
                assert cursor.fetchall() == [(stream.pk,)]
            times.append(time.perf_counter() - began)
        medians.append(sorted(times)[len(times) // 2])
    assert min(medians) < 0.002, medians


def test_the_system_may_everything() -> None:
    assert held(SYSTEM, make_stream()) == set(Permission)
