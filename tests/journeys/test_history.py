"""The checker of the fault tests is told lies and must catch each of them."""

import pytest

from tests.support.history import Attempt, History, faults

HISTORY = History(
    [
        Attempt(("a", "b"), 202),
        Attempt(("c",), None),
        Attempt(("c", "bad"), 202),
        Attempt(("d",), 503),
    ]
)


def test_the_truth_has_no_fault() -> None:
    assert faults(HISTORY, ["a", "b", "c"], ["bad"]) == []
    assert faults(HISTORY, ["a", "b", "c", "d"], ["bad"]) == [], "a 503 promises nothing"


@pytest.mark.parametrize(
    ("accepted", "dead", "said"),
    [
        (["a", "c"], ["bad"], "lost: b"),
        (["a", "b", "c"], [], "lost: bad"),
        (["a", "b", "c", "c"], ["bad"], "accepted 2 times: c"),
        (["a", "b", "c"], ["bad", "bad"], "dead 2 times: bad"),
        (["a", "b", "c", "bad"], ["bad"], "in both: bad"),
        (["a", "b", "c", "ghost"], ["bad"], "never sent: ghost"),
        (["a", "b", "c"], ["bad", "phantom"], "never sent: phantom"),
    ],
)
def test_each_lie_is_caught(accepted: list[str], dead: list[str], said: str) -> None:
    assert faults(HISTORY, accepted, dead) == [said]
