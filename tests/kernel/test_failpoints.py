"""Failpoints: silent unless armed, each action, one pass or each, and nothing of it in production."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from portal.kernel import failpoints
from portal.kernel.failpoints import FailpointError, arm, disarm, failpoint, parse

ROOT = Path(__file__).resolve().parents[2]
POINT = "ingest.after_copy"
# A process of its own that passes a failpoint three times and says so.
PASSES = """
import os, sys
from portal.kernel.failpoints import arm, failpoint
arm(os.environ["PORTAL_FAILPOINTS"], allowed=True)
for number in range(3):
    failpoint("ingest.after_copy")
    print(number, flush=True)
"""


@pytest.fixture(autouse=True)
def _nothing_stays_armed() -> Iterator[None]:
    yield
    disarm()


def passing(spec: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", PASSES],
        cwd=ROOT,
        env=os.environ | {"PORTAL_FAILPOINTS": spec},
        stdout=subprocess.PIPE,
        text=True,
    )


def test_a_failpoint_that_is_not_armed_costs_next_to_nothing() -> None:
    began = time.thread_time()
    for _ in range(100_000):
        failpoint(POINT)
    assert time.thread_time() - began < 0.1, "a microsecond each"


def test_it_is_armed_only_where_that_is_allowed() -> None:
    with pytest.raises(ValueError, match="PORTAL_FAILPOINTS_ALLOWED"):
        arm(f"{POINT}=raise", allowed=False)
    failpoint(POINT)
    arm("", allowed=False)


@pytest.mark.parametrize("allowed", ["", "0"])
def test_a_portal_that_is_told_failpoints_by_mistake_does_not_start(allowed: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "django", "check"],
        cwd=ROOT,
        env=os.environ
        | {"PORTAL_FAILPOINTS": f"{POINT}=kill", "PORTAL_FAILPOINTS_ALLOWED": allowed},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode != 0
    assert "ImproperlyConfigured: PORTAL_FAILPOINTS is for tests" in done.stderr


@pytest.mark.parametrize(
    "spec", ["ingest.nowhere=kill", POINT, f"{POINT}=explode", f"{POINT}=sleep", f"{POINT}=kill@0"]
)
def test_an_odd_text_is_refused(spec: str) -> None:
    with pytest.raises(ValueError, match="is no failpoint"):
        parse(spec)


def test_it_raises_on_each_pass_or_on_one() -> None:
    arm(f"{POINT}=raise@2; ingest.before_copy=raise", allowed=True)
    for _ in range(2):
        with pytest.raises(FailpointError):
            failpoint("ingest.before_copy")
    failpoint(POINT)
    with pytest.raises(FailpointError):
        failpoint(POINT)
    failpoint(POINT)


def test_it_sleeps() -> None:
    arm(f"{POINT}=sleep:30", allowed=True)
    began = time.monotonic()
    failpoint(POINT)
    assert time.monotonic() - began >= 0.03


def test_it_kills_its_process_on_the_pass_that_is_named() -> None:
    process = passing(f"{POINT}=kill@3")
    said, _ = process.communicate(timeout=60)
    assert (said.split(), process.returncode) == (["0", "1"], -signal.SIGKILL)


def test_it_stops_its_process_which_goes_on_when_told() -> None:
    process = passing(f"{POINT}=stop@2")
    _, status = os.waitpid(process.pid, os.WUNTRACED)
    assert os.WIFSTOPPED(status)
    process.send_signal(signal.SIGCONT)
    said, _ = process.communicate(timeout=60)
    assert (said.split(), process.returncode) == (["0", "1", "2"], 0)


def test_of_a_file_the_process_that_removes_it_strikes_and_only_once(tmp_path: Path) -> None:
    place = tmp_path / "failpoint"
    arm(f"@{place}", allowed=True)
    failpoint(POINT)
    for _ in range(2):
        arm_by_file(place, f"{POINT}=raise@2")
        failpoint(POINT)
        with pytest.raises(FailpointError):
            failpoint(POINT)
        assert not place.exists()
        failpoint(POINT)
    arm_by_file(place, f"{POINT}=raise")
    place.unlink()  # another process was faster
    failpoint(POINT)


def arm_by_file(place: Path, spec: str) -> None:
    """Put the file there as a whole and wait until it was seen."""
    unfinished = place.with_suffix(".new")
    unfinished.write_text(spec)
    unfinished.rename(place)
    deadline = time.monotonic() + 30
    while not failpoints._armed:
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_every_failpoint_in_the_code_is_known_and_documented() -> None:
    used = {
        name
        for place in ("governance", "ingest", "portal")
        for path in (ROOT / place).rglob("*.py")
        for name in re.findall(r'failpoint\("([^"]+)"\)', path.read_text())
    }
    assert used == failpoints.NAMES
    page = (ROOT / "docs" / "reliability.md").read_text()
    assert set(re.findall(r"^\| `(\w+\.\w+)` \|", page, re.M)) == failpoints.NAMES
