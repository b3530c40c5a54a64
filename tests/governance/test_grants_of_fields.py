"""A grant about some fields: what is asked, what of it is granted, and what is then seen."""

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client

from catalog.models import Stream
from governance import access
from governance.models import AccessRequest, AuditEntry, User
from governance.projection import NOTHING, WHOLE, Projection, covers, projection
from governance.selectors.people import actor_of
from governance.selectors.requests import live_grants
from governance.services.grants import end_grant, grant_access
from governance.services.requests import Wanted, approve_request, ask_for_access, renew_grant
from governance.types import Permission, Role
from portal.kernel import clock
from portal.kernel.actor import SYSTEM, Actor
from portal.kernel.errors import InvalidError
from tests.support.factories import make_person, make_stream, make_team, token_of

pytestmark = pytest.mark.django_db
PURPOSE = "To count what was sold."
SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "order_id": {"type": "string"},
        "amount": {"type": "integer"},
        "email": {"type": "string", "x-classification": "personal", "x-privacy": "encrypt"},
        "phone": {"type": "string", "x-classification": "personal", "x-privacy": "encrypt"},
        "ship_to": {
            "type": "object",
            "properties": {"city": {"type": "string"}, "street": {"type": "string"}},
        },
    },
}


def soon(days: int = 20) -> Any:
    return clock.now() + timedelta(days=days)


@pytest.fixture
def stream() -> Stream:
    return make_stream(team=make_team(), schema=SCHEMA)


@pytest.fixture
def owner(stream: Stream) -> Actor:
    return actor_of(make_person(Role.ENGINEER, team=stream.owner_team))


def asked(stream: Stream, person: User, wanted: Wanted) -> AccessRequest:
    return ask_for_access(
        stream.ref, actor=actor_of(person), purpose=PURPOSE, until=soon(), wanted=wanted
    )


def test_of_the_fields_asked_for_a_part_is_granted_and_for_a_shorter_time(
    stream: Stream, owner: Actor
) -> None:
    ida = make_person(Role.ANALYST)
    wanted = Wanted(("order_id", "email", "phone"), personal=True, clear=("email", "phone"))
    request = asked(stream, ida, wanted)
    part = Wanted(("order_id", "email"), personal=True, clear=("email",))
    decided = approve_request(request.pk, actor=owner, until=soon(5), part=part)
    assert (decided.granted_fields, decided.granted_clear) == (["email", "order_id"], ["email"])
    assert decided.granted_until is not None
    assert decided.granted_until < decided.until
    seen = projection(actor_of(ida), stream)
    assert seen == Projection(frozenset({"order_id", "email"}), frozenset({"email"}))
    with clock.at(soon(6)):
        assert live_grants(actor_of(ida), mine=True) != []  # judged by the database's clock alone
    row = AuditEntry.objects.filter(action="access.granted").latest("seq")
    assert row.detail["after"]["fields"] == ["email", "order_id"]


@pytest.mark.parametrize(
    ("part", "pointer"),
    [
        (Wanted(("order_id", "amount")), "/fields"),
        (Wanted(), "/fields"),
        (Wanted(("order_id",), personal=True), "/personal"),
    ],
)
def test_nobody_is_granted_more_than_they_asked_for(
    part: Wanted, pointer: str, stream: Stream, owner: Actor
) -> None:
    request = asked(stream, make_person(), Wanted(("order_id",)))
    with pytest.raises(InvalidError) as caught:
        approve_request(request.pk, actor=owner, part=part)
    assert pointer in [fault.pointer for fault in caught.value.errors]
    request.refresh_from_db()
    assert request.state == "open"


def test_more_personal_fields_than_were_named_are_not_granted(stream: Stream, owner: Actor) -> None:
    request = asked(stream, make_person(), Wanted(personal=True, clear=("email",)))
    with pytest.raises(InvalidError) as caught:
        approve_request(request.pk, actor=owner, part=Wanted(personal=True))
    assert [fault.pointer for fault in caught.value.errors] == ["/clear"]


@pytest.mark.parametrize(
    ("wanted", "faults"),
    [
        (Wanted(("nothing",)), [("/fields/0", "unknown")]),
        (Wanted(clear=("email",)), [("/clear", "not_here")]),
        (Wanted(personal=True, clear=("amount",)), [("/clear/0", "not_personal")]),
        (Wanted(("amount",), personal=True, clear=("email",)), [("/clear/0", "not_asked")]),
    ],
)
def test_fields_that_do_not_fit_are_named(
    wanted: Wanted, faults: list[tuple[str, str]], stream: Stream
) -> None:
    with pytest.raises(InvalidError) as caught:
        asked(stream, make_person(), wanted)
    assert [(fault.pointer, fault.code) for fault in caught.value.errors] == faults


def test_a_domain_is_granted_whole(stream: Stream) -> None:
    with pytest.raises(InvalidError, match="No fields"):
        ask_for_access(
            stream.domain.ref, actor=actor_of(make_person()), purpose=PURPOSE, until=soon(),
            wanted=Wanted(("order_id",)),
        )  # fmt: skip


def test_decisions_add_up_and_each_ends_for_itself(stream: Stream) -> None:
    ida = make_person()
    held = [
        grant_access(
            stream.ref, actor=SYSTEM, permission=Permission.READ_PAYLOAD, holder=ida,
            purpose=PURPOSE, until=soon(), fields=fields,
        )
        for fields in (["order_id"], ["amount"])
    ]  # fmt: skip
    assert projection(actor_of(ida), stream).fields == frozenset({"order_id", "amount"})
    end_grant(held[0].id, actor=SYSTEM)
    assert projection(actor_of(ida), stream).fields == frozenset({"amount"})
    end_grant(held[1].id, actor=SYSTEM)
    assert projection(actor_of(ida), stream) == NOTHING


def test_owners_see_every_field_masked_and_the_portal_all(stream: Stream, owner: Actor) -> None:
    assert projection(owner, stream) == Projection(None, frozenset())
    assert projection(SYSTEM, stream) == WHOLE
    assert projection(actor_of(make_person(Role.ADMIN)), stream).fields is None
    assert projection(actor_of(make_person()), stream) == NOTHING


def test_a_path_stands_for_what_is_below_it_and_not_for_what_begins_alike() -> None:
    assert covers(["ship_to"], "ship_to.city")
    assert covers(["items"], "items[].sku")
    assert not covers(["ship"], "ship_to")
    assert not covers(["ship_to.city"], "ship_to")
    assert Projection(frozenset({"ship_to.city"}), None).leads_to_shown("ship_to")


def test_a_grant_is_prolonged_by_a_request_that_knows_its_fields_and_purpose(
    stream: Stream, owner: Actor
) -> None:
    ida = make_person()
    request = asked(stream, ida, Wanted(("order_id",)))
    approve_request(request.pk, actor=owner, until=soon(3))
    (held,) = live_grants(actor_of(ida), mine=True)
    again = renew_grant(held.id, actor=actor_of(ida), until=soon(40))
    assert (again.fields, again.purpose, again.renews) == (["order_id"], PURPOSE, held.id)
    approve_request(again.pk, actor=owner)
    (renewed,) = live_grants(actor_of(ida), mine=True)
    assert renewed.id == held.id
    assert renewed.valid_until == again.until


def test_over_rest_a_part_is_granted_and_a_stranger_prolongs_nothing(stream: Stream) -> None:
    ida, stranger = make_person(Role.ANALYST), make_person(Role.ANALYST)
    lead = make_person(Role.ENGINEER, team=stream.owner_team)

    def send(user: User, path: str, body: dict[str, Any]) -> Any:
        return Client().post(
            f"/api/v1/{path}", body, content_type="application/json",
            headers={"Authorization": f"Bearer {token_of(user)}"},
        )  # fmt: skip

    until = soon().isoformat().replace("+00:00", "Z")
    made = send(
        ida, "access-requests",
        {"resource": {"kind": "stream", "key": stream.name}, "purpose": PURPOSE, "until": until,
         "fields": ["order_id", "email"], "personal": True, "clear": ["email"]},
    )  # fmt: skip
    assert made.status_code == 201, made.content
    given = send(lead, f"access-requests/{made.json()['id']}/approve", {"fields": ["order_id"]})
    assert given.status_code == 200, given.content
    assert given.json()["granted"]["fields"] == ["order_id"]
    assert given.json()["granted"]["personal"] is False
    (held,) = live_grants(actor_of(ida), mine=True)
    assert send(stranger, f"grants/{held.id}/renew", {"until": until}).status_code == 404
    assert send(lead, f"grants/{held.id}/renew", {"until": until}).status_code == 403
    assert send(ida, f"grants/{held.id}/renew", {"until": until}).status_code == 201
    assert access.may(actor_of(ida), Permission.READ_PAYLOAD, stream)


def _ticked(client: Client, address: str, **said: Any) -> Any:
    return client.post(address, {"sights": "1", "purpose": PURPOSE, **said})


def test_no_field_ticked_is_no_request_for_all_of_them(stream: Stream) -> None:
    client = Client()
    client.force_login(make_person(Role.ANALYST))
    until = soon().date().isoformat()
    answer = _ticked(client, f"/access/new/?stream={stream.name}", until=until)
    page = answer.content.decode()
    assert answer.status_code == 422
    assert 'aria-describedby="faults-of-fields"' in page
    assert "leave at least one ticked" in page
    assert not AccessRequest.objects.exists()


def test_approving_with_no_field_ticked_grants_nothing(stream: Stream) -> None:
    request = asked(stream, make_person(Role.ANALYST), Wanted(("order_id", "amount")))
    client = Client()
    client.force_login(make_person(Role.ENGINEER, team=stream.owner_team))
    address = f"/access/requests/{request.pk}/decide/"
    _ticked(client, address, decision="approve")
    request.refresh_from_db()
    assert request.state == "open"
    _ticked(client, address, decision="approve", field="amount")
    request.refresh_from_db()
    assert (request.state, request.granted_fields) == ("approved", ["amount"])
    assert "only <code>amount</code>" in client.get("/access/requests/").content.decode()
