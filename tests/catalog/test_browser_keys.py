"""Keys that stand in web pages: made with the origins of those pages, in each place that makes keys."""

import json
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command
from django.test import Client

from catalog.models import Producer
from catalog.services.producers import create_producer
from governance.models import Key
from governance.types import Role
from portal.kernel.actor import SYSTEM
from tests.support.factories import make_person, make_team, token_of

pytestmark = pytest.mark.django_db
ORIGINS = ["http://localhost:3000", "https://shop.example"]


@pytest.fixture
def producer() -> Producer:
    return create_producer("web-shop", actor=SYSTEM, team=make_team())


def ask(producer: Producer, person: Any, **body: Any) -> Any:
    client = Client(headers={"Authorization": f"Bearer {token_of(person)}"})
    return client.post(
        f"/api/v1/producers/{producer.name}/keys", json.dumps(body), content_type="application/json"
    )


def test_the_api_marks_a_key_as_browser_safe_for_its_team(producer: Producer) -> None:
    member = make_person(Role.ENGINEER, team=producer.team)
    answer = ask(producer, member, browser_origins=ORIGINS[::-1])
    assert answer.status_code == 201, answer.content
    assert answer.json()["browser_origins"] == ORIGINS
    assert Key.objects.get(pk=answer.json()["id"]).browser_origins == ORIGINS
    assert ask(producer, member).json()["browser_origins"] == [], "a server's"
    stranger = make_person(Role.ENGINEER, team=make_team())
    assert ask(producer, stranger, browser_origins=ORIGINS).status_code == 403


@pytest.mark.parametrize(
    "origin",
    ["*", "null", "", "shop.example", "https://shop.example/", "https://Shop.example",
     "https://shop.example/cart", "https://*.shop.example", "ftp://shop.example",
     "https://a@shop.example", "https://shop.example:123456", "https://shop.example\n"],
)  # fmt: skip
def test_what_is_no_origin_is_refused(producer: Producer, origin: str) -> None:
    member = make_person(Role.ENGINEER, team=producer.team)
    answer = ask(producer, member, browser_origins=["https://fine.example", origin])
    assert answer.status_code in (400, 422), answer.content
    assert not Key.objects.filter(holder_id=producer.pk, kind="prod").exists()


def test_the_page_of_a_producer_makes_one(producer: Producer) -> None:
    member = make_person(Role.ENGINEER, team=producer.team)
    client = Client()
    client.force_login(member)
    path = f"/producers/{producer.name}/"
    answer = client.post(path, {"name": "web", "origins": " ,".join(ORIGINS)})
    assert answer.status_code == 200
    key = Key.objects.get(holder_id=producer.pk, kind="prod")
    assert key.browser_origins == ORIGINS
    assert "in pages of http://localhost:3000, https://shop.example" in answer.content.decode()
    assert client.post(path, {"name": "web", "origins": "*"}).status_code == 422
    client.post(path, {"name": "server", "origins": ""})
    assert Key.objects.get(name="server").browser_origins == []


def test_the_command_line_makes_one() -> None:
    out = StringIO()
    call_command(
        "keys", "create", "--kind", "producer", "--name", "web", "--origins", *ORIGINS, "--json",
        stdout=out,
    )  # fmt: skip
    made = json.loads(out.getvalue())
    assert set(made) == {"id", "key"}
    assert Key.objects.get(pk=made["id"]).browser_origins == ORIGINS
