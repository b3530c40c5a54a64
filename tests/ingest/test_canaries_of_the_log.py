"""Ids and names of members that came in an event are in no audit row and no notice, in any spelling."""

import json
from collections.abc import Iterator
from typing import Any
from unittest.mock import ANY

import pytest
from django.forms.models import model_to_dict
from django.test import Client

from catalog.models import SchemaField, Stream
from catalog.services.producers import create_producer
from governance.models import AuditEntry, Notice, User
from governance.privacy import vault
from governance.selectors.audit_log import as_dict
from governance.types import Permission, Role
from ingest.judging.admission import directory
from ingest.log.store import close_writer
from ingest.privacy.marks import mark, named_places
from ingest.services import growth
from portal.kernel.actor import SYSTEM, Actor
from tests.ingest.conftest import World
from tests.ingest.shop import Shop
from tests.ingest.test_canaries import PERSON, Person, event, send
from tests.ingest.test_letter_pages import api, lines_of, page_of, post
from tests.support import canaries
from tests.support.factories import make_grant, make_person, make_stream, token_of

pytestmark = pytest.mark.django_db(transaction=True)

CANARY = "Ophelia-Quist-77"
SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "n": {"type": "integer"},
        "of": {"type": "object", "additionalProperties": {"type": "integer"}},
    },
}


@pytest.fixture
def shop() -> Iterator[Shop]:
    """Members of one place in its events have names of the sender's choice."""
    directory.forget_all()
    made = Shop()
    made.stream = make_stream("testing.named", schema=SCHEMA, team=made.team)
    made.producer = create_producer("ios", actor=SYSTEM, streams=[made.stream])
    yield made
    close_writer()
    directory.forget_all()


def written() -> Iterator[tuple[str, str]]:
    """All that the log and the notices hold."""
    for row in AuditEntry.objects.all():
        yield f"row {row.seq}", json.dumps(as_dict(row), default=str)
    for notice in Notice.objects.all():
        yield f"notice {notice.pk}", json.dumps(model_to_dict(notice), default=str)


def email_of(actor: Actor) -> str:
    return User.objects.get(pk=actor.id).email


def assert_unnamed() -> None:
    assert canaries.search(written(), [CANARY]) == []


def test_who_takes_marks_and_exports_a_group_names_nothing_of_its_events(shop: Shop) -> None:
    shop.send(*[{"n": n, "of": {CANARY: "x"}} for n in range(2)])
    group = shop.group()
    assert CANARY in group.key, "or the test could not fail"
    ada = api(shop.ada.id)
    answer = post(ada, f"dead-letters/groups/{group.id}/assign", to=email_of(shop.ben))
    assert answer.status_code == 200, answer.content
    assert post(ada, f"dead-letters/groups/{group.id}/known", note="seen").status_code == 200
    export = ada.get(f"/api/v1/dead-letters/export?group={group.id}")
    assert len(lines_of(export)) == 2
    assert_unnamed()
    rows = AuditEntry.objects.filter(action__startswith="dead_letter.").order_by("seq")
    assert {row.detail["after"]["group"] for row in rows} == {mark("group", group.key)}
    assert [row.action for row in rows] == [
        "dead_letter.group_assigned", "dead_letter.group_known", "dead_letter.exported",
    ]  # fmt: skip


def test_a_notice_leads_to_the_group_all_the_same(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(growth, "LEAST", 2)
    shop.send(*[{"n": n, "of": {CANARY: "x"}} for n in range(3)])
    group = shop.group()
    assert growth.watch_growth() == 1
    post(api(shop.ada.id), f"dead-letters/groups/{group.id}/assign", to=email_of(shop.ben))
    assert_unnamed()
    notices = Notice.objects.filter(user_id=shop.ben.id)
    assert notices.count() == 2
    for notice in notices:
        answer = page_of(shop.ben.id).get(notice.url, follow=True)
        assert answer.redirect_chain == [(f"/dead-letters/{group.id}/", 302)]
        assert answer.status_code == 200
        stranger = make_person(Role.ENGINEER)
        assert page_of(stranger.pk).get(notice.url).status_code == 404


def test_who_has_an_event_in_clear_names_neither_its_id_nor_its_members(world: World) -> None:
    by_name = {"type": "object", "additionalProperties": {"$ref": "#/$defs/mail"}}
    properties: Any = PERSON["properties"]
    schema: dict[str, Any] = {**PERSON, "properties": {**properties, "by_name": by_name}}
    stream: Stream = world.stream(schema, classification="sensitive")
    version = stream.versions.get()
    for number, name in enumerate(["by_name", "iban", "kin", "mail"]):
        SchemaField.objects.create(
            schema_version=version, stream=stream, path=name, name=name, depth=1, position=number,
            types=["string"],
        )  # fmt: skip
    who = Person("seen93")
    key = world.key(world.producer())
    sent = event(stream, who, id=CANARY)
    sent["data"] = who.data | {"by_name": {CANARY: "x@canary.example"}}
    assert send(key, sent).json["accepted"] == 1
    reader = make_person(Role.ANALYST)
    make_grant(stream, reader, Permission.READ_PERSONAL)
    client = Client(headers={"Authorization": f"Bearer {token_of(reader, 'read')}"})
    found = client.get(f"/api/v1/streams/{stream.name}/events/{CANARY}/reveal").json()
    assert f"/data/by_name/{CANARY}" in found["revealed"]
    assert_unnamed()
    row = AuditEntry.objects.get(action="event.personal_revealed", object_key=stream.name)
    assert row.detail["after"] == {"event": mark("event", CANARY), "fields": ANY}
    assert "/data/by_name/*" in row.detail["after"]["fields"]
    assert "/data/mail" in row.detail["after"]["fields"]
    vault.forget()
    User.objects.filter(pk=reader.pk).delete()


def test_places_keep_the_names_that_a_contract_has(shop: Shop) -> None:
    places = ["/data/n", f"/data/{CANARY}/0/n", "/subject", "", "/data/a~1b"]
    assert named_places(shop.stream, places) == [
        "",
        "/data/*",
        "/data/*/0/n",
        "/data/n",
        "/subject",
    ]
    assert named_places(None, ["/data/n"]) == ["/data/*"]
    assert mark("event", "a") == mark("event", "a") != mark("group", "a")
