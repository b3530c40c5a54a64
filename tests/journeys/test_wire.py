"""The door as an outside checker meets it: a whole portal, raw sockets, its logs and its tables."""

import json
import socket
import threading
import time
import uuid
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2
import psycopg
import pytest

from tests.support import canaries, live

STREAM = "wire.order_placed"
SCHEMA = {
    "type": "object",
    "properties": {"order": {"type": "string"}},
    "required": ["order"],
}
ONE = "application/cloudevents+json"
MANY = "application/cloudevents-batch+json"
FILLED = "shop.order_paid"
FILLED_SCHEMA = {
    "type": "object",
    "properties": {"order": {"type": "string"}, "amount": {"type": "integer", "minimum": 0}},
    "required": ["order", "amount"],
}
RULES = (
    "schema_violation:required,out_of_window,schema_unknown,not_permitted,envelope_invalid,"
    "id_conflict,unparsable"
)


@pytest.fixture(scope="module")
def portal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[live.Portal]:
    with live.running(tmp_path_factory.mktemp("wire") / "data") as found:
        answer = httpx2.post(
            f"{found.url}/api/v1/streams",
            json={"name": STREAM, "schema": SCHEMA},
            headers={"Authorization": f"Bearer {found.said['admin_token']}"},
            timeout=30,
        )
        assert answer.status_code == 201, answer.text
        yield found


@pytest.fixture(scope="module")
def key(portal: live.Portal) -> str:
    made = portal.manage_json("keys", "create", "--kind", "producer", "--name", "wire")
    return str(made["key"])


@pytest.fixture
def client(portal: live.Portal, key: str) -> Iterator[httpx2.Client]:
    headers = {"Authorization": f"Bearer {key}"}
    with httpx2.Client(base_url=portal.url, headers=headers, timeout=30) as found:
        yield found


def event(**changes: Any) -> dict[str, Any]:
    made = {"specversion": "1.0", "id": str(uuid.uuid4()), "source": "/wire", "type": STREAM,
            "time": datetime.now(UTC).isoformat(), "data": {"order": "a"}}  # fmt: skip
    return made | changes


def send(client: httpx2.Client, body: object, content_type: str = ONE, **more: Any) -> Any:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    headers = {"Content-Type": content_type} | more.pop("headers", {})
    return client.post("/v1/events", content=raw, headers=headers, **more)


def test_nothing_that_was_sent_stands_in_a_problem_or_a_log(
    portal: live.Portal, key: str, client: httpx2.Client
) -> None:
    canary = "canary77of5"
    first = event(id=canary, subject=canary, data={"order": canary})
    answers = [
        send(client, first),
        send(client, first),  # the writer meets the unique index
        send(client, first | {"data": {"order": canary + "2"}}),
        send(client, [first, event(data={"order": 1, canary: canary})], MANY),
        send(client, first | {"source": f"not a uri {canary}"}),
        send(client, first | {"type": canary}),
        send(client, first | {"dataschema": canary}),
        send(client, first | {canary.upper(): 1}),
        send(client, f'{{"{canary}":1,"{canary}":2}}'.encode()),
        send(client, event(), f"text/{canary}"),
        send(client, event(), params={"q": canary}),
        send(client, event(), params={"key": key}),
        send(client, event(), headers={"Content-Encoding": canary}),
        send(client, event(), headers={"Host": f"{canary}.example"}),
        client.get("/", headers={"Host": f"{canary}.example"}),
    ]
    assert {answer.status_code for answer in answers} == {202, 400, 415, 422}
    for answer in answers:
        told = answer.json() if "json" in answer.headers["content-type"] else {"page": answer.text}
        for result in told.get("results", ()):
            result.pop("id")  # the one thing that the contract repeats
        assert canary not in json.dumps(told).lower(), told
        assert key not in answer.text
    time.sleep(0.5)
    for log in (portal.data / "logs").iterdir():
        text = log.read_text("utf-8", "replace")
        assert canary not in text.lower(), log.name
        assert key not in text, log.name


def test_personal_values_reach_no_log_no_broker_and_no_kept_answer(
    portal: live.Portal, key: str
) -> None:
    """What leaves the processes while people and producers work: the log files, every command that
    Redis is sent (the messages to the workers among them), and the answers kept for a repeat."""
    stream = "wire.person_seen"
    admin = {"Authorization": f"Bearer {portal.said['admin_token']}"}
    values = ["zqwire.Mail@canary.example", "Zqwire Von Ünd/Zu", "zqwire-subject", "+49 zqwire 77"]
    mail, name, subject, phone = values
    data = {"order": "o", "mail": mail, "name": name, "phone": phone}
    treated = {
        word: {"type": "string", "x-classification": "personal", "x-privacy": how}
        for word, how in (("mail", "tokenize"), ("name", "encrypt"), ("phone", "drop"))
    }
    with httpx2.Client(base_url=portal.url, headers=admin, timeout=30) as person:
        made = person.post(
            "/api/v1/streams",
            json={
                "name": stream, "classification": "sensitive", "subject_privacy": "tokenize",
                "schema": SCHEMA | {"properties": {"order": {"type": "string"}} | treated},
            },
        )  # fmt: skip
        assert made.status_code == 201, made.text
        assert (made.json()["subject_privacy"], made.json()["minimise"]) == ("tokenize", False)
        with canaries.watched_redis(portal.redis_url) as commands:
            context = {"traits": data, "page": {"title": name, "url": f"https://x/?m={mail}"}}
            call = {"type": "track", "event": "Person Seen", "userId": subject, "messageId": "m1",
                    "context": context, "integrations": {"CRM": data}, "properties": data}  # fmt: skip
            producer = {"Authorization": f"Bearer {key}"}
            seen = event(type=stream, subject=subject, data=data)
            for path, body in (
                ("/v1/events", seen),
                ("/v1/events", event(type=stream, subject=subject, data=data | {"order": 7})),
                ("/v1/events", event(type="wire.unheard_of", subject=subject, data=data)),
                ("/v1/batch", {"batch": [call], "writeKey": key}),
            ):
                kind = ONE if path == "/v1/events" else "application/json"
                answer = httpx2.post(
                    portal.url + path, content=json.dumps(body), headers=producer | {
                        "Content-Type": kind}, timeout=30,
                )  # fmt: skip
                assert answer.status_code in (200, 202, 422), answer.text
            shown = person.post(
                "/api/v1/schemas/infer", json={"events": [data]},
                headers={"Idempotency-Key": "infer-1"},
            )  # fmt: skip
            assert shown.status_code == 200, shown.text
            clear = person.get(f"/api/v1/streams/{stream}/events/{seen['id']}/reveal")
            assert clear.status_code in (200, 403)
            assert person.post("/api/v1/storage/runs", json={"kind": "measure"}).status_code < 500
            live.wait_until(
                lambda: any("ingest.measure_storage" in said for _, said in commands), "a message"
            )
    assert len(commands) > 10
    assert canaries.search(commands, values) == []
    logs = [
        (log.name, log.read_text("utf-8", "replace")) for log in (portal.data / "logs").iterdir()
    ]
    assert any(said for _, said in logs)
    assert canaries.search(logs, values) == []
    with psycopg.connect(portal.database_url) as link, link.cursor() as cursor:
        kept = list(canaries.database(cursor))
    assert canaries.search(kept, values) == []
    assert any(place.startswith("governance_") and "answer" in place for place, _ in kept)


def test_what_is_no_http_gets_a_problem_document_and_an_upgrade_is_declined(
    portal: live.Portal, key: str
) -> None:
    body = json.dumps(event()).encode()
    upgrade = (
        f"POST /v1/events HTTP/1.1\r\nHost: 127.0.0.1:{portal.port}\r\n"
        f"Authorization: Bearer {key}\r\nContent-Type: {ONE}\r\nContent-Length: {len(body)}\r\n"
        "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n\r\n"
    ).encode() + body
    for sent, expected in (
        (b"\x16\x03\x01\x00", b"malformed_http"),
        (upgrade, b'"accepted":1'),
    ):
        with socket.create_connection(("127.0.0.1", portal.port), timeout=30) as client:
            client.sendall(sent)
            said = b""
            while expected not in said:
                part = client.recv(65_536)
                assert part, said
                said += part


def test_a_position_that_was_read_is_never_passed_by_a_later_commit(
    portal: live.Portal, client: httpx2.Client
) -> None:
    """I6: a reader below the oldest running transaction sees each event once, in its final order."""
    seen: list[tuple[int, int]] = []
    stopping = threading.Event()

    def read(db: psycopg.Connection[Any]) -> None:
        last = seen[-1] if seen else (0, 0)
        seen.extend(
            db.execute(
                "SELECT tx::text::bigint, seq FROM ingest_event"
                " WHERE tx < pg_snapshot_xmin(pg_current_snapshot())"
                " AND (tx::text::bigint, seq) > (%s, %s) ORDER BY tx, seq",
                last,
            ).fetchall()
        )

    def follow() -> None:
        with psycopg.connect(portal.database_url, autocommit=True) as db:
            while not stopping.is_set():
                read(db)

    def write(place: int) -> int:
        accepted = 0
        with httpx2.Client(base_url=portal.url, headers=client.headers, timeout=30) as mine:
            for number in range(25):
                size = 400 if (place + number) % 5 == 0 else 3
                answer = send(mine, [event() for _ in range(size)], MANY)
                accepted += answer.json()["accepted"]
        return accepted

    reader = threading.Thread(target=follow)
    reader.start()
    with ThreadPoolExecutor(8) as pool:
        accepted = sum(pool.map(write, range(8)))
    stopping.set()
    reader.join()
    with psycopg.connect(portal.database_url, autocommit=True) as db:
        live.wait_until(
            lambda: db.execute("SELECT pg_snapshot_xmin(s) = pg_snapshot_xmax(s)"
                               " FROM pg_current_snapshot() AS s").fetchone() == (True,),
            "the end of all transactions",
        )  # fmt: skip
        read(db)
        final = db.execute("SELECT tx::text::bigint, seq FROM ingest_event ORDER BY tx, seq")
        assert seen == final.fetchall()
    assert len(seen) >= accepted == 8 * (5 * 400 + 20 * 3)


def _yesterday() -> tuple[str, ...]:
    end = datetime.now(UTC).replace(microsecond=0) - timedelta(days=1)
    return "--from", (end - timedelta(days=1)).isoformat(), "--to", end.isoformat()


def _seen(result: dict[str, Any]) -> Counter[tuple[str, str]]:
    found: Counter[tuple[str, str]] = Counter()
    for row in result["outcome"]:
        found[row["expected"], row["seen"]] += row["events"]
    return found


def test_each_event_comes_to_what_the_run_said_and_a_run_goes_on_where_it_was(
    portal: live.Portal,
) -> None:
    """`manage.py load`, whose events come in over the wire as well."""
    answer = httpx2.post(
        portal.url + "/api/v1/streams",
        json={"name": FILLED, "schema": FILLED_SCHEMA},
        headers={"Authorization": f"Bearer {portal.said['admin_token']}"},
        timeout=30,
    )
    assert answer.status_code == 201, answer.text
    words = ("load", "--stream", FILLED, *_yesterday(), "--events", "600", "--seed", "5",
             "--broken", "20%", "--rules", RULES)  # fmt: skip
    printed = portal.manage(*words, "--dry-run").splitlines()
    said = Counter(
        json.loads(line).get("syntheticbreaks", "valid").split()[0]
        for line in printed
        if line.endswith("}")
    )
    result = portal.manage_json(*words)
    assert (result["misses"], result["position"], result["sent"]) == ([], 600, len(printed))
    seen = _seen(result)
    assert all(expected == found for expected, found in seen), seen
    assert seen["schema_violation", "schema_violation"] == said["schema_violation:required"] > 5
    assert len(seen) == 8
    stored = portal.get(f"/api/v1/streams/{FILLED}/events?limit=1")["items"][0]
    assert json.dumps(stored).count("synthetic")

    # Gone on with from a place that a cut run named: what was sent before is known already.
    part = _seen(portal.manage_json(*words[:-4], "--seed", "6", "--position", "500"))
    assert part == Counter({("accepted", "accepted"): 100})
    part = _seen(portal.manage_json(*words[:-4], "--seed", "6"))
    assert part["accepted", "duplicate"] == 100
    assert part["accepted", "accepted"] == 500


def test_the_accounts_add_up_for_every_stream_and_minute(portal: live.Portal) -> None:
    """I4; runs last, over all that this module sent."""
    with psycopg.connect(portal.database_url) as db:
        odd = db.execute(
            "SELECT count(*) FROM ingest_ingestminute"
            " WHERE received <> accepted + duplicate + dead_lettered"
        ).fetchone()
        assert odd == (0,)
        counted = db.execute("SELECT sum(accepted) FROM ingest_ingestminute").fetchone()
        stored = db.execute("SELECT count(*) FROM ingest_event").fetchone()
        assert counted == stored
        assert counted is not None
        assert counted[0] > 0
