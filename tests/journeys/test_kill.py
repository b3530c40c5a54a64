"""`kill -9` of each process of a portal while events arrive: what was answered 202 is kept, once."""

import os
import random
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import psycopg
import pytest

from tests.support import live
from tests.support.history import Attempt, History, faults
from tests.support.live import wait_until

STREAM = "faults.tick"
SCHEMA = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
# Command-line words of each victim, and which of the processes with them (0: the first started).
VICTIMS = {
    "web": ("uvicorn portal.asgi", 0),
    "one web process": ("multiprocessing.spawn", 1),
    "worker": ("celery", 0),
    "one worker process": ("celery", 1),
    "beat": ("beat-schedule", 0),
    "redis": ("valkey-server", 0),
    "postgres": ("bin/postgres -D", 0),
}


class Clients:
    """Producers that send batches, each until it is answered 202 or 422, and keep the history."""

    def __init__(self, url: str, key: str, *, number: int = 3) -> None:
        self.url, self.key = url, key
        self.history = History()
        self.stopping = threading.Event()
        self.threads = [
            threading.Thread(target=self._run, args=(place,)) for place in range(number)
        ]

    def start(self) -> None:
        for thread in self.threads:
            thread.start()

    def stop(self) -> None:
        self.stopping.set()
        for thread in self.threads:
            thread.join()

    def _run(self, place: int) -> None:
        with httpx2.Client(timeout=15) as client:
            number = 0
            while not self.stopping.is_set():
                number += 1
                events = [self._event(f"{place}-{number}-{i}", i) for i in range(10)]
                for _ in range(200):
                    status = self._send(client, events)
                    if status == 202:
                        break
                    time.sleep(0.1)

    def _send(self, client: httpx2.Client, events: list[dict[str, Any]]) -> int | None:
        ids = tuple(str(event["id"]) for event in events)
        try:
            status: int | None = client.post(
                f"{self.url}/v1/events",
                json=events,
                headers={
                    "Authorization": f"Bearer {self.key}",
                    "Content-Type": "application/cloudevents-batch+json",
                },
            ).status_code
        except httpx2.HTTPError:
            status = None
        self.history.attempts.append(Attempt(ids, status))
        return status

    @staticmethod
    def _event(name: str, place: int) -> dict[str, Any]:
        """Every tenth event breaks the schema, so that both tables are written."""
        data = {"n": "nine"} if place == 9 else {"n": place}
        now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        head = {"specversion": "1.0", "id": name, "source": "/faults", "type": STREAM, "time": now}
        return head | {"data": data}


def stored(portal: live.Portal, table: str) -> list[str]:
    with psycopg.connect(portal.database_url) as db:
        return [row[0] for row in db.execute(f"SELECT event_id FROM {table}")]


@pytest.fixture
def portal(tmp_path: Path) -> Iterator[live.Portal]:
    with live.running(tmp_path / "data") as found:
        answer = httpx2.post(
            f"{found.url}/api/v1/streams",
            json={"name": STREAM, "schema": SCHEMA},
            headers={"Authorization": f"Bearer {found.said['admin_token']}"},
        )
        assert answer.status_code == 201, answer.text
        yield found


def test_what_was_answered_202_survives_kill_9_of_anything(portal: live.Portal) -> None:
    made = portal.manage_json("keys", "create", "--kind", "producer", "--name", "faults")
    clients = Clients(portal.url, made["key"])
    clients.start()
    again: live.Portal | None = None
    try:
        for name, (words, place) in VICTIMS.items():
            time.sleep(random.uniform(0.3, 1.5))  # another moment in each run
            wait_until(
                lambda w=words, n=place: len(portal.pids(w)) > n,  # type: ignore[misc]
                f"the start of {name}",
            )  # fmt: skip
            os.kill(sorted(portal.pids(words))[place], signal.SIGKILL)
            wait_until(portal.is_ready, f"recovery from {name}")
            answered = len(clients.history.acknowledged)
            wait_until(
                lambda n=answered: len(clients.history.acknowledged) > n,  # type: ignore[misc]
                f"the next 202 after {name}",
            )  # fmt: skip
        # The supervisor itself: its children end with it, and a new `up` carries on.
        portal.process.kill()
        portal.process.wait()
        wait_until(lambda: portal.pids("") == [], "the end of its children")
        again = live.start(portal.data, port=portal.port)
        time.sleep(1)
    finally:
        clients.stop()
    try:
        statuses = clients.history.statuses()
        assert statuses[202] > 20, statuses
        assert set(statuses) <= {202, 503, None}, statuses
        assert faults(clients.history, stored(portal, "ingest_event"),
                      stored(portal, "ingest_dead_letter")) == []  # fmt: skip
        accepted = len(stored(portal, "ingest_event"))
        wait_until(lambda: counted(portal) == accepted, "the rollup of what came")
    finally:
        if again is not None:
            again.close()


def counted(portal: live.Portal) -> int:
    with psycopg.connect(portal.database_url) as db:
        row = db.execute("SELECT coalesce(sum(events), 0) FROM analytics_streamcount").fetchone()
    assert row is not None
    return int(row[0])
