"""The Segment HTTP tracking API: what SDKs send is read as it was meant, and answered as they read."""

import base64
import gzip
import json
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
import zstandard
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from catalog.models import Producer, Stream
from ingest.doors.limits import quotas
from ingest.judging import admission
from ingest.log.store import close_writer
from ingest.models import DiscoveredStream
from ingest.protocols.segment import MAX_BODY_BYTES, SKEW
from ingest.selectors import events as stored_events
from portal.kernel import clock
from tests.ingest.conftest import Answer, World, post

WIRE = Path(__file__).resolve().parents[1] / "data" / "wire"
CALLS = ("track", "identify", "page", "screen", "group", "alias")
ORIGIN = "https://shop.example.org"


def basic(key: str) -> str:
    return "Basic " + base64.b64encode(f"{key}:".encode()).decode()


class Shop:
    """A producer that sends in Segment's protocol, with the streams that its calls mean."""

    def __init__(self, world: World, *, has_streams: bool = True, **fields: Any) -> None:
        self.world = world
        self.producer: Producer = world.producer(**fields)
        self.key = world.key(self.producer)
        self.domain = (self.producer.default_domain or self.producer.name).replace("-", "_")
        self.streams: dict[str, Stream] = {}
        if has_streams:
            for name in ("order_completed", *CALLS[1:]):
                self.streams[name] = world.stream(
                    True, name=f"{self.domain}.{name}", late_seconds=3_660 * 86_400
                )

    def call(self, **changes: Any) -> dict[str, Any]:
        call = {
            "type": "track",
            "event": "Order Completed",
            "userId": "user-1",
            "anonymousId": None,
            "properties": {"revenue": 12.5},
            "timestamp": clock.now().isoformat(),
            "messageId": f"message-{uuid.uuid4()}",
        }
        return {name: value for name, value in (call | changes).items() if value is not ...}

    def send(self, word: str, body: object, **headers: str) -> Answer:
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        base = {"content-type": "application/json", "authorization": basic(self.key)}
        return post(
            raw, {name: value for name, value in (base | named).items() if value},
            path=f"/v1/{word}",
        )  # fmt: skip

    def batch(self, *calls: object, **outer: Any) -> Answer:
        return self.send("batch", {"batch": list(calls), **outer})

    def events(self, name: str = "order_completed") -> list[dict[str, Any]]:
        rows = self.world.events(self.streams[name])
        for row in rows:
            for column in ("data", "attributes"):
                if isinstance(row[column], str):
                    row[column] = json.loads(row[column])
        return rows

    def event(self, message_id: str, name: str = "order_completed") -> dict[str, Any]:
        (found,) = [row for row in self.events(name) if row["event_id"] == message_id]
        return found

    def letters(self) -> list[dict[str, Any]]:
        return [r for r in self.world.dead_letters() if r["producer_id"] == self.producer.pk]


@pytest.fixture(scope="module")
def shop(world: World) -> Shop:
    return Shop(world, default_domain="seg-shop")


def assert_taken(answer: Answer) -> None:
    assert (answer.status, answer.json) == (200, {"success": True}), answer.body[:300]


def assert_refused(answer: Answer, status: int, code: str) -> dict[str, Any]:
    assert answer.status == status, answer.body[:300]
    assert answer.headers["content-type"] == "application/json"
    said: dict[str, Any] = answer.json
    assert said["code"] == code
    assert said["message"]
    return said


# --- what a call becomes ---


def test_a_track_call_becomes_the_event_that_the_mapping_says(shop: Shop) -> None:
    call = shop.call(
        timestamp=(clock.now() - timedelta(minutes=3)).isoformat(timespec="milliseconds"),
        context={"ip": "203.0.113.9", "page": {"path": "/cart"}},
        integrations={"All": False},
    )
    assert_taken(shop.send("track", call))
    row = shop.event(call["messageId"])
    assert row["source"] == f"/segment/{shop.producer.name}"
    assert row["subject"] == "user-1"
    assert row["data"] == {"revenue": 12.5}
    assert row["occurred_at"] == datetime.fromisoformat(call["timestamp"])
    attributes = row["attributes"]
    assert json.loads(attributes["context"]) == call["context"] | {"ip": "203.0.113.0"}, (
        "its network"
    )
    assert json.loads(attributes["integrations"]) == {"All": False}
    assert attributes["event"] == "Order Completed"
    assert set(attributes) == {"context", "integrations", "event"}


@pytest.mark.parametrize("word", ["track", "t", "track/", "t/"])
def test_each_form_of_an_address_takes_a_call(shop: Shop, word: str) -> None:
    call = shop.call()
    assert_taken(shop.send(word, call))
    assert shop.event(call["messageId"])["data"] == call["properties"]


@pytest.mark.parametrize("kind", CALLS[1:])
@pytest.mark.parametrize("is_short", [False, True])
def test_other_calls_go_to_the_producers_streams_of_their_names(
    shop: Shop, kind: str, is_short: bool
) -> None:
    part = "traits" if kind in ("identify", "group") else "properties"
    call = shop.call(
        **{"properties": ..., part: {"plan": "pro"}}, type=kind, event=..., name="Home",
        category="docs", groupId="group-9", previousId="anon-7", userId=None, anonymousId="anon-8",
    )  # fmt: skip
    assert_taken(shop.send(kind[0] if is_short else kind, call))
    row = shop.event(call["messageId"], kind)
    assert (row["subject"], row["data"]) == ("anon-8", {"plan": "pro"})
    assert row["attributes"] == {
        "name": "Home", "category": "docs", "groupid": "group-9", "previousid": "anon-7",
    }  # fmt: skip


@pytest.mark.parametrize("word", ["batch", "b", "import", "import/"])
def test_items_of_a_batch_inherit_its_context_and_integrations(shop: Shop, word: str) -> None:
    two = {"name": "two"}
    plain, own = (
        shop.call(),
        shop.call(context={"app": two, "os": {"name": "x"}}, integrations={"A": True}),
    )
    body = {
        "batch": [plain, own],
        "context": {"app": {"name": "one"}, "library": {"name": "curl"}},
        "integrations": {"All": False},
    }
    assert_taken(shop.send(word, body))
    first, second = (shop.event(call["messageId"])["attributes"] for call in (plain, own))
    assert json.loads(first["context"]) == body["context"]
    assert json.loads(second["context"]) == {
        "app": two, "os": {"name": "x"}, "library": {"name": "curl"},
    }  # fmt: skip
    assert json.loads(first["integrations"]) == {"All": False}
    assert json.loads(second["integrations"]) == {"All": False, "A": True}


def test_a_batch_of_nothing_is_a_success(shop: Shop) -> None:
    assert_taken(shop.batch())


def test_who_is_meant_stands_in_the_subject(shop: Shop) -> None:
    cases: list[tuple[Any, Any, Any]] = [
        ("u", None, ("u", None)), ("u", "a", ("u", "a")), (None, "a", ("a", None)), (..., ..., (None, None)),
        (None, None, (None, None)), ("", "a", ("a", None)), (12345, None, ("12345", None)),
    ]  # fmt: skip
    for user, anonymous, expected in cases:
        call = shop.call(userId=user, anonymousId=anonymous)
        assert_taken(shop.send("track", call))
        row = shop.event(call["messageId"])
        assert (row["subject"], row["attributes"].get("anonymousid")) == expected


def test_a_message_id_beyond_the_rule_becomes_its_hash(shop: Shop) -> None:
    for given in ("m" * 129, "m\nm"):
        call = shop.call(messageId=given)
        for _ in range(2):
            assert_taken(shop.send("track", call))
        shop.event(sha256(given.encode()).hexdigest())
    longest = shop.call(messageId="m" * 128)
    assert_taken(shop.send("track", longest))
    shop.event("m" * 128)


@pytest.mark.parametrize("absent", [..., None, ""])
def test_without_a_message_id_each_call_is_an_event_of_its_own(shop: Shop, absent: Any) -> None:
    before = len(shop.events())
    call = shop.call(messageId=absent)
    for _ in range(2):
        assert_taken(shop.send("track", call))
    assert len(shop.events()) == before + 2


def test_calls_without_properties_or_traits_have_empty_data(shop: Shop) -> None:
    for value in (None, ...):
        call = shop.call(properties=value)
        assert_taken(shop.send("track", call))
        assert shop.event(call["messageId"])["data"] == {}


def test_traits_in_the_context_are_those_of_identify(shop: Shop) -> None:
    """RudderStack's Python SDK sends them there alone, its Node SDK in both places."""
    traits = {"email": "ada@example.org"}
    for own in (..., traits):
        call = shop.call(
            type="identify", event=..., properties=..., traits=own,
            context={"traits": traits, "ip": "203.0.113.9"},
        )  # fmt: skip
        assert_taken(shop.send("identify", call))
        row = shop.event(call["messageId"], "identify")
        assert row["data"] == traits
        assert json.loads(row["attributes"]["context"]) == {"ip": "203.0.113.0"}


def test_without_a_timestamp_the_original_one_or_that_of_receipt_counts(shop: Shop) -> None:
    old = (clock.now() - timedelta(hours=2)).isoformat()
    call = shop.call(timestamp=..., originalTimestamp=old)
    assert_taken(shop.send("track", call))
    assert shop.event(call["messageId"])["occurred_at"] == datetime.fromisoformat(old)
    call = shop.call(timestamp=...)
    for _ in range(2):  # its identity is the ledger's
        assert_taken(shop.send("track", call))
    row = shop.event(call["messageId"])
    assert row["occurred_at"] == row["received_at"]


# --- which stream is meant ---


def test_an_alias_is_taken_before_the_made_name(world: World) -> None:
    shop = Shop(world, has_streams=False)
    shop.streams["aliased"] = world.stream(True, aliases=("Order Shipped ✓",))
    shop.streams["made"] = world.stream(True, name=f"{shop.domain}.order_shipped")
    call = shop.call(event="Order Shipped ✓")
    assert_taken(shop.batch(call, shop.call(event="orderShipped")))
    shop.event(call["messageId"], "aliased")
    assert len(shop.events("made")) == 1


@pytest.mark.parametrize("name", ["注文完了", "✗✗", "F" * 200])
def test_a_name_that_makes_none_of_ours_is_taken_by_its_alias(world: World, name: str) -> None:
    shop = Shop(world, has_streams=False)
    before = shop.call(event=name)
    assert_taken(shop.send("track", before))
    (letter,) = shop.letters()
    assert (letter["event_id"], letter["reason"]) == (before["messageId"], "envelope_invalid")
    shop.streams["aliased"] = world.stream(True, aliases=(name,))
    call = shop.call(event=name)
    assert_taken(shop.batch(call, shop.call(event=name)))
    assert shop.event(call["messageId"], "aliased")["data"] == call["properties"]
    assert len(shop.events("aliased")) == 2


def test_an_alias_of_what_may_not_be_sent_to_gives_way_to_the_producers_own(world: World) -> None:
    shop = Shop(world, has_streams=False, globs=("own_*.*",), default_domain="own-one")
    world.stream(True, aliases=("Cart Emptied",))
    shop.streams["own"] = world.stream(True, name="own_one.cart_emptied")
    call = shop.call(event="Cart Emptied")
    assert_taken(shop.send("track", call))
    shop.event(call["messageId"], "own")


def test_a_hidden_stream_of_that_alias_is_not_there(world: World) -> None:
    shop = Shop(world, has_streams=False, globs=("own_*.*",), default_domain="own-two")
    world.stream(True, aliases=("Secret Deal",), restricted=True)
    world.stream(True, aliases=("Open Deal",))
    assert_taken(shop.batch(shop.call(event="Secret Deal"), shop.call(event="Open Deal")))
    assert sorted((row["reason"], row["type"]) for row in shop.letters()) == [
        ("not_permitted", "Open Deal"),
        ("unknown_stream", "own_two.secret_deal"),
    ]


def test_identify_means_the_producers_own_stream_before_an_alias(world: World, shop: Shop) -> None:
    world.stream(True, aliases=("identify",))
    call = shop.call(type="identify", event=..., properties=..., traits={})
    assert_taken(shop.send("identify", call))
    shop.event(call["messageId"], "identify")


def test_a_producer_without_a_default_domain_has_its_own_name(world: World) -> None:
    shop = Shop(world, has_streams=False)
    assert shop.producer.default_domain == ""
    name = f"{shop.producer.name.replace('-', '_')}.order_completed"
    shop.streams["order_completed"] = world.stream(True, name=name)
    call = shop.call()
    assert_taken(shop.send("track", call))
    shop.event(call["messageId"])


def test_an_event_of_no_stream_waits_as_a_discovered_one(world: World, shop: Shop) -> None:
    call = shop.call(event="Somebody Sneezed", context={"ip": "203.0.113.9"})
    assert_taken(shop.send("track", call))
    name = f"{shop.domain}.somebody_sneezed"
    (letter,) = [row for row in shop.letters() if row["event_id"] == call["messageId"]]
    assert (letter["reason"], letter["type"]) == ("unknown_stream", name)
    assert DiscoveredStream.objects.get(type=name).events == 1
    stream = world.stream(True, name=name)
    sent_again = post(
        bytes(letter["body"]),
        {"content-type": letter["content_type"], "authorization": f"Bearer {shop.key}"},
    )
    assert sent_again.json["accepted"] == 1, "what is kept goes in at the other door as it is"
    assert_taken(shop.send("track", call))
    assert len(world.events(stream)) == 1, "and is the same event as the call"


def test_a_stream_registered_a_moment_ago_is_known(world: World, shop: Shop) -> None:
    for name in ("Just Registered", "just registered too"):
        assert_taken(shop.send("track", shop.call(event=name)))
        made = f"{shop.domain}.{name.lower().replace(' ', '_')}"
        stream = world.stream(True, name=made)
        assert_taken(shop.send("track", shop.call(event=name)))
        assert len(world.events(stream)) == 1


def test_no_look_up_is_made_for_names_that_are_known(shop: Shop) -> None:
    counts: list[int] = []
    while 0 not in counts and len(counts) < 5:  # the database may tell of what was made before
        assert_taken(shop.batch(shop.call(), shop.call(type="page", event=...)))
        with CaptureQueriesContext(connection) as seen:
            assert_taken(shop.batch(shop.call(), shop.call(type="page", event=...)))
        counts.append(len(seen))
    assert 0 in counts, counts


def test_a_declared_source_does_not_keep_this_protocol_out(world: World) -> None:
    shop = Shop(world, sources=("/mine",))
    call = shop.call()
    assert_taken(shop.send("track", call))
    shop.event(call["messageId"])


# --- again and otherwise ---


def test_a_retry_is_a_duplicate_whatever_its_sent_at_and_counters(world: World) -> None:
    shop = Shop(world)
    call = shop.call(context={"a": 1, "b": 2})
    now = clock.now()
    for attempt in range(3):
        changed = call | {
            "context": dict(reversed(call["context"].items())),
            "_metadata": {"retryCount": attempt},
        }
        sent_at = (now + timedelta(hours=attempt)).isoformat()
        assert_taken(shop.batch(changed, sentAt=sent_at))
    totals = world.totals(shop.streams["order_completed"].pk, shop.producer)
    assert totals == {"received": 3, "accepted": 1, "duplicate": 2, "dead_lettered": 0}


def test_the_recorded_retries_of_the_python_sdk_are_one_event(world: World) -> None:
    shop = Shop(world, has_streams=False)
    shop.streams["e"] = world.stream(True, name=f"{shop.domain}.e", late_seconds=3_660 * 86_400)
    for request in recorded("segment_retries"):
        assert_taken(replay(request, shop.key))
    assert len(shop.events("e")) == 1


def test_the_same_id_with_other_content_is_a_conflict(shop: Shop) -> None:
    call = shop.call()
    assert_taken(shop.send("track", call))
    assert_taken(shop.send("track", call | {"properties": {"revenue": 13}}))
    assert shop.event(call["messageId"])["data"] == {"revenue": 12.5}
    (letter,) = [row for row in shop.letters() if row["event_id"] == call["messageId"]]
    assert letter["reason"] == "id_conflict"


@pytest.mark.parametrize("minutes", [-90, 90])
def test_a_wrong_clock_is_kept_for_display_and_changes_no_time(shop: Shop, minutes: int) -> None:
    there = clock.now() + timedelta(minutes=minutes)
    call = shop.call(timestamp=(there - timedelta(seconds=5)).isoformat())
    assert_taken(shop.batch(call, sentAt=there.isoformat()))
    row = shop.event(call["messageId"])
    assert row["occurred_at"] == datetime.fromisoformat(call["timestamp"])
    assert row["attributes"][SKEW] == pytest.approx(-minutes * 60_000, abs=20_000)
    corrected = stored_events.corrected_time(row["occurred_at"], row["attributes"])
    assert corrected is not None
    assert abs(corrected - (clock.now() - timedelta(seconds=5))) < timedelta(seconds=20)


def test_within_a_minute_no_clock_is_wrong(shop: Shop) -> None:
    call = shop.call()
    assert_taken(shop.batch(call, sentAt=(clock.now() - timedelta(seconds=50)).isoformat()))
    row = shop.event(call["messageId"])
    assert row["attributes"] == {"event": "Order Completed"}
    assert stored_events.corrected_time(row["occurred_at"], row["attributes"]) is None
    odd: object
    for odd in ("yesterday", 5, None, {}):
        assert_taken(shop.batch(shop.call(), sentAt=odd))


# --- dead letters ---


def test_a_call_that_breaks_its_contract_is_a_success_and_a_dead_letter(world: World) -> None:
    shop = Shop(world, has_streams=False)
    shop.streams["order_completed"] = world.stream(name=f"{shop.domain}.order_completed")
    bad = shop.call(properties={"order": 1})
    good = shop.call(properties={"order": "a"})
    assert_taken(shop.batch(bad, good))
    assert shop.event(good["messageId"])
    (letter,) = shop.letters()
    assert (letter["reason"], letter["event_id"]) == ("schema_violation", bad["messageId"])
    errors = (
        letter["errors"] if isinstance(letter["errors"], list) else json.loads(letter["errors"])
    )
    assert errors[0]["pointer"] == "/data/order", "within the event that is kept"
    assert json.loads(bytes(letter["body"]))["data"] == {"order": 1}


@pytest.mark.parametrize(
    ("app", "version"),
    [
        ({"version": "2.14.0", "build": "9"}, "2.14.0"), ({"version": 3}, "3"),
        ({"version": {"n": 1}}, None), ({"version": "v" * 101}, None), ("shop", None), (None, None),
    ],
)  # fmt: skip
def test_dead_letters_of_one_release_of_an_application_are_one_group(
    world: World, app: Any, version: str | None
) -> None:
    shop = Shop(world, has_streams=False)
    shop.streams["order_completed"] = world.stream(name=f"{shop.domain}.order_completed")
    good = shop.call(properties={"order": "a"})
    bad = [shop.call(properties={"order": 1}) for _ in range(2)]
    # Said once for the batch; the second call says nothing of its application.
    assert_taken(shop.batch(good, bad[0], context={"app": app}))
    assert_taken(shop.batch(bad[1]))
    assert shop.event(good["messageId"])["attributes"].get("producerversion") == version
    first, second = (
        next(row["group_key"] for row in shop.letters() if row["event_id"] == call["messageId"])
        for call in bad
    )
    assert first == (f"{second}|producerversion={version}" if version else second)


FAULTS: list[tuple[Any, str, str]] = [
    (7, "envelope_invalid", ""),
    ({"type": "track", "event": "E"} | {"timestamp": "yesterday"}, "envelope_invalid", "/time"),
    ({"type": "track", "event": "E"} | {"timestamp": 5}, "envelope_invalid", "/time"),
    ({"type": "track", "event": "E"} | {"userId": "u" * 257}, "envelope_invalid", "/subject"),
    ({"type": "dance", "event": "E"}, "envelope_invalid", "/type"),
    ({"type": ["track"], "event": "E"}, "envelope_invalid", "/type"),
    ({"event": "E"}, "envelope_invalid", "/type"),
    ({"type": "track"}, "envelope_invalid", "/event"),
    ({"type": "track", "event": 7}, "envelope_invalid", "/event"),
    ({"type": "track", "event": "✓✓"}, "envelope_invalid", "/event"),
    ({"type": "track", "event": "E" * 200}, "envelope_invalid", "/event"),
    ({"type": "track", "event": "E", "properties": {"a": "x\0y"}}, "limit_exceeded", "/data/a"),
    ({"type": "track", "event": "E", "properties": {"a": 10**400}}, "limit_exceeded", "/data/a"),
    ({"type": "track", "event": "E", "context": {"a": "x\0y"}}, "limit_exceeded", "/context"),
]


@pytest.mark.parametrize("place", range(len(FAULTS)))
def test_a_fault_of_one_call_is_that_calls_own(world: World, place: int) -> None:
    item, reason, pointer = FAULTS[place]
    shop = Shop(world)
    good = shop.call()
    assert_taken(shop.batch(good, item))
    assert shop.event(good["messageId"])
    (letter,) = shop.letters()
    errors = (
        letter["errors"] if isinstance(letter["errors"], list) else json.loads(letter["errors"])
    )
    assert (letter["reason"], errors[0]["pointer"]) == (reason, pointer)


def test_a_lone_surrogate_spoils_only_its_own_call(world: World) -> None:
    shop = Shop(world)
    good, bad = shop.call(), shop.call(properties={"a": "@"})
    body = json.dumps({"batch": [bad, good], "context": {"a": "@"}}).replace('"@"', '"\\ud800"', 1)
    assert_taken(shop.send("batch", body.encode()))
    assert shop.event(good["messageId"])
    (letter,) = shop.letters()
    assert (letter["event_id"], letter["reason"]) == (bad["messageId"], "limit_exceeded")


def test_no_key_stands_in_what_is_kept(world: World) -> None:
    shop = Shop(world)
    secret = shop.key.rpartition("_")[2] if shop.key.count("_") == 3 else shop.key[17:]
    for body in (
        {"writeKey": shop.key, "batch": [{"writeKey": shop.key, "type": "dance"}]},
        {"writeKey": shop.key, "batch": [shop.call(writeKey=shop.key, event="Unheard Of")]},
    ):
        assert_taken(shop.send("batch", body))
    broken = f'{{"writeKey": "{shop.key}", "batch": [}}'.encode()
    said = assert_refused(shop.send("batch", broken), 400, "malformed_json")
    letters = shop.letters()
    assert len(letters) == 3
    assert said["dead_letter"] in {str(letter["id"]) for letter in letters}
    for letter in letters:
        assert secret.encode() not in bytes(letter["body"])


@pytest.mark.parametrize(
    ("body", "code"),
    [(b"", "malformed_json"), (b"{", "malformed_json"), (b"a=1&b=2", "malformed_json"),
     (b'{"batch": [NaN]}', "malformed_json"), (b'{"batch": [], "batch": []}', "duplicate_key"),
     (b"[]", "shape"), (b'{"batch": {}}', "shape"), (b"{}", "shape"), (b"null", "shape"),
     (b'{"batch": [' + b"[" * 300 + b"]" * 300 + b"]}", "too_deep"), (b"\xff\xfe", "malformed_json")],
)  # fmt: skip
def test_a_body_that_cannot_be_read_is_a_400_and_kept(shop: Shop, body: bytes, code: str) -> None:
    said = assert_refused(shop.send("batch", body), 400, code)
    (letter,) = [row for row in shop.letters() if str(row["id"]) == said["dead_letter"]]
    assert letter["reason"] == "unparsable"
    assert bytes(letter["body"]) == body


def test_a_call_of_more_than_32_kb_is_a_400_and_nothing_of_its_batch_is_lost(world: World) -> None:
    shop = Shop(world)
    good, large = shop.call(), shop.call(properties={"text": "x" * 33_000})
    assert_refused(shop.batch(good, large), 400, "too_large")
    assert shop.events() == [], "of a 400 no event is accepted"
    letters = {row["event_id"]: row for row in shop.letters()}
    assert set(letters) == {good["messageId"], large["messageId"]}
    assert {row["reason"] for row in letters.values()} == {"limit_exceeded"}
    assert json.loads(bytes(letters[good["messageId"]]["body"]))["data"] == good["properties"]
    assert_taken(shop.batch(good))
    assert shop.event(good["messageId"]), "sent without the large one it is accepted"
    alone = shop.call(properties={"text": "x" * 33_000})
    assert_refused(shop.send("track", alone), 400, "too_large")
    assert_refused(
        shop.send("track", shop.call(properties={"a": [10**30] * 9_000})), 400, "too_large"
    )
    fits = shop.call(properties={"text": ""})
    fits["properties"]["text"] = "x" * (32 * 1024 - len(json.dumps(fits)))
    assert_taken(shop.send("track", fits))


def test_a_body_of_more_than_500_kb_is_a_400(shop: Shop) -> None:
    calls = [shop.call(properties={"text": "x" * 30_000}) for _ in range(17)]
    body = json.dumps({"batch": calls}).encode()
    before = len(shop.letters())
    for sent, encoding in (
        (body, ""),
        (gzip.compress(body), "gzip"),
        (zstandard.compress(body), "zstd"),
    ):
        assert_refused(shop.send("batch", sent, content_encoding=encoding), 400, "too_large")
    assert_refused(shop.send("batch", b"{}", content_length="600000"), 400, "too_large")
    assert_refused(shop.batch(*[0] * 5_001), 400, "too_large")
    assert len(shop.letters()) == before
    few = json.dumps({"batch": calls[:16]}).encode()
    assert 256 * 1024 < len(few) < MAX_BODY_BYTES
    assert_taken(shop.send("batch", gzip.compress(few), content_encoding="gzip"))


# --- keys ---


@pytest.mark.parametrize("form", ["basic", "bearer", "body", "basic and body", "wrong and body"])
def test_a_key_is_taken_from_each_place_and_from_several(shop: Shop, form: str) -> None:
    call = shop.call()
    body: dict[str, Any] = {"batch": [call]}
    if "body" in form:
        body["writeKey"] = shop.key
    authorization = {
        "basic": basic(shop.key), "bearer": f"Bearer {shop.key}", "body": "",
        "basic and body": basic(shop.key), "wrong and body": "Bearer a-token-of-somebody-else",
    }[form]  # fmt: skip
    assert_taken(shop.send("batch", body, authorization=authorization))
    single = shop.call(**({"writeKey": shop.key} if "body" in form else {}))
    assert_taken(shop.send("t", single, authorization=authorization))
    packed = gzip.compress(json.dumps(body | {"batch": [shop.call()]}).encode())
    assert_taken(shop.send("b", packed, authorization=authorization, content_encoding="gzip"))
    assert shop.event(call["messageId"])
    assert shop.event(single["messageId"])


@pytest.mark.parametrize(
    ("authorization", "body"),
    [("", {}), ("", {"writeKey": "wk"}), ("", {"writeKey": 5}), ("", {"writeKey": None}),
     ("Basic d2s6", {}), ("Bearer x", {"writeKey": "wk"}), ("Bearer x", b"{"),
     ("", {"batch": [{"writeKey": "wk"}]})],
)  # fmt: skip
def test_no_key_or_a_wrong_one_is_a_401(shop: Shop, authorization: str, body: object) -> None:
    for word in ("batch", "track", "t"):
        answer = shop.send(word, body, authorization=authorization)
        assert_refused(answer, 401, "invalid_write_key")
        assert answer.headers["www-authenticate"]


def test_without_any_key_a_body_that_cannot_be_read_is_a_400(shop: Shop) -> None:
    before = len(shop.world.dead_letters())
    said = assert_refused(shop.send("batch", b"{", authorization=""), 400, "malformed_json")
    assert "dead_letter" not in said
    assert len(shop.world.dead_letters()) == before


def test_other_kinds_of_keys_and_ended_ones_are_a_401(world: World) -> None:
    for fields in ({"revoked_at": clock.now()}, {"expires_at": clock.now() - timedelta(seconds=1)},
                   {"kind": "cons"}):  # fmt: skip
        shop = Shop(world, has_streams=False)
        shop.key = world.key(shop.producer, **fields)
        assert_refused(shop.batch(shop.call()), 401, "invalid_write_key")
        assert_refused(
            shop.send("batch", {"writeKey": shop.key, "batch": []}, authorization=""),
            401, "invalid_write_key",
        )  # fmt: skip


def test_a_key_in_the_address_is_refused_and_other_parameters_are_not_read(shop: Shop) -> None:
    body = json.dumps(shop.call()).encode()
    head = {"authorization": basic(shop.key)}
    answer = post(body, head, path="/v1/track", query=f"writeKey={shop.key}")
    assert_refused(answer, 400, "key_in_query")
    assert shop.key.encode() not in answer.body
    assert_taken(post(body, head, path="/v1/track", query="ip=1&_=17&%ff"))


def test_a_key_that_may_publish_nothing_is_a_403(world: World) -> None:
    shop = Shop(world, has_streams=False, globs=())
    assert_refused(shop.batch(shop.call()), 403, "not_permitted")


# --- heads ---


@pytest.mark.parametrize(
    "content_type",
    ["", "text/plain", "text/plain;charset=UTF-8", "application/x-www-form-urlencoded",
     "application/x-www-form-urlencoded; charset=ISO-8859-1", "multipart/form-data; boundary=x",
     "application/cloudevents+json", "nonsense"],
)  # fmt: skip
@pytest.mark.parametrize("encoding", ["", "gzip", "zstd"])
@pytest.mark.parametrize("says_so", [True, False])
def test_a_content_type_may_lie_and_packing_may_be_kept_quiet(
    shop: Shop, content_type: str, encoding: str, says_so: bool
) -> None:
    call = shop.call(properties={"text": "größer ✓"})
    body = json.dumps({"batch": [call]}).encode()
    body = {"": body, "gzip": gzip.compress(body), "zstd": zstandard.compress(body)}[encoding]
    said = encoding if says_so else ""
    assert_taken(shop.send("batch", body, content_type=content_type, content_encoding=said))
    assert shop.event(call["messageId"])["data"] == {"text": "größer ✓"}


def test_what_is_packed_otherwise_is_refused(shop: Shop) -> None:
    answer = shop.send("batch", {"batch": []}, content_encoding="br")
    assert_refused(answer, 415, "unsupported_media_type")
    said = assert_refused(
        shop.send("batch", b"{}", content_encoding="gzip"), 400, "malformed_encoding"
    )
    assert said["dead_letter"]
    assert_refused(
        shop.send("batch", b"{}", content_encoding="gzip", authorization=""), 400,
        "malformed_encoding",
    )  # fmt: skip


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH"])
def test_other_methods_are_a_405_in_the_protocols_shape(shop: Shop, method: str) -> None:
    answer = post(b"", {"authorization": basic(shop.key)}, path="/v1/track", method=method)
    assert_refused(answer, 405, "method_not_allowed")
    assert "POST" in answer.headers["allow"]


def test_the_host_and_headers_that_come_twice_are_looked_at(shop: Shop) -> None:
    body = json.dumps(shop.call()).encode()
    head = [("authorization", basic(shop.key))]
    for more, code in (([("host", "evil.example")], "host"), (head, "header")):
        assert_refused(post(body, [*head, *more], path="/v1/track"), 400, code)


def test_a_full_portal_says_when_to_come_again(world: World, settings: Any) -> None:
    shop = Shop(world, has_streams=False)
    close_writer()
    settings.INGEST_QUEUE_EVENTS = 0
    try:
        answers = [
            shop.batch(shop.call()),
            shop.send("batch", {"writeKey": shop.key, "batch": []}, authorization=""),
        ]
    finally:
        close_writer()
    for answer in answers:
        assert_refused(answer, 503, "unavailable")
        assert 1 <= int(answer.headers["retry-after"]) <= 60


def test_beyond_its_quota_a_key_waits_wherever_it_stands(world: World) -> None:
    shop = Shop(world, has_streams=False)
    shop.key = world.key(shop.producer, events_per_second=1)
    for authorization in (basic(shop.key), ""):
        quotas.clear()
        bodies = {"writeKey": shop.key, "batch": [shop.call() for _ in range(5)]}
        answers = [shop.send("batch", bodies, authorization=authorization) for _ in range(2)]
        assert_taken(answers[0])
        assert_refused(answers[1], 429, "rate_limited")
        assert 1 <= int(answers[1].headers["retry-after"]) <= 60


# --- browsers ---


@pytest.mark.parametrize("word", ["t", "track", "batch/", "projects"])
def test_a_preflight_is_answered_without_a_key(shop: Shop, word: str) -> None:
    asked = {
        "origin": ORIGIN,
        "access-control-request-method": "POST",
        "access-control-request-headers": "authorization,content-type,x-retry-count",
    }
    if word == "projects":
        answer = settings_of(shop.key, method="options", **asked)
    else:
        answer = post(b"", asked, path=f"/v1/{word}", method="OPTIONS")
    assert answer.status == 204
    assert answer.headers["access-control-allow-origin"] == ORIGIN
    allowed = answer.headers["access-control-allow-headers"].split(", ")
    assert {"authorization", "content-type", "x-retry-count"} <= set(allowed)
    assert "access-control-allow-credentials" not in answer.headers


@pytest.fixture(scope="module")
def page(world: World, shop: Shop) -> str:
    """A browser-safe key of the shop."""
    return world.key(shop.producer, browser_origins=[ORIGIN])


@pytest.mark.parametrize("authorization", ["basic", ""])
def test_a_browser_safe_key_is_held_to_its_origins(
    shop: Shop, page: str, authorization: str
) -> None:
    head = {"authorization": basic(page) if authorization else "", "content_type": "text/plain"}
    body = shop.call(writeKey=page)
    answer = shop.send("t", body, origin=ORIGIN, **head)
    assert_taken(answer)
    assert answer.headers["access-control-allow-origin"] == ORIGIN
    assert "Retry-After" in answer.headers["access-control-expose-headers"]
    foreign = shop.send("t", shop.call(writeKey=page), origin="https://evil.example", **head)
    assert_refused(foreign, 403, "origin")
    assert "access-control-allow-origin" not in foreign.headers


def test_a_page_can_read_why_it_was_refused(shop: Shop) -> None:
    for answer in (
        shop.send("t", {"writeKey": "wk"}, origin=ORIGIN, authorization=""),
        shop.send("t", b"{", origin=ORIGIN),
        settings_of("wk", origin=ORIGIN),
    ):
        assert answer.status in (400, 401)
        assert answer.headers["access-control-allow-origin"] == ORIGIN


def test_a_servers_key_serves_a_page_that_cannot_read_the_answer(shop: Shop) -> None:
    answer = shop.send("t", shop.call(), origin=ORIGIN)
    assert_taken(answer)
    assert "access-control-allow-origin" not in answer.headers


def settings_of(key: str, *, method: str = "get", slash: str = "", **headers: str) -> Answer:
    client = Client(enforce_csrf_checks=True)
    given = {name.replace("-", "_"): value for name, value in headers.items()}
    found = client.generic(
        method.upper(), f"/v1/projects/{key}/settings{slash}",
        headers={name.replace("_", "-"): value for name, value in given.items()},
    )  # fmt: skip
    return Answer(
        found.status_code, {name.lower(): value for name, value in found.items()}, found.content
    )


@pytest.mark.parametrize("slash", ["", "/"])
def test_the_settings_say_where_to_send(shop: Shop, page: str, slash: str) -> None:
    answer = settings_of(page, slash=slash, origin=ORIGIN, host="localhost:8000")
    assert answer.status == 200
    assert answer.json == {
        "integrations": {"Segment.io": {"apiKey": page, "apiHost": "localhost:8000/v1"}}
    }
    assert answer.headers["access-control-allow-origin"] == ORIGIN
    assert "set-cookie" not in answer.headers
    foreign = settings_of(page, slash=slash, origin="https://evil.example")
    assert_refused(foreign, 403, "origin")
    assert_refused(settings_of("wk", slash=slash), 401, "invalid_write_key")
    assert_refused(settings_of(page, slash=f"{slash}?writeKey={page}"), 400, "key_in_query")
    assert_refused(settings_of(page, slash=slash, method="post"), 405, "method_not_allowed")


def test_the_django_views_answer_as_the_raw_road_does(shop: Shop, page: str) -> None:
    client = Client(enforce_csrf_checks=True)
    call = shop.call()

    def ask(word: str, body: object, **headers: str) -> Any:
        raw = body if isinstance(body, bytes) else json.dumps(body)
        return client.generic(
            "POST", f"/v1/{word}", raw, content_type="text/plain", headers=headers
        )

    auth = {"Authorization": basic(shop.key)}
    cases = [
        (ask("track", call, **auth), 200, None),
        (ask("t/", call | {"writeKey": page}, Origin=ORIGIN), 200, None),
        (ask("batch", {"batch": [shop.call(event="x" * 33_000)]}, **auth), 400, "too_large"),
        (ask("batch", b"{", **auth), 400, "malformed_json"),
        (ask("batch", b"{", Authorization="Bearer x"), 401, "invalid_write_key"),
        (ask("b", b"x" * 600_000, **auth), 400, "too_large"),
        (client.get("/v1/track"), 405, "method_not_allowed"),
    ]
    for answer, status, code in cases:
        assert answer.status_code == status, answer.content
        assert answer.json() == {"success": True} if code is None else answer.json()["code"] == code
        assert not answer.cookies
    assert cases[1][0]["Access-Control-Allow-Origin"] == ORIGIN
    assert shop.event(call["messageId"])
    preflight = client.options("/v1/t", headers={"Origin": ORIGIN})
    assert (preflight.status_code, preflight["Access-Control-Allow-Origin"]) == (204, ORIGIN)


# --- recorded requests ---


def recorded(name: str) -> Iterator[dict[str, Any]]:
    for line in (WIRE / f"{name}.jsonl").read_text().splitlines():
        yield json.loads(line)


def replay(request: dict[str, Any], key: str) -> Answer:
    """Send a recorded request with a key of ours where its own stood."""
    headers = [
        (name, basic(key) if name.lower() == "authorization" else value)
        for name, value in request["headers"]
        if name.lower() not in {"content-length", "connection", "host"}
    ]
    body = request["body"].replace('"wk_test"', f'"{key}"').replace('"wk"', f'"{key}"').encode()
    body = gzip.compress(body) if request["encoding"] == "gzip" else body
    return post(body, headers, path=request["path"])


def is_ours(request: dict[str, Any]) -> bool:
    return bool(request["path"].startswith("/v1/"))


def test_every_recorded_request_of_the_server_sdks_is_accepted_and_then_a_duplicate(
    world: World,
) -> None:
    shop = Shop(world, default_domain="recorded-servers")
    scrolled = world.stream(True, name=f"{shop.domain}.page_scrolled")
    shop.streams["page_scrolled"] = scrolled
    requests = [request for request in recorded("segment_servers") if is_ours(request)]
    assert len(requests) == 7
    calls = [call for request in requests for call in json.loads(request["body"])["batch"]]
    for _ in range(2):
        for request in requests:
            assert_taken(replay(request, shop.key))
    by_stream = {name: shop.events(name) for name in shop.streams}
    ids = {row["event_id"]: (name, row) for name, rows in by_stream.items() for row in rows}
    assert sum(len(rows) for rows in by_stream.values()) == len(calls) == len(ids)
    assert shop.letters() == []
    for call in calls:
        name, row = ids[call["messageId"]]
        expected = {"Order Completed": "order_completed", "Page Scrolled ✓": "page_scrolled"}.get(
            call.get("event", ""), call["type"]
        )
        assert name == expected
        assert row["subject"] == (call.get("userId") or call.get("anonymousId"))
        sent = call.get("timestamp") or call["originalTimestamp"]
        assert row["occurred_at"] == datetime.fromisoformat(sent).astimezone(UTC)
        traits = call["context"].get("traits") if call["type"] == "identify" else None
        assert row["data"] == (call.get("properties") or call.get("traits") or traits or {})


def test_every_recorded_request_of_the_browser_sdk_is_accepted(world: World) -> None:
    shop = Shop(world, default_domain="recorded-browser")
    key = world.key(shop.producer, browser_origins=[ORIGIN])
    requests = list(recorded("segment_browser"))
    assert {request["path"] for request in requests} == {f"/v1/{word}" for word in "iptgsab"}
    for request in requests:
        answer = replay(request, key)
        assert_taken(answer)
        assert answer.headers["access-control-allow-origin"] == ORIGIN
    bodies = [json.loads(request["body"]) for request in requests]
    calls = [call for body in bodies for call in body.get("batch", [body])]
    stored = [row for name in shop.streams for row in shop.events(name)]
    assert {row["event_id"] for row in stored} == {call["messageId"] for call in calls}
    for row in stored:
        assert json.loads(row["attributes"]["context"])["library"]["name"] == "analytics.js"
        assert key not in json.dumps(row, default=str)


def test_addresses_of_other_products_are_none_of_ours() -> None:
    """The recordings hold PostHog's clients too, which speak otherwise and to other addresses."""
    others = [request for request in recorded("segment_servers") if not is_ours(request)]
    assert {request["path"] for request in others} == {"/batch/"}
    answer = Client(enforce_csrf_checks=True).post("/batch/", "{}", content_type="text/plain")
    assert answer.status_code == 404


def test_the_directory_forgets_what_names_meant(world: World, shop: Shop) -> None:
    """A name that gets an alias is meant by it from then on."""
    assert_taken(shop.send("track", shop.call()))
    other = world.stream(True, aliases=("Order Completed",))
    try:
        admission.directory.forget()  # as the database's notice makes it
        call = shop.call()
        assert_taken(shop.send("track", call))
        assert [row["event_id"] for row in world.events(other)] == [call["messageId"]]
    finally:
        other.aliases.all().delete()
        admission.directory.forget()
