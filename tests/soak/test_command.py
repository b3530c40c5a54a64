"""The command around the soak: what it takes, what it says, and what it leaves behind."""

import json
import signal
import tempfile
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from portal.management.commands import soak as command
from portal.soak.checker import Violation
from portal.soak.run import Plan, Summary


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


class Run:
    """Stands in for the portal and its faults, which test_kill.py has; keeps the plan it got."""

    plan: Plan
    found: tuple[Violation, ...] = ()

    def __init__(self, plan: Plan, **_: object) -> None:
        Run.plan = plan

    def run(self) -> Summary:
        violations = [(3, violation) for violation in Run.found]
        return Summary(Run.plan.seed, cycles=4, events=9, violations=violations)


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> type[Run]:
    monkeypatch.setattr(command, "Soak", Run)
    Run.found = ()
    return Run


@pytest.mark.parametrize("words", [("--cycles", "0"), ("--minutes", "-1"), ("--rate", "0")])
def test_nothing_is_no_length_and_no_rate(place: Path, words: tuple[str, str]) -> None:
    with pytest.raises(CommandError, match=f"{words[0]} must be more than nothing"):
        call_command("soak", *words)
    assert list(place.iterdir()) == []


def test_a_clean_run_leaves_nothing_behind(
    place: Path, run: type[Run], capsys: pytest.CaptureFixture[str]
) -> None:
    call_command("soak", "--minutes", "2", "--seed", "5", "--rate", "10", "--first", "7")
    plan = run.plan
    assert (plan.seed, plan.seconds, plan.cycles, plan.rate, plan.first) == (5, 120, None, 10, 7)
    said = capsys.readouterr()
    assert "nothing lost, nothing doubled" in said.out
    assert "seed 5" in said.err
    assert list(place.iterdir()) == []


def test_a_violation_is_exit_code_1_and_its_evidence_stays(
    place: Path, run: type[Run], capsys: pytest.CaptureFixture[str]
) -> None:
    run.found = (Violation("lost", "a of b"),)
    with pytest.raises(SystemExit) as leaving:
        call_command("soak", "--json")
    assert leaving.value.code == 1
    (kept,) = place.iterdir()
    answer = json.loads(capsys.readouterr().out)
    assert answer["evidence"] == str(kept)
    assert answer["violations"] == [{"cycle": 3, "kind": "lost", "detail": "a of b"}]
    assert run.plan.cycles == command.DEFAULT_CYCLES


def test_ctrl_c_is_heard_and_ends_the_run_after_its_cycle() -> None:
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        stopping = command._Stopping()
        assert not stopping()
        signal.raise_signal(signal.SIGINT)
        assert stopping()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
