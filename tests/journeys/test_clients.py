"""The official clients, unmodified, against a whole portal."""

import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import httpx2
import psycopg
import pytest
import rudderstack.analytics.client as rudder
import segment.analytics as segment
from cloudevents.core.bindings.http import to_binary_event, to_structured_event
from cloudevents.core.v1.event import CloudEvent

from tests.support import live, node

CALLS = ("order_completed", "identify", "page", "screen", "group", "alias")
SCHEMA = {
    "type": "object",
    "properties": {"revenue": {"type": "number"}, "plan": {"type": "string"},
                   "note": {"type": "string"}},
}  # fmt: skip


@pytest.fixture(scope="module")
def portal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[live.Portal]:
    with live.running(tmp_path_factory.mktemp("clients") / "data") as found:
        headers = {"Authorization": f"Bearer {found.said['admin_token']}"}
        for name in CALLS:
            answer = httpx2.post(
                f"{found.url}/api/v1/streams",
                json={"name": f"clients.{name}", "schema": SCHEMA},
                headers=headers,
                timeout=30,
            )
            assert answer.status_code == 201, answer.text
        yield found


@pytest.fixture(scope="module")
def key(portal: live.Portal) -> str:
    """A key of the producer `clients`, so that what Segment's SDKs send goes to `clients.*`."""
    made = portal.manage_json("keys", "create", "--kind", "producer", "--name", "clients")
    return str(made["key"])


@pytest.fixture
def rows(portal: live.Portal) -> Iterator["Rows"]:
    with psycopg.connect(portal.database_url, autocommit=True) as db:
        yield Rows(db)


class Rows:
    """What was stored and refused since the test began."""

    def __init__(self, db: psycopg.Connection[Any]) -> None:
        self._db = db
        self._since = db.execute("SELECT now()").fetchone()

    def events(self) -> dict[str, list[dict[str, Any]]]:
        """Stored events by the last part of their stream's name."""
        found = self._db.execute(
            "SELECT split_part(s.name, '.', 2), e.event_id, e.subject, e.source, e.data,"
            " e.attributes FROM ingest_event e JOIN catalog_stream s ON s.id = e.stream_id"
            " WHERE e.received_at >= %s ORDER BY e.received_at, e.seq",
            self._since,
        ).fetchall()
        stored: dict[str, list[dict[str, Any]]] = {}
        for name, event_id, subject, source, data, attributes in found:
            stored.setdefault(str(name), []).append(
                {"id": event_id, "subject": subject, "source": source, "data": data,
                 "attributes": attributes}
            )  # fmt: skip
        return stored

    def refused(self) -> list[str]:
        found = self._db.execute(
            "SELECT reason FROM ingest_dead_letter WHERE received_at >= %s", self._since
        ).fetchall()
        return [str(reason) for (reason,) in found]


def call_all(client: Any) -> None:
    """One call of each kind, as both Python SDKs spell them."""
    client.identify("user-1", {"plan": "pro"})
    client.track(
        "user-1", "Order Completed", {"revenue": 12.5}, context={"ip": "203.0.113.9"},
        integrations={"All": False},
    )  # fmt: skip
    client.track(
        None, "Order Completed", {"revenue": 1}, anonymous_id="anon-7",
        timestamp=datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
    )  # fmt: skip
    client.page("user-1", "docs", "Home", {"url": "https://example.org/"})
    client.screen("user-1", "app", "Start", {"w": 1})
    client.group("user-1", "group-9", {"name": "Initech"})
    client.alias("anon-7", "user-1")
    client.flush()


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("sdk", ["segment", "rudder"])
def test_the_python_sdks_deliver_every_call(
    portal: live.Portal, key: str, rows: Rows, sdk: str, packed: bool
) -> None:
    failures: list[Exception] = []
    made = segment.Client if sdk == "segment" else rudder.Client
    client = made(
        key, host=portal.url, gzip=packed, on_error=lambda error, batch: failures.append(error)
    )
    call_all(client)
    client.shutdown()
    assert failures == []
    stored = rows.events()
    assert {name: len(found) for name, found in stored.items()} == dict.fromkeys(CALLS, 1)
    (order,) = stored["order_completed"]
    assert (order["subject"], order["data"]) == ("user-1", {"revenue": 12.5})
    assert order["source"] == "/segment/clients"
    assert json.loads(order["attributes"]["context"])["ip"] == "203.0.113.0"
    assert json.loads(order["attributes"]["integrations"]) == {"All": False}
    assert stored["identify"][0]["data"] == {"plan": "pro"}
    assert stored["group"][0]["attributes"]["groupid"] == "group-9"
    assert stored["alias"][0]["attributes"]["previousid"] == "anon-7"
    assert rows.refused() == ["out_of_window"], "the one from January waits as a dead letter"


@pytest.mark.parametrize("sdk", ["segment", "rudder"])
def test_a_wrong_write_key_is_told_once_and_not_tried_again(
    portal: live.Portal, rows: Rows, sdk: str
) -> None:
    failures: list[Any] = []
    made = segment.Client if sdk == "segment" else rudder.Client
    client = made("wk", host=portal.url, on_error=lambda error, batch: failures.append(error))
    started = time.monotonic()
    client.track("user-1", "Order Completed")
    client.flush()
    client.shutdown()
    assert time.monotonic() - started < 5, "a 401 is final"
    assert [(error.status, error.code) for error in failures] == [(401, "invalid_write_key")]
    assert rows.events() == {}


def test_the_python_sdk_of_cloudevents_delivers_in_each_mode(
    portal: live.Portal, key: str, rows: Rows
) -> None:
    event = CloudEvent(
        {"id": "sdk-1", "source": "/python", "type": "clients.order_completed",
         "specversion": "1.0", "time": datetime.now(UTC), "datacontenttype": "application/json"},
        {"revenue": 2},
    )  # fmt: skip
    counts = []
    for message in (to_binary_event(event), to_structured_event(event)):
        answer = httpx2.post(
            f"{portal.url}/v1/events",
            content=message.body,
            headers=message.headers | {"authorization": f"Bearer {key}"},
            timeout=30,
        )
        assert answer.status_code == 202, answer.text
        counts.append((answer.json()["accepted"], answer.json()["duplicate"]))
    assert counts == [(1, 0), (0, 1)]
    assert len(rows.events()["order_completed"]) == 1


def test_the_node_sdk_of_segment_delivers_every_call(
    portal: live.Portal, key: str, rows: Rows
) -> None:
    node.install()
    said = node.run("segment.mjs", PORTAL=portal.url, KEY=key)
    assert said["errors"] == []
    assert said["status"] == 200
    stored = rows.events()
    assert {name: len(found) for name, found in stored.items()} == {
        **dict.fromkeys(CALLS, 1),
        "order_completed": 2,
    }
    assert {row["subject"] for row in stored["order_completed"]} == {"node-1", "anon-7"}
    library = json.loads(stored["page"][0]["attributes"]["context"])["library"]
    assert library["name"] == "@segment/analytics-node"
    assert rows.refused() == []
    refused = node.run("segment.mjs", PORTAL=portal.url, KEY="wk")
    assert refused["status"] == 401
    assert refused["errors"]


def test_the_node_sdk_of_cloudevents_delivers_in_each_mode(
    portal: live.Portal, key: str, rows: Rows
) -> None:
    node.install()
    said = node.run("cloudevents.mjs", PORTAL=portal.url, KEY=key, TYPE="clients.order_completed")
    assert [(one["status"], one["accepted"], one["duplicate"]) for one in said["answers"]] == [
        (202, 1, 0),
        (202, 0, 1),
        (202, 2, 1),
    ]
    assert said["bare"]["duplicate"] == 1, "through the SDK's own transport"
    (first,) = [row for row in rows.events()["order_completed"] if row["id"] == said["id"]]
    assert first["subject"] == "blåbär"
    assert first["data"] == {"revenue": 1.5, "note": "Grüße ✓"}
