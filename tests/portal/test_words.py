from datetime import UTC, datetime, timedelta

import pytest

from portal.http import words

NOW = datetime(2026, 11, 17, 14, 32, tzinfo=UTC)


@pytest.mark.parametrize(
    ("before", "said"),
    [
        (timedelta(minutes=52), "13:40"),
        (timedelta(hours=20), "16\u00a0Nov, 18:32"),
        (timedelta(days=9), "8\u00a0Nov"),
        (timedelta(days=400), "13\u00a0Oct\u00a02025"),
    ],
)
def test_since_names_a_moment_and_never_an_age(before: timedelta, said: str) -> None:
    assert words.since(NOW - before, NOW) == said


@pytest.mark.parametrize(
    ("count", "said"),
    [(0, "no request"), (1, "one request"), (12, "twelve requests"), (13, "13\u00a0requests")],
)
def test_small_counts_are_words_in_sentences(count: int, said: str) -> None:
    assert words.counted(count, "request") == said


def test_names_are_listed_as_people_say_them() -> None:
    assert [words.listed(names) for names in ([], ["a"], ["a", "b"], ["a", "b", "c"])] == [
        "",
        "a",
        "a and b",
        "a, b and c",
    ]


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (9_999, "9,999"), (402_000, "402\u00a0k"), (999_499, "999\u00a0k"), (999_950, "1\u00a0M"),
        (4_210_000, "4.21\u00a0M"), (999_999_999, "1\u00a0B"),
    ],
)  # fmt: skip
def test_large_counts_have_three_figures(value: float, said: str) -> None:
    assert words.number(value) == said
