"""Stored events validated a second against a candidate, by the code the change report uses.

    .venv/bin/python benchmarks/replay.py [--json] [--events 60000] [--rounds 3]

Starts a portal of its own, takes orders of the demo shop in through ingest, spread over the last
seven days, and replays them against two candidates: one that refuses about one in a hundred (a
total above a bound), one that refuses a third (a payment method less). This process and its
PostgreSQL backend are held to one core between them. In the same run the same rows are read by the
same statement and thrown away: the ratio says what judging and counting leave of bare reading.

Exit code 1 when the replay judges fewer than 20,000 events a second.
"""

import argparse
import json
import os
import platform
import statistics
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
os.environ.setdefault("PORTAL_STATIC_UNHASHED", "1")

from benchmarks.servers import portal

TARGET = 20_000
STREAM = "checkout.order_placed"
PRODUCERS = ("web-shop", "ios-app", "android-app")
DRIFT_SHARE = 0.03


def main() -> int:
    options = _options()
    with portal():
        result = _measure(options.events, options.rounds)
    if not options.json:
        for name, found in result["candidates"].items():
            print(
                f"{name:16} {found['events_per_second']:>8,} events/s on one core, "
                f"{found['ratio_to_raw_read']:.2f} of bare reading; "
                f"sample of {found['sampled']:,} after {found['first_answer_ms']} ms, "
                f"{found['refused_ratio']:.1%} refused"
            )
    print(json.dumps(result))
    return 0 if result["events_per_second"] >= TARGET else 1


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--json", action="store_true", help="only the JSON line")
    parser.add_argument("--events", type=int, default=60_000, help="stored events (60000)")
    parser.add_argument("--rounds", type=int, default=3, help="each measured so often (3)")
    return parser.parse_args()


def _measure(events: int, rounds: int) -> dict[str, Any]:
    import django

    django.setup()
    shop, stream = _stream()
    bytes_per_event = _fill(shop, stream, events)
    candidates = _candidates(shop)
    _hold_to_one_core()
    found: dict[str, dict[str, list[float]]] = {name: {} for name in candidates}
    for _ in range(rounds):
        for name, document in candidates.items():
            measured = _replay(stream, document) | {"raw": _read_only(stream)}
            for figure, value in measured.items():
                found[name].setdefault(figure, []).append(value)
    told = {name: _told(figures) for name, figures in found.items()}
    return {
        "events_per_second": told["one in a hundred"]["events_per_second"],
        "ratio_to_raw_read": told["one in a hundred"]["ratio_to_raw_read"],
        "candidates": told,
        "conditions": {
            "events": events,
            "data_bytes": bytes_per_event,
            "rounds": rounds,
            "cores_of_client_and_backend": 1,
            "cores": os.cpu_count(),
            "python": platform.python_version(),
        },
    }


def _told(figures: dict[str, list[float]]) -> dict[str, Any]:
    rates = [events / took for events, took in zip(figures["events"], figures["took"], strict=True)]
    raw = [events / took for events, took in zip(figures["events"], figures["raw"], strict=True)]
    shares = [one / other for one, other in zip(rates, raw, strict=True)]
    return {
        "events_per_second": round(statistics.median(rates)),
        "raw_events_per_second": round(statistics.median(raw)),
        "ratio_to_raw_read": round(statistics.median(shares), 3),
        "first_answer_ms": round(1000 * statistics.median(figures["first"])),
        "sampled": round(figures["sampled"][0]),
        "refused_ratio": round(figures["refused"][0] / figures["events"][0], 4),
    }


def _stream() -> tuple[Any, Any]:
    from catalog.services.streams import NewStream, register_stream
    from portal.demo.fields import document
    from portal.demo.shop import STREAMS
    from portal.kernel.actor import SYSTEM

    shop = next(shop for shop in STREAMS if shop.name == STREAM)
    new = NewStream(
        name=shop.name,
        document=document(shop.fields, shop.versions, shop.description),
        description=shop.description,
    )
    return shop, register_stream(new, actor=SYSTEM)


def _fill(shop: Any, stream: Any, events: int) -> int:
    """Orders through ingest, evenly over just under seven days; gives bytes of data an event."""
    from catalog.services.producers import create_producer
    from ingest.judging.admission import publisher_of
    from ingest.judging.pipeline import accept_events
    from portal.demo.fields import data
    from portal.kernel.actor import SYSTEM

    rng = Random(7)
    publishers = [
        publisher_of(create_producer(name, actor=SYSTEM, streams=[stream])) for name in PRODUCERS
    ]
    begin = datetime.now(UTC) - timedelta(days=6, hours=22)
    apart = timedelta(days=6, hours=21) / events
    size = 0
    for place in range(0, events, 2_000):
        batch = []
        for number in range(place, min(place + 2_000, events)):
            content = data(shop.fields, rng)
            if rng.random() < DRIFT_SHARE:
                content["experiment"] = "blue"
            size += len(json.dumps(content, separators=(",", ":")))
            batch.append(
                {
                    "specversion": "1.0", "id": f"b{number}", "source": "/bench", "type": STREAM,
                    "time": (begin + apart * number).isoformat(), "data": content,
                }
            )  # fmt: skip
        answer = accept_events(batch, publisher=publishers[place // 2_000 % len(publishers)])
        if answer["accepted"] != len(batch):
            raise SystemExit(f"Only {answer['accepted']} of {len(batch)} were accepted.")
    return round(size / events)


def _candidates(shop: Any) -> dict[str, dict[str, Any]]:
    from portal.demo.fields import document

    bounded = document(shop.fields, shop.versions, shop.description)
    bounded["properties"] |= {
        "total_minor": {**bounded["properties"]["total_minor"], "maximum": 20_000}
    }
    fewer = document(shop.fields, shop.versions, shop.description)
    fewer["properties"] |= {"payment_method": {"type": "string", "enum": ["card", "wallet"]}}
    return {"one in a hundred": bounded, "one in three": fewer}


def _hold_to_one_core() -> None:
    """This process and its backend share the last core, so that neither helps the other."""
    from django.db import connection

    core = {max(os.sched_getaffinity(0))}
    connection.ensure_connection()
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE ingest_event")
        cursor.execute("SELECT pg_backend_pid()")
        os.sched_setaffinity(cursor.fetchone()[0], core)
    os.sched_setaffinity(0, core)


def _replay(stream: Any, document: dict[str, Any]) -> dict[str, float]:
    """One whole replay in steps of a second, each in a transaction, as a worker makes them."""
    from django.db import transaction

    from catalog.services.reports import STEP_SECONDS
    from ingest.services.replays import replay_step

    cursor: Any = {}
    tally: Any = {}
    began = time.perf_counter()
    first, sampled = 0.0, 0
    while True:
        with transaction.atomic():
            step = replay_step(
                stream, document, cursor=cursor, tally=tally, budget_seconds=STEP_SECONDS
            )
        if not cursor:
            first, sampled = time.perf_counter() - began, step.tally["checked"]
        cursor, tally = step.cursor, step.tally
        if step.is_finished:
            break
    return {
        "events": float(tally["checked"]),
        "took": time.perf_counter() - began - first,
        "first": first,
        "sampled": float(sampled),
        "refused": float(tally["refused"]),
    }


def _read_only(stream: Any) -> float:
    """Seconds that the same rows take to be read in the same batches, and thrown away."""
    from django.db import transaction

    from ingest.services import replays
    from portal.kernel import clock

    now = clock.now()
    began = time.perf_counter()
    with transaction.atomic():
        at, name = now - replays.SPAN, ""
        while rows := replays.read_batch(stream, at, name, now, seen_by=now, without=[]):
            at, name = rows[-1]["occurred_at"], rows[-1]["event_id"]
    return time.perf_counter() - began


if __name__ == "__main__":
    raise SystemExit(main())
