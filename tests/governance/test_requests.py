from datetime import datetime, timedelta

import pytest

from governance import access
from governance.models import AuditEntry, User
from governance.selectors.people import actor_of
from governance.selectors.requests import live_grants, requests_to_decide, visible_requests
from governance.services.grants import end_grant, grant_access
from governance.services.requests import (
    Wanted,
    approve_request,
    ask_for_access,
    deny_request,
    withdraw_request,
)
from governance.types import Permission, Role
from portal.kernel import clock
from portal.kernel.errors import (
    ConflictError,
    InvalidError,
    InvalidStateError,
    NotFoundError,
    NotPermittedError,
)
from tests.support.factories import make_actor, make_person, make_stream, make_team

pytestmark = pytest.mark.django_db
PURPOSE = "Signup funnel by country."


def soon(days: int = 30) -> datetime:
    return clock.now() + timedelta(days=days)


def test_a_request_is_asked_approved_and_ends_by_itself() -> None:
    team = make_team()
    stream = make_stream(team=team)
    asker, owner = make_person(), make_actor(Role.ENGINEER, team=team)
    request = ask_for_access(stream.ref, actor=actor_of(asker), purpose=PURPOSE, until=soon())
    assert list(requests_to_decide(owner)) == [request]
    approve_request(request.pk, actor=owner, reason="Fine.")
    assert access.may(actor_of(asker), Permission.READ_PAYLOAD, stream)
    assert not access.may(actor_of(asker), Permission.READ_PERSONAL, stream)
    (grant,) = live_grants(actor_of(asker), mine=True)
    assert (grant.permission, grant.purpose) == ("read_payload", PURPOSE)
    actions = AuditEntry.objects.filter(object_key=stream.name).values_list("action", flat=True)
    assert {"access.requested", "access.granted"} <= set(actions)


def test_personal_fields_are_granted_only_when_asked_for() -> None:
    team = make_team()
    stream, asker = make_stream(team=team), make_person()
    request = ask_for_access(
        stream.ref,
        actor=actor_of(asker),
        purpose=PURPOSE,
        until=soon(),
        wanted=Wanted(personal=True),
    )
    approve_request(request.pk, actor=make_actor(team=team))
    assert access.may(actor_of(asker), Permission.READ_PERSONAL, stream)


def test_nobody_decides_on_their_own_request() -> None:
    team = make_team()
    stream, owner = make_stream(team=team), make_actor(team=team)
    request = ask_for_access(stream.ref, actor=owner, purpose=PURPOSE, until=soon())
    with pytest.raises(NotPermittedError):
        approve_request(request.pk, actor=owner)
    with pytest.raises(NotPermittedError):
        grant_access(
            stream.ref,
            actor=owner,
            permission=Permission.READ_PERSONAL,
            holder=User.objects.get(pk=owner.id),
            purpose=PURPOSE,
            until=soon(),
        )


def test_an_outsider_neither_sees_nor_decides_a_request() -> None:
    stream = make_stream(team=make_team())
    request = ask_for_access(stream.ref, actor=make_actor(), purpose=PURPOSE, until=soon())
    outsider = make_actor(Role.ENGINEER, team=make_team())
    assert not visible_requests(outsider).exists()
    with pytest.raises(NotFoundError):
        approve_request(request.pk, actor=outsider)


def test_a_request_is_decided_once() -> None:
    team = make_team()
    stream, owner = make_stream(team=team), make_actor(team=team)
    request = ask_for_access(stream.ref, actor=make_actor(), purpose=PURPOSE, until=soon())
    deny_request(request.pk, actor=owner, reason="Not for this.")
    with pytest.raises(InvalidStateError):
        approve_request(request.pk, actor=owner)


def test_declining_needs_a_reason_and_asking_a_purpose_and_a_term() -> None:
    team = make_team()
    stream, asker = make_stream(team=team), make_actor()
    with pytest.raises(InvalidError) as caught:
        ask_for_access(stream.ref, actor=asker, purpose="short", until=soon(400))
    assert {error.pointer for error in caught.value.errors} == {"/purpose", "/until"}
    request = ask_for_access(stream.ref, actor=asker, purpose=PURPOSE, until=soon())
    with pytest.raises(InvalidError):
        deny_request(request.pk, actor=make_actor(team=team), reason=" ")


def test_one_open_request_a_person_and_thing() -> None:
    stream, asker = make_stream(team=make_team()), make_actor()
    first = ask_for_access(stream.ref, actor=asker, purpose=PURPOSE, until=soon())
    with pytest.raises(ConflictError) as caught:
        ask_for_access(stream.ref, actor=asker, purpose=PURPOSE, until=soon())
    assert caught.value.code == "request_open"
    withdraw_request(first.pk, actor=asker)
    ask_for_access(stream.ref, actor=asker, purpose=PURPOSE, until=soon())


def test_a_restricted_stream_cannot_be_asked_for_by_who_may_not_know_of_it() -> None:
    stream = make_stream(team=make_team(), extra={"restricted": True})
    with pytest.raises(NotFoundError):
        ask_for_access(stream.ref, actor=make_actor(), purpose=PURPOSE, until=soon())


def test_a_grant_is_ended_by_its_holder_or_the_owner_and_nobody_else() -> None:
    team = make_team()
    stream, holder = make_stream(team=team), make_person()
    owner = make_actor(team=team)
    grant = grant_access(
        stream.ref,
        actor=owner,
        permission=Permission.READ_PAYLOAD,
        holder=holder,
        purpose=PURPOSE,
        until=soon(),
    )
    with pytest.raises(NotFoundError):
        end_grant(grant.id, actor=make_actor())
    end_grant(grant.id, actor=actor_of(holder))
    assert not access.may(actor_of(holder), Permission.READ_PAYLOAD, stream)
    with pytest.raises(InvalidStateError):
        end_grant(grant.id, actor=owner)
