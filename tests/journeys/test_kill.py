"""Thirty random faults while events arrive: what was answered 202 is kept, once, and nothing else."""

import os
import random
import secrets
import sys
from pathlib import Path

import pytest

from portal.soak.faults import FAULTS
from portal.soak.run import Plan, Soak
from tests.support import live

CYCLES = 30
# They take their time, and the soak has them as often as they come.
ONCE = {"postgres stopped", "supervisor"}


def draw(seed: int) -> list[str]:
    """Each kind of fault once, five failpoints at least, the rest by their weight, in any order."""
    source = random.Random(seed)
    drawn = [*FAULTS, *["failpoint"] * 4]
    names = [name for name in FAULTS if name not in ONCE]
    weights = [FAULTS[name][1] for name in names]
    drawn += source.choices(names, weights, k=CYCLES - len(drawn))
    source.shuffle(drawn)
    return drawn


@pytest.mark.alone
@pytest.mark.timeout(900)  # a hundred seconds on two cores
def test_what_was_answered_202_survives_thirty_random_faults(tmp_path: Path) -> None:
    """The gate of `manage.py soak`. Its faults are the same in each run; PORTAL_TEST_SEED gives others,
    and PORTAL_TEST_EXPLORE=1 others each time."""
    drawn = secrets.randbelow(10**6) if os.environ.get("PORTAL_TEST_EXPLORE") else 30
    seed = int(os.environ.get("PORTAL_TEST_SEED") or drawn)
    live.copy_started(tmp_path / "data")
    said = [f"PORTAL_TEST_SEED={seed}"]
    sys.stdout.write(f"{said[0]}\n")
    plan = Plan(tmp_path / "data", seed, cycles=CYCLES, rate=200, faults=draw(seed))
    summary = Soak(plan, say=said.append).run()
    sys.stdout.write("\n".join(said))
    assert summary.violations == [], "\n".join(said)
    assert (summary.cycles, set(summary.faults)) == (CYCLES, set(FAULTS))
    assert summary.events > 500
    assert sum(summary.failpoints.values()) >= 2
    statuses = set(summary.statuses)
    assert statuses <= {"202", "400", "401", "415", "422", "503", "no answer"}, statuses
