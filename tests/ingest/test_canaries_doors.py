"""Personal values through every door, where no contract protects them: unknown types, bytes that
nobody can read, keys without permission, and what SDKs tell beside the event (I14, I16)."""

import json
import logging
import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from django.db import connection
from django.test import Client

from governance.models import AuditEntry, Job, Notice, User
from governance.selectors.people import actor_of
from governance.services import jobs
from governance.types import Permission, Role
from ingest.judging import admission
from ingest.judging.pipeline import accept_batch
from ingest.log.connection import connect
from ingest.models import DeadLetter, Event, Repair
from ingest.privacy import sealing
from ingest.protocols.cloudevents import read_structured
from ingest.selectors import dead_letters
from ingest.selectors.exports import begin_export
from ingest.services import letters
from portal.kernel import clock
from portal.kernel.errors import NotPermittedError, UnavailableError
from portal.kernel.identifiers import uuid7
from tests.ingest.conftest import Answer, World, post
from tests.ingest.test_canaries import LINES, MANY, ONE, PERSON, Person, send
from tests.support import canaries
from tests.support.factories import make_grant, make_person, token_of

MAIL = "zqdoor.Mail@canary.example"
PHONE = "+49 151 zqdoor 778"
CARD = "4111 zqdoor 1111 5"
NAME = "Zqdoor Von Canary"
TEXT = "please call zqdoor at home / über her zqdoor-illness"
SUBJECT = "zqdoor-subject-1"
IP = "198.51.100.213"
DEVICE = "zqdoor-idfa-9f1"
VALUES = (MAIL, PHONE, CARD, NAME, TEXT, SUBJECT, IP, DEVICE)
CONTEXT = {
    "ip": IP,
    "userAgent": f"Mozilla/5.0 (X11; {DEVICE}) AppleWebKit/537.36 Chrome/126.0.1 Safari/537.36",
    "traits": {"email": MAIL, "name": NAME, "address": {"street": TEXT}},
    "device": {"id": DEVICE, "advertisingId": DEVICE, "name": NAME, "model": "Pixel 9"},
    "location": {"city": "Bonn", "latitude": 50.73743, "longitude": 7.098, "street": TEXT},
    "page": {
        "url": f"https://{NAME.split(maxsplit=1)[0]}:pw@shop.example/cart?mail={MAIL}#{SUBJECT}",
        "path": "/cart", "search": f"?mail={MAIL}", "title": f"Cart of {NAME}",
        "referrer": f"https://mail.example/?to={MAIL}", "visitor": NAME,
    },
    "referrer": {"id": "ad", "url": f"https://ads.example/?who={SUBJECT}"},
    "email": MAIL,
    "library": {"name": "analytics.js", "version": "2", "about": {"who": NAME}},
    # What an application adds by itself, and members that SDKs have with other things in them.
    "loyalty": {"card": CARD}, "crmNote": TEXT, "tags": [NAME, {"phone": PHONE}],
    "app": {"name": "Shop", "version": "2.1", "owner": NAME, "users": [MAIL]},
    "os": NAME, "locale": TEXT, "timezone": "Europe/Berlin", "network": {"wifi": True, "ssid": NAME},
    "campaign": {"name": "spring", "content": MAIL, "for": NAME},
    "screen": {"width": 390, "height": {"of": PHONE}}, "active": TEXT, "channel": SUBJECT,
}  # fmt: skip
INTEGRATIONS = {
    "All": False, "Mixpanel": True, "CRM": {"contact": {"email": MAIL, "phones": [PHONE]}},
    MAIL: True, "Mailer": MAIL, "Dialer": [PHONE],
}  # fmt: skip
DATA = {"mail": MAIL, "phone": PHONE, "card": CARD, "name": NAME, "note": TEXT, "at": IP}


@pytest.fixture(scope="module", autouse=True)
def people(transactional_db: None) -> Iterator[None]:
    yield
    for model in (Repair, Job, Notice, User):
        model.objects.all().delete()


def event(kind: str, number: int, **changes: Any) -> dict[str, Any]:
    made = {
        "specversion": "1.0", "id": f"door{number}", "source": "/doors", "type": kind,
        "subject": SUBJECT, "partitionkey": SUBJECT, "context": json.dumps(CONTEXT), "data": DATA,
    }  # fmt: skip
    return {name: value for name, value in (made | changes).items() if value is not ...}


def segment(key: str, word: str, body: object) -> Answer:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return post(raw, {"authorization": f"Bearer {key}"}, path=f"/v1/{word}")


def call(number: int, **members: Any) -> dict[str, Any]:
    return {
        "messageId": f"call{number}", "type": "track", "event": "Unheard Of", "userId": SUBJECT,
        "anonymousId": DEVICE, "timestamp": clock.now().isoformat(), "context": CONTEXT,
        "integrations": INTEGRATIONS, "properties": DATA, **members,
    }  # fmt: skip


def nowhere() -> list[str]:
    return [
        *canaries.search(canaries.database(), VALUES),
        *canaries.search(canaries.in_redis(), VALUES),
    ]


def test_what_no_contract_protects_is_sealed_and_opens_for_the_grant_alone(
    world: World, caplog: pytest.LogCaptureFixture, client: Client
) -> None:
    caplog.set_level(logging.DEBUG)
    domain = world.domain.slug
    producer = world.producer()
    key = world.key(producer)
    bare = world.stream(default_version=9)
    narrow = world.producer(globs=("other.*",))
    kind = f"{domain}.unheard_of"
    broken = json.dumps(event(kind, 1)).encode()[:-2]
    binary = {
        "ce-specversion": "1.0", "ce-id": "door7", "ce-source": "/doors", "ce-type": kind,
        "ce-subject": SUBJECT,
    }  # fmt: skip
    answers = [
        send(key, event(kind, 2)),
        send(key, [event(kind, 3), event(kind, 4, specversion="9")], MANY),
        send(key, json.dumps(event(kind, 5)).encode() + b"\n" + broken + b"\n", LINES),
        send(key, TEXT.encode(), "text/plain", **binary),
        send(key, broken),
        send(key, b"[" + broken, MANY),
        send(key, event(bare.name, 8)),
        send(world.key(narrow), event(bare.name, 9)),
        segment(key, "batch", {"batch": [call(1), call(2, type="dance")]}),
        segment(key, "t", call(3, properties=DATA | {"big": "x" * 33_000})),
        segment(key, "batch", json.dumps({"batch": [call(4)]}).encode()[:-1]),
    ]
    by_view = client.post(
        "/v1/events", broken, content_type=ONE, headers={"authorization": f"Bearer {key}"}
    )
    kept = {str(row["id"]): row for row in world.dead_letters()}
    reasons = Counter(row["reason"] for row in kept.values())
    assert reasons.keys() >= {
        "unknown_stream", "envelope_invalid", "unparsable", "schema_unknown", "not_permitted",
        "limit_exceeded",
    }  # fmt: skip
    assert all(
        any(value.encode() in bytes(row["body"]) for value in VALUES) for row in kept.values()
    ), "every letter holds what was planted, in clear once it is opened"
    assert nowhere() == []
    said = [(str(at), answer.body.decode()) for at, answer in enumerate(answers)]
    logs = [("log", record.getMessage() + str(record.exc_info)) for record in caplog.records]
    assert canaries.search([*said, ("view", by_view.content.decode()), *logs], VALUES) == []

    # Looked at: without the grant no page, answer or export shows a value, not even to on-call.
    on_call = make_person(Role.ON_CALL)
    actor = actor_of(on_call)
    letter = DeadLetter.objects.get(type=kind, event_id="door2")
    group = dead_letters.group_of(actor, letter.group_key)
    at = f"/api/v1/dead-letters/{letter.id}"
    headers = {"authorization": f"Bearer {token_of(on_call, 'read')}"}
    client.force_login(on_call)
    pages = [
        (path, client.get(path).content.decode())
        for path in (
            "/dead-letters/", f"/dead-letters/{group.id}/", "/discovered/", "/ingest/",
            f"/streams/new/?discovered={kind}",
        )
    ]  # fmt: skip
    with pytest.raises(NotPermittedError):
        begin_export(actor, letter.group_key)
    pages.append((at, client.get(at, headers=headers).content.decode()))
    assert canaries.search(pages, VALUES) == []
    make_grant(world.domain, on_call, Permission.READ_PERSONAL)
    body = json.loads(client.get(at, headers=headers).json()["body"])
    assert (body["data"], body["subject"]) == (DATA, SUBJECT)
    assert AuditEntry.objects.filter(action="dead_letter.personal_read").exists()
    exported = begin_export(actor, letter.group_key).next_rows()
    assert canaries.search([("export", json.dumps(exported, default=str))], [MAIL])

    # Tried with a repair, then replayed to the stream that was registered: nothing comes to light.
    steps = [{"do": "default", "at": "/data/order", "value": "o1"}]
    repair = letters.declare_repair(group, steps, actor=actor)
    letters.start_dry_run(repair, actor=actor)
    while jobs.run_due_jobs():
        pass
    made = world.stream(
        {"type": "object", "properties": {
            name: {"x-classification": "personal", "x-privacy": "tokenize"} for name in DATA
        }},
        name=kind, classification="sensitive", subject_privacy="tokenize",
    )  # fmt: skip
    admission.directory.forget()
    envelope = read_structured(sealing.opened(bytes(letter.body), letter.id))
    (item,) = accept_batch([envelope], publisher=admission.publisher_of(producer))
    assert (item.status, item.errors) == ("accepted", ())
    assert str(Event.objects.get(stream_id=made.pk).subject).startswith("tok_")
    assert nowhere() == []


def test_what_sdks_tell_beside_an_event_is_cut_down(world: World) -> None:
    plain = world.stream(name=f"{world.domain.slug}.plain_thing")
    planned = world.stream(
        PERSON, name=f"{world.domain.slug}.identify", subject_privacy="tokenize",
        classification="sensitive",
    )  # fmt: skip
    producer = world.producer(default_domain=world.domain.slug)
    key = world.key(producer)
    who = Person("zqseg44")
    sent = call(11, event="Plain Thing", properties={"order": "o1"}, userId="u1", anonymousId="a1")
    identify = call(
        12, type="identify", traits=who.data, properties=None, userId=who.subject,
        anonymousId=DEVICE, context=CONTEXT | {"traits": who.data},
    )  # fmt: skip
    broken = call(13, event="Plain Thing", properties={"order": 7}, userId="u1", anonymousId="a1")
    large = call(14, type="identify", traits=who.data | {"order": "x" * 33_000}, userId=who.subject)
    huge = call(
        15, type="identify", traits=who.data | {"order": ["x" * 50_000] * 6}, userId=who.subject
    )
    assert segment(key, "batch", {"batch": [sent, identify, broken]}).status == 200
    assert segment(key, "batch", {"batch": [sent, identify]}).status == 200, "duplicates"
    changed = sent | {"properties": {"order": "o2"}}
    assert segment(key, "batch", {"batch": [changed]}).status == 200
    assert [segment(key, "i", one).status for one in (large, huge)] == [400, 400]
    assert [row["event_id"] for row in world.events(plain)] == ["call11"]
    (row,) = world.events(planned)
    attributes = json.loads(world.events(plain)[0]["attributes"])
    assert json.loads(attributes["integrations"]) == {"All": False, "Mixpanel": True, "CRM": True}
    assert json.loads(attributes["context"]) == {
        "app": {"name": "Shop", "version": "2.1"},
        "campaign": {"name": "spring"},
        "network": {"wifi": True},
        "screen": {"width": 390},
        "timezone": "Europe/Berlin",
        "device": {"model": "Pixel 9"},
        "ip": "198.51.100.0",
        "library": {"name": "analytics.js", "version": "2"},
        "location": {"city": "Bonn", "latitude": 50.7, "longitude": 7.0},
        "page": {"path": "/cart", "referrer": "https://mail.example/",
                 "url": "https://shop.example/cart"},
        "referrer": {"id": "ad", "url": "https://ads.example/"},
        "userAgent": "Chrome/126",
    }  # fmt: skip
    assert json.loads(row["attributes"])["anonymousid"].startswith("tok_")
    found = Counter(letter["reason"] for letter in world.dead_letters(plain))
    assert found == {"schema_violation": 1, "id_conflict": 1}
    found = Counter(letter["reason"] for letter in world.dead_letters(planned))
    assert found == {"limit_exceeded": 2}
    assert canaries.search(canaries.database(), [*VALUES, *who.values]) == []
    assert canaries.search(canaries.in_redis(), [*VALUES, *who.values]) == []


@pytest.mark.skipif("TEST_DATABASE_URL" in os.environ, reason="its log is another machine's")
def test_the_database_s_own_log_quotes_no_row(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SHOW data_directory")
        log = Path(cursor.fetchone()[0]).parent / "postgres.log"
    before = log.stat().st_size
    with connect() as other:
        with pytest.raises(psycopg.errors.NotNullViolation, match="canary"):
            other.execute(f"INSERT INTO catalog_domain (slug) VALUES ('{MAIL}')")
        other.rollback()
        with (
            pytest.raises(psycopg.errors.NotNullViolation, match="canary"),
            other.cursor() as copier,
            copier.copy("COPY catalog_domain (slug) FROM STDIN") as copy,
        ):
            copy.write(f"{MAIL}\n".encode())
        other.rollback()
    text = log.read_text("utf-8", "replace")[before:]
    assert text.count("violates not-null constraint") == 2, "the errors were logged"
    assert canaries.search([("postgres.log", text)], [MAIL]) == []


def test_without_the_vault_nothing_is_kept_in_clear(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = world.key(world.producer())
    plain = world.stream()

    def away() -> None:
        raise UnavailableError("The vault is away.")

    monkeypatch.setattr(sealing, "_key", away)
    unknown = event(f"{world.domain.slug}.never", 21)
    assert send(key, unknown).status == 503
    assert not DeadLetter.objects.filter(event_id="door21").exists()
    good = event(plain.name, 22, data={"order": "o"}, context=..., subject="s", partitionkey=...)
    assert send(key, good).json["accepted"] == 1, "what needs no seal goes on"
    monkeypatch.undo()
    assert send(key, unknown).json["results"][0]["reason"] == "unknown_stream"
    (letter,) = DeadLetter.objects.filter(event_id="door21")
    assert bytes(letter.body).startswith(sealing.MARK)
    assert sealing.opened(bytes(letter.body), uuid7()) == bytes(letter.body), "bound to its letter"
