"""What becomes of a portal at twice the load that it can take.

    .venv/bin/python benchmarks/overload.py [--json] [--minutes 1] [--factor 2] [--micro]

Starts a portal of its own. First 40 clients that wait for their answers find what it takes, sending
single events and batches of 100 at once, of four producers that all send both. Then the same mix comes at `--factor` times those rates,
whether answers come or not (open loop, each class with 256 connections at most). Then what it takes
is found again: capacity is the mean of before and after, as other work comes and goes on a machine.
Each takes a fifth as long as the overload, 10 s at least: a database that is a minute old has written
no checkpoint yet and vacuumed nothing, and takes more than the same one for five minutes.

Clients are processes of their own that write prepared bytes, on the same cores. Twice the requests
cost them more, so `cores` says who used the processors, and `goodput_per_core_ratio` compares events
by processor second of web and database: what is left of it with clients elsewhere. `refusal_ms` is
what a client sees; `decided_ms` how long a web process needs, 19 times of 20, until it looks at a
connection again: what a refusal takes in the server. Afterwards every request that was answered 202 is
looked up: each of its events must be stored once, and none of a request that was refused.

`--micro` only times what quotas and gate cost a request, in this process.
"""

import argparse
import asyncio
import itertools
import json
import multiprocessing
import os
import platform
import statistics
import sys
import time
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ingest.doors.gate import Load

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
os.environ.setdefault("PORTAL_STATIC_UNHASHED", "1")

from benchmarks.client import cpu_seconds
from benchmarks.servers import portal

SINGLE, BATCH = 1, 100
CLOSED = {SINGLE: 32, BATCH: 8}
# How long what it takes is measured, before and after: at least, and as a share of the overload's time.
CAPACITY_SECONDS = 10.0
CAPACITY_SHARE = 0.2
MAX_CONNECTIONS = 256
PRODUCERS = 4
NUMBER = b"@@@@@@@@"
STREAM = "overload.order_placed"
SCHEMA = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "properties": {
        "order_id": {"type": "string"},
        "amount_minor": {"type": "integer", "minimum": 0},
        "currency": {"type": "string", "minLength": 3, "maxLength": 3},
        "lines": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {"sku": {"type": "string"}, "quantity": {"type": "integer"}},
            },
        },
        "channel": {"enum": ["web", "app", "shop"]},
    },
    "required": ["order_id", "amount_minor"],
}


def main() -> int:
    """Measure and print; gives the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--json", action="store_true", help="only the JSON line")
    parser.add_argument("--minutes", type=float, default=1.0, help="of overload (1)")
    parser.add_argument("--factor", type=float, default=2.0, help="times the capacity (2)")
    parser.add_argument("--micro", action="store_true", help="only the cost of the gate")
    options = parser.parse_args()
    if options.micro:
        print(json.dumps(_micro()))
        return 0
    with portal() as said:
        result = _measure(said, options)
    if not options.json:
        for line in _lines(result):
            print(line)
    print(json.dumps(result))
    return 0 if result["ok"] else 1


@dataclass
class Plan:
    """What one client process does."""

    port: int
    size: int
    requests: tuple[bytes, ...]  # alike, one for each producer; a connection is one producer's
    first: int
    seconds: float
    connections: int
    per_second: float | None  # None: each connection sends again when it was answered


@dataclass
class Seen:
    """What one client process saw. `answers` is (number, status), times in seconds."""

    size: int
    answers: list[tuple[int, int]] = field(default_factory=list)
    accepted_seconds: list[float] = field(default_factory=list)
    refused_seconds: list[float] = field(default_factory=list)
    without_retry_after: int = 0
    unsent: int = 0  # due while no connection was free
    lasted: float = 0.0
    cpu_seconds: float = 0.0

    @property
    def accepted(self) -> int:
        return sum(1 for _, status in self.answers if status == 202)


class _Connection(asyncio.Protocol):
    def __init__(self, client: "_Client") -> None:
        self.client = client
        self.request = next(client.requests)
        self.number = 0
        self.sent_at = 0.0
        self.buffer = b""
        self.transport: Any = None

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def send(self, number: int) -> None:
        self.number, self.sent_at = number, time.perf_counter()
        self.transport.write(self.request.replace(NUMBER, b"%08d" % number))

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        end = self.buffer.find(b"\r\n\r\n")
        if end < 0:
            return
        head = self.buffer[:end].lower()
        place = head.index(b"content-length: ") + 16
        length = int(head[place : head.find(b"\r", place) if b"\r" in head[place:] else None])
        if len(self.buffer) < end + 4 + length:
            return
        self.buffer = b""
        self.client.answered(self, int(head[9:12]), b"\r\nretry-after: " in head)

    def connection_lost(self, exc: Exception | None) -> None:
        self.client.lost(self)


class _Client:
    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.seen = Seen(plan.size)
        self.requests = itertools.cycle(plan.requests)
        self.free: deque[_Connection] = deque()
        self.number = plan.first
        self.is_over = False
        self.live = 0
        self.connecting: set[asyncio.Task[None]] = set()

    async def run(self) -> Seen:
        """Send as planned until the time is over, and wait for what is under way."""
        began, cpu_began = time.perf_counter(), time.process_time()
        if self.plan.per_second is None:
            for _ in range(self.plan.connections):
                self._connect_and_send()
            await asyncio.sleep(self.plan.seconds)
        else:
            await self._at_a_rate(began)
        self.seen.lasted = time.perf_counter() - began
        self.seen.cpu_seconds = time.process_time() - cpu_began
        self.is_over = True
        deadline = time.perf_counter() + 10
        while len(self.free) < self.live and time.perf_counter() < deadline:
            await asyncio.sleep(0.05)
        return self.seen

    async def _at_a_rate(self, began: float) -> None:
        assert self.plan.per_second is not None
        sent = 0
        while (now := time.perf_counter() - began) < self.plan.seconds:
            due = int(now * self.plan.per_second)
            for _ in range(due - sent):
                if self.free:
                    self._next(self.free.popleft())
                elif self.live < self.plan.connections:
                    self._connect_and_send()
                else:
                    self.seen.unsent += 1
            sent = due
            await asyncio.sleep(0.002)

    def _connect_and_send(self) -> None:
        self.live += 1
        task = asyncio.create_task(self._connect())
        self.connecting.add(task)
        task.add_done_callback(self.connecting.discard)

    async def _connect(self) -> None:
        _, connection = await asyncio.get_running_loop().create_connection(
            lambda: _Connection(self), "127.0.0.1", self.plan.port
        )
        self._next(connection)

    def _next(self, connection: _Connection) -> None:
        self.number += 1
        connection.send(self.number)

    def answered(self, connection: _Connection, status: int, has_retry_after: bool) -> None:
        took = time.perf_counter() - connection.sent_at
        self.seen.answers.append((connection.number, status))
        connection.number = 0
        if status == 202:
            self.seen.accepted_seconds.append(took)
        else:
            self.seen.refused_seconds.append(took)
            self.seen.without_retry_after += not has_retry_after
        if self.plan.per_second is None and not self.is_over:
            self._next(connection)
        else:
            self.free.append(connection)

    def lost(self, connection: _Connection) -> None:
        """Closed, for being idle or in the midst of a request: what became of that is unknown."""
        self.live -= 1
        if connection.number:
            self.seen.answers.append((connection.number, 0))
        elif connection in self.free:
            self.free.remove(connection)
        if self.plan.per_second is None and not self.is_over:
            self._connect_and_send()


def _client(plan: Plan, pipe: Any) -> None:
    import uvloop

    pipe.send(uvloop.run(_Client(plan).run()))


def _run(plans: list[Plan], watch: "_Watch | None" = None) -> list[Seen]:
    if watch is not None:
        watch.start()
    context = multiprocessing.get_context("spawn")
    pipes, processes = [], []
    for plan in plans:
        mine, theirs = context.Pipe()
        process = context.Process(target=_client, args=(plan, theirs))
        process.start()
        pipes.append(mine)
        processes.append(process)
    deadline = time.monotonic() + max(plan.seconds for plan in plans) + 60
    while not all(pipe.poll(0.5) for pipe in pipes):
        if watch is not None:
            watch.look()
        if time.monotonic() > deadline or not all(
            p.is_alive() or p.exitcode == 0 for p in processes
        ):
            raise SystemExit("a client failed")
    seen = [pipe.recv() for pipe in pipes]
    for process in processes:
        process.join()
    return seen


class _Watch:
    """Resident bytes of the web processes while clients run, and who used the processors."""

    def __init__(self, port: int) -> None:
        self._port = port
        self.web = _portal_pids(port)["web"]
        self.most = 0
        self.rounds: list[float] = []

    def start(self) -> None:
        self._began = time.monotonic()
        self._before = self._cpu()
        self._busy_before = _machine_busy_seconds()

    def look(self) -> None:
        total = 0
        for pid in self.web:
            status = Path(f"/proc/{pid}/status").read_text()
            total += int(status.split("VmRSS:")[1].split()[0]) * 1024
        self.most = max(self.most, total)
        self.rounds += [load.round_us / 1e6 for load in _loads()]

    def stop(self, clients: Sequence[Seen]) -> dict[str, float]:
        """Processors that each part kept busy since the start, on average; `web` is all of it."""
        seconds = time.monotonic() - self._began
        used = {
            name: sum(cpu - self._before[name].get(pid, 0.0) for pid, cpu in by_pid.items())
            for name, by_pid in self._cpu().items()
        }
        used["clients"] = sum(seen.cpu_seconds for seen in clients)
        busy = _machine_busy_seconds() - self._busy_before
        used["anything_else"] = max(0.0, busy - sum(used.values()))
        return {name: round(cpu / seconds, 2) for name, cpu in used.items()}

    def _cpu(self) -> dict[str, dict[int, float]]:
        return {
            name: {pid: cpu_seconds([pid]) for pid in pids}
            for name, pids in _portal_pids(self._port).items()
        }


def _loads() -> list["Load"]:
    """What the web processes say of themselves."""
    import redis

    from ingest.doors.gate import parse_load
    from ingest.doors.shared_buckets import LOAD

    with redis.Redis.from_url(os.environ["REDIS_URL"]) as client:
        found = [parse_load(text) for text in client.hvals(LOAD)]
    return [load for load in found if load.at >= time.time() - 2]


def _portal_pids(port: int) -> dict[str, list[int]]:
    """The web processes that serve a port, and its portal's database."""
    parents: dict[int, int] = {}
    words: dict[int, bytes] = {}
    for place in Path("/proc").iterdir():
        if not place.name.isdigit():
            continue
        pid = int(place.name)
        try:
            parents[pid] = int((place / "stat").read_text().rpartition(")")[2].split()[1])
            words[pid] = (place / "cmdline").read_bytes()
        except OSError:  # it ended meanwhile
            continue
    (server,) = [
        pid
        for pid, line in words.items()
        if b"portal.asgi:application\0" in line and b"\0%d\0" % port in line
    ]

    def is_ours(pid: int) -> bool:
        while pid in parents:
            if pid == parents[server]:
                return True
            pid = parents[pid]
        return False

    return {
        "web": [
            pid for pid, line in words.items() if parents[pid] == server and b"spawn_main" in line
        ],
        "database": [
            pid for pid, line in words.items() if b"postgres" in line[:90] and is_ours(pid)
        ],
    }


def _machine_busy_seconds() -> float:
    """Processor seconds that anything has used on this machine."""
    with open("/proc/stat", encoding="ascii") as file:  # noqa: PTH123  # as in benchmarks.client
        fields = [int(number) for number in file.readline().split()[1:]]
    return (sum(fields[:3]) + sum(fields[5:7])) / os.sysconf("SC_CLK_TCK")


def _measure(said: dict[str, Any], options: argparse.Namespace) -> dict[str, Any]:
    port = int(said["url"].rpartition(":")[2])
    requests = _prepare(port)
    before, memory, after = _Watch(port), _Watch(port), _Watch(port)
    seen_all = _run([_plan(port, requests, size, 0, seconds=3.0) for size in CLOSED])
    closed = _run(_closed(port, requests, 10_000_000, minutes=options.minutes), before)
    capacity_cores = before.stop(closed)
    rates = {seen.size: seen.accepted / seen.lasted for seen in closed}
    overload = _run(
        [
            _plan(
                port, requests, size, 20_000_000, seconds=options.minutes * 60,
                per_second=rates[size] * options.factor,
            )
            for size in CLOSED
        ],
        memory,
    )  # fmt: skip
    cores = memory.stop(overload)
    again = _run(_closed(port, requests, 90_000_000, minutes=options.minutes), after)
    cores_after = after.stop(again)
    seen_all += [*closed, *overload, *again]
    rates_after = {seen.size: seen.accepted / seen.lasted for seen in again}
    capacities = [round(_events(each)) for each in (rates, rates_after)]
    offered = {size: round(rate * options.factor) for size, rate in rates.items()}
    per_core = _per_core(rates, capacity_cores) / 2 + _per_core(rates_after, cores_after) / 2
    rates = {size: (rate + rates_after[size]) / 2 for size, rate in rates.items()}
    faults = _faults(seen_all)
    events = _events(rates)
    good = {seen.size: seen.accepted / seen.lasted for seen in overload}
    good_events = _events(good)
    refused = sorted(took for seen in overload for took in seen.refused_seconds)
    accepted = sorted(took for seen in overload for took in seen.accepted_seconds)
    statuses = Counter(status for seen in overload for _, status in seen.answers)
    result: dict[str, Any] = {
        "capacity_events_per_second": round(events),
        "capacity_requests_per_second": {str(size): round(rate) for size, rate in rates.items()},
        "goodput_ratio": round(good_events / events, 3),
        "goodput_per_core_ratio": round(_per_core(good, cores) / per_core, 3),
        "goodput_ratio_by_size": {str(size): round(good[size] / rates[size], 3) for size in rates},
        "refusal_ms": _percentiles(refused),
        "decided_ms": _percentiles(sorted(memory.rounds)),
        "accepted_ms": _percentiles(accepted),
        "statuses": {str(status): count for status, count in sorted(statuses.items())},
        "unsent": sum(seen.unsent for seen in overload),
        "memory_ratio": round(memory.most / before.most, 3),
        "refusals_without_retry_after": sum(seen.without_retry_after for seen in overload),
        "faults": faults,
        "cores": {"before": capacity_cores, "overload": cores, "after": cores_after},
        "conditions": {
            "minutes": options.minutes,
            "capacity_before_and_after": capacities,
            "factor": options.factor,
            "offered_requests_per_second": {str(size): rate for size, rate in offered.items()},
            "closed_loop_clients": {str(size): count for size, count in CLOSED.items()},
            "web_workers": len(memory.web),
            "client_on_same_cores": True,
            "cores": os.cpu_count(),
            "python": platform.python_version(),
            "web_megabytes_at_capacity": round(before.most / 2**20),
        },
    }
    result["ok"] = (
        result["goodput_ratio"] >= 0.8
        and (not refused or result["refusal_ms"]["p95"] <= 50)
        and result["memory_ratio"] <= 1.2
        and not faults
        and not result["refusals_without_retry_after"]
    )
    return result


def _closed(
    port: int, requests: dict[int, tuple[bytes, ...]], first: int, *, minutes: float
) -> list[Plan]:
    seconds = max(CAPACITY_SECONDS, CAPACITY_SHARE * minutes * 60)
    return [_plan(port, requests, size, first, seconds=seconds) for size in CLOSED]


def _events(rates: dict[int, float]) -> float:
    """A second, of rates of requests by size."""
    return sum(rate * size for size, rate in rates.items())


def _per_core(rates: dict[int, float], cores: dict[str, float]) -> float:
    """Events a second for each processor that web and database kept busy."""
    return _events(rates) / max(0.01, cores["web"] + cores["database"])


def _plan(
    port: int,
    requests: dict[int, tuple[bytes, ...]],
    size: int,
    first: int,
    *,
    seconds: float,
    per_second: float | None = None,
) -> Plan:
    connections = CLOSED[size] if per_second is None else MAX_CONNECTIONS
    return Plan(port, size, requests[size], first, seconds, connections, per_second)


def _prepare(port: int) -> dict[int, tuple[bytes, ...]]:
    """Register the stream, make producers that all send every class, and write down their requests.

    The gate gives keys equal shares of what there is room for. With a producer for each class the one
    of the smaller share would get more of the room than before, and the mix would be another.
    """
    import django

    django.setup()
    from catalog.services.streams import NewStream, register_stream
    from catalog.services.tracks import promote_stream
    from portal.kernel.actor import SYSTEM
    from portal.key_commands import NewKey, create

    new = NewStream(name=STREAM, document=SCHEMA, description="An order.")
    # On trial it would have a quota that is not what is measured here.
    promote_stream(register_stream(new, actor=SYSTEM), actor=SYSTEM, is_new=True)
    when = datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
    keys = [create(NewKey(kind="producer", name=f"overload-{n}"))[1] for n in range(PRODUCERS)]
    requests = {}
    for size in CLOSED:
        events = [_event(f"{size}-{NUMBER.decode()}-{place}", when, place) for place in range(size)]
        body = json.dumps(events if size > 1 else events[0], separators=(",", ":")).encode()
        kind = "cloudevents-batch" if size > 1 else "cloudevents"
        heads = [
            f"POST /v1/events HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nAuthorization: Bearer {key}\r\n"
            f"Content-Type: application/{kind}+json\r\nContent-Length: {len(body)}\r\n\r\n"
            for key in keys
        ]
        requests[size] = tuple(head.encode() + body for head in heads)
    return requests


def _event(name: str, when: str, place: int) -> dict[str, Any]:
    lines = [{"sku": f"SKU-{place:04d}-{line}", "quantity": 1 + line} for line in range(2)]
    data = {
        "order_id": f"order-{place:06d}", "amount_minor": 1990 + place, "currency": "EUR",
        "channel": "web", "lines": lines, "note": "Leave it with the neighbours, please." * 3,
    }  # fmt: skip
    return {
        "specversion": "1.0", "id": name, "source": "/overload", "type": STREAM, "time": when,
        "subject": f"customer-{place:06d}", "data": data,
    }  # fmt: skip


def _faults(seen_all: list[Seen]) -> list[str]:
    """Requests whose events are not stored exactly as their answers said."""
    import psycopg

    with psycopg.connect(os.environ["DATABASE_URL"]) as db:
        rows = db.execute(
            "SELECT split_part(event_id, '-', 1)::int, split_part(event_id, '-', 2)::int,"
            " count(*), count(DISTINCT event_id) FROM ingest_event GROUP BY 1, 2"
        ).fetchall()
    stored = {(size, number): (rows, ids) for size, number, rows, ids in rows}
    faults: Counter[str] = Counter()
    for seen in seen_all:
        for number, status in seen.answers:
            found = stored.get((seen.size, number))
            if status == 202 and found != (seen.size, seen.size):
                faults["lost" if found is None or found[0] < seen.size else "doubled"] += 1
            elif status in {429, 503} and found is not None and status == 429:
                faults["stored though refused"] += 1
            elif status not in {0, 202, 429, 503}:
                faults[f"status {status}"] += 1
    return [f"{count} {what}" for what, count in faults.items()]


def _percentiles(values: list[float]) -> dict[str, float]:
    if not values:
        return {}
    return {
        name: round(values[min(len(values) - 1, int(len(values) * share))] * 1000, 1)
        for name, share in (("p50", 0.5), ("p95", 0.95), ("p99", 0.99), ("max", 1.0))
    }


def _lines(result: dict[str, Any]) -> list[str]:
    found = f"{result['capacity_events_per_second']:,} events/s"
    return [
        f"capacity {found} ({result['capacity_requests_per_second']} requests/s by batch size)",
        f"goodput {result['goodput_ratio']:.2f} of it ({result['goodput_ratio_by_size']})",
        f"goodput by processor second {result['goodput_per_core_ratio']:.2f}",
        f"refused in {result['refusal_ms']} ms, accepted in {result['accepted_ms']} ms",
        f"in the server, a request waited for its turn {result['decided_ms']} ms",
        f"answers {result['statuses']}, not sent for want of a connection {result['unsent']}",
        f"processors: {result['cores']}",
        f"memory {result['memory_ratio']:.2f} times, faults {result['faults'] or 'none'}",
    ]


def _micro() -> dict[str, float]:
    """Microseconds a request of quotas, and of the gate, in this process without Redis."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "portal.settings")
    os.environ.setdefault("DATABASE_URL", "postgresql://nobody@127.0.0.1:1/none")
    os.environ.setdefault("REDIS_URL", "redis://127.0.0.1:1/0")
    os.environ.setdefault("PORTAL_SECRET_KEY", "only-for-a-measurement-never-for-a-server")
    from governance.privacy import keyring

    os.environ.setdefault("PORTAL_PRIVACY_KEYS", keyring.new_text())
    import re

    import django

    django.setup()
    from ingest.doors.gate import gate
    from ingest.doors.limits import quotas
    from ingest.judging.admission import Publisher

    publisher = Publisher(
        1, "p", None, "abcdefgh", frozenset(), (), re.compile("x"), frozenset(), set(), 10**9,
        frozenset(),
    )  # fmt: skip

    def once() -> tuple[float, float]:
        count = 20_000
        began = time.perf_counter()
        for _ in range(count):
            quotas.admit(publisher)
            quotas.charge(publisher, [None], ())  # type: ignore[list-item]  # only counted
        between = time.perf_counter()
        for _ in range(count):
            gate.enter("abcdefgh", "600", is_full=False).close()
        return (between - began) / count * 1e6, (time.perf_counter() - between) / count * 1e6

    rounds = [once() for _ in range(9)]
    return {
        "quota_us": round(statistics.median(quota for quota, _ in rounds), 2),
        "gate_us": round(statistics.median(gate for _, gate in rounds), 2),
    }


if __name__ == "__main__":
    raise SystemExit(main())
