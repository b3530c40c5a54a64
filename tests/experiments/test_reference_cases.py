"""The numeric cases of the specification, all of them, against what is shipped."""

import json
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command

from portal.statistics_cases import differences, run_case
from portal.statistics_registry import FUNCTIONS

FILE = Path(__file__).parent.parent / "data" / "reference_cases.json"
CASES: list[dict[str, Any]] = json.loads(FILE.read_text("utf-8"))["cases"]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["id"])
def test_every_reference_case_agrees(case: dict[str, Any]) -> None:
    assert run_case(case) == ()


def test_every_function_with_a_case_is_shipped() -> None:
    assert {case["function"] for case in CASES} <= set(FUNCTIONS)


def test_a_wrong_number_is_a_miss_that_names_its_place() -> None:
    case = next(case for case in CASES if case["id"] == "dev-welch-01")
    wrong = case | {"expected": case["expected"] | {"se": 0.5}}
    (reason,) = run_case(wrong)
    assert reason.startswith("se: expected 0.5, got 0.0043")


def test_an_unknown_function_and_unfit_inputs_are_misses() -> None:
    assert run_case({"function": "nope", "inputs": {}, "expected": {}}) == (
        "no function of this name is shipped",
    )
    (reason,) = run_case({"function": "bucket", "inputs": {"salt": "x"}, "expected": {}})
    assert reason.startswith("raised TypeError")


@pytest.mark.parametrize(
    ("got", "expected", "agrees"),
    [
        ({"a": 1.0000001}, {"a": 1.0}, True),
        ({"a": 1.1}, {"a": 1.0}, False),
        ({"a": 1.0000001}, {"a": 1}, False),
        ({"a": True}, {"a": 1}, False),
        ({"a": None}, {"a": 0.0}, False),
        ({"a": None}, {"a": None}, True),
        ({}, {"a": None}, False),
        ({"a": [1.0, 2.0]}, {"a": [1.0]}, False),
        ({"a": "x", "b": 2}, {"a": "x"}, True),
    ],
)
def test_comparison_follows_the_rules_of_the_cases(got: Any, expected: Any, agrees: bool) -> None:
    assert (differences(got, expected, rel=1e-6, absolute=1e-12) == []) is agrees


def test_the_command_prints_each_miss_and_a_count(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    good = next(case for case in CASES if case["id"] == "dev-bucket-01")
    bad = good | {"id": "bad", "expected": {"bucket": 1}}
    unknown = good | {"id": "new", "function": "tea_leaves"}
    path = tmp_path / "cases.json"
    path.write_text(json.dumps({"cases": [good, bad, unknown]}))
    with pytest.raises(SystemExit) as stopped:
        call_command("verify-statistics", str(path))
    assert stopped.value.code == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines == [
        "bad bucket: bucket: expected 1, got 6056",
        "new tea_leaves: no function of this name is shipped",
        "1 of 3 cases hold, 2 missed",
    ]


def test_the_command_passes_quietly_and_speaks_json(
    capsys: pytest.CaptureFixture[str],
) -> None:
    call_command("verify-statistics", str(FILE), "--json")
    told = json.loads(capsys.readouterr().out)
    assert told == {"cases": len(CASES), "missed": 0, "misses": []}
