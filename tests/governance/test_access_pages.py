"""The pages on which grants are looked at, given, ended and extended, and who holds what by team."""

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client

from catalog.models import Stream
from catalog.selectors.holdings import holdings, personal_streams
from catalog.services.consumers import create_consumer
from governance import views_grants
from governance.errors import OwnGrantError
from governance.models import AuditEntry, Notice, Team, User
from governance.selectors.people import actor_of
from governance.selectors.requests import live_grants
from governance.services.extending import extend_grant
from governance.services.grants import end_grant
from governance.services.requests import ask_for_access
from governance.types import Permission, Role
from portal import views_stream_access
from portal.kernel import clock
from portal.kernel.actor import SYSTEM
from portal.kernel.errors import InvalidError, InvalidStateError, NotFoundError, NotPermittedError
from tests.support.factories import make_actor, make_grant, make_person, make_stream, make_team

pytestmark = pytest.mark.django_db
PURPOSE = "To look into complaints."


def soon(days: int = 20) -> Any:
    return clock.now() + timedelta(days=days)


def day(days: int) -> str:
    return str(soon(days).date())


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
def ida() -> User:
    return make_person(Role.ANALYST)


def signed_in(person: User) -> Client:
    client = Client()
    client.force_login(person)
    return client


def test_the_streams_tab_lists_grants_with_who_gave_them_and_pages_them(
    stream: Stream, ada: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(views_stream_access, "PAGE", 2)
    people = [make_person() for _ in range(3)]
    for days, person in enumerate(people, 10):
        make_grant(stream, person, Permission.READ_PAYLOAD, days=days)
    client = signed_in(ada)
    place = f"/streams/{stream.name}/access/"
    first = client.get(place)
    page = first.content.decode()
    assert people[0].email in page
    assert people[1].email in page
    assert people[2].email not in page
    assert "granted by portal" in page
    following = client.get(place, {"cursor": first.context["next"]}).content.decode()
    assert people[2].email in following
    assert people[0].email not in following
    assert f'href="{place}"' in client.get(f"/streams/{stream.name}/").content.decode()


def test_on_the_tab_access_is_granted_of_some_fields_and_ended(
    stream: Stream, ada: User, ida: User
) -> None:
    client = signed_in(ada)
    place = f"/streams/{stream.name}/access/"
    said = {
        "holder": ida.email, "permission": "read_payload", "purpose": PURPOSE, "until": day(90),
        "field": ["order_id"],
    }  # fmt: skip
    assert client.post(place, said).status_code == 302
    (grant,) = live_grants(actor_of(ida), mine=True)
    assert (grant.fields, grant.granted_by) == (("order_id",), ada.email)
    ended = client.post(f"/access/grants/{grant.id}/end/", {"from": "stream"})
    assert ended["Location"] == place
    assert live_grants(actor_of(ida), mine=True) == []


def test_what_is_wrong_with_a_grant_stands_at_its_field(
    stream: Stream, shop: Team, ada: User, ida: User
) -> None:
    client = signed_in(ada)
    place = f"/streams/{stream.name}/access/"
    said = {"holder": ida.email, "permission": "read_payload", "purpose": PURPOSE}
    for changes, says in (
        ({"holder": "nobody@shop.example"}, "give a person&#x27;s address"),
        ({"until": day(91)}, "at most 90 days from now"),
        ({"until": day(-1)}, "must lie ahead"),
        ({"purpose": "short"}, "at least 10 characters"),
        ({"holder": shop.slug, "permission": "read_personal"}, "Nobody decides on their own grant"),
    ):
        answer = client.post(place, said | {"until": day(9)} | changes)
        assert answer.status_code == 422
        assert says in answer.content.decode()
    assert live_grants(actor_of(ada), decides=True) == []


def test_the_tab_is_not_there_for_outsiders(shop: Team, ida: User) -> None:
    secret = make_stream(team=shop, extra={"restricted": True})
    said = {
        "holder": ida.email, "permission": "discover", "purpose": PURPOSE, "until": day(9)
    }  # fmt: skip
    client = signed_in(ida)
    place = f"/streams/{secret.name}/access/"
    nothing = client.get("/streams/nothing.at_all/access/")
    assert client.get(place).status_code == nothing.status_code == 404
    assert client.post(place, said).status_code == 404
    known = make_stream(team=shop)
    assert client.get(f"/streams/{known.name}/access/").status_code == 403
    assert client.post(f"/streams/{known.name}/access/", said).status_code == 403
    assert (
        f"/streams/{known.name}/access/"
        not in client.get(f"/streams/{known.name}/").content.decode()
    )


def test_a_grant_is_extended_by_who_decides_and_counts_as_kept(
    stream: Stream, ada: User, ida: User
) -> None:
    make_grant(stream, ida, Permission.READ_PAYLOAD, days=5)
    (grant,) = live_grants(actor_of(ida), mine=True)
    client = signed_in(ada)
    assert client.get("/access/").content.decode().count("/extend/") == 1
    answer = client.post(f"/access/grants/{grant.id}/extend/", {"until": day(60)})
    assert answer["Location"] == "/access/"
    (longer,) = live_grants(actor_of(ida), mine=True)
    assert (longer.valid_until.date(), longer.confirmed_by) == (soon(60).date(), ada.email)
    row = AuditEntry.objects.get(action="access.extended")
    assert row.actor == ada.email
    assert Notice.objects.filter(user=ida, title__contains="lasts longer").exists()


def test_nobody_extends_their_own_grant_or_their_teams(
    stream: Stream, shop: Team, ada: User, ida: User
) -> None:
    make_grant(stream, ada, Permission.READ_PERSONAL, days=5)
    make_grant(stream, shop, Permission.READ_PERSONAL, days=4)
    for grant in live_grants(actor_of(ada)):
        with pytest.raises(OwnGrantError):
            extend_grant(grant.id, actor=actor_of(ada), until=soon(30))
    assert "/extend/" not in signed_in(ada).get("/access/").content.decode()
    make_grant(stream, ida, Permission.APPROVE)
    team_grant = next(one for one in live_grants(actor_of(ada)) if one.holder_is_team)
    assert extend_grant(team_grant.id, actor=actor_of(ida), until=soon(30)).confirmed_by


def test_an_extension_is_refused_to_others_backwards_too_far_and_of_what_ended(
    stream: Stream, ada: User, ida: User
) -> None:
    make_grant(stream, ida, Permission.READ_PAYLOAD, days=30)
    (grant,) = live_grants(actor_of(ida), mine=True)
    with pytest.raises(NotFoundError):
        extend_grant(grant.id, actor=make_actor(Role.ENGINEER), until=soon(40))
    with pytest.raises(NotPermittedError):
        extend_grant(grant.id, actor=actor_of(ida), until=soon(40))
    for days, code in ((29, "not_later"), (91, "too_long")):
        with pytest.raises(InvalidError) as caught:
            extend_grant(grant.id, actor=actor_of(ada), until=soon(days))
        assert caught.value.errors[0].code == code
    end_grant(grant.id, actor=actor_of(ada))
    with pytest.raises(InvalidStateError):
        extend_grant(grant.id, actor=actor_of(ada), until=soon(40))
    outsider = signed_in(make_person(Role.ENGINEER))
    sent = {"until": day(40)}
    assert outsider.post(f"/access/grants/{grant.id}/extend/", sent).status_code == 404
    page = signed_in(ada).post(f"/access/grants/{grant.id}/extend/", {"until": "x"}, follow=True)
    assert "give a day as" in page.content.decode()


def test_the_list_of_grants_goes_on_behind_its_first_page(
    stream: Stream, ada: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(views_grants, "PAGE", 2)
    people = [make_person() for _ in range(3)]
    for days, person in enumerate(people, 10):
        make_grant(stream, person, Permission.READ_PAYLOAD, days=days)
    client = signed_in(ada)
    first = client.get("/access/grants/")
    assert people[2].email not in first.content.decode()
    second = client.get("/access/grants/", {"cursor": first.context["next"]}).content.decode()
    assert people[2].email in second
    assert "/extend/" in second
    mine = signed_in(people[0]).get("/access/grants/").content.decode()
    assert people[0].email in mine
    assert people[1].email not in mine
    assert "/extend/" not in mine


def test_the_oldest_request_is_decided_by_two_keys(stream: Stream, ada: User, ida: User) -> None:
    for person in (ida, make_person()):
        ask_for_access(stream.ref, actor=actor_of(person), purpose=PURPOSE, until=soon())
    page = signed_in(ada).get("/access/").content.decode()
    assert page.count('data-key="a"') == page.count('data-key="d"') == 1
    assert "<kbd>a</kbd>" in page
    assert "<kbd>d</kbd>" in page


def test_the_matrix_says_by_team_what_is_owned_granted_and_asked(
    stream: Stream, shop: Team, ada: User
) -> None:
    desk, sales = make_team("Desk"), make_team("Sales")
    make_grant(stream, desk, Permission.READ_PAYLOAD, days=5)
    make_grant(stream.domain, desk, Permission.APPROVE, days=60)
    reader = create_consumer("reader", actor=SYSTEM, team=sales)
    make_grant(stream, reader, Permission.READ_PERSONAL, days=60)
    other = create_consumer("other", actor=SYSTEM, team=shop)
    ask_for_access(stream.ref, actor=actor_of(ada), purpose=PURPOSE, until=soon(), holder=other)
    make_grant(stream, make_person(), Permission.READ_PERSONAL)
    found = {row.team.name: row.cells[0] for row in holdings([stream])}
    assert {name: (cell.letter, cell.ends_soon, cell.is_asked) for name, cell in found.items()} == {
        "Desk": ("M", True, False), "Sales": ("R", False, False), "Shop": ("P", False, True),
    }  # fmt: skip
    assert found["Shop"].says == "owns it"
    assert found["Desk"].says.startswith("reads, personal fields masked until ")


def test_the_matrix_shows_each_what_they_decide_on_and_asks_no_more_for_more_streams(
    stream: Stream, shop: Team, ada: User, ida: User, django_assert_max_num_queries: Any
) -> None:
    plain = make_stream(team=shop, schema={"type": "object", "properties": {}})
    for _ in range(4):
        make_grant(make_stream(team=shop), make_team(), Permission.READ_PAYLOAD)
    make_stream(team=make_team())
    names = set(personal_streams(actor_of(ada)).values_list("name", flat=True))
    assert stream.name in names
    assert plain.name not in names
    assert len(names) == 5
    with django_assert_max_num_queries(11):
        assert len(holdings(list(personal_streams(actor_of(ada))))) == 5
    page = signed_in(ada).get("/access/matrix/").content.decode()
    assert "owns it" in page
    empty = signed_in(ida).get("/access/matrix/").content.decode()
    assert "There is nothing to compare." in empty
    assert stream.name not in empty
