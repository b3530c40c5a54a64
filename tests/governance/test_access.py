import time
from dataclasses import replace
from datetime import timedelta

import pytest
from django.contrib.auth.models import Permission as PermissionRow
from django.db import connection
from django.test import Client

from catalog.models import Domain, Stream, StreamConsumerPermission, StreamUserPermission
from catalog.services.consumers import create_consumer
from governance import access
from governance.explaining import unseen_fields, why_not
from governance.models import AccessRequest, User
from governance.selectors.people import actor_of
from governance.selectors.requests import live_grants
from governance.services.grants import end_grant, grant_access
from governance.services.requests import ask_for_access, deny_request
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
    token_of,
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


def test_reasons_name_the_holder_and_the_level_of_a_grant() -> None:
    stream = make_stream(team=make_team())
    desk = make_team("Desk")
    actor = make_actor(team=desk)
    make_grant(stream.domain, desk, Permission.ADMINISTER)
    make_grant(stream, User.objects.get(pk=actor.id), Permission.APPROVE)
    told = {reason.text for reason in access.explain(actor, Permission.APPROVE, stream)}
    assert told == {
        f"granted to team Desk on the domain {stream.domain.slug} to administer by portal",
        "granted to you by portal",
    }


def test_why_not_tells_of_grants_to_a_team_and_on_a_domain_that_are_over() -> None:
    stream = make_stream(team=make_team("Payments"))
    desk = make_team("Desk")
    ida = make_person(team=desk)
    actor = actor_of(ida)
    make_grant(stream, desk, Permission.READ_PAYLOAD)
    (held,) = live_grants(actor, mine=True)
    end_grant(held.id, actor=SYSTEM)
    with clock.at(clock.now() - timedelta(days=40)):
        make_grant(stream.domain, ida, Permission.READ_PERSONAL)
    revoked, ended, last = why_not(actor, Permission.READ_PAYLOAD, stream)
    assert revoked.startswith("The grant to team Desk was ended on ")
    domain = stream.domain.slug
    assert ended.startswith(
        f"Your grant on the domain {domain} to read with personal fields ended on "
    )
    assert last.startswith("Neither a role")


def test_where_only_the_scope_of_the_token_lacks_nothing_else_is_said() -> None:
    team = make_team()
    person = make_person(team=team)
    stream = make_stream(team=team)
    writer = actor_of(person, scopes=frozenset({"write"}))
    assert why_not(writer, Permission.READ_PAYLOAD, stream) == ["This token lacks the scope read."]
    dot = actor_of(make_person(Role.ADMIN), scopes=frozenset({"read"}))
    assert why_not(dot, Permission.READ_PAYLOAD, stream) == ["This token lacks the scope admin."]
    stranger = actor_of(make_person(), scopes=frozenset({"write"}))
    lacking, deciding = why_not(stranger, Permission.READ_PAYLOAD, stream)
    assert lacking == "This token lacks the scope read."
    assert deciding.startswith("Neither a role")


def test_why_not_tells_what_was_declined_and_what_waits_on_the_domain() -> None:
    team = make_team("Payments")
    stream, ida = make_stream(team=team), make_person()
    until = clock.now() + timedelta(days=5)

    def ask(place: Stream | Domain) -> AccessRequest:
        return ask_for_access(
            place.ref, actor=actor_of(ida), purpose="To test it once more.", until=until
        )

    request = ask(stream)
    deny_request(request.pk, actor=make_actor(team=team), reason="Use the rollup.")
    ask(stream.domain)
    waits, declined, _ = why_not(actor_of(ida), Permission.READ_PAYLOAD, stream)
    assert waits.endswith("waits for an answer.")
    assert declined.endswith("was declined: Use the rollup.")
    assert declined.startswith("Your request of ")


def test_a_key_is_told_of_its_glob_of_what_ended_and_of_what_it_cannot_hold() -> None:
    stream = make_stream("shop.paid", team=make_team("Shop"))
    holder = create_consumer("warehouse", actor=SYSTEM)
    key = Actor(kind=ActorKind.CONSUMER, id=holder.pk, label="k", streams="other.*")
    make_grant(stream, holder, Permission.READ_PAYLOAD)
    glob, last = why_not(key, Permission.READ_PAYLOAD, stream)
    assert glob == "The key is for other.*, which does not cover it."
    assert last.endswith("team Shop decides.")
    StreamConsumerPermission.objects.update(revoked_at=clock.now())
    whole = replace(key, streams="*")
    ended, _ = why_not(whole, Permission.READ_PAYLOAD, stream)
    assert ended.startswith("The grant to consumer:warehouse was ended on ")
    assert why_not(whole, Permission.EDIT, stream) == ["The keys of a consumer cannot hold edit."]


def test_fields_that_are_masked_or_left_out_are_explained() -> None:
    stream = make_stream(team=make_team("Shop"))
    ida = make_person()
    actor = actor_of(ida)
    assert unseen_fields(actor, stream) == []
    grant_access(
        stream.ref, actor=SYSTEM, permission=Permission.READ_PAYLOAD, holder=ida,
        purpose="To count what was sold.", until=clock.now() + timedelta(days=9),
        fields=("order_id", "email"),
    )  # fmt: skip
    out, masked = unseen_fields(actor, stream)
    assert (out.path, out.how) == ("amount_minor", "left_out")
    assert out.why == "Your grants name other fields; team Shop decides."
    assert (masked.path, masked.how) == ("email", "masked")
    assert masked.why.startswith("Personal fields are shown by grant alone")
    with clock.at(clock.now() - timedelta(days=40)):
        make_grant(stream, ida, Permission.READ_PERSONAL)
    out, masked = unseen_fields(actor, stream)
    assert masked.why.startswith("Your grant ended on ")
    assert out.why.startswith("Your grant to read with personal fields ended on ")
    make_grant(stream, ida, Permission.READ_PERSONAL)
    assert unseen_fields(actor, stream) == []


def test_over_rest_and_on_the_page_what_is_not_seen_is_said() -> None:
    team = make_team("Shop")
    stream = make_stream(team=team)
    ada = make_person(Role.ENGINEER, team=team)
    answer = Client().get(
        f"/api/v1/grants/explain?resource=stream:{stream.name}",
        headers={"Authorization": f"Bearer {token_of(ada)}"},
    )
    (field,) = answer.json()["fields"]
    assert (field["path"], field["how"]) == ("email", "masked")
    client = Client()
    client.force_login(ada)
    page = client.get(f"/access/new/?stream={stream.name}").content.decode()
    assert "What you do not see of it: 1 field" in page
    assert field["why"] in page
    assert "#unseen" in client.get(f"/streams/{stream.name}/").content.decode()
