"""Personal values, planted everywhere an event may go, are found nowhere in clear (I14, I16)."""

import base64
import itertools
import json
import logging
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client

from catalog.models import Producer, Stream
from governance.models import PrivacyToken
from ingest.judging import admission
from ingest.models import Event
from portal.kernel import clock
from tests.ingest.conftest import Answer, World, post
from tests.support import canaries

ONE = "application/cloudevents+json"
MANY = "application/cloudevents-batch+json"
LINES = "application/x-ndjson"
PERSON = {
    "type": "object",
    "properties": {
        "mail": {"$ref": "#/$defs/mail"},
        "iban": {"type": "string", "x-classification": "sensitive", "x-privacy": "encrypt"},
        "phone": {"type": "string", "x-classification": "personal", "x-privacy": "drop"},
        "born": {"type": "string", "x-classification": "personal", "x-privacy": "truncate"},
        "salary": {"type": "integer", "x-classification": "personal", "x-privacy": "bucket"},
        "street": {"type": "string", "x-classification": "personal", "x-privacy": "truncate"},
        "kin": {"type": "array", "items": {"$ref": "#/$defs/kin"}},
        "note": {"type": "string"},
        "order": {"type": "string"},
    },
    "required": ["order"],
    "$defs": {
        "mail": {
            "type": "string", "format": "email", "x-classification": "personal",
            "x-privacy": "tokenize",
        },
        "kin": {
            "allOf": [
                {"type": "object", "properties": {"mail": {"type": "string"}}},
                {"properties": {"mail": {"$ref": "#/$defs/mail"}}},
            ]
        },
    },
}  # fmt: skip
_numbers = itertools.count(1)


@dataclass
class Person:
    """Somebody whose every value is like no other."""

    tag: str

    @property
    def data(self) -> dict[str, Any]:
        return {
            "mail": f"{self.tag}.Mail@canary.example",
            "iban": f"DE{self.tag}IBAN",
            "phone": f"{self.tag}phone",
            "born": f"19{self.tag[-2:]}-03-27",
            "salary": 48_731_207_594_113,  # no hash or time holds it by chance
            "street": f"{self.tag}street 17",
            "kin": [{"mail": f"{self.tag}.kin@canary.example"}],
            "order": "o1",
        }

    @property
    def subject(self) -> str:
        return f"{self.tag}-subject"

    @property
    def values(self) -> list[str]:
        data = self.data
        kin = data["kin"][0]["mail"]
        return [
            data["mail"], kin, data["iban"], data["phone"], data["born"], "48731207594113",
            data["street"], self.subject,
        ]  # fmt: skip


@pytest.fixture(scope="module")
def producer(world: World) -> Producer:
    return world.producer()


@pytest.fixture(scope="module")
def key(world: World, producer: Producer) -> str:
    return world.key(producer)


@pytest.fixture(scope="module")
def stream(world: World) -> Stream:
    made = world.stream(
        PERSON, classification="sensitive", subject_classification="personal",
        subject_privacy="tokenize",
    )  # fmt: skip
    world.version(made, 2, PERSON, state="retired")
    return made


def event(stream: Stream, person: Person, **changes: Any) -> dict[str, Any]:
    made = {
        "specversion": "1.0",
        "id": f"c{next(_numbers)}",
        "source": "/canaries",
        "type": stream.name,
        "time": clock.now().isoformat(),
        "subject": person.subject,
        "partitionkey": person.subject,
        "context": f"mail={person.data['mail']}&who={person.subject}",
        "data": person.data,
    }
    return {name: value for name, value in (made | changes).items() if value is not ...}


def send(key: str, body: object, content_type: str = ONE, query: str = "", **more: str) -> Answer:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    headers = {"content-type": content_type, "authorization": f"Bearer {key}"} | more
    return post(raw, headers, query=query)


def refused(stream: Stream, person: Person) -> dict[str, dict[str, Any]]:
    """An event for each reason to refuse it once the stream is known."""
    data = person.data
    late = (clock.now() - timedelta(days=90)).isoformat()
    return {
        "schema_violation": event(stream, person, data=data | {"order": 7}),
        "schema_violation root": event(stream, person, data=data["mail"]),
        "schema_violation list": event(stream, person, data=data | {"kin": [data["mail"]]}),
        "schema_violation kinds": event(stream, person, data=data | {"mail": [data["mail"]]}),
        "schema_violation bytes": event(
            stream, person, data=..., datacontenttype="application/octet-stream",
            data_base64=base64.b64encode(data["mail"].encode()).decode(),
        ),
        "schema_unknown": event(stream, person, dataschema="77"),
        "version_retired": event(stream, person, dataschema="2"),
        "out_of_window": event(stream, person, time=late),
        "envelope_invalid": event(stream, person, specversion="9"),
        "envelope_invalid time": event(stream, person, time="soon"),
        "limit_exceeded": event(stream, person, data=data | {"big": "x" * 70_000}),
        "limit_exceeded size": event(stream, person, data=data | {"big": ["x" * 60_000] * 5}),
    }  # fmt: skip


def test_planted_values_are_found_nowhere_and_a_plain_one_is(
    world: World, stream: Stream, producer: Producer, key: str,
    caplog: pytest.LogCaptureFixture, client: Client,
) -> None:  # fmt: skip
    caplog.set_level(logging.DEBUG)
    people = [Person(f"zq{number}k{number}w77") for number in range(11, 36)]
    waiting = iter(people)
    answers: list[tuple[str, bytes]] = []

    def note(name: str, answer: Answer, reason: str | None) -> None:
        answers.append((name, answer.body))
        results = answer.json["results"]
        assert [result.get("reason") for result in results] == ([reason] if reason else []), name

    person = next(waiting)
    first = event(stream, person)
    note("accepted", send(key, first), None)
    again = send(key, first | {"context": first["context"]})
    assert again.json["results"][0]["status"] == "duplicate"
    note("id_conflict", send(key, first | {"data": person.data | {"order": "o2"}}), "id_conflict")
    person = next(waiting)
    note("batch", send(key, [event(stream, person), event(stream, person)], MANY), None)
    person = next(waiting)
    lines = b"\n".join(json.dumps(event(stream, person)).encode() for _ in range(2))
    answers.append(("lines", send(key, lines, LINES, query="results=all").body))
    person = next(waiting)
    binary = {
        "ce-specversion": "1.0", "ce-id": f"c{next(_numbers)}", "ce-source": "/canaries",
        "ce-type": stream.name, "ce-subject": person.subject,
    }  # fmt: skip
    note("binary", send(key, person.data, "application/json", **binary), None)
    for name in refused(stream, people[0]):
        made = refused(stream, next(waiting))[name]
        note(name, send(key, made), name.split()[0])
    person = next(waiting)
    dry = send(
        key, [event(stream, person), *refused(stream, person).values()], MANY, "dry_run=true"
    )
    assert dry.status == 202
    answers.append(("dry run", dry.body))
    person = next(waiting)
    by_view = client.post(
        "/v1/events", json.dumps([event(stream, person), *refused(stream, person).values()]),
        content_type=MANY, headers={"authorization": f"Bearer {key}"},
    )  # fmt: skip
    assert by_view.json()["accepted"] == 1
    answers.append(("the view", by_view.content))

    values = [value for person in people for value in person.values]
    assert len(world.events(stream)) == 7
    assert canaries.search(canaries.database(), values) == []
    assert canaries.search(canaries.in_redis(), values) == []
    assert (
        canaries.search([("log", record.getMessage()) for record in caplog.records], values) == []
    )
    said = [(name, body.decode()) for name, body in answers]
    assert canaries.search(said, values) == []

    # The same search finds what no plan speaks of, in each of its forms.
    plain = "zqnoteCanary@canary.example"
    forms = {
        "clear": plain, "base64": base64.b64encode(plain.encode()).decode(),
        "hex": plain.encode().hex(), "upper": plain.upper(),
    }  # fmt: skip
    for form in forms.values():
        data = {"order": "o1", "note": f"- {form}"}
        note("plain", send(key, event(stream, Person("zq9"), data=data)), None)
    found = canaries.search(canaries.database(), [plain])
    assert {place.split(": ", 1)[1].split(" of ")[0] for place in found} >= {"clear", "hex"}
    assert any("base64" in place for place in found)


def test_equal_values_have_one_token_and_events_join_by_their_subject(
    world: World, stream: Stream, key: str
) -> None:
    other = world.stream(PERSON, subject_privacy="tokenize")
    person = Person("join71")
    for one in (stream, other):
        assert send(key, event(one, person, id="join")).json["accepted"] == 1
    mine, theirs = (
        Event.objects.filter(stream_id=one.pk, event_id="join").values().get()
        for one in (stream, other)
    )
    assert mine["data"] is not None
    assert theirs["data"] is not None
    assert mine["subject"] == theirs["subject"]
    assert str(mine["subject"]).startswith("tok_")
    assert mine["attributes"]["partitionkey"] == mine["subject"]
    assert mine["data"]["mail"] == theirs["data"]["mail"]
    assert mine["data"]["iban"] != theirs["data"]["iban"]
    assert mine["data"]["iban"].startswith("enc_")
    assert "phone" not in mine["data"]
    assert mine["data"]["born"] == "1971-03-01"
    assert mine["data"]["salary"] == "48731207594110..48731207594120"
    assert PrivacyToken.objects.filter(token=mine["subject"]).count() == 1


def test_a_known_value_costs_no_query(
    world: World, stream: Stream, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    person = Person("cheap72")
    assert send(key, event(stream, person)).json["accepted"] == 1
    from governance.privacy import vault

    def refuse(*arguments: object) -> None:
        raise AssertionError("the vault's database was asked")

    monkeypatch.setattr(vault, "_run", refuse)
    assert send(key, event(stream, person)).json["accepted"] == 1


def test_what_a_treatment_cannot_take_is_refused_and_kept_encrypted(world: World, key: str) -> None:
    schema = {"type": "object", "properties": {"who": {"x-privacy": "tokenize"}}}
    loose = world.stream(schema)
    person = Person("odd73")
    made = event(loose, person, subject=..., partitionkey=..., context=...,
                 data={"who": {"name": person.subject}})  # fmt: skip
    answer = send(key, made)
    (result,) = answer.json["results"]
    assert (answer.status, result["reason"]) == (422, "privacy_refused")
    assert result["errors"][0]["pointer"] == "/data/who"
    (letter,) = world.dead_letters(loose)
    kept = json.loads(bytes(letter["body"]))
    assert kept["data"]["who"].startswith("enc_")
    assert letter["content_type"].endswith("; treated")


def test_a_change_of_what_the_stream_says_of_its_subject_is_heeded(world: World, key: str) -> None:
    changing = world.stream(PERSON, subject_privacy="none")
    person = Person("turn74")
    assert send(key, event(changing, person, id="before")).json["accepted"] == 1
    Stream.objects.filter(pk=changing.pk).update(subject_privacy="drop")
    admission.directory.forget()
    assert send(key, event(changing, person, id="after")).json["accepted"] == 1
    rows = {row["event_id"]: row for row in Event.objects.filter(stream_id=changing.pk).values()}
    assert rows["before"]["subject"] == person.subject
    assert rows["after"]["subject"] is None
    assert "partitionkey" not in rows["after"]["attributes"]
