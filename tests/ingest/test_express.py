"""The short road answers like the ordinary one, in order, once, and leaves nothing open."""

import json
import socket
from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connection

from ingest.doors import road
from ingest.log.connection import connect
from tests.ingest.conftest import World
from tests.ingest.desk import LINES, MANY, ONE, Desk, open_desk, wait_for_in_hand


@pytest.fixture(scope="module")
def desk(world: World) -> Iterator[Desk]:
    with open_desk(world) as desk:
        yield desk


def comparable(answer: tuple[int, dict[str, str], Any]) -> tuple[int, set[str], Any]:
    status, headers, body = answer
    text = json.dumps(body)
    for number, one in enumerate(_own_ids(body)):
        text = text.replace(one, f"<{number}>")
    return status, set(headers) - {"connection"}, json.loads(text)


def _own_ids(body: Any) -> list[str]:
    """What differs from answer to answer: the request's id and those of dead letters."""
    results = body.get("results", [])
    found = [
        body.get("instance"),
        body.get("dead_letter"),
        *(r.get("dead_letter") for r in results),
    ]
    return [one for one in found if one]


def bodies(desk: Desk, name: str) -> list[tuple[str, bytes, str]]:
    good, other, bad = (
        desk.event(f"{name}-1"),
        desk.event(f"{name}-2", subject="ü", traceparent="00-" + "a" * 32 + "-" + "b" * 16 + "-01"),
        desk.event(f"{name}-3", data={"amount": -1}),
    )
    one, many = json.dumps(good).encode(), json.dumps([good, other, bad, good]).encode()
    return [
        (ONE, one, "/v1/events"),
        (ONE, one, "/v1/events"),
        (MANY, many, "/v1/events"),
        (MANY, json.dumps([bad]).encode(), "/v1/events"),
        (LINES, one + b"\n\n{not json\n" + json.dumps(other).encode(), "/v1/events"),
        (MANY, b"[]", "/v1/events?results=all"),
        (ONE, json.dumps(desk.event(f"{name}-4")).encode(), "/v1/events?dry_run=true"),
        (ONE, json.dumps(desk.event(f"{name}-5", type="no.such")).encode(), "/v1/events"),
        (MANY, one, "/v1/events"),
        (ONE, b'{"a":1,"a":2}', "/v1/events"),
        ("text/html", one, "/v1/events"),
        (ONE, one, "/v1/events?key=1"),
        (
            "application/json",
            json.dumps({"event": "X", "userId": "u", "messageId": f"{name}-6"}).encode(),
            "/v1/track",
        ),
    ]


def test_both_roads_answer_alike(desk: Desk) -> None:
    """The ordinary road is taken by who closes the connection after the answer."""
    for number in range(13):
        short = desk.send(*bodies(desk, f"short-{number}")[number])
        long = desk.send(*bodies(desk, f"long--{number}")[number], "Connection: close")
        found, expected = comparable(short), comparable(long)
        assert found[:2] == expected[:2]
        assert json.dumps(found[2]) == json.dumps(expected[2]).replace("long--", "short-")
    wait_for_in_hand(0)


def test_requests_in_one_piece_are_answered_in_order_and_stored_once(desk: Desk) -> None:
    before = len(desk.taken)
    pieces = [json.dumps(desk.event(f"row-{number}")).encode() for number in range(20)]
    with socket.create_connection(("127.0.0.1", desk.port), timeout=20) as line:
        line.sendall(b"".join(desk.head(ONE, len(piece)) + piece for piece in pieces))
        said = b""
        while said.count(b'"accepted":1') < 20:
            part = line.recv(65_536)
            assert part, said
            said += part
    assert said.count(b"HTTP/1.1 202 ") == 20
    assert len(desk.taken) > before
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM ingest_event WHERE event_id LIKE 'e-row-%%'")
        assert cursor.fetchone() == (20,)
    wait_for_in_hand(0)


def test_a_body_that_comes_later_is_taken_all_the_same(desk: Desk) -> None:
    before = len(desk.taken)
    body = json.dumps(desk.event("later")).encode()
    with socket.create_connection(("127.0.0.1", desk.port), timeout=20) as line:
        line.sendall(desk.head(ONE, len(body)) + body[:20])
        wait_for_in_hand(1)
        line.sendall(body[20:])
        assert line.recv(65_536).startswith(b"HTTP/1.1 202 ")
    assert len(desk.taken) == before
    wait_for_in_hand(0)
    with socket.create_connection(("127.0.0.1", desk.port), timeout=20) as line:
        line.sendall(desk.head(ONE, len(body)) + body[:20])
        wait_for_in_hand(1)
    wait_for_in_hand(0)


def test_a_refusal_leaves_the_connection_in_use(desk: Desk) -> None:
    body = json.dumps(desk.event("kept")).encode()
    with socket.create_connection(("127.0.0.1", desk.port), timeout=20) as line:
        line.sendall(desk.head("text/html", len(body)))
        assert line.recv(65_536).startswith(b"HTTP/1.1 415 ")  # before the body
        line.sendall(body + desk.head(ONE, len(body)) + body)
        assert line.recv(65_536).startswith(b"HTTP/1.1 202 ")
    wait_for_in_hand(0)


def test_a_database_that_hangs_is_a_503_and_the_events_are_stored_when_it_is_back(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    with connect() as other, monkeypatch.context() as patch:
        patch.setattr(road, "DATABASE_SECONDS", 0.2)
        other.execute("LOCK TABLE ingest_event IN ACCESS EXCLUSIVE MODE")
        status, headers, body = desk.send(ONE, json.dumps(desk.event("hung")).encode())
        other.rollback()
    assert (status, body["code"]) == (503, "unavailable")
    assert int(headers["retry-after"]) in range(1, 6)
    status, _, body = desk.send(MANY, json.dumps([desk.event("after")]).encode())
    assert (status, body["accepted"]) == (202, 1)
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM ingest_event WHERE event_id = 'e-hung'")
        assert cursor.fetchone() == (1,)
    wait_for_in_hand(0)
