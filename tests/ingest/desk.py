"""A portal of the test's own process behind its HTTP protocol, with a key and a stream it knows."""

import http.client
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest
from django.db import connection

from catalog.models import Producer, Stream
from governance.privacy import vault
from ingest.doors import express
from ingest.doors.gate import gate, parse_load
from ingest.judging.admission import CHANNEL, directory
from portal.kernel import clock
from tests.ingest.conftest import World
from tests.support.live import wait_until
from tests.support.serving import served

ONE = "application/cloudevents+json"
MANY = "application/cloudevents-batch+json"
LINES = "application/x-ndjson"


@dataclass
class Desk:
    port: int
    stream: Stream
    producer: Producer
    key: str
    taken: list[express.Call]

    def event(self, number: int | str, **others: Any) -> dict[str, Any]:
        return {
            "specversion": "1.0", "id": f"e-{number}", "source": "/shop", "type": self.stream.name,
            "time": clock.now().isoformat(), "data": {"order": f"o{number}"}, **others,
        }  # fmt: skip

    def head(self, media: str, length: int, path: str = "/v1/events", *others: str) -> bytes:
        lines = [
            f"POST {path} HTTP/1.1", "Host: 127.0.0.1", f"Authorization: Bearer {self.key}",
            f"Content-Type: {media}", f"Content-Length: {length}", *others, "", "",
        ]  # fmt: skip
        return "\r\n".join(lines).encode()

    def send(
        self, media: str, body: bytes, path: str = "/v1/events", *others: str
    ) -> tuple[int, dict[str, str], Any]:
        line = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        line.connect()
        line.sock.sendall(self.head(media, len(body), path, *others) + body)
        answer = http.client.HTTPResponse(line.sock, method="POST")
        answer.begin()
        headers = {name.lower(): value for name, value in answer.getheaders()}
        found = answer.status, headers, json.loads(answer.read())
        line.close()
        return found

    def refresh(self) -> None:
        """Have the process know the key and the stream for some more seconds."""
        number = time.monotonic_ns()
        directory.forget()
        for place in range(2):  # the first loads them
            self.send(ONE, json.dumps(self.event(f"fresh-{number}-{place}")).encode())


@contextmanager
def open_desk(world: World) -> Iterator[Desk]:
    """The short road is open on it."""
    from portal.asgi import application

    taken: list[express.Call] = []
    add = express._watch.add

    def taking(call: express.Call) -> None:
        taken.append(call)
        add(call)

    with pytest.MonkeyPatch.context() as patch, served(application) as port:
        patch.setattr(express._watch, "add", taking)
        producer = world.producer()
        desk = Desk(port, world.stream(), producer, world.key(producer), taken)
        desk.send(MANY, b"[]")  # the process gets to know the key, then the stream
        while not any(call.done() for call in taken):  # until the directory listens, it forgets
            desk.send(ONE, json.dumps(desk.event(f"first-{time.monotonic_ns()}")).encode())
        yield desk


def wait_for_notices() -> None:
    """What was changed just now has been told to the directory, which forgets at that."""
    before = vault._generation
    with connection.cursor() as cursor:  # the last of them, as notices come in their order
        cursor.execute("SELECT pg_notify(%s, %s)", [CHANNEL, vault.NOTICE])
    wait_until(lambda: vault._generation != before, "the last notice")


def in_hand() -> int:
    return parse_load(gate.load()).requests


def wait_for_in_hand(count: int) -> None:
    """An answer comes a moment before its request is counted no more."""
    wait_until(lambda: in_hand() == count, f"{count} requests in hand")
