"""How many events a second the running server accepts durably, beside raw COPY of the same rows.

    .venv/bin/python benchmarks/ingest.py [--json] [--seconds 4] [--rounds 3]

Starts a portal of its own (`manage.py up --no-demo`: durable PostgreSQL, two web workers) and sends
events of three streams, mixed, one at a time over 32 connections, and in batches of 100 and 500 over
8. In each round the very rows that were stored are also copied by one connection, in the same batch
sizes, into a table with the same daily partitions and unique index but without offsets; then the
naive view (`benchmarks/naive.py`) gets the same requests. Figures are medians of the rounds, ratios
are within a round. The last line of `--json` holds them; `benchmarks/README.md` says how to read it.
"""

import argparse
import hashlib
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
os.environ.setdefault("PORTAL_STATIC_UNHASHED", "1")

from benchmarks.client import Figures, cpu_seconds, drive, request
from benchmarks.events import DOCUMENT, STREAMS, Maker, media
from benchmarks.servers import portal

CLIENTS: Final = {1: 32, 100: 8, 500: 8}
# More than a measurement can use up, so that no connection runs dry.
ROOM_PER_SECOND: Final = {1: 20_000, 100: 120_000, 500: 120_000}
NAIVE_PER_SECOND: Final = {1: 4_000, 100: 10_000, 500: 10_000}
COLUMNS: Final = (
    "stream_id, track, occurred_at, event_id, received_at, producer_id, version, subject,"
    " source, attributes, data, data_base64, extra, content_hash, marks"
)


def main() -> int:
    options = _options()
    with portal() as said:
        result = _measure(said["url"].removeprefix("http://"), options.seconds, options.rounds)
    if not options.json:
        for size in ("1", "100", "500"):
            print(
                f"batch {size:>3}: {result['events_per_second'][size]:>8,} events/s, "
                f"{result['ratio_to_copy'][size]:.2f} of COPY, "
                f"{result['ratio_to_naive'][size]:.1f} times the naive view"
            )
    print(json.dumps(result))
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--json", action="store_true", help="only the JSON line")
    parser.add_argument("--seconds", type=float, default=4.0, help="a measurement (4)")
    parser.add_argument("--rounds", type=int, default=3, help="medians of so many (3)")
    return parser.parse_args()


def _measure(host: str, seconds: float, rounds: int) -> dict[str, Any]:
    import django

    django.setup()
    key, maker = _register(), Maker()
    _send(host, key, maker, 100, 1.5, ROOM_PER_SECOND)  # warms both workers
    ours: dict[int, list[Figures]] = {size: [] for size in CLIENTS}
    copies: dict[int, list[float]] = {size: [] for size in CLIENTS}
    naives: dict[int, list[float]] = {size: [] for size in CLIENTS}
    cpu: dict[int, list[tuple[float, float]]] = {size: [] for size in CLIENTS}
    with _naive_server(key) as naive:
        _send(naive, key, maker, 100, 1.0, NAIVE_PER_SECOND)
        for _ in range(rounds):
            for size in CLIENTS:
                before = _processor_time()
                figures = _send(host, key, maker, size, seconds, ROOM_PER_SECOND)
                after = _processor_time()
                ours[size].append(figures)
                cpu[size].append(
                    tuple(
                        1e6 * (b - a) / figures.accepted for a, b in zip(before, after, strict=True)
                    )  # type: ignore[arg-type]
                )
                copies[size].append(_copy(size, seconds / 2))
                naives[size].append(
                    _send(naive, key, maker, size, seconds / 2, NAIVE_PER_SECOND).rate
                )
    return {
        "ratio_to_copy": {
            str(size): _ratio([f.rate for f in ours[size]], copies[size]) for size in CLIENTS
        },
        "events_per_second": {
            str(size): round(statistics.median(f.rate for f in ours[size])) for size in CLIENTS
        },
        "ratio_to_naive": {
            str(size): _ratio([f.rate for f in ours[size]], naives[size], 1) for size in CLIENTS
        },
        "conditions": {
            "copy_events_per_second": _medians(copies),
            "naive_events_per_second": _medians(naives),
            "delay_ms_p50": _delays(ours, 0.5),
            "delay_ms_p99": _delays(ours, 0.99),
            "web_cpu_us_per_event": _shares(cpu, 0),
            "postgres_cpu_us_per_event": _shares(cpu, 1),
            "rounds": rounds,
            "web_workers": 2,
            "clients": {str(size): count for size, count in CLIENTS.items()},
            "client_on_same_cores": True,
            "cores": os.cpu_count(),
            "python": platform.python_version(),
            "event_bytes": maker.bytes_per_event(),
        },
    }


def _ratio(ours: Sequence[float], other: Sequence[float], digits: int = 3) -> float:
    return round(statistics.median(a / b for a, b in zip(ours, other, strict=True)), digits)


def _medians(rates: dict[int, list[float]]) -> dict[str, int]:
    return {str(size): round(statistics.median(found)) for size, found in rates.items()}


def _delays(ours: dict[int, list[Figures]], share: float) -> dict[str, float]:
    return {
        str(size): round(statistics.median(f.percentile(share) for f in found), 2)
        for size, found in ours.items()
    }


def _shares(cpu: dict[int, list[tuple[float, float]]], place: int) -> dict[str, float]:
    return {
        str(size): round(statistics.median(pair[place] for pair in found), 1)
        for size, found in cpu.items()
    }


def _register() -> str:
    """The streams, registered through the services, and a key that may publish to them."""
    from catalog.services.streams import NewStream, register_stream
    from catalog.services.tracks import promote_stream
    from portal.kernel.actor import SYSTEM
    from portal.key_commands import NewKey, create

    for name in STREAMS:
        new = NewStream(name=name, document=DOCUMENT, description="Sent by the benchmark.")
        # On trial they would have a quota that is not what is measured here.
        promote_stream(register_stream(new, actor=SYSTEM), actor=SYSTEM, is_new=True)
    return create(NewKey(kind="producer", name="bench"))[1]


def _send(
    host: str, key: str, maker: Maker, size: int, seconds: float, room: dict[int, int]
) -> Figures:
    clients = CLIENTS[size]
    amount = int(room[size] * seconds) // (size * clients) + 1
    queues = [
        [request("/v1/events", key, media(size), body) for body in maker.bodies(amount, size)]
        for _ in range(clients)
    ]
    return drive(host, queues, seconds)


def _processor_time() -> tuple[float, float]:
    """Seconds used by the web processes and by PostgreSQL's so far."""
    web, postgres = [], []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            words = (entry / "cmdline").read_bytes()
            environment = (entry / "environ").read_bytes()
        except OSError:
            continue
        if words.startswith(b"postgres") or b"bin/postgres" in words:
            postgres.append(int(entry.name))
        elif b"PORTAL_PROCESS=web" in environment and b"naive" not in words:
            web.append(int(entry.name))
    return cpu_seconds(web), cpu_seconds(postgres)


@contextmanager
def _naive_server(key: str) -> Iterator[str]:
    import psycopg

    from benchmarks.naive_table import TABLES
    from portal.launcher.instance import free_port

    with psycopg.connect(os.environ["DATABASE_URL"], autocommit=True) as raw:
        raw.execute(TABLES)
        digest = hashlib.sha256(key.encode()).digest()
        raw.execute("INSERT INTO bench_naive_key VALUES (%s, 'bench')", [digest])
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, "-m", "uvicorn", "benchmarks.naive:application", "--port", str(port),
         "--workers", "2", "--loop", "uvloop", "--http", "httptools", "--no-access-log",
         "--log-level", "error"],
        cwd=ROOT,
    )  # fmt: skip
    try:
        _wait(port)
        yield f"127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(30)


def _wait(port: int) -> None:
    import socket

    for _ in range(300):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    raise SystemExit("The naive server did not start.")


def _copy(size: int, seconds: float) -> float:
    """Rows a second of raw binary COPY, one commit a batch, of rows taken from the event table.

    The buffers are read out of PostgreSQL before the clock runs, so no encoding is measured.
    """
    import psycopg

    from ingest.log.rows import HEADER, TRAILER

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
        limit = int(12_000 * seconds) if size == 1 else int(200_000 * seconds)
        with raw.cursor() as cursor:
            taken = (
                f"COPY (SELECT {COLUMNS} FROM ingest_event ORDER BY occurred_at LIMIT {limit})"
                " TO STDOUT (FORMAT BINARY)"
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
        statement = f"COPY bench_event ({COLUMNS}) FROM STDIN (FORMAT BINARY)"
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


if __name__ == "__main__":
    raise SystemExit(main())
