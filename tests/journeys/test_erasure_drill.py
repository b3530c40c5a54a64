"""The canary drill in small: what was planted of three people is nowhere after their erasure."""

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_nothing_of_three_people_is_left_anywhere_and_nobody_else_lost_an_event() -> None:
    """`benchmarks/erasure.py` plants a million events for twenty; what it looks into stands there."""
    done = subprocess.run(
        [sys.executable, "benchmarks/erasure.py", "--json", "--events", "2000", "--subjects", "3"],
        cwd=ROOT, capture_output=True, text=True, timeout=500, check=False,
    )  # fmt: skip
    assert done.stdout, done.stderr[-2000:]
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["finds"] == []
    assert found["others_live"]["ok"], found["others_live"]
    assert found["others_restored"]["ok"], found["others_restored"]
    assert found["refused_while_erasing"] > 0
    assert (found["ok"], done.returncode) == (True, 0)
