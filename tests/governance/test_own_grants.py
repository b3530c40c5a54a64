"""Nobody grants themselves, by whichever road the grant would come back to them."""

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client

from catalog.models import Consumer, Domain, Stream
from catalog.services.consumers import create_consumer
from governance import access
from governance.errors import OwnGrantError
from governance.models import AuditEntry, Delegation, Notice, Team, User
from governance.selectors.people import actor_of
from governance.selectors.requests import live_grants
from governance.services.grants import Holder, grant_access, recertify
from governance.services.requests import Wanted, approve_request, ask_for_access
from governance.types import Permission, Role
from portal.kernel import clock, rfc3339
from portal.kernel.actor import SYSTEM
from tests.support.factories import make_grant, make_person, make_stream, make_team, token_of

pytestmark = pytest.mark.django_db
PURPOSE = "To look into complaints."


@pytest.fixture
def shop() -> Team:
    return make_team("Shop")


@pytest.fixture
def stream(shop: Team) -> Stream:
    return make_stream(team=shop)


@pytest.fixture
def ada(shop: Team) -> User:
    return make_person(Role.ENGINEER, team=shop)


@pytest.fixture
def ben(shop: Team) -> User:
    return make_person(Role.ENGINEER, team=shop)


@pytest.fixture
def reader(shop: Team) -> Consumer:
    return create_consumer("shop-reader", actor=SYSTEM, team=shop)


def give(
    who: User,
    holder: Holder,
    place: Stream | Domain,
    permission: Permission = Permission.READ_PERSONAL,
    *,
    days: int = 30,
    fields: tuple[str, ...] = (),
) -> Any:
    return grant_access(
        place.ref, actor=actor_of(who), permission=permission, holder=holder, purpose=PURPOSE,
        until=clock.now() + timedelta(days=days), fields=fields,
    )  # fmt: skip


def away(person: User, deputy: User) -> None:
    now = clock.now()
    Delegation.objects.create(
        person=person, deputy=deputy, since=now - timedelta(days=1), until=now + timedelta(days=9)
    )


def test_over_rest_a_grant_to_ones_own_team_is_refused_with_the_way_to_ask(
    stream: Stream, shop: Team, ada: User
) -> None:
    said = {
        "resource": {"kind": "stream", "key": stream.name}, "permission": "read_personal",
        "holder": shop.slug, "purpose": PURPOSE,
        "until": rfc3339.spell(clock.now() + timedelta(days=30)),
    }  # fmt: skip
    answer = Client().post(
        "/api/v1/grants", said, content_type="application/json",
        headers={"Authorization": f"Bearer {token_of(ada)}"},
    )  # fmt: skip
    assert answer.status_code == 403, answer.content
    body = answer.json()
    assert (body["code"], body["permission"]) == ("own_grant", "read_personal")
    assert body["request_at"] == f"/access/new/?stream={stream.name}"
    assert not access.may(actor_of(ada), Permission.READ_PERSONAL, stream)


def test_a_grant_to_a_consumer_of_ones_own_team_is_refused(
    stream: Stream, ada: User, reader: Consumer
) -> None:
    with pytest.raises(OwnGrantError) as caught:
        give(ada, reader, stream)
    asked_at = f"/access/new/?stream={stream.name}&for=consumer:shop-reader"
    assert caught.value.extra["request_at"] == asked_at
    assert live_grants(actor_of(ada)) == []


def test_an_approver_grants_neither_themselves_nor_their_own_team_what_they_lack(
    stream: Stream,
) -> None:
    desk = make_team("Desk")
    noor = make_person(Role.ANALYST, team=desk)
    make_grant(stream, noor, Permission.APPROVE)
    for holder in (noor, desk):
        for permission in (Permission.READ_PAYLOAD, Permission.ADMINISTER, Permission.PUBLISH):
            with pytest.raises(OwnGrantError):
                give(noor, holder, stream, permission)
    assert give(noor, make_person(), stream, Permission.READ_PAYLOAD).permission == "read_payload"


def test_an_admin_does_not_grant_their_own_team_what_admins_lack(stream: Stream) -> None:
    desk = make_team("Desk")
    dot = make_person(Role.ADMIN, team=desk)
    for permission in (Permission.READ_PERSONAL, Permission.PUBLISH, Permission.ADMINISTER):
        with pytest.raises(OwnGrantError):
            give(dot, desk, stream, permission)
    assert give(dot, desk, stream, Permission.READ_PAYLOAD).permission == "read_payload"


def test_a_token_of_few_scopes_opens_no_other_road(stream: Stream, shop: Team, ada: User) -> None:
    with pytest.raises(OwnGrantError):
        grant_access(
            stream.ref, actor=actor_of(ada, scopes=frozenset({"read", "approve"})), holder=shop,
            permission=Permission.READ_PERSONAL, purpose=PURPOSE,
            until=clock.now() + timedelta(days=3),
        )  # fmt: skip


def test_what_their_team_owns_is_granted_to_others_and_shared_with_its_own_programs(
    stream: Stream, shop: Team, ada: User, reader: Consumer
) -> None:
    other = make_team()
    for holder in (make_person(), other, create_consumer("else", actor=SYSTEM, team=other)):
        assert give(ada, holder, stream).permission == "read_personal"
    for own in (shop, reader):
        assert give(ada, own, stream, Permission.READ_PAYLOAD).permission == "read_payload"


def test_what_is_held_already_is_handed_on_for_no_longer_and_no_more_fields(
    stream: Stream, shop: Team, ada: User
) -> None:
    grant_access(
        stream.ref, actor=SYSTEM, permission=Permission.READ_PERSONAL, holder=ada, purpose=PURPOSE,
        until=clock.now() + timedelta(days=20), fields=("email",),
    )  # fmt: skip
    assert give(ada, shop, stream, days=10, fields=("email",)).fields == ("email",)
    with pytest.raises(OwnGrantError):
        give(ada, shop, stream, days=21, fields=("email",))
    with pytest.raises(OwnGrantError):
        give(ada, shop, stream, days=10)


def test_a_grant_of_the_team_is_neither_prolonged_nor_confirmed_from_within_it(
    stream: Stream, shop: Team, ada: User, reader: Consumer
) -> None:
    make_grant(stream, shop, Permission.READ_PERSONAL, days=5)
    with pytest.raises(OwnGrantError):
        give(ada, shop, stream, days=60)
    with pytest.raises(OwnGrantError):
        give(ada, shop, stream, days=3)
    (held,) = live_grants(actor_of(ada), decides=True)
    with pytest.raises(OwnGrantError):
        recertify(actor=actor_of(ada), keep=[held.id], end=[])
    assert recertify(actor=actor_of(ada), keep=[], end=[held.id]) == (0, 1)
    make_grant(stream, reader, Permission.READ_PERSONAL, days=5)
    (held,) = live_grants(actor_of(ada), decides=True)
    with pytest.raises(OwnGrantError):
        recertify(actor=actor_of(ada), keep=[held.id], end=[])
    lin = make_person(Role.ENGINEER, team=make_team())
    make_grant(stream, lin, Permission.APPROVE)
    assert recertify(actor=actor_of(lin), keep=[held.id], end=[]) == (1, 0)


def test_who_reads_clear_otherwise_may_confirm_the_grant_of_their_team(
    stream: Stream, shop: Team, ada: User
) -> None:
    make_grant(stream, shop, Permission.READ_PERSONAL, days=5)
    make_grant(stream, ada, Permission.READ_PERSONAL, days=30)
    held = next(row for row in live_grants(actor_of(ada), decides=True) if row.holder_is_team)
    assert recertify(actor=actor_of(ada), keep=[held.id], end=[]) == (1, 0)


def test_a_deputy_grants_nothing_to_whom_they_stand_in_for_nor_to_their_team(
    stream: Stream, ada: User
) -> None:
    desk = make_team("Desk")
    noor = make_person(Role.ANALYST, team=desk)
    make_grant(stream, noor, Permission.APPROVE)
    lin = make_person(Role.ENGINEER, team=make_team())
    away(noor, lin)
    for holder in (noor, desk):
        with pytest.raises(OwnGrantError):
            give(lin, holder, stream)
    make_grant(stream, noor, Permission.READ_PERSONAL)
    held = next(row for row in live_grants(actor_of(ada)) if row.permission == "read_personal")
    with pytest.raises(OwnGrantError):
        recertify(actor=actor_of(lin), keep=[held.id], end=[])
    assert give(lin, make_person(), stream).permission == "read_personal"


def test_a_domains_owner_does_not_open_the_streams_of_others_to_themselves(shop: Team) -> None:
    ada = make_person(Role.ENGINEER, team=shop)
    domain = make_stream("mixed.own", team=shop).domain
    domain.owner_team = shop
    domain.save()
    assert give(ada, shop, domain, Permission.READ_PAYLOAD).permission == "read_payload"
    make_stream("mixed.of_others", team=make_team())
    with pytest.raises(OwnGrantError):
        give(ada, shop, domain, Permission.READ_PAYLOAD)


def test_by_a_request_and_another_of_the_team_it_still_comes(
    stream: Stream, ada: User, ben: User, reader: Consumer
) -> None:
    until = clock.now() + timedelta(days=20)
    for holder in (None, reader):
        request = ask_for_access(
            stream.ref, actor=actor_of(ada), purpose=PURPOSE, until=until,
            wanted=Wanted(personal=True), holder=holder,
        )  # fmt: skip
        assert approve_request(request.pk, actor=actor_of(ben)).state == "approved"
    assert access.may(actor_of(ada), Permission.READ_PERSONAL, stream)
    asked = AuditEntry.objects.filter(action="access.requested")
    assert asked.count() == 2


def test_personal_fields_given_without_a_request_are_told_to_owners_and_of_an_admin_to_admins(
    stream: Stream, ada: User, ben: User
) -> None:
    dot, eve = make_person(Role.ADMIN), make_person(Role.ADMIN)
    cy = make_person()

    def told() -> set[int]:
        rows = Notice.objects.filter(title__contains="may read personal fields")
        people = set(rows.values_list("user_id", flat=True))
        rows.delete()
        return people

    give(dot, cy, stream, Permission.READ_PAYLOAD)
    assert told() == set()
    give(dot, cy, stream)
    assert told() == {ada.pk, ben.pk, eve.pk}
    give(ada, cy, stream)
    assert told() == {ben.pk}
