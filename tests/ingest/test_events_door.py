"""What `interfaces.md` §1 and §2 say of heads, pages and sizes at the door of CloudEvents."""

import base64
import gzip
import json
import os
import uuid
from typing import Any

import pytest
import zstandard
from django.test import Client

from catalog.models import Stream
from portal.kernel import clock
from tests.ingest.conftest import Answer, World, post

ONE = "application/cloudevents+json"
MANY = "application/cloudevents-batch+json"
LINES = "application/x-ndjson"
ORIGIN = "https://shop.example.org"


@pytest.fixture(scope="module")
def stream(world: World) -> Stream:
    return world.stream(True)


@pytest.fixture(scope="module")
def key(world: World) -> str:
    return world.key(world.producer())


def event(stream: Stream, **changes: Any) -> dict[str, Any]:
    made = {"specversion": "1.0", "id": str(uuid.uuid4()), "source": "/tests",
            "type": stream.name, "time": clock.now().isoformat(), "data": {"order": "a"}}  # fmt: skip
    return {name: value for name, value in (made | changes).items() if value is not ...}


def send(key: str, body: object, content_type: str = ONE, query: str = "", **more: str) -> Answer:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    named = {name.replace("_", "-"): value for name, value in more.items()}
    head = {"authorization": f"Bearer {key}", "content-type": content_type} | named
    return post(raw, {name: value for name, value in head.items() if value}, query=query)


# --- credentials ---


def test_a_key_is_not_read_where_nothing_says_so(stream: Stream, key: str) -> None:
    for more in ({"x_api_key": key}, {"cookie": f"sessionid={key}"}):
        answer = send(key, event(stream), authorization="", **more)
        assert (answer.status, answer.json["code"]) == (401, "unauthenticated")
    inside = send(key, event(stream) | {"writeKey": key}, authorization="")
    assert inside.status == 401, "a body that names a key is another protocol's way"


def test_no_answer_sets_a_cookie_or_leads_elsewhere(stream: Stream, key: str) -> None:
    client = Client(enforce_csrf_checks=True)
    for slash in ("", "/"):
        for method in ("POST", "GET", "OPTIONS"):
            raw = post(json.dumps(event(stream)).encode(), {"authorization": f"Bearer {key}",
                       "content-type": ONE}, path=f"/v1/events{slash}", method=method)  # fmt: skip
            twin = client.generic(
                method, f"/v1/events{slash}", json.dumps(event(stream)), content_type=ONE,
                headers={"Authorization": f"Bearer {key}"},
            )  # fmt: skip
            assert raw.status == twin.status_code
            assert raw.status in (202, 204, 405)
            assert "set-cookie" not in raw.headers
            assert not twin.cookies


# --- browsers ---


@pytest.fixture(scope="module")
def page(world: World) -> str:
    return world.key(world.producer(), browser_origins=[ORIGIN])


def test_a_preflight_answers_the_origins_of_live_keys_alone(page: str) -> None:
    asked = {"access-control-request-headers": "authorization, content-type, ce-id, x-evil"}
    head = asked | {"origin": ORIGIN}
    answer = post(b"", head, method="OPTIONS")
    assert answer.status == 204
    assert answer.headers["access-control-allow-origin"] == ORIGIN
    assert answer.headers["access-control-allow-headers"] == "authorization, content-type, ce-id"
    assert "access-control-allow-credentials" not in answer.headers
    for origin in ("https://evil.example", "null", ORIGIN + "."):
        foreign = post(b"", asked | {"origin": origin}, method="OPTIONS")
        assert foreign.status == 204
        assert "access-control-allow-origin" not in foreign.headers
        assert foreign.headers["vary"] == "Origin"


def test_a_browser_safe_key_is_held_to_its_origins(stream: Stream, page: str) -> None:
    answer = send(page, event(stream), origin=ORIGIN)
    assert answer.status == 202
    assert answer.headers["access-control-allow-origin"] == ORIGIN
    refused = send(page, b"{", "text/plain", origin=ORIGIN)
    assert refused.status == 415
    assert refused.headers["access-control-allow-origin"] == ORIGIN, "a page reads refusals too"
    for origin in ("https://evil.example", "null"):
        foreign = send(page, event(stream), origin=origin)
        assert (foreign.status, foreign.json["code"]) == (403, "origin")
        assert "access-control-allow-origin" not in foreign.headers
    assert send(page, event(stream)).status == 202, "without an origin no page sends it"


# --- sizes ---


def test_lines_are_counted_like_a_batch(key: str) -> None:
    assert send(key, b"{}\n" * 5_001, LINES).status == 413
    assert send(key, b"{}\n" * 10 + b"\n" * 6_000, LINES).json["received"] == 10
    assert send(key, b"\n \r\n", LINES).json["code"] == "malformed_json"


@pytest.mark.parametrize(
    ("encoding", "pack"), [("gzip", gzip.compress), ("zstd", zstandard.compress)]
)
def test_unpacked_a_body_has_20_mib_and_50_times_what_was_sent(
    key: str, encoding: str, pack: Any
) -> None:
    by_ten = b"".join(os.urandom(500).hex().encode() * 10 for _ in range(2_200))  # 22 MB
    packed = pack(b'"' + by_ten + b'"')
    assert len(packed) < 5 * 1024 * 1024
    assert len(by_ten) / len(packed) < 50
    answer = send(key, packed, MANY, content_encoding=encoding)
    assert (answer.status, answer.json["code"]) == (413, "too_large")
    assert "20 MiB" in answer.json["detail"]
    for size, status in ((255 * 1024, 400), (257 * 1024, 413)):
        blanks = send(key, pack(b" " * size), MANY, content_encoding=encoding)
        assert blanks.status == status, "below one event's size a bomb does no harm"


def test_each_limit_of_one_event_holds_at_its_bound(stream: Stream, key: str) -> None:
    fits: dict[str, Any] = {
        "text": "x" * 65_536, "k" * 256: 1, "number": 0.1234567890123456789012345678901234567,
        "least": -(2**63), "most": 2**63 - 1, "keys": {str(n): n for n in range(1_000)},
    }  # fmt: skip
    deep: Any = 1
    for _ in range(30):  # beside the event and its data
        deep = [deep]
    assert send(key, event(stream, data=fits | {"deep": deep})).json["accepted"] == 1
    beyond: list[dict[str, Any]] = [
        {"text": "x" * 65_537}, {"k" * 257: 1}, {"least": -(2**63) - 1}, {"most": 2**63},
        {"keys": {str(n): n for n in range(1_001)}}, {"deep": [deep]},
        {"texts": ["x" * 60_000] * 5},
    ]  # fmt: skip
    answer = send(key, [event(stream, data=data) for data in beyond], MANY)
    assert answer.status == 422
    assert [item["reason"] for item in answer.json["results"]] == ["limit_exceeded"] * len(beyond)
    long = json.dumps(event(stream)).replace('"a"', f"0.{'1' * 38}")
    assert send(key, long.encode()).json["accepted"] == 1
    longer = json.dumps(event(stream)).replace('"a"', f"0.{'1' * 39}")
    assert send(key, longer.encode()).json["results"][0]["reason"] == "limit_exceeded"


def test_two_hundred_levels_are_an_events_fault_and_more_the_bodys(
    stream: Stream, key: str
) -> None:
    for levels, status in ((197, 422), (200, 400)):  # in an event, its data and a list
        deep = json.dumps(event(stream, data={"a": 0})).replace(
            '"a": 0', f'"a": {"[" * levels}{"]" * levels}'
        )
        assert send(key, f"[{deep}]".encode(), MANY).status == status


# --- media ---


@pytest.mark.parametrize("parameters", ["; charset=utf-8", ';charset="UTF-8"', "; x=y", ";"])
def test_parameters_after_the_media_type_never_matter(
    stream: Stream, key: str, parameters: str
) -> None:
    for media, body in ((ONE, event(stream)), (MANY, [event(stream)]), (LINES, event(stream))):
        assert send(key, body, media + parameters).json["accepted"] == 1


def test_the_media_type_outranks_headers_of_binary_mode(stream: Stream, key: str) -> None:
    binary = {
        "ce_id": "binary",
        "ce_source": "/b",
        "ce_type": "other.type",
        "ce_specversion": "1.0",
    }
    for media, body in ((ONE, event(stream)), (MANY, [event(stream)]), (LINES, event(stream))):
        assert send(key, body, media, **binary).json["accepted"] == 1
    other = send(key, event(stream), "application/cloudevents+xml", **binary)
    assert other.status == 415


def test_data_that_is_no_json_is_kept_as_it_came(world: World, key: str) -> None:
    stream = world.stream({"type": "string"})
    head = {"ce_source": "/b", "ce_type": stream.name, "ce_specversion": "1.0"}
    for number, (media, body) in enumerate(
        [
            ("text/plain; charset=utf-8", "größer ✓".encode()),
            ("image/png", b"\x89PNG\x00"),
            ("application/json", b'"json"'),
            ("", b'"json too"'),
        ]
    ):
        answer = send(key, body, media, ce_id=f"b{number}", **head)
        assert answer.json["accepted"] == 1, answer.json
    stored = {row["event_id"]: row for row in world.events(stream)}
    assert [stored[f"b{n}"]["data"] for n in (0, 2, 3)] == ['"größer ✓"', '"json"', '"json too"']
    assert bytes(stored["b1"]["data_base64"]) == b"\x89PNG\x00"
    packed = base64.b64encode(b'{"a": 1}').decode()
    refused = send(key, event(stream, data=..., data_base64=packed))
    assert refused.json["results"][0]["reason"] == "schema_violation", "JSON in base64 is unpacked"
    both = send(key, event(stream, data_base64=packed))
    assert both.json["results"][0]["reason"] == "envelope_invalid"


# --- rehearsals and results ---


def test_a_rehearsal_of_what_cannot_be_read_keeps_nothing(world: World, key: str) -> None:
    before = len(world.dead_letters())
    answer = send(key, b"{", query="dry_run=true")
    assert (answer.status, answer.json["code"]) == (400, "malformed_json")
    assert "dead_letter" not in answer.json
    lines = send(key, b"{\n", LINES, query="dry_run=true")
    assert lines.json["results"][0].get("dead_letter") is None
    assert len(world.dead_letters()) == before
    plain = send(key, event(world.streams[0]), query="dry_run=false&results=all")
    assert plain.json["results"][0]["status"] == "accepted"


def test_under_warn_an_accepted_event_tells_its_errors(world: World, key: str) -> None:
    stream = world.stream(enforcement="warn")
    body = [event(stream), event(stream, data={"order": 5})]
    answer = send(key, body, MANY)
    assert answer.json["accepted"] == 2
    (named,) = answer.json["results"]
    assert (named["index"], named["status"]) == (1, "accepted")
    assert named["errors"][0]["pointer"] == "/data/order"


def test_one_event_is_the_same_with_and_without_a_charset(stream: Stream, key: str) -> None:
    """The npm SDK says `application/json; charset=utf-8` in binary mode and nothing in the other."""
    made = event(stream)
    head = {f"ce_{name}": made[name] for name in ("id", "source", "type", "time", "specversion")}
    body = json.dumps(made["data"]).encode()
    answers = [
        send(key, body, "application/json; charset=utf-8", **head),
        send(key, made),
        send(key, body, "application/json", **head),
        send(key, made | {"datacontenttype": "Application/JSON;charset=UTF-8"}),
    ]
    assert [answer.json["accepted"] for answer in answers] == [1, 0, 0, 0]
    assert [answer.json["duplicate"] for answer in answers] == [0, 1, 1, 1]
