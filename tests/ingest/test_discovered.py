"""A type that arrives unregistered becomes a stream out of its kept events."""

import json
from collections.abc import Iterator

import pytest
from django.test import Client

from catalog.models import Producer, Stream
from catalog.samples import discovered_samples, discovered_types
from governance.models import AuditEntry, Membership, Team, User
from governance.selectors.people import actor_of
from governance.types import Permission, Role
from tests.catalog.test_register_page import form_of
from tests.ingest.conftest import World, post
from tests.support.factories import make_grant, make_person, make_team

KIND = "Referral Accepted"


@pytest.fixture(scope="module", autouse=True)
def people(transactional_db: None) -> Iterator[None]:
    """Made before the world and taken away after it, for its producers belong to their teams."""
    yield
    Membership.objects.all().delete()
    Team.objects.all().delete()
    User.objects.all().delete()


def send(world: World, producer: Producer, kind: str, channel: str) -> None:
    """Three events of an unregistered type."""
    key = world.key(producer)
    for number in range(3):
        body = {"specversion": "1.0", "id": f"d{number}", "source": "/s", "type": kind,
                "data": {"email": f"p{number}@mail.example", "channel": channel}}  # fmt: skip
        answer = post(
            json.dumps(body).encode(),
            {"Authorization": f"Bearer {key}", "Content-Type": "application/cloudevents+json"},
        )
        assert answer.json["results"][0]["reason"] == "unknown_stream"


@pytest.fixture
def sent(world: World) -> Team:
    """Three events of an unregistered type, by a producer of a team."""
    team = make_team()
    send(world, world.producer(team=team), KIND, "link")
    return team


def test_who_may_see_the_values_gets_them_and_leaves_a_trace(sent: Team, world: World) -> None:
    person = make_person(Role.ON_CALL)
    on_call = actor_of(person)
    assert not discovered_samples(on_call, KIND).may_show, "no role stands in for the grant"
    make_grant(world.stream(), person, Permission.READ_PERSONAL)
    found = discovered_samples(on_call, KIND)
    assert (len(found.events), found.may_show) == (found.total, True)
    assert {event["data"]["channel"] for event in found.events} == {"link"}
    assert AuditEntry.objects.filter(action="dead_letter.personal_read", object_key=KIND).exists()
    assert KIND in [row.type for row in discovered_types(on_call)]


@pytest.mark.parametrize("role", [Role.ON_CALL, Role.ADMIN])
def test_a_grant_for_one_producer_shows_nothing_that_another_sent(world: World, role: Role) -> None:
    kind = f"Voucher Shared {role}"
    ours, theirs = world.stream(), world.stream()
    for stream, channel in ((ours, "shown-to-dot"), (theirs, "kept-from-dot")):
        send(world, world.producer(globs=(stream.name,)), kind, channel)
    dot = make_person(role, Role.ENGINEER)
    make_grant(ours, dot, Permission.READ_PERSONAL)
    found = discovered_samples(actor_of(dot), kind)
    assert (found.total, found.may_show) == (6, False)
    client = Client()
    client.force_login(dot)
    page = client.get("/streams/new/", {"discovered": kind}).content.decode()
    assert "6 samples read" in page.replace("\u00a0", " "), "the shape of all is shown"
    assert not {
        value for value in ("kept-from-dot", "shown-to-dot", "mail.example") if value in page
    }
    read = AuditEntry.objects.filter(action="dead_letter.personal_read", object_key=kind)
    assert not read.exists()
    make_grant(theirs, dot, Permission.READ_PERSONAL)
    page = client.get("/streams/new/", {"discovered": kind}).content.decode()
    assert "kept-from-dot" in page
    assert "shown-to-dot" in page
    assert read.count() == 1


def test_the_team_whose_producer_sent_it_gets_the_shape_alone(sent: Team) -> None:
    person = make_person(Role.ENGINEER, team=sent)
    found = discovered_samples(actor_of(person), KIND)
    assert len(found.events) == 3
    assert not found.may_show
    client = Client()
    client.force_login(person)
    page = client.get("/streams/new/", {"discovered": KIND}).content.decode()
    assert "3 samples read" in page.replace("\u00a0", " ")
    assert "mail.example" not in page
    assert "link" not in page.split('name="document"')[1].split('name="state"')[0]


def test_a_stranger_gets_nothing(sent: Team) -> None:
    person = make_person(Role.ENGINEER, team=make_team())
    assert discovered_samples(actor_of(person), KIND).events == []
    assert KIND not in [row.type for row in discovered_types(actor_of(person))]
    client = Client()
    client.force_login(person)
    page = client.get("/streams/new/", {"discovered": KIND}).content.decode()
    assert "none was kept that you may use" in page


def test_registering_it_keeps_its_name_observes_and_ends_the_discovery(
    sent: Team, world: World
) -> None:
    person = make_person(Role.ENGINEER, team=sent)
    client = Client()
    client.force_login(person)
    form = form_of(client.get("/streams/new/", {"discovered": KIND}).content.decode())
    assert form["name"] == "imported.referral_accepted"
    form |= {"description": "Accepted.", "do": "accept"}
    form = form_of(client.post("/streams/new/", form).content.decode())
    answer = client.post("/streams/new/", {**form, "do": "publish"})
    assert answer.status_code == 302
    stream = Stream.objects.get(name="imported.referral_accepted")
    world.streams.append(stream)
    assert stream.enforcement == "observe"
    assert stream.aliases.get().alias == KIND
    assert KIND not in [row.type for row in discovered_types(actor_of(make_person(Role.ON_CALL)))]
