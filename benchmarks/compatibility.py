"""Verdicts a second of the compatibility engine over a corpus of real schema versions.

Each successive pair of versions is compared under each policy, in one process, on one core. The
longest is given twice: as a caller waits for it, and without Python's collector, which stops a
process of this size for some tens of milliseconds wherever it happens to be.
"""

import argparse
import gc
import json
import statistics
import sys
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from catalog.compatibility.engine import compare
from catalog.compatibility.types import Mode, Policy

CORPUS = ROOT.parent / "shared" / "data" / "wikimedia" / "streams.jsonl"


def measure(pairs: list[tuple[Any, Any]], policy: Policy, mode: Mode) -> dict[str, Any]:
    """Figures of one policy: verdicts a second, milliseconds a verdict, what was answered."""
    times, own, compatible, undecided = [], [], 0, 0
    for old, new in pairs:
        collections = gc.get_stats()[2]["collections"]
        started = time.perf_counter()
        verdict = compare(new, [old], mode=mode, policy=policy)
        times.append(time.perf_counter() - started)
        if gc.get_stats()[2]["collections"] == collections:
            own.append(times[-1])
        compatible += verdict.compatible
        undecided += verdict.undecided
    return {
        "verdicts_per_second": round(len(times) / sum(times), 1),
        "median_ms": round(1000 * statistics.median(times), 2),
        "max_ms": round(1000 * max(times), 2),
        "max_ms_uncollected": round(1000 * max(own), 2),
        "compatible": compatible,
        "undecided": undecided,
    }


def main() -> int:
    """Measure each policy and print its figures; 2 where there is no corpus."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--corpus", type=Path, default=CORPUS)
    parser.add_argument("--mode", choices=list(Mode), default=Mode.BACKWARD)
    asked = parser.parse_args()
    if not asked.corpus.exists():
        print(f"DID NOT RUN: the corpus is not at {asked.corpus}", file=sys.stderr)
        return 2
    streams = [json.loads(line) for line in asked.corpus.read_text().splitlines()]
    pairs = [
        (old["schema"], new["schema"])
        for stream in streams
        for old, new in zip(stream["versions"], stream["versions"][1:], strict=False)
    ]
    gc.freeze()  # the corpus itself is not what a verdict costs
    figures = {str(one): measure(pairs, one, Mode(asked.mode)) for one in Policy}
    for policy, found in figures.items():
        print(f"{policy:14} {found['verdicts_per_second']:8} a second, median {found['median_ms']} ms, "
              f"max {found['max_ms']} ms ({found['max_ms_uncollected']} ms where nothing was collected), "
              f"{found['compatible']} of {len(pairs)} compatible")  # fmt: skip
    if asked.json:
        print(json.dumps({"pairs": len(pairs), "mode": str(asked.mode), "policies": figures}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
