"""Grants to consumers and producers: what their keys hold by them, and what they cannot hold."""

import json
from dataclasses import replace
from datetime import timedelta
from fnmatch import fnmatchcase
from typing import Any

import pytest
from django.db import connection
from django.test import Client

from catalog.models import Consumer, DomainConsumerPermission, Producer, Stream
from catalog.services.consumers import create_consumer
from catalog.services.producers import create_producer
from governance import access, programs
from governance.api.authentication import key_actor
from governance.explaining import why_not
from governance.models import AuditEntry, Team
from governance.projection import MASKED, NOTHING, Projection, projection
from governance.selectors.people import actor_of
from governance.selectors.requests import live_grants
from governance.services.grants import end_grant, grant_access, recertify
from governance.services.keys import create_key, find_key
from governance.types import Permission, Role
from portal.kernel import clock, rfc3339
from portal.kernel.actor import SYSTEM, Actor
from portal.kernel.errors import InvalidError, NotFoundError
from tests.governance.test_grants_of_fields import PURPOSE, SCHEMA, soon
from tests.support.factories import make_grant, make_person, make_stream, make_team, token_of

pytestmark = pytest.mark.django_db
CONSUMER = {Permission.DISCOVER, Permission.READ_PAYLOAD, Permission.READ_PERSONAL}
PRODUCER = {Permission.DISCOVER, Permission.PUBLISH}


@pytest.fixture
def team() -> Team:
    return make_team("Warehouse")


@pytest.fixture
def consumer(team: Team) -> Consumer:
    return create_consumer("warehouse", actor=SYSTEM, team=team)


@pytest.fixture
def stream() -> Stream:
    return make_stream(team=make_team(), schema=SCHEMA, extra={"restricted": True})


def key_of(holder: Consumer | Producer, *, streams: str = "*") -> str:
    kind = "cons" if isinstance(holder, Consumer) else "prod"
    return create_key(actor=SYSTEM, kind=kind, name="k", holder_id=holder.pk, streams_glob=streams)[
        1
    ]


def actor_with(text: str) -> Actor:
    key = find_key(text)
    assert key is not None
    return key_actor(key, request_id="")


def held(actor: Actor, thing: Any) -> set[Permission]:
    return {permission for permission in Permission if access.may(actor, permission, thing)}


def test_a_consumers_key_holds_what_is_open_and_what_is_granted_to_it(
    stream: Stream, consumer: Consumer
) -> None:
    reader = actor_with(key_of(consumer))
    another = actor_with(key_of(create_consumer("another", actor=SYSTEM)))
    assert held(reader, make_stream()) == {Permission.DISCOVER}
    assert held(reader, stream) == set()
    make_grant(stream, consumer, Permission.READ_PAYLOAD)
    assert held(reader, stream) == {Permission.DISCOVER, Permission.READ_PAYLOAD}
    assert held(another, stream) == set()
    assert projection(reader, stream) == MASKED
    assert projection(another, stream) == NOTHING
    (reason,) = access.explain(reader, Permission.READ_PAYLOAD, stream)
    assert (reason.by, reason.purpose) == ("grant", "To test that grants hold.")
    assert why_not(another, Permission.READ_PAYLOAD, stream)[0].endswith("decides.")


def test_a_grant_on_a_domain_reaches_each_stream_in_it(stream: Stream, consumer: Consumer) -> None:
    make_grant(stream.domain, consumer, Permission.READ_PERSONAL)
    reader = actor_with(key_of(consumer))
    assert held(reader, stream) == CONSUMER
    assert projection(reader, stream).clear is None
    assert held(reader, make_stream("elsewhere.thing_done", extra={"restricted": True})) == set()
    listed = access.permitted(reader, Permission.READ_PAYLOAD, Stream.objects.all())
    assert list(listed) == list(Stream.objects.filter(domain=stream.domain))


def test_nobody_holds_what_was_granted_to_another_kind_with_the_same_number(
    stream: Stream, consumer: Consumer
) -> None:
    """People, consumers and producers are counted each by themselves."""
    producer = Producer.objects.create(pk=consumer.pk, name="same-number")
    person = replace(actor_of(make_person()), id=consumer.pk)
    make_grant(stream, consumer, Permission.READ_PAYLOAD)
    assert held(actor_with(key_of(producer)), stream) == set()
    assert held(person, stream) == set()
    assert live_grants(person) == []


def test_a_grant_of_a_key_ends_by_the_databases_clock(stream: Stream, consumer: Consumer) -> None:
    make_grant(stream, consumer, Permission.READ_PAYLOAD)
    reader = actor_with(key_of(consumer))
    assert access.may(reader, Permission.READ_PAYLOAD, stream)
    with connection.cursor() as cursor:
        cursor.execute("UPDATE catalog_streamconsumerpermission SET valid_until = now()")
    assert held(reader, stream) == set()
    assert projection(reader, stream) == NOTHING


def test_some_fields_are_granted_to_a_consumer_as_to_anybody(
    stream: Stream, consumer: Consumer
) -> None:
    for permission, fields in (
        (Permission.READ_PAYLOAD, ("order_id", "email")), (Permission.READ_PERSONAL, ("email",))
    ):  # fmt: skip
        grant_access(
            stream.ref, actor=SYSTEM, permission=permission, holder=consumer, purpose=PURPOSE,
            until=soon(), fields=fields,
        )  # fmt: skip
    seen = projection(actor_with(key_of(consumer)), stream)
    assert seen == Projection(frozenset({"order_id", "email"}), frozenset({"email"}))


@pytest.mark.parametrize("permission", sorted(set(Permission) - CONSUMER))
def test_a_consumer_cannot_hold_what_its_keys_have_no_use_for(
    permission: Permission, stream: Stream, consumer: Consumer
) -> None:
    with pytest.raises(InvalidError) as caught:
        make_grant(stream, consumer, permission)
    assert [(one.pointer, one.code) for one in caught.value.errors] == [
        ("/permission", "not_for_it")
    ]


@pytest.mark.parametrize("permission", sorted(set(Permission) - PRODUCER))
def test_a_producer_cannot_hold_what_its_keys_have_no_use_for(
    permission: Permission, stream: Stream
) -> None:
    with pytest.raises(InvalidError) as caught:
        make_grant(stream, create_producer("till", actor=SYSTEM), permission)
    assert [one.pointer for one in caught.value.errors] == ["/permission"]


def test_the_glob_of_a_key_narrows_what_its_holder_was_granted(
    stream: Stream, consumer: Consumer
) -> None:
    other = make_stream("testing.other_done", extra={"restricted": True})
    make_grant(stream.domain, consumer, Permission.READ_PAYLOAD)
    reader = actor_with(key_of(consumer, streams="testing.o[s-u]?er*"))
    assert held(reader, other) == {Permission.DISCOVER, Permission.READ_PAYLOAD}
    assert held(reader, stream) == set()
    assert projection(reader, stream) == NOTHING
    assert access.explain(reader, Permission.READ_PAYLOAD, stream) == []
    assert held(reader, make_stream()) == {Permission.DISCOVER}  # what is open is not granted


@pytest.mark.parametrize(
    "glob",
    ["*", "a.*", "a.?", "[ab].x", "[!a].x", "a.[a-c]", "a.[c-a]", "[", "[]a].x", "a.x.*", "a+x", "",
     "[^].x", "[\\d].x", "a.**"],
)  # fmt: skip
def test_the_database_reads_globs_as_the_rest_of_the_portal_does(glob: str) -> None:
    names = ["a.x", "b.x", "a.b", "axx", "a.x.y", "aax", "a+x", "", "^.x", "].x", "[", "d.x", "5.x"]
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT name FROM unnest(%s::text[]) AS name WHERE name ~ %s",
            [names, programs.glob_pattern(glob)],
        )
        found = {name for (name,) in cursor.fetchall()}
    assert found == {name for name in names if fnmatchcase(name, glob)}


def test_who_decides_grants_over_rest_and_everybody_reads_for_whom(
    stream: Stream, consumer: Consumer, team: Team
) -> None:
    owner = make_person(Role.ENGINEER, team=stream.owner_team)
    member, stranger = make_person(team=team), make_person()
    body = {
        "resource": {"kind": "stream", "key": stream.name}, "permission": "read_payload",
        "holder": "consumer:warehouse", "purpose": PURPOSE, "until": rfc3339.spell(soon()),
    }  # fmt: skip

    def send(person: Any, path: str = "/api/v1/grants", said: Any = body) -> Any:
        return Client().post(
            path, json.dumps(said), content_type="application/json",
            headers={"Authorization": f"Bearer {token_of(person)}"},
        )  # fmt: skip

    assert send(stranger).status_code == 404
    assert send(member).status_code == 404
    answer = send(owner)
    assert answer.status_code == 201, answer.content
    made = answer.json()
    assert made["holder"] == "consumer:warehouse"
    assert made["id"].startswith("stream-c-")
    row = AuditEntry.objects.filter(action="access.granted").latest("seq")
    assert row.summary.startswith(f"granted consumer:warehouse read_payload on {stream.name}")
    for named, code in (("consumer:nothing", "unknown"), ("robot:x", "unknown")):
        faults = send(owner, said={**body, "holder": named}).json()["errors"]
        assert [(one["pointer"], one["code"]) for one in faults] == [("/holder", code)]
    faults = send(owner, said={**body, "permission": "publish"}).json()["errors"]
    assert [one["pointer"] for one in faults] == ["/permission"]

    for person in (owner, member):
        (listed,) = live_grants(actor_of(person))
        assert (listed.holder, listed.is_of_program) == ("consumer:warehouse", True)
    assert live_grants(actor_of(stranger)) == []
    with pytest.raises(NotFoundError):
        end_grant(made["id"], actor=actor_of(stranger))
    assert recertify(actor=actor_of(owner), keep=[made["id"]], end=[]) == (1, 0)
    with pytest.raises(NotFoundError):  # it is the consumer's, not theirs, to know the stream
        recertify(actor=actor_of(member), keep=[made["id"]], end=[])
    assert end_grant(made["id"], actor=actor_of(member)).revoked_at is not None
    assert held(actor_with(key_of(consumer)), stream) == set()


def test_grants_of_all_kinds_are_listed_page_by_page(stream: Stream, consumer: Consumer) -> None:
    producer = create_producer("till", actor=SYSTEM)
    until = clock.now() + timedelta(days=30)
    holders = (make_person(), make_team(), consumer, producer)
    for place in (stream, stream.domain):
        for holder in holders:
            grant_access(
                place.ref, actor=SYSTEM, permission=Permission.DISCOVER, holder=holder,
                purpose=PURPOSE, until=until,
            )  # fmt: skip
    owner = Client(headers={"Authorization": f"Bearer {token_of(make_person(Role.ADMIN))}"})
    found: list[str] = []
    address = "/api/v1/grants?limit=1"
    while address:
        page = owner.get(address).json()
        found += [one["id"].rpartition("-")[0] for one in page["items"]]
        address = f"/api/v1/grants?limit=1&cursor={page['next']}" if page["next"] else ""
    assert found == [f"{kind}-{letter}" for kind in ("domain", "stream") for letter in "cgpu"]


def test_a_grant_goes_with_its_consumer(stream: Stream, consumer: Consumer) -> None:
    make_grant(stream.domain, consumer, Permission.DISCOVER)
    consumer.delete()
    assert not DomainConsumerPermission.objects.exists()
