"""Whether changes to the audit chain are found, and what the chain costs.

    .venv/bin/python benchmarks/audit.py [--json] [--rows 10000] [--tamperings 1000] [--clean 100] [--seed 1]

Starts a portal of its own, appends rows to its chain, has them signed, and then changes the chain as
the owner of the database could (`benchmarks/tampering.py`), one random change after the other, each
rolled back after the walk that has to find it. `found` counts the walks that named the very row;
`missed` says of the others what was done, what was expected and what was said. Then the chain as it
is is walked `--clean` times: `false_alarms` of them say that it does not hold.

`append_ms` is what a row adds to its transaction (p50, p95), `walk_us` what a row costs a walk. Exit
code 1 when a change was missed, a clean walk raised an alarm, or a row adds a millisecond or more.
"""

import argparse
import json
import os
import random
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks.servers import owner_url, portal

MOST_MS = 1.0


def main() -> int:
    """Measure and print; gives the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--json", action="store_true", help="only the JSON line")
    parser.add_argument("--rows", type=int, default=10_000)
    parser.add_argument("--tamperings", type=int, default=1000)
    parser.add_argument("--clean", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    with portal():
        os.environ["DATABASE_URL"] = owner_url()  # who tampers may do anything
        os.environ.setdefault("DJANGO_SETTINGS_MODULE", "portal.settings")
        import django

        django.setup()
        result = _measure(options)
    if not options.json:
        for name, value in result.items():
            print(f"{name}: {value}")
    print(json.dumps(result))
    return 0 if result["ok"] else 1


def _measure(options: argparse.Namespace) -> dict[str, Any]:
    from governance.selectors.audit_anchors import counted_rows
    from governance.services.anchoring import anchor_chain
    from governance.services.verification import walk_chain

    took = _append(options.rows)
    while not anchor_chain() and walk_chain().anchored_upto < options.rows:
        time.sleep(0.2)  # a worker of the portal is at it
    began = time.perf_counter()
    found = walk_chain()
    walk_us = (time.perf_counter() - began) / found.rows * 1e6
    if not found.holds:
        raise SystemExit(f"The chain does not hold before anything was done: {found}")
    missed, kinds = _tamperings(options, rows=counted_rows(), upto=found.anchored_upto)
    alarms = sum(not walk_chain().holds for _ in range(options.clean))
    append_ms = [round(value * 1000, 3) for value in (took[len(took) // 2], took[-len(took) // 20])]
    return {
        "rows": found.rows,
        "anchored_upto": found.anchored_upto,
        "tamperings": options.tamperings,
        "found": options.tamperings - len(missed),
        "missed": missed[:10],
        "kinds": dict(sorted(kinds.items())),
        "clean_walks": options.clean,
        "false_alarms": alarms,
        "append_ms": {"p50": append_ms[0], "p95": append_ms[1]},
        "walk_us": round(walk_us, 1),
        "seed": options.seed,
        "ok": not missed and not alarms and append_ms[0] < MOST_MS,
    }


def _append(count: int) -> list[float]:
    """Seconds that each row took within its transaction, in order of size."""
    from django.db import connection, transaction

    from governance import audit
    from governance.types import ResourceRef
    from portal.kernel.actor import SYSTEM

    took: list[float] = []
    for number in range(count):
        with transaction.atomic():
            with connection.cursor() as cursor:
                cursor.execute("SELECT 1")  # the connection is there, and the transaction open
            began = time.perf_counter()
            audit.record(
                SYSTEM,
                "stream.changed",
                ResourceRef("stream", f"bench.stream_{number % 100}"),
                summary=f"changed the description, for the {number}th time: Größe",
                before={"description": "before", "tier": 2, "share": 0.25},
                after={"description": f"after {number}", "tier": 1, "share": 1e16},
            )
            took.append(time.perf_counter() - began)
    return sorted(took)


def _tamperings(
    options: argparse.Namespace, *, rows: int, upto: int
) -> tuple[list[dict[str, Any]], Counter[str]]:
    from django.db import connection, transaction

    from benchmarks.tampering import tamper
    from governance.services.verification import walk_chain

    rng = random.Random(options.seed)
    missed: list[dict[str, Any]] = []
    kinds: Counter[str] = Counter()
    began = time.monotonic()
    for number in range(1, options.tamperings + 1):
        with transaction.atomic():
            with connection.cursor() as cursor:
                done = tamper(cursor, rng, rows=rows, upto=upto)
            found = walk_chain()
            transaction.set_rollback(True)
        kinds[done.kind] += 1
        if found.first_bad != done.first_bad:
            missed.append(
                {
                    "kind": done.kind, "expected": done.first_bad, "said": found.first_bad,
                    "fault": found.fault,
                }
            )  # fmt: skip
        if number % 50 == 0:
            seconds = time.monotonic() - began
            print(f"{number} changes, {len(missed)} missed, {seconds:.0f} s", file=sys.stderr)
    return missed, kinds


if __name__ == "__main__":
    raise SystemExit(main())
