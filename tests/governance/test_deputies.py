"""Deciding in the place of who is away, going to the admins when nobody does, and going through
grants."""

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client

from catalog.models import Stream
from governance import access
from governance.errors import NotOwnRequestError
from governance.models import AuditEntry, Delegation, Notice, User
from governance.selectors.people import actor_of
from governance.selectors.requests import live_grants, requests_to_decide
from governance.services.delegations import delegate, end_delegation
from governance.services.escalation import escalate_requests
from governance.services.grants import recertify
from governance.services.requests import approve_request, ask_for_access
from governance.types import Permission, Role
from portal.kernel import clock
from portal.kernel.errors import InvalidError, NotFoundError, NotPermittedError
from tests.support.factories import make_grant, make_person, make_stream, make_team, token_of

pytestmark = pytest.mark.django_db
PURPOSE = "To count what was sold."


def soon(days: int = 20) -> Any:
    return clock.now() + timedelta(days=days)


@pytest.fixture
def stream() -> Stream:
    return make_stream(team=make_team())


@pytest.fixture
def lin(stream: Stream) -> User:
    return make_person(Role.ENGINEER, team=stream.owner_team)


def deputise(person: User, deputy: User, *, days: int = 7, from_day: int = 0) -> Delegation:
    return delegate(
        actor=actor_of(person), deputy=deputy, since=soon(from_day), until=soon(from_day + days)
    )


def test_a_deputy_sees_and_decides_what_who_is_away_would_have_and_nothing_else(
    stream: Stream, lin: User
) -> None:
    noor, ida = make_person(Role.ENGINEER, team=make_team()), make_person(Role.ANALYST)
    request = ask_for_access(stream.ref, actor=actor_of(ida), purpose=PURPOSE, until=soon())
    assert not requests_to_decide(actor_of(noor)).exists()
    deputise(lin, noor)
    assert requests_to_decide(actor_of(noor)).get() == request
    assert access.may(actor_of(noor), Permission.APPROVE, stream)
    for other in (Permission.EDIT, Permission.READ_PAYLOAD, Permission.PUBLISH):
        assert not access.may(actor_of(noor), other, stream)
    (reason,) = access.explain(actor_of(noor), Permission.APPROVE, stream)
    assert (reason.by, reason.text) == ("deputy", f"you decide for {lin.email}")
    assert noor.pk in access.holders(Permission.APPROVE, stream)
    assert approve_request(request.pk, actor=actor_of(noor)).decided_by == noor


def test_a_deputy_decides_by_a_grant_of_who_is_away_too(stream: Stream) -> None:
    lin, noor = make_person(), make_person()
    make_grant(stream, lin, Permission.APPROVE)
    deputise(lin, noor)
    assert access.may(actor_of(noor), Permission.APPROVE, stream)


def test_a_deputy_has_no_deputy_and_no_role_of_who_is_away(stream: Stream, lin: User) -> None:
    admin, noor, ivo = make_person(Role.ADMIN), make_person(), make_person()
    deputise(lin, noor)
    deputise(noor, ivo)
    deputise(admin, ivo)
    assert not access.may(actor_of(ivo), Permission.APPROVE, stream)


def test_a_deputy_does_not_decide_on_a_request_of_who_is_away(stream: Stream) -> None:
    ida = make_person(Role.ANALYST)
    noor = make_person(Role.ENGINEER, team=stream.owner_team)
    request = ask_for_access(stream.ref, actor=actor_of(ida), purpose=PURPOSE, until=soon())
    deputise(ida, noor)
    with pytest.raises(NotOwnRequestError, match="You decide for who asked"):
        approve_request(request.pk, actor=actor_of(noor))


@pytest.mark.parametrize(("from_day", "days"), [(3, 4), (-9, 8)])
def test_a_deputy_decides_only_from_and_until_the_days_that_were_said(
    from_day: int, days: int, stream: Stream, lin: User
) -> None:
    noor = make_person()
    Delegation.objects.create(
        person=lin, deputy=noor, since=soon(from_day), until=soon(from_day + days)
    )
    assert not access.may(actor_of(noor), Permission.APPROVE, stream)


def test_it_is_ended_by_either_of_the_two_and_by_nobody_else(stream: Stream, lin: User) -> None:
    noor = make_person()
    made = deputise(lin, noor)
    with pytest.raises(NotFoundError):
        end_delegation(made.pk, actor=actor_of(make_person(Role.ADMIN)))
    end_delegation(made.pk, actor=actor_of(noor))
    assert not access.may(actor_of(noor), Permission.APPROVE, stream)
    with pytest.raises(NotFoundError):
        end_delegation(made.pk, actor=actor_of(lin))
    log = AuditEntry.objects.filter(object_kind="person", object_key=lin.email).order_by("seq")
    assert [row.action for row in log] == ["access.delegated", "access.delegation_ended"]


def test_a_deputy_that_makes_no_sense_is_refused_at_its_fields(lin: User) -> None:
    with pytest.raises(InvalidError) as caught:
        delegate(actor=actor_of(lin), deputy=lin, since=soon(0), until=soon(-1), note="x" * 300)
    assert [one.pointer for one in caught.value.errors] == ["/deputy", "/until", "/note"]
    with pytest.raises(InvalidError) as caught:
        delegate(actor=actor_of(lin), deputy=make_person(), since=soon(0), until=soon(91))
    assert [one.code for one in caught.value.errors] == ["too_long"]


def test_what_nobody_answers_goes_to_the_admins_once(stream: Stream, lin: User) -> None:
    admin, ida = make_person(Role.ADMIN), make_person(Role.ANALYST)
    with clock.at(clock.now() - timedelta(days=4)):
        request = ask_for_access(stream.ref, actor=actor_of(ida), purpose=PURPOSE, until=soon())
    ask_for_access(stream.ref, actor=actor_of(make_person()), purpose=PURPOSE, until=soon())
    assert escalate_requests() == 1
    assert escalate_requests() == 0
    request.refresh_from_db()
    assert request.escalated_at is not None
    told = Notice.objects.filter(dedupe=f"escalated:{request.pk}")
    assert set(told.values_list("user_id", flat=True)) == {admin.pk, ida.pk}
    assert AuditEntry.objects.filter(action="access.escalated").count() == 1
    assert approve_request(request.pk, actor=actor_of(lin)).state == "approved"


def test_grants_are_gone_through_all_at_once_or_not_at_all(stream: Stream, lin: User) -> None:
    ida, ivo = make_person(), make_person()
    for person in (ida, ivo):
        make_grant(stream, person, Permission.READ_PAYLOAD)
    rows = {grant.holder: grant.id for grant in live_grants(actor_of(lin), decides=True)}
    stranger = actor_of(make_person(Role.ENGINEER, team=make_team()))
    with pytest.raises(NotFoundError):
        recertify(actor=stranger, keep=[rows[ida.email]], end=[rows[ivo.email]])
    with pytest.raises(NotFoundError):
        recertify(actor=actor_of(lin), keep=[rows[ida.email], "stream-u-999999999"], end=[])
    assert not [g for g in live_grants(actor_of(lin), decides=True) if g.confirmed_at]
    assert recertify(actor=actor_of(lin), keep=[rows[ida.email]], end=[rows[ivo.email]]) == (1, 1)
    (left,) = live_grants(actor_of(lin), decides=True)
    assert (left.holder, left.confirmed_by) == (ida.email, lin.email)
    with pytest.raises(InvalidError):
        recertify(actor=actor_of(lin), keep=[left.id], end=[left.id])


def test_nobody_confirms_their_own_grant(stream: Stream, lin: User) -> None:
    make_grant(stream, lin, Permission.READ_PERSONAL)
    (held,) = live_grants(actor_of(lin), decides=True)
    with pytest.raises(NotPermittedError, match="own grant"):
        recertify(actor=actor_of(lin), keep=[held.id], end=[])


def test_the_pages_name_a_deputy_and_go_through_grants(stream: Stream, lin: User) -> None:
    noor, ida = make_person(), make_person()
    make_grant(stream, ida, Permission.READ_PAYLOAD)
    client = Client()
    client.force_login(lin)
    sent = {"deputy": noor.email, "until": f"{soon():%Y-%m-%d}", "note": "On leave."}
    assert client.post("/access/deputies/", sent).status_code == 302
    made = Delegation.objects.get()
    assert b"decides for you" in client.get("/access/").content
    (held,) = live_grants(actor_of(lin), decides=True)
    assert ida.email.encode() in client.get("/access/recertify/").content
    client.post("/access/recertify/", {f"do-{held.id}": "end"})
    assert live_grants(actor_of(lin), decides=True) == []
    assert client.post(f"/access/deputies/{made.pk}/end/").status_code == 302
    outsider = Client()
    outsider.force_login(make_person())
    assert outsider.post(f"/access/deputies/{made.pk}/end/").status_code == 404


def test_over_rest_a_deputy_is_named_listed_and_ended(lin: User) -> None:
    noor = make_person()
    bearer = {"Authorization": f"Bearer {token_of(lin)}"}
    until = soon().isoformat().replace("+00:00", "Z")
    made = Client().post(
        "/api/v1/delegations", {"deputy": noor.email, "until": until},
        content_type="application/json", headers=bearer,
    )  # fmt: skip
    assert made.status_code == 201, made.content
    (listed,) = Client().get("/api/v1/delegations", headers=bearer).json()["items"]
    assert listed["deputy"] == noor.email
    stranger = {"Authorization": f"Bearer {token_of(make_person())}"}
    for path in (made["Location"], f"{made['Location']}/end"):
        send = Client().post if path.endswith("end") else Client().get
        assert send(path, content_type="application/json", headers=stranger).status_code == 404
    ended = Client().post(
        f"{made['Location']}/end", {}, content_type="application/json", headers=bearer
    )
    assert ended.json()["ended_at"] is not None
