"""Minimisation, and dead letters that take the road again after their personal fields were treated."""

import json
from datetime import timedelta
from typing import Any

import pytest

from catalog.models import Producer, Stream
from governance.privacy import vault
from ingest.judging import admission
from ingest.judging.pipeline import accept_batch
from ingest.models import DeprecatedUse, Event
from ingest.privacy.treating import REMOVED, is_treated_letter
from ingest.protocols.cloudevents import read_structured
from ingest.services.reveal import in_clear
from ingest.types import Mark, Reason
from portal.kernel import clock
from tests.ingest.conftest import World
from tests.ingest.test_canaries import PERSON, Person, event, send


@pytest.fixture(scope="module")
def producer(world: World) -> Producer:
    return world.producer()


@pytest.fixture(scope="module")
def key(world: World, producer: Producer) -> str:
    return world.key(producer)


def stored(stream: Stream, event_id: str) -> dict[str, Any]:
    return dict(Event.objects.filter(stream_id=stream.pk, event_id=event_id).values().get())


def again(world: World, stream: Stream, producer: Producer, **repairs: Any) -> Any:
    """What a repair does: the letter's body, changed, through the same door."""
    letter = world.dead_letters(stream)[-1]
    body = json.loads(bytes(letter["body"]))
    body["data"] |= repairs.pop("data", {})
    envelope = read_structured(json.dumps(body | repairs).encode())
    envelope.came_treated = is_treated_letter(letter["content_type"], letter["reason"])
    assert envelope.came_treated
    (item,) = accept_batch([envelope], publisher=admission.publisher_of(producer))
    return item


def test_a_repaired_letter_keeps_what_was_treated_and_treats_what_is_new(
    world: World, producer: Producer, key: str
) -> None:
    stream = world.stream(PERSON, subject_privacy="tokenize")
    who = Person("fix91")
    broken = event(stream, who, id="fix", data=who.data | {"order": 7})
    assert send(key, broken).json["results"][0]["reason"] == "schema_violation"
    item = again(world, stream, producer, data={"order": "o7", "street": "99 Other Road"})
    assert (item.status, item.errors) == ("accepted", ())
    assert send(key, event(stream, who, id="plain")).json["accepted"] == 1
    fixed, plain = stored(stream, "fix"), stored(stream, "plain")
    assert fixed["subject"] == plain["subject"]
    for name in ("mail", "kin", "born", "salary"):
        assert fixed["data"][name] == plain["data"][name]
    assert fixed["data"]["street"] == "99 …"
    clear, _ = in_clear({"data": fixed["data"]}, stream_id=stream.pk, event_id="fix")
    assert clear["data"]["iban"] == who.data["iban"]
    assert clear["data"]["mail"] == who.data["mail"]


def test_a_producer_cannot_say_that_a_value_was_treated(world: World, key: str) -> None:
    stream = world.stream(PERSON)
    forged = "tok_" + "x" * 22
    sent = event(stream, Person("forge"), id="f", data={"order": "o", "iban": forged})
    assert send(key, sent).json["accepted"] == 1
    assert stored(stream, "f")["data"]["iban"].startswith("enc_")
    late = (clock.now() - timedelta(days=90)).isoformat()
    refused = sent | {"id": "g", "time": late, "privacy": "treated"}
    answer = send(key, refused, "application/cloudevents+json; treated")
    assert answer.json["results"][0]["reason"] == "out_of_window"
    assert json.loads(bytes(world.dead_letters(stream)[-1]["body"]))["data"]["iban"] != forged


def test_a_letter_sent_again_is_one_letter_though_its_ciphertexts_differ(
    world: World, key: str
) -> None:
    stream = world.stream(PERSON)
    sent = event(stream, Person("twice"), dataschema="77")
    first, second = (send(key, sent).json["results"][0]["dead_letter"] for _ in range(2))
    assert first == second
    assert len(world.dead_letters(stream)) == 1


def test_a_stream_that_minimises_keeps_what_its_contract_knows_and_counts_the_rest(
    world: World, key: str
) -> None:
    stream = world.stream(minimise=True, compatibility_policy="strict")
    data = {"order": "a", "trackers": {"gps": 1}, "ada@example.org": True, "n4711981": 1}
    sent = {
        "specversion": "1.0", "id": "m", "source": "/m", "type": stream.name, "data": data,
        "environment": "live", "deviceid": "d-1",
    }  # fmt: skip
    assert send(key, sent).json["accepted"] == 1
    assert send(key, sent).json["duplicate"] == 1
    row = stored(stream, "m")
    assert (row["data"], row["extra"]) == ({"order": "a"}, None)
    assert row["attributes"] == {"environment": "live"}
    assert row["marks"] & Mark.MINIMISED
    assert not row["marks"] & Mark.DRIFT
    counted = DeprecatedUse.objects.filter(stream_id=stream.pk, kind=REMOVED)
    assert dict(counted.values_list("name", "events")) == {
        "data.trackers": 1, "data.*": 1, "deviceid": 1,
    }  # fmt: skip
    other = send(key, sent | {"data": data | {"trackers": 2}}).json["results"][0]
    assert other["reason"] == Reason.ID_CONFLICT, "what is removed counts as content"
    refused = send(key, sent | {"id": "n", "data": data | {"order": 1}}).json["results"][0]
    assert refused["reason"] == Reason.SCHEMA_VIOLATION
    kept = json.loads(bytes(world.dead_letters(stream)[-1]["body"]))
    assert kept["data"] == {"order": 1}
    assert ("deviceid" in kept, kept["environment"]) == (False, "live")
    vault.forget()
