"""The finder: what it opens with, what it finds, and what can be done with a stream."""

import pytest

from governance.types import Role
from portal import finder
from tests.portal.conftest import client_of
from tests.support.factories import make_actor, make_person, make_stream, make_team

pytestmark = pytest.mark.django_db


def names(found: finder.Found) -> list[str]:
    return [stream.name for stream, _ in found.streams]


def test_it_opens_with_the_streams_opened_before_in_their_order() -> None:
    first, second, _ = make_stream(), make_stream(), make_stream()
    found = finder.find(make_actor(), "", limit=5, opened=[second.name, "shop.gone", first.name])
    assert names(found) == [second.name, first.name]
    assert found.streams_are == "Opened before"


def test_without_any_it_opens_with_the_persons_own() -> None:
    team = make_team()
    mine, _ = make_stream(team=team), make_stream()
    found = finder.find(make_actor(Role.ENGINEER, team=team), "", limit=5)
    assert names(found) == [mine.name]


def test_a_restricted_stream_opened_once_is_not_shown_again_to_a_stranger() -> None:
    stream = make_stream(team=make_team(), extra={"restricted": True})
    found = finder.find(make_actor(), "", limit=5, opened=[stream.name])
    assert names(found) == []


def test_a_sign_before_the_text_narrows_it_to_one_kind() -> None:
    make_stream("shop.order_placed")
    person = make_person(Role.ENGINEER)
    actor = make_actor()
    people = finder.find(actor, f"@{person.email}", limit=5)
    assert [found.pk for found in people.people] == [person.pk]
    assert people.said == "people: 1"
    assert finder.find(actor, "#order_id", limit=5).said == "fields: 1"
    assert finder.find(actor, ">dead", limit=5).said == "commands: 1"
    assert finder.find(actor, "zzzqqq", limit=5).said == ""


def test_a_streams_actions_offer_to_ask_where_one_may_not_read() -> None:
    team = make_team()
    stream = make_stream(team=team)
    stranger = {row.label for row in finder.actions_for(make_actor(), stream)}
    owner = {row.label for row in finder.actions_for(make_actor(team=team), stream)}
    assert ("Ask for access" in stranger, "Sample events" in stranger) == (True, False)
    assert ("Ask for access" in owner, "Sample events" in owner) == (False, True)


def test_the_fragment_answers_for_a_stream_and_hides_one_not_to_be_known_of() -> None:
    stream = make_stream(team=make_team(), extra={"restricted": True})
    address = f"/search/palette/?of={stream.name}"
    assert client_of(Role.ANALYST).get(address).status_code == 404
    html = client_of(Role.ADMIN).get(address).content.decode()
    assert f'data-href="/streams/{stream.name}/schema/"' in html


def test_no_result_says_what_to_do_by_what_one_may_do() -> None:
    make_stream()
    assert 'href="/streams/new/"' in _main(client_of(Role.ENGINEER), "/search/?q=zzzqqq")
    assert 'href="/streams/new/"' not in _main(client_of(Role.ANALYST), "/search/?q=zzzqqq")


def _main(client: object, path: str) -> str:
    html: str = client.get(path).content.decode()  # type: ignore[attr-defined]  # a Client
    return html.split("<main", 1)[1].split("</main>", 1)[0]
