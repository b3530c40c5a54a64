"""Who is in a team: put in and taken out by who keeps it; what came by the team ends at once."""

import json
from typing import Any

import pytest
from django.test import Client
from pytest_django import Settings

from catalog.models import Stream
from governance.models import AuditEntry, Membership, Notice, Team, User
from governance.services.company_sign_in import set_sign_in_group
from governance.types import Permission, Role
from portal.kernel.actor import SYSTEM
from tests.governance.test_sudo import later
from tests.support.factories import make_grant, make_person, make_stream, make_team, token_of
from tests.support.signing_in import sign_in, with_password

pytestmark = pytest.mark.django_db


def api(person: User, *scopes: str) -> Client:
    return Client(headers={"Authorization": f"Bearer {token_of(person, *scopes)}"})


def at(team: Team, person: User) -> str:
    return f"/api/v1/teams/{team.slug}/members/{person.pk}"


def put(client: Client, team: Team, person: User, **body: Any) -> Any:
    """Put somebody in, or change their place with the ETag that was read."""
    found = client.get(at(team, person))
    headers = {"If-Match": found["ETag"]} if found.status_code == 200 else {}
    return client.put(
        at(team, person), json.dumps(body), content_type="application/json", headers=headers
    )


def take_out(client: Client, team: Team, person: User) -> Any:
    return client.delete(at(team, person), headers={"If-Match": "*"})


def secret_streams(team: Team) -> tuple[Stream, Stream]:
    """A restricted stream that the team owns, and one that is granted to it."""
    own = make_stream(team=team, extra={"restricted": True})
    granted = make_stream(team=make_team(), extra={"restricted": True})
    Stream.objects.filter(pk__in=(own.pk, granted.pk)).update(restricted=True)
    make_grant(granted, team, Permission.READ_PAYLOAD)
    return own, granted


def sees(client: Client, *streams: Stream) -> list[int]:
    return [client.get(f"/api/v1/streams/{stream.name}").status_code for stream in streams]


def test_what_came_by_a_team_is_there_at_once_and_ends_at_once() -> None:
    team = make_team("Checkout")
    lead = api(make_person(Role.ENGINEER, team=team, is_lead=True))
    ben = with_password(Role.ENGINEER)
    streams = secret_streams(team)
    laptop, script = sign_in(ben), api(ben)
    assert sees(laptop, *streams) == sees(script, *streams) == [404, 404]
    assert put(lead, team, ben).status_code == 200
    assert sees(laptop, *streams) == sees(script, *streams) == [200, 200]
    events = [f"/api/v1/streams/{stream.name}/events" for stream in streams]
    assert [script.get(path).status_code for path in events] == [200, 200]
    assert take_out(lead, team, ben).status_code == 204
    assert sees(laptop, *streams) == sees(script, *streams) == [404, 404]
    assert [script.get(path).status_code for path in events] == [404, 404]
    assert laptop.get(f"/streams/{streams[0].name}/").status_code == 404
    assert script.get("/api/v1/me").json()["teams"] == []
    assert not ben.groups.filter(team=team).exists()


def test_what_somebody_holds_by_themselves_stays_when_they_leave() -> None:
    team = make_team()
    ben = make_person(Role.ANALYST, team=team)
    own, granted = secret_streams(team)
    make_grant(own, ben, Permission.READ_PAYLOAD)
    assert take_out(api(make_person(Role.ADMIN)), team, ben).status_code == 204
    assert sees(api(ben), own, granted) == [200, 404]


def test_who_left_a_team_manages_its_programs_no_more() -> None:
    team = make_team()
    ben, dot = make_person(Role.ENGINEER, team=team), api(make_person(Role.ADMIN))
    script = api(ben)
    made = script.post(
        "/api/v1/producers", json.dumps({"name": "web-shop", "team": team.slug}),
        content_type="application/json",
    )  # fmt: skip
    assert made.status_code == 201, made.content
    keys = "/api/v1/producers/web-shop/keys"
    key = script.post(keys, "{}", content_type="application/json").json()["id"]
    take_out(dot, team, ben)
    assert script.post(keys, "{}", content_type="application/json").status_code == 403
    assert script.delete(f"/api/v1/keys/{key}", headers={"If-Match": "*"}).status_code == 404
    assert script.post(f"/api/v1/keys/{key}/rotate").status_code == 404


def test_a_lead_keeps_the_team_and_an_admin_every_team() -> None:
    team, ben = make_team("Checkout"), make_person()
    for keeper in (make_person(team=team, is_lead=True), make_person(Role.ADMIN)):
        client = api(keeper)
        assert put(client, team, ben).json()["is_lead"] is False
        assert put(client, team, ben, is_lead=True).json()["is_lead"] is True
        assert put(client, team, ben).json()["is_lead"] is True, "what is not said stays"
        assert put(client, team, ben, is_lead=False).json()["is_lead"] is False
        assert take_out(client, team, ben).status_code == 204
        assert take_out(client, team, ben).status_code == 404
    rows = AuditEntry.objects.filter(object_key=team.slug).order_by("seq")
    said = [row.summary for row in rows if ben.email in row.summary]
    assert said[:4] == [
        f"put {ben.email} into Checkout", f"made {ben.email} a lead of Checkout",
        f"has {ben.email} no longer lead Checkout", f"took {ben.email} out of Checkout",
    ]  # fmt: skip
    titles = set(Notice.objects.filter(user=ben).values_list("title", flat=True))
    assert "You are no longer in the team Checkout" in titles


@pytest.mark.parametrize(
    "who", ["a member", "a lead of another team", "a narrow token", "a program"]
)
def test_an_outsider_moves_nobody(who: str) -> None:
    team, ben = make_team(), make_person()
    member = make_person(team=team)
    lead = make_person(team=team, is_lead=True)
    client = {
        "a member": lambda: api(make_person(Role.ENGINEER, team=team)),
        "a lead of another team": lambda: api(make_person(team=make_team(), is_lead=True)),
        "a narrow token": lambda: api(lead, "read"),
        "a program": lambda: program(team),
    }[who]()
    for answer in (
        client.put(at(team, ben), "{}", content_type="application/json"),
        client.put(
            at(team, member), '{"is_lead": true}', content_type="application/json",
            headers={"If-Match": "*"},
        ),
        take_out(client, team, member),
    ):  # fmt: skip
        assert answer.status_code == 403, answer.content
    left = set(Membership.objects.filter(team=team).values_list("user_id", "is_lead"))
    assert {(member.pk, False), (lead.pk, True)} <= left
    assert not Membership.objects.filter(team=team, user=ben).exists()


def program(team: Team) -> Client:
    dot = api(make_person(Role.ADMIN))
    body = json.dumps({"name": "web-shop", "team": team.slug})
    dot.post("/api/v1/producers", body, content_type="application/json")
    made = dot.post("/api/v1/producers/web-shop/keys", "{}", content_type="application/json")
    return Client(headers={"Authorization": f"Bearer {made.json()['key']}"})


def test_a_place_is_changed_only_from_what_was_read() -> None:
    team, dot = make_team(), api(make_person(Role.ADMIN))
    ben = make_person(team=team)
    path = at(team, ben)
    tag = dot.get(path)["ETag"]
    body = '{"is_lead": true}'
    assert dot.put(path, body, content_type="application/json").status_code == 428
    assert dot.delete(path).status_code == 428
    assert put(dot, team, ben, is_lead=True).status_code == 200
    for answer in (
        dot.put(path, body, content_type="application/json", headers={"If-Match": tag}),
        dot.delete(path, headers={"If-Match": tag}),
    ):
        assert answer.status_code == 412


def test_a_closed_account_joins_nothing_and_nobody_unknown_does() -> None:
    team, dot, ben = make_team(), api(make_person(Role.ADMIN)), make_person()
    User.objects.filter(pk=ben.pk).update(is_active=False)
    assert put(dot, team, ben).status_code == 409
    assert put(dot, team, User(pk=999_999)).status_code == 404
    assert put(dot, Team(slug="never-was"), ben).status_code == 404


def test_a_team_that_follows_a_group_is_not_moved_by_hand_and_says_so(settings: Settings) -> None:
    team = make_team()
    ben, cy = with_password(team=team), make_person()
    lead = with_password(team=team, is_lead=True)
    set_sign_in_group(team, "checkout", actor=SYSTEM)
    assert put(api(lead), team, cy).status_code == 200, "no provider, so the group says nothing"
    settings.OIDC_ISSUER, settings.OIDC_GROUPS_CLAIM = "https://id.example", "groups"
    client = api(lead)
    adam = make_person()
    for answer in (put(client, team, adam), take_out(client, team, ben)):
        assert (answer.status_code, answer.json()["code"]) == (409, "team_by_group")
    assert put(client, team, ben, is_lead=True).status_code == 200, "who leads it is said here"
    laptop = sign_in(lead)
    page = laptop.get(f"/teams/{team.slug}/").content.decode()
    assert "says who is in this team: change it there" in page
    assert "Put somebody in" not in page
    assert "Take out" not in page
    refused = laptop.post(f"/teams/{team.slug}/", {"email": adam.email})
    assert "Who is in this team follows a group" in refused.content.decode()
    gone = laptop.post(f"/teams/{team.slug}/members/{ben.pk}/", {"do": "remove"}, follow=True)
    assert "Who is in this team follows a group" in gone.content.decode()
    assert set(team.memberships.values_list("user_id", flat=True)) == {ben.pk, cy.pk, lead.pk}


def test_the_page_puts_in_names_leads_and_takes_out() -> None:
    team, ben = make_team(), make_person()
    laptop = sign_in(with_password(team=team, is_lead=True))
    path = f"/teams/{team.slug}/"
    assert laptop.post(path, {"email": ben.email.upper(), "is_lead": "on"})["Location"] == path
    assert Membership.objects.get(team=team, user=ben).is_lead
    laptop.post(f"{path}members/{ben.pk}/", {"do": "member"})
    assert not Membership.objects.get(team=team, user=ben).is_lead
    out = laptop.post(f"{path}members/{ben.pk}/", {"do": "remove"}, follow=True)
    assert "What came by it ended at once" in out.content.decode()
    assert not Membership.objects.filter(team=team, user=ben).exists()
    assert laptop.post(f"{path}members/{ben.pk}/", {"do": "remove"}).status_code == 404


def test_an_address_without_an_account_is_said_at_the_field() -> None:
    team = make_team()
    laptop = sign_in(with_password(Role.ADMIN))
    page = laptop.post(f"/teams/{team.slug}/", {"email": "nobody@test.example"})
    assert page.status_code == 422
    assert 'id="id_email_error"' in page.content.decode()


def test_the_page_lets_an_outsider_do_nothing_and_asks_again_who_it_is() -> None:
    team, ben = make_team(), make_person()
    member = make_person(team=team)
    path = f"/teams/{team.slug}/"
    cy = sign_in(with_password(Role.ENGINEER))
    assert "Take out" not in cy.get(path).content.decode()
    assert cy.post(path, {"email": ben.email}).status_code == 403
    assert cy.post(f"{path}members/{member.pk}/", {"do": "remove"}).status_code == 403
    desk = sign_in(with_password(Role.ADMIN))
    with later(16):
        for at_path, form in (
            (path, {"email": ben.email}), (f"{path}members/{member.pk}/", {"do": "remove"}),
        ):  # fmt: skip
            asked = desk.post(at_path, form)
            assert asked["Location"].startswith("/accounts/reauthenticate/")
        refused = desk.delete(at(team, member), headers={"If-Match": "*"})
        assert (refused.status_code, refused.json()["code"]) == (403, "confirm")
    assert set(team.memberships.values_list("user_id", flat=True)) == {member.pk}
