"""How many events a second the running server accepts durably, beside raw COPY of the same rows.

    .venv/bin/python benchmarks/ingest.py [--json] [--seconds 4]

Starts a portal of its own (`manage.py up --no-demo`: durable PostgreSQL, two web workers), sends
events of the demo shop in batches of 1, 100 and 500, and in the same run copies the very rows that
were stored into a table with the same partitions and unique index, in the same batch sizes. The
last line of `--json` holds ratios; `benchmarks/README.md` says how to read them.
"""

import argparse
import base64
import http.client
import itertools
import json
import os
import platform
import sys
import threading
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
os.environ.setdefault("PORTAL_STATIC_UNHASHED", "1")

from benchmarks.servers import portal

SINGLE_CLIENTS = 32
BATCH_CLIENTS = 4
NAIVE_EVENTS = 300


def main() -> int:
    options = _options()
    with portal() as said:
        result = _measure(said["url"], options.seconds)
    if not options.json:
        for size in ("1", "100", "500"):
            print(
                f"batch {size:>3}: {result['events_per_second'][size]:>8,} events/s, "
                f"{result['ratio_to_copy'][size]:.2f} of COPY, "
                f"{result['ratio_to_naive'][size]:.1f} times the naive way"
            )
    print(json.dumps(result))
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--json", action="store_true", help="only the JSON line")
    parser.add_argument("--seconds", type=float, default=4.0, help="a measurement (4)")
    return parser.parse_args()


def _measure(url: str, seconds: float) -> dict[str, Any]:
    import django

    django.setup()
    streams = _streams()
    key = _key()
    maker = _Maker(streams)
    _send(url, key, maker, size=100, clients=2, seconds=1.5)  # warms both workers
    rates: dict[str, float] = {}
    copies: dict[str, float] = {}
    for size, clients in ((1, SINGLE_CLIENTS), (100, BATCH_CLIENTS), (500, BATCH_CLIENTS)):
        rates[str(size)] = _send(url, key, maker, size=size, clients=clients, seconds=seconds)
        copies[str(size)] = _copy(size, seconds)
    naive = _naive(maker)
    return {
        "ratio_to_copy": {size: round(rates[size] / copies[size], 3) for size in rates},
        "events_per_second": {size: round(rate) for size, rate in rates.items()},
        "ratio_to_naive": {size: round(rate / naive, 1) for size, rate in rates.items()},
        "conditions": {
            "copy_events_per_second": {size: round(rate) for size, rate in copies.items()},
            "naive_events_per_second": round(naive),
            "naive": "in process: json, jsonschema, one INSERT a commit; no HTTP, no key",
            "web_workers": 2,
            "clients": {"1": SINGLE_CLIENTS, "100": BATCH_CLIENTS, "500": BATCH_CLIENTS},
            "client_on_same_cores": True,
            "cores": os.cpu_count(),
            "python": platform.python_version(),
            "event_bytes": maker.bytes_per_event,
        },
    }


def _streams() -> list[Any]:
    """A few of the demo shop's streams, registered through the services."""
    from catalog.services.streams import NewStream, register_stream
    from portal.demo.fields import document
    from portal.demo.shop import STREAMS
    from portal.kernel.actor import SYSTEM

    chosen = [shop for shop in STREAMS if shop.per_day >= 900]
    for shop in chosen:
        register_stream(
            NewStream(
                name=shop.name,
                document=document(shop.fields, shop.versions, shop.description),
                description=shop.description,
            ),
            actor=SYSTEM,
        )
    return chosen


def _key() -> str:
    from portal.key_commands import NewKey, create

    return create(NewKey(kind="producer", name="bench"))[1]


class _Maker:
    """Real events of the shop with ids of their own, made before the clock runs."""

    def __init__(self, streams: Sequence[Any]) -> None:
        from portal.demo import traffic

        hour = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - timedelta(days=1)
        story = traffic.Story(
            hour - timedelta(days=30), hour + timedelta(days=30), hour + timedelta(days=30)
        )
        names = {stream.name for stream in streams}
        hours = [hour - timedelta(hours=offset) for offset in range(12)]
        self._events = [
            event
            for moment in hours
            for _, event in traffic.events_of_hour(moment, story)
            if event["type"] in names
        ]
        self._numbers = itertools.count()
        sample = [json.dumps(event, separators=(",", ":")) for event in self._events[:500]]
        self.bytes_per_event = round(sum(map(len, sample)) / len(sample))

    def events(self, count: int) -> list[dict[str, Any]]:
        return [
            {**self._events[number % len(self._events)], "id": f"b{number}"}
            for number in itertools.islice(self._numbers, count)
        ]

    def body(self, size: int) -> tuple[bytes, str]:
        events = self.events(size)
        if size == 1:
            return json.dumps(events[0]).encode(), "application/cloudevents+json"
        return json.dumps(events).encode(), "application/cloudevents-batch+json"


def _send(url: str, key: str, maker: _Maker, *, size: int, clients: int, seconds: float) -> float:
    """Events accepted a second by `clients` connections that each wait for their answers."""
    amount = int(max(60, 30_000 / size) if size > 1 else 12_000) // clients + 1
    queues = [[maker.body(size) for _ in range(amount)] for _ in range(clients)]
    accepted = [0] * clients
    host = url.removeprefix("http://")
    barrier = threading.Barrier(clients + 1)
    ends = [0.0] * clients

    def client(index: int) -> None:
        connection = http.client.HTTPConnection(host, timeout=30)
        connection.connect()
        barrier.wait()
        until = time.perf_counter() + seconds
        for body, kind in queues[index]:
            headers = {"Authorization": f"Bearer {key}", "Content-Type": kind}
            connection.request("POST", "/v1/events", body, headers)
            answer = connection.getresponse()
            said = json.loads(answer.read())
            if answer.status != 202:
                raise SystemExit(f"{answer.status}: {said}")
            accepted[index] += said["accepted"]
            ends[index] = time.perf_counter()
            if ends[index] >= until:
                break
        connection.close()

    threads = [threading.Thread(target=client, args=(index,)) for index in range(clients)]
    for thread in threads:
        thread.start()
    barrier.wait()
    began = time.perf_counter()
    for thread in threads:
        thread.join()
    return sum(accepted) / (max(ends) - began)


def _copy(size: int, seconds: float) -> float:
    """Rows a second of raw binary COPY, one commit a batch, of rows taken from the event table.

    The buffers are read out of PostgreSQL before the clock runs, so no encoding is measured.
    """
    import psycopg

    from ingest.rows import HEADER, TRAILER

    columns = (
        "stream_id, track, occurred_at, event_id, received_at, producer_id, version, subject,"
        " source, attributes, data, data_base64, extra, content_hash, marks"
    )
    with psycopg.connect(os.environ["DATABASE_URL"], autocommit=True) as raw:
        raw.execute("DROP TABLE IF EXISTS bench_event")
        raw.execute("CREATE TABLE bench_event (LIKE ingest_event) PARTITION BY RANGE (occurred_at)")
        raw.execute("ALTER TABLE bench_event DROP COLUMN tx, DROP COLUMN seq")
        days = raw.execute(
            "SELECT DISTINCT date_trunc('day', occurred_at) FROM ingest_event"
        ).fetchall()
        for (day,) in days:
            raw.execute(
                f"CREATE TABLE bench_event_{day:%Y%m%d} PARTITION OF bench_event "
                f"FOR VALUES FROM ('{day.isoformat()}') TO ('{(day + timedelta(days=1)).isoformat()}')"
            )
        raw.execute("CREATE UNIQUE INDEX ON bench_event (stream_id, occurred_at, event_id)")
        limit = 3_000 if size == 1 else 30_000
        with raw.cursor() as cursor:
            taken = (
                f"COPY (SELECT {columns} FROM ingest_event LIMIT {limit}) TO STDOUT (FORMAT BINARY)"
            )
            with cursor.copy(taken) as out:
                rows = [bytes(chunk) for chunk in out]
        rows[0] = rows[0].removeprefix(HEADER)
        rows = [row for row in rows if row and row != TRAILER]
        buffers = [
            HEADER + b"".join(rows[place : place + size]) + TRAILER
            for place in range(0, len(rows), size)
        ]
        began, done = time.perf_counter(), 0
        statement = f"COPY bench_event ({columns}) FROM STDIN (FORMAT BINARY)"
        with raw.cursor() as cursor:
            for number, buffer in enumerate(buffers):
                with cursor.copy(statement) as into:
                    into.write(buffer)
                done += min(size, len(rows) - number * size)
                if time.perf_counter() - began >= seconds:
                    break
        rate = done / (time.perf_counter() - began)
        raw.execute("DROP TABLE bench_event")
    return rate


def _naive(maker: _Maker) -> float:
    """Events a second of the plain way: parse, validate with jsonschema, one row a commit."""
    import jsonschema

    from catalog.models import SchemaVersion
    from ingest.models import Event

    documents = {
        version.stream.name: (version.stream_id, version.document)
        for version in SchemaVersion.objects.select_related("stream")
    }
    bodies = [maker.body(1)[0] for _ in range(NAIVE_EVENTS)]
    began = time.perf_counter()
    for body in bodies:
        event = json.loads(body)
        stream_id, document = documents[event["type"]]
        jsonschema.validate(event["data"], document)
        when = datetime.fromisoformat(event["time"])
        if Event.objects.filter(
            stream_id=stream_id, occurred_at=when, event_id=event["id"]
        ).exists():
            continue
        Event.objects.create(
            stream_id=stream_id, track=1, occurred_at=when, event_id=event["id"],
            received_at=datetime.now(UTC), producer_id=1, version=1, subject=event["subject"],
            source=event["source"], attributes={}, data=event["data"],
            content_hash=base64.b64decode(""), marks=0, seq=next(_SEQUENCE),
        )  # fmt: skip
    return NAIVE_EVENTS / (time.perf_counter() - began)


_SEQUENCE = itertools.count(10**12)

if __name__ == "__main__":
    raise SystemExit(main())
