"""Traces and logs of a started server and a started worker, as their collector and files have them."""

import contextlib
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
import redis
from django.conf import settings
from django.db import connection

from catalog.models import ProducerStream
from governance.services.keys import create_key
from governance.types import Role
from ingest.log import partitions
from ingest.log.connection import connect
from portal.kernel import clock
from portal.kernel.actor import SYSTEM
from portal.launcher.instance import free_port
from tests.ingest.shop import SCHEMA, Shop
from tests.support.collector import Collector, Seen, collecting
from tests.support.factories import make_person, token_of
from tests.support.live import wait_until

pytestmark = pytest.mark.django_db(transaction=True)
ROOT = Path(__file__).parents[2]
MANY = "application/cloudevents-batch+json"


def trace(number: int) -> tuple[str, str, str]:
    """A traceparent with its trace's and its span's id."""
    trace_id, span_id = f"{number:032x}", f"{number:016x}"
    return f"00-{trace_id}-{span_id}-01", trace_id, span_id


class Portal:
    """A web server and a worker on the database of the tests."""

    def __init__(self, place: Path, variables: dict[str, str]) -> None:
        self.port = free_port()
        found = connection.settings_dict
        url = (
            f"postgresql://{found['USER']}:{found['PASSWORD']}@{found['HOST']}"
            f":{found['PORT']}/{found['NAME']}"
        )
        self.log = place / "log"
        shared = os.environ | {"DATABASE_URL": url} | variables
        with self.log.open("wb") as out:
            self.processes = [
                subprocess.Popen(
                    [sys.executable, "-m", *words], cwd=ROOT, stdout=out, stderr=out,
                    env=shared | {"PORTAL_PROCESS": role},
                )
                for role, words in (
                    ("web", ["uvicorn", "portal.asgi:application", "--port", str(self.port),
                             "--http", "portal.http.server:Protocol", "--ws", "none",
                             "--log-level", "error", "--no-access-log"]),
                    ("worker", ["celery", "-A", "portal.celery:app", "worker", "--queues", "bulk,experimental",
                                "--concurrency", "1", "--loglevel", "WARNING", "--without-mingle",
                                "--without-gossip"]),
                )
            ]  # fmt: skip
        self.client = httpx2.Client(base_url=f"http://127.0.0.1:{self.port}", timeout=30)

    def wait(self) -> None:
        deadline = time.monotonic() + 60
        while True:
            with contextlib.suppress(OSError):
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
                return
            assert self.processes[0].poll() is None, self.log.read_text()
            assert time.monotonic() < deadline
            time.sleep(0.05)

    def close(self) -> None:
        self.client.close()
        for process in self.processes:
            process.terminate()
        for process in self.processes:
            process.wait(30)

    def lines(self) -> list[dict[str, Any]]:
        whole, _, _ = self.log.read_text().rpartition("\n")
        return [json.loads(line) for line in whole.splitlines() if line[:1] == "{"]


@pytest.fixture
def collector() -> Iterator[tuple[Collector, str]]:
    with collecting() as found:
        yield found


def event(kind: str, name: str, data: Any, **more: Any) -> dict[str, Any]:
    return {
        "specversion": "1.0", "id": name, "source": "/app", "type": kind,
        "time": clock.now().isoformat(), "data": data, **more,
    }  # fmt: skip


def test_a_trace_goes_from_the_producer_through_the_door_a_task_and_a_replay(
    tmp_path: Path, collector: tuple[Collector, str]
) -> None:
    collected, address = collector
    with connect() as made:
        partitions.make_window(made)
    shop = Shop()
    ProducerStream.objects.create(producer=shop.producer, glob="*")
    _, key = create_key(actor=SYSTEM, kind="prod", name="android", holder_id=shop.producer.pk)
    person = make_person(Role.ENGINEER, Role.ON_CALL, team=shop.team)
    token = token_of(person, "read", "write")
    with redis.Redis.from_url(settings.REDIS_URL) as broker:
        broker.delete(
            "bulk", "experimental"
        )  # what other tests have left for workers that nobody had started
    portal = Portal(
        tmp_path,
        {"OTEL_EXPORTER_OTLP_ENDPOINT": address, "OTEL_BSP_SCHEDULE_DELAY": "100",
         "PORTAL_LOG_DOORS": "all"},
    )  # fmt: skip
    try:
        portal.wait()
        _the_door(portal, collected, key, shop.stream.name)
        later = trace(0x77)
        body = [event("testing.later", "waits", {"n": 1}, traceparent=later[0])]
        _post(portal, key, body)
        _a_replay(portal, collected, token, shop.team.slug, later[2])
        _the_log(portal, token)
        assert shop.states() == {"e3": "open", "waits": "replayed"}
    finally:
        portal.close()


def _post(portal: Portal, key: str, body: Any, **headers: str) -> httpx2.Response:
    return portal.client.post(
        "/v1/events",
        content=json.dumps(body),
        headers={"Authorization": f"Bearer {key}", "Content-Type": MANY, **headers},
    )


def _the_door(portal: Portal, collected: Collector, key: str, stream: str) -> None:
    """The header is the parent, the events' own traces are links, and the answer tells our span."""
    header, one, two = trace(0xA1), trace(0xB2), trace(0xC3)
    body = [
        event(stream, "e1", {"n": 1}, traceparent=one[0]),
        event(stream, "e2", {"n": 2}, traceparent=two[0], tracestate="vendor=1"),
        event(stream, "e3", {"n": "x"}, traceparent=one[0]),
        event(stream, "e4", {"n": 4}, traceparent="00-not-a-trace-01"),
        event(stream, "e5", {"n": 5}, traceparent=header[0]),
    ]
    answer = _post(portal, key, body, traceparent=header[0], tracestate="vendor=2")
    assert answer.status_code == 202, answer.text
    request_id = answer.headers["X-Request-Id"]
    span = next_span(collected, "POST /v1/events", request_id)
    assert (span.trace_id, span.parent_id) == header[1:]
    assert set(span.links) == {one[2], two[2]}, "each trace once, without the parent"
    assert answer.headers["traceparent"] == f"00-{span.trace_id}-{span.span_id}-01"
    assert span.attributes["portal.events"] == 5
    assert span.attributes["portal.events.accepted"] == 4
    assert span.attributes["portal.events.dead_lettered"] == 1
    assert span.attributes["http.response.status_code"] == 202
    assert span.resource["service.name"] == "event-portal"
    assert collected.paths == {"/v1/traces"}
    stages = collected.children_of(span)
    assert set(stages) == {"ingest.judge", "ingest.commit"}
    judge, commit = stages["ingest.judge"], stages["ingest.commit"]
    assert span.started_ns <= judge.started_ns <= judge.ended_ns == commit.started_ns
    assert commit.started_ns < commit.ended_ns <= span.ended_ns
    alone = trace(0xD4)
    answer = _post(portal, key, [event(stream, "e6", {"n": 6}, traceparent=alone[0])])
    span = next_span(collected, "POST /v1/events", answer.headers["X-Request-Id"])
    assert (span.trace_id, span.parent_id, span.links) == (*alone[1:], ())
    refused = portal.client.post("/v1/events", content=b"[]", headers={"traceparent": header[0]})
    span = next_span(collected, "POST /v1/events", refused.headers["X-Request-Id"])
    assert (refused.status_code, span.attributes["http.response.status_code"]) == (401, 401)


def next_span(collected: Collector, name: str, request_id: str) -> Seen:
    return collected.wait_for(name, {"portal.request_id": request_id})


def _a_replay(portal: Portal, collected: Collector, token: str, owner: str, sent_by: str) -> None:
    """From the request of who registers a stream to the task that takes up what waited for it, and to
    the trace of what is replayed."""
    header = trace(0xE5)
    answer = portal.client.post(
        "/api/v1/streams",
        json={"name": "testing.later", "schema": SCHEMA, "owner": owner},
        headers={"Authorization": f"Bearer {token}", "traceparent": header[0]},
    )
    assert answer.status_code == 201, answer.text
    web = next_span(collected, "POST /api/v1/streams", answer.headers["X-Request-Id"])
    assert (web.trace_id, web.parent_id) == header[1:]
    assert answer.headers["traceparent"] == f"00-{web.trace_id}-{web.span_id}-01"
    replay = collected.wait_for("ingest.replay")
    assert replay.trace_id == header[1], "the task goes on with the trace of who asked for it"
    assert replay.links == (sent_by,), "and leads back to the producer's"
    task = collected.wait_for("governance.run_jobs")
    assert (task.trace_id, task.parent_id) == (header[1], web.span_id)
    assert task.span_id == replay.parent_id
    assert task.attributes["portal.request_id"] == answer.headers["X-Request-Id"]
    assert task.resource["portal.process"] == "worker"


def _the_log(portal: Portal, token: str) -> None:
    """One line of JSON for each request and task, tied to its trace, with nothing that was sent."""
    secret = "canary-7f3a"
    portal.client.get(
        f"/api/v1/streams/{secret}?x={secret}",
        headers={"Authorization": f"Bearer {token}", "User-Agent": secret, "traceparent": secret},
    )

    def is_told() -> bool:
        """Both: a line is written a moment after what it tells of was answered."""
        lines = portal.lines()
        return any(line.get("task") == "governance.run_jobs" for line in lines) and any(
            line["logger"] == "portal.request" and line["status"] in (400, 404) for line in lines
        )

    wait_until(is_told, "the lines", seconds=60)
    lines = portal.lines()
    doors = [line for line in lines if line["logger"] == "portal.ingest"]
    assert [line["status"] for line in doors] == [202, 202, 401, 202]
    assert all(len(line["request_id"]) == 36 and line["ms"] >= 0 for line in doors)
    assert doors[0]["trace_id"] == trace(0xA1)[1]
    (task,) = [line for line in lines if line.get("task") == "governance.run_jobs"][:1]
    assert (task["state"], task["trace_id"]) == ("success", trace(0xE5)[1])
    web = [line for line in lines if line["logger"] == "portal.request"]
    assert web[0]["route"] == "/api/v1/streams"
    assert (web[0]["trace_id"], web[0]["request_id"]) == (task["trace_id"], task["request_id"])
    assert web[-1]["status"] in (400, 404)
    assert secret not in portal.log.read_text()
    assert max(len(line) for line in portal.log.read_text().splitlines()) < 8192
