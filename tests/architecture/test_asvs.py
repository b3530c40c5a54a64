"""docs/asvs.md answers every requirement of ASVS 5.0.0 of levels 1 and 2, by tests that exist."""

import ast
import json
import re
from collections import Counter
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "asvs.md").read_text()
LEVELS: dict[str, int] = json.loads((ROOT / "tests/data/asvs_levels.json").read_text())
ANSWERS = ("proved", "deviates", "not applicable")


@dataclass(frozen=True)
class Row:
    number: str
    level: int
    asks: str
    answer: str
    by: str


ROWS = [
    Row(number, int(level), asks, answer, by)
    for number, level, asks, answer, by in re.findall(
        r"^\| ([0-9.]+) \| ([0-9]) \| (.+?) \| (.+?) \| (.+) \|$", PAGE, re.M
    )
]
PROVED = [row for row in ROWS if row.answer == "proved"]
REASONED = [row for row in ROWS if row.answer != "proved"]


@cache
def names_in(path: Path) -> frozenset[str]:
    """The test functions of a module, as pytest would collect them."""
    return frozenset(
        node.name
        for node in ast.parse(path.read_text()).body
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.name.startswith("test_")
    )


def test_the_numbers_are_those_of_the_standard() -> None:
    assert Counter(LEVELS.values()) == {1: 70, 2: 183, 3: 92}
    assert all(re.fullmatch(r"[0-9]{1,2}\.[0-9]\.[0-9]{1,2}", number) for number in LEVELS)


def test_every_number_of_levels_1_and_2_has_one_row_in_its_order() -> None:
    wanted = [(number, level) for number, level in LEVELS.items() if level < 3]
    assert [(row.number, row.level) for row in ROWS] == wanted


@pytest.mark.parametrize("row", PROVED, ids=lambda row: row.number)
def test_what_is_proved_is_proved_by_tests_that_exist(row: Row) -> None:
    named = re.findall(r"`([a-z_0-9/]+\.py)::(test_\w+)`", row.by)
    assert named
    assert re.sub(r"`[^`]+`|, ", "", row.by) == "", "tests and nothing else"
    for module, test in named:
        assert test in names_in(ROOT / "tests" / module), f"{module}::{test}"


@pytest.mark.parametrize("row", REASONED, ids=lambda row: row.number)
def test_whatever_is_not_proved_has_a_reason_of_a_sentence(row: Row) -> None:
    assert row.answer in ANSWERS
    assert row.by.endswith(".")
    assert len(row.by.split()) >= (3 if row.answer == "not applicable" else 5)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.number)
def test_nothing_is_left_open(row: Row) -> None:
    assert row.answer in ANSWERS, "proved by a test, or a deviation with its reason"
    assert not re.search(r"\b(to come|not tested|no test|not yet|TODO)\b", row.by), row.by


def test_the_page_counts_its_answers() -> None:
    counts = Counter(row.answer for row in ROWS)
    assert (
        f"**{counts['proved']} proved, {counts['deviates']} deviations, "
        f"{counts['not applicable']} not applicable.**"
    ) in PAGE
    assert f"all {len(ROWS)} requirements" in PAGE
