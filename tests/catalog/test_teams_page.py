"""The pages of a team and of a person: what belongs to them, as far as the reader may know of it."""

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client

from catalog.models import Stream
from catalog.services.consumers import create_consumer
from catalog.services.producers import create_producer
from governance.models import AccessRequest, Team, User
from governance.selectors.answered import Pace, pace_of
from governance.types import Permission, Role
from portal.kernel import clock
from portal.kernel.actor import SYSTEM
from tests.support.factories import make_grant, make_person, make_stream, make_team

pytestmark = pytest.mark.django_db


def page(reader: User, path: str) -> str:
    client = Client()
    client.force_login(reader)
    answer = client.get(path)
    assert answer.status_code == 200
    return str(answer.content.decode())


def restricted(team: Team, name: str) -> Stream:
    stream = make_stream(name, team=team)
    Stream.objects.filter(pk=stream.pk).update(restricted=True)
    return stream


def paths(team: Team, member: User) -> tuple[str, str]:
    return f"/teams/{team.slug}/", f"/people/{member.pk}/"


def test_both_pages_show_the_streams_of_the_team_that_the_reader_may_know_of() -> None:
    team = make_team("Checkout")
    ben, cy = make_person(Role.ENGINEER, team=team), make_person(Role.ENGINEER)
    make_stream("checkout.order_placed", team=team)
    make_stream("playback.song_played", team=make_team())
    restricted(team, "checkout.card_refused")
    for path in paths(team, ben):
        for reader, sees_all in ((ben, True), (cy, False)):
            said = page(reader, path)
            assert "checkout.order_placed" in said.replace("<wbr>", "")
            assert ("card_refused" in said) is sees_all
            assert "song_played" not in said


def test_the_streams_of_a_large_team_come_in_pages() -> None:
    team, reader = make_team(), make_person()
    for number in range(27):
        make_stream(f"large.event_{number:02}", team=team)
    client = Client()
    client.force_login(reader)
    first = client.get(f"/teams/{team.slug}/")
    assert "large.event_24" in first.content.decode()
    assert "large.event_25" not in first.content.decode()
    second = client.get(f"/teams/{team.slug}/", {"cursor": first.context["next"]})
    assert "large.event_26" in second.content.decode()
    assert "large.event_24" not in second.content.decode()
    assert client.get(f"/teams/{team.slug}/", {"cursor": "wrong"}).status_code == 400


def test_the_team_names_its_producers_and_consumers_and_no_others() -> None:
    team, other = make_team(), make_team()
    create_producer("web-shop", actor=SYSTEM, team=team)
    create_consumer("warehouse", actor=SYSTEM, team=team)
    create_producer("kiosk", actor=SYSTEM, team=other)
    said = page(make_person(), f"/teams/{team.slug}/")
    assert "/producers/web-shop/" in said
    assert "/consumers/warehouse/" in said
    assert "kiosk" not in said


def test_grants_to_the_team_are_seen_by_it_by_who_decides_and_by_admins_alone() -> None:
    team, owners = make_team("Readers"), make_team("Owners")
    stream = restricted(owners, "checkout.card_refused")
    make_grant(stream, team, Permission.READ_PAYLOAD)
    may = (make_person(team=team), make_person(Role.ENGINEER, team=owners), make_person(Role.ADMIN))
    for reader in may:
        said = page(reader, f"/teams/{team.slug}/")
        assert "card_refused" in said
        assert "To test that grants hold." in said
    said = page(make_person(Role.ENGINEER), f"/teams/{team.slug}/")
    assert "card_refused" not in said
    assert "No grant to the team that you may know of." in said


def test_a_grant_to_somebody_of_the_team_is_none_of_the_team() -> None:
    team = make_team()
    ben = make_person(team=team)
    make_grant(make_stream(team=make_team()), ben, Permission.READ_PAYLOAD)
    assert "To test that grants hold." not in page(ben, f"/teams/{team.slug}/")


def answered(team: Team, *, days_ago: int, hours: float, state: str = "approved") -> None:
    decided_at = clock.now() - timedelta(days=days_ago)
    AccessRequest.objects.create(
        resource_kind="stream", resource_key="a.b", owner_team=team, requester=make_person(),
        purpose="To know it.", until=decided_at, state=state, decided_at=decided_at,
        created_at=decided_at - timedelta(hours=hours),
    )  # fmt: skip


def test_the_pace_of_a_team_is_the_median_of_what_it_decided_in_ninety_days() -> None:
    team, reader = make_team(), make_person()
    assert pace_of(team) == Pace(0, None)
    assert "not measured: none was decided in 90 days" in page(reader, f"/teams/{team.slug}/")
    for hours, state in ((1, "approved"), (3, "denied"), (50, "approved")):
        answered(team, days_ago=10, hours=hours, state=state)
    answered(team, days_ago=91, hours=900)
    answered(team, days_ago=1, hours=900, state="withdrawn")
    answered(make_team(), days_ago=1, hours=900)
    assert pace_of(team) == Pace(3, 3 * 3600.0)
    assert "in 3\u00a0h, the median of 3 in 90 days" in page(reader, f"/teams/{team.slug}/")


def test_a_person_who_left_is_said_to_have_left() -> None:
    team, reader = make_team("Checkout"), make_person()
    ben = make_person(Role.ENGINEER, team=team)
    before = page(reader, f"/people/{ben.pk}/")
    assert "Checkout" in before
    assert "They have left the company." not in before
    User.objects.filter(pk=ben.pk).update(is_active=False)
    assert "They have left the company." in page(reader, f"/people/{ben.pk}/")
    for path in (f"/teams/{team.slug}/", "/people/"):
        assert '<span class="b line">left</span>' in page(reader, path)


def test_what_admins_do_to_an_account_is_shown_to_admins_alone() -> None:
    ben = make_person()
    assert "Close the account" in page(make_person(Role.ADMIN), f"/people/{ben.pk}/")
    said = page(make_person(Role.ENGINEER), f"/people/{ben.pk}/")
    assert "Close the account" not in said
    assert "Signed in" not in said


def test_a_team_or_person_that_is_not_there_is_a_404() -> None:
    client: Any = Client()
    client.force_login(make_person(Role.ADMIN))
    for path in ("/teams/never-was/", "/people/999999999/"):
        assert client.get(path).status_code == 404
