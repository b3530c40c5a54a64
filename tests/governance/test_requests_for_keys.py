"""Requests that a person makes for a consumer or a producer of their team."""

import json
from typing import Any

import pytest
from django.test import Client

from catalog.models import Consumer, Producer, Stream
from catalog.services.consumers import create_consumer
from catalog.services.producers import create_producer
from governance import access
from governance.models import AccessRequest, AuditEntry, Notice, User
from governance.projection import Projection, projection
from governance.selectors.people import actor_of
from governance.selectors.requests import live_grants, requests_to_decide
from governance.services.escalation import escalate_requests
from governance.services.grants import grant_access
from governance.services.requests import (
    Wanted,
    approve_request,
    ask_for_access,
    deny_request,
    renew_grant,
)
from governance.types import Permission, Role
from portal.kernel import clock, rfc3339
from portal.kernel.actor import SYSTEM, Actor
from portal.kernel.errors import (
    ConflictError,
    InvalidError,
    InvalidStateError,
    NotFoundError,
    NotPermittedError,
)
from tests.governance.test_grants_of_fields import PURPOSE, SCHEMA, soon
from tests.governance.test_grants_of_keys import actor_with, key_of
from tests.support.factories import make_person, make_stream, make_team, token_of

pytestmark = pytest.mark.django_db
WHOLE = Wanted()


@pytest.fixture
def stream() -> Stream:
    return make_stream(team=make_team("Payments"), schema=SCHEMA)


@pytest.fixture
def owner(stream: Stream) -> Actor:
    return actor_of(make_person(Role.ENGINEER, team=stream.owner_team))


@pytest.fixture
def ben() -> User:
    return make_person(team=make_team("Warehouse"))


@pytest.fixture
def consumer(ben: User) -> Consumer:
    return create_consumer("warehouse", actor=SYSTEM, team=ben.memberships.get().team)


@pytest.fixture
def producer(ben: User) -> Producer:
    return create_producer("till", actor=SYSTEM, team=ben.memberships.get().team)


def asked(stream: Stream, person: User, holder: Any, wanted: Wanted = WHOLE) -> AccessRequest:
    return ask_for_access(
        stream.ref, actor=actor_of(person), purpose=PURPOSE, until=soon(), wanted=wanted,
        holder=holder,
    )  # fmt: skip


def test_a_consumer_is_asked_for_granted_a_part_and_prolonged(
    stream: Stream, owner: Actor, ben: User, consumer: Consumer
) -> None:
    reader = actor_with(key_of(consumer))
    wanted = Wanted(("order_id", "email"), personal=True, clear=("email",))
    request = asked(stream, ben, consumer, wanted)
    assert request.holder == "consumer:warehouse"
    assert list(requests_to_decide(owner)) == [request]
    assert f"to read {stream.name} for consumer:warehouse" in Notice.objects.latest("pk").title
    told = AuditEntry.objects.get(action="access.requested")
    assert told.detail["after"]["for"] == "consumer:warehouse"
    part = Wanted(("order_id",))
    decided = approve_request(request.pk, actor=owner, until=soon(5), part=part)
    assert decided.granted_fields == ["order_id"]
    assert projection(reader, stream) == Projection(frozenset({"order_id"}), frozenset())
    assert not access.may(actor_of(ben), Permission.READ_PAYLOAD, stream), "it is not for them"
    (held,) = live_grants(actor_of(ben), holder=consumer)
    assert (held.holder, held.fields, held.purpose) == (
        "consumer:warehouse",
        ("order_id",),
        PURPOSE,
    )
    row = AuditEntry.objects.filter(action="access.granted").latest("seq")
    assert row.summary.startswith("granted consumer:warehouse read_payload")

    again = renew_grant(held.id, actor=actor_of(ben), until=soon(30))
    assert (again.holder, again.fields, again.renews) == (
        "consumer:warehouse",
        ["order_id"],
        held.id,
    )
    approve_request(again.pk, actor=owner)
    (longer,) = live_grants(actor_of(ben), holder=consumer)
    assert longer.id == held.id, "the same decision, for longer"
    assert longer.valid_until > held.valid_until


def test_a_producer_is_asked_for_to_publish_and_prolonged(
    stream: Stream, owner: Actor, ben: User, producer: Producer
) -> None:
    sender = actor_with(key_of(producer))
    request = asked(stream, ben, producer)
    assert "asks to publish to" in Notice.objects.latest("pk").title
    approve_request(request.pk, actor=owner)
    assert access.may(sender, Permission.PUBLISH, stream)
    assert not access.may(sender, Permission.READ_PAYLOAD, stream)
    assert not access.may(actor_of(ben), Permission.PUBLISH, stream)
    (held,) = live_grants(actor_of(ben), holder=producer)
    assert (held.permission, held.holder) == ("publish", "producer:till")
    assert renew_grant(held.id, actor=actor_of(ben), until=soon(30)).is_to_publish


@pytest.mark.parametrize(
    ("wanted", "pointers"),
    [
        (Wanted(("order_id",)), ["/fields"]),
        (Wanted(personal=True, clear=("email",)), ["/personal", "/clear"]),
    ],
)
def test_nothing_is_seen_by_a_producer(
    wanted: Wanted, pointers: list[str], stream: Stream, owner: Actor, ben: User, producer: Producer
) -> None:
    with pytest.raises(InvalidError) as caught:
        asked(stream, ben, producer, wanted)
    assert [(one.pointer, one.code) for one in caught.value.errors] == [
        (pointer, "not_here") for pointer in pointers
    ]
    request = asked(stream, ben, producer)
    with pytest.raises(InvalidError):
        approve_request(request.pk, actor=owner, part=wanted)


def test_who_is_not_of_its_team_asks_for_no_program(
    stream: Stream, owner: Actor, ben: User, consumer: Consumer, producer: Producer
) -> None:
    stranger, admin = make_person(Role.ENGINEER), make_person(Role.ADMIN)
    for program in (consumer, producer):
        with pytest.raises(NotPermittedError) as caught:
            asked(stream, stranger, program)
        assert caught.value.extra["permission"] == f"{program.ref.kind}.manage"
    request = asked(stream, admin, consumer)
    approve_request(request.pk, actor=owner)
    (held,) = live_grants(actor_of(ben), holder=consumer)
    assert live_grants(actor_of(stranger), holder=consumer) == []
    with pytest.raises(NotFoundError):
        renew_grant(held.id, actor=actor_of(stranger), until=soon())
    renew_grant(held.id, actor=actor_of(admin), until=soon())


def test_nobody_decides_on_what_they_asked_for_a_program(stream: Stream) -> None:
    member = make_person(team=stream.owner_team)
    consumer = create_consumer("own", actor=SYSTEM, team=stream.owner_team)
    request = asked(stream, member, consumer)
    with pytest.raises(NotPermittedError):
        approve_request(request.pk, actor=actor_of(member))


def test_one_request_waits_for_oneself_and_one_for_each_program(
    stream: Stream, ben: User, consumer: Consumer, producer: Producer
) -> None:
    colleague = make_person(team=consumer.team)
    for holder in (None, consumer, producer):
        asked(stream, ben, holder)
        with pytest.raises(ConflictError):
            asked(stream, ben, holder)
    with pytest.raises(ConflictError, match="consumer:warehouse already has"):
        asked(stream, colleague, consumer)
    asked(stream, colleague, None)


def test_a_program_that_took_the_name_of_one_that_is_gone_gets_nothing(
    stream: Stream, owner: Actor, ben: User, consumer: Consumer
) -> None:
    request = asked(stream, ben, consumer)
    consumer.delete()
    with pytest.raises(InvalidStateError):
        approve_request(request.pk, actor=owner)
    usurper = create_consumer("warehouse", actor=SYSTEM)
    with pytest.raises(InvalidStateError):
        approve_request(request.pk, actor=owner)
    assert live_grants(SYSTEM, holder=usurper) == []
    deny_request(request.pk, actor=owner, reason="It is gone.")


def test_who_is_asked_after_days_reads_for_whom(
    stream: Stream, ben: User, consumer: Consumer
) -> None:
    make_person(Role.ADMIN)
    request = asked(stream, ben, consumer)
    AccessRequest.objects.filter(pk=request.pk).update(
        created_at=clock.now() - (soon() - clock.now())
    )
    assert escalate_requests() == 1
    said = Notice.objects.get(title__startswith="Nobody answers")
    assert f"to read {stream.name} for consumer:warehouse" in said.sentence


def test_over_rest_a_request_says_for_whom_and_faults_stand_at_the_field(
    stream: Stream, ben: User, consumer: Consumer
) -> None:
    body = {
        "resource": {"kind": "stream", "key": stream.name}, "purpose": PURPOSE,
        "until": rfc3339.spell(soon()),
    }  # fmt: skip

    def send(person: User, **more: Any) -> Any:
        return Client().post(
            "/api/v1/access-requests", json.dumps({**body, **more}),
            content_type="application/json", headers={"Authorization": f"Bearer {token_of(person)}"},
        )  # fmt: skip

    for named in ("consumer:nothing", "warehouse", ben.email):
        answer = send(ben, **{"for": named})
        assert answer.status_code == 422
        assert [one["pointer"] for one in answer.json()["errors"]] == ["/for"]
    stranger = send(make_person(), **{"for": "consumer:warehouse"})
    assert (stranger.status_code, stranger.json()["code"]) == (403, "team")
    made = send(ben, **{"for": "consumer:warehouse"})
    assert (made.status_code, made.json()["for"]) == (201, "consumer:warehouse")
    assert send(ben).json()["for"] is None


def test_the_page_asks_for_oneself_or_for_a_program_of_ones_team(
    stream: Stream, owner: Actor, ben: User, consumer: Consumer, producer: Producer
) -> None:
    pages, address = Client(), f"/access/new/?stream={stream.name}"
    pages.force_login(ben)
    html = pages.get(address).content.decode()
    assert '<option value="consumer:warehouse">consumer warehouse</option>' in html
    assert "producer till" in html
    alone = Client()
    alone.force_login(make_person())
    assert 'name="for"' not in alone.get(address).content.decode()
    foreign = alone.get(f"{address}&for=consumer:warehouse")
    assert foreign.status_code == 403

    form: dict[str, Any] = {"purpose": PURPOSE, "until": soon().date().isoformat(), "sights": "1"}
    form |= {"for": "consumer:warehouse", "field": ["order_id"]}
    assert pages.post(address, form).status_code == 302
    assert pages.post(address, form | {"for": "producer:till", "field": []}).status_code == 302
    wrong = pages.post(address, form | {"for": "consumer:another"})
    assert wrong.status_code == 422
    requests = {row.holder: row for row in AccessRequest.objects.all()}
    assert requests["consumer:warehouse"].fields == ["order_id"]
    assert requests["producer:till"].fields == []

    deciding = Client()
    deciding.force_login(User.objects.get(pk=owner.id))
    html = deciding.get("/access/").content.decode()
    assert "would like consumer:warehouse to" in html
    assert "would like producer:till to publish to" in html
    for row in requests.values():
        posted = {"decision": "approve", "until": soon().date().isoformat()}
        assert deciding.post(f"/access/requests/{row.pk}/decide/", posted).status_code == 302
    for page in ("/access/", "/access/recertify/"):
        html = deciding.get(page).content.decode()
        assert "consumer:warehouse" in html
        assert "producer:till" in html
    assert "for consumer:warehouse" in pages.get("/access/requests/").content.decode()
    held = {grant.holder: grant for grant in live_grants(actor_of(ben), mine=True)}
    overview = pages.get("/access/").content.decode()
    assert "What our programs hold" in overview
    for grant in held.values():
        renewing = pages.get(f"{address}&renews={grant.id}").content.decode()
        assert f"{grant.holder} holds it until" in renewing
        assert pages.post(f"{address}&renews={grant.id}", form).status_code == 302
    again = AccessRequest.objects.filter(state="open").values_list("holder_name", "renews")
    assert sorted(again) == sorted(
        (name.partition(":")[2], grant.id) for name, grant in held.items()
    )


def test_a_programs_page_shows_what_it_holds_to_those_it_concerns(
    stream: Stream, ben: User, consumer: Consumer, producer: Producer
) -> None:
    for holder, permission, fields in (
        (consumer, Permission.READ_PAYLOAD, ("order_id",)), (producer, Permission.PUBLISH, ())
    ):  # fmt: skip
        grant_access(
            stream.ref, actor=SYSTEM, permission=permission, holder=holder, purpose=PURPOSE,
            until=soon(), fields=fields,
        )  # fmt: skip
    mine, stranger = Client(), Client()
    mine.force_login(ben)
    stranger.force_login(make_person())
    for address in ("/consumers/warehouse/", "/producers/till/"):
        html = mine.get(address).content.decode()
        assert PURPOSE in html
        assert stream.name in html
        assert PURPOSE not in stranger.get(address).content.decode()
    assert "<code>order_id</code>" in mine.get("/consumers/warehouse/").content.decode()
