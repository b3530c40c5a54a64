"""Tests of times as whole microseconds."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.times import MAX_US, MIN_US, TimeError, moment_of, parse_us, us_of, us_of_uuid7


@pytest.mark.parametrize(
    ("text", "same"),
    [
        ("2026-01-02T03:04:05Z", "2026-01-02T03:04:05.000000Z"),
        ("2026-01-02t03:04:05.6789z", "2026-01-02T03:04:05.678900Z"),
        ("2026-01-02T03:04:05.678901999Z", "2026-01-02T03:04:05.678901Z"),
        ("2026-01-02T03:04:05+14:00", "2026-01-01T13:04:05Z"),
        ("2026-01-02T03:04:05-00:30", "2026-01-02T03:34:05Z"),
        ("2016-12-31T23:59:60Z", "2017-01-01T00:00:00Z"),
        ("2017-01-01T01:59:60.5+02:00", "2017-01-01T00:00:00.5Z"),
        ("2024-02-29T12:00:00Z", "2024-02-29T12:00:00-00:00"),
    ],
)
def test_spellings_of_one_moment_are_equal(text: str, same: str) -> None:
    assert parse_us(text) == parse_us(same)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("yesterday", "bad_time"),
        ("", "bad_time"),
        ("2026-01-02", "bad_time"),
        ("2026-01-02T03:04:05", "bad_time"),
        ("2026-01-02 03:04:05Z", "bad_time"),
        ("2026-01-02T03:04Z", "bad_time"),
        ("2026-13-02T03:04:05Z", "bad_time"),
        ("2025-02-29T03:04:05Z", "bad_time"),
        ("2026-01-02T24:00:00Z", "bad_time"),
        ("2026-01-02T23:60:00Z", "bad_time"),
        ("2026-01-02T23:59:60Z", "bad_time"),
        ("2026-01-02T12:00:60Z", "bad_time"),
        ("2026-01-02T03:04:05+24:00", "bad_time"),
        ("2026-01-02T03:04:05.Z", "bad_time"),
        ("٢٠٢٦-01-02T03:04:05Z", "bad_time"),
        ("2026-01-02T03:04:05Z\n", "bad_time"),
        ("0001-01-01T00:00:00+14:00", "time_range"),
        ("9999-12-31T23:59:59-14:00", "time_range"),
        ("10000-01-01T00:00:00Z", "time_range"),
        ("0000-01-01T00:00:00Z", "time_range"),
        ("infinity", "time_range"),
        ("-infinity", "time_range"),
    ],
)
def test_what_is_not_a_usable_time_says_why(text: str, code: str) -> None:
    with pytest.raises(TimeError) as caught:
        parse_us(text)
    assert caught.value.code == code


@given(st.datetimes(), st.integers(-23 * 60 - 59, 23 * 60 + 59))
def test_parsing_agrees_with_datetime_to_the_microsecond(moment: datetime, offset: int) -> None:
    aware = moment.replace(tzinfo=UTC)
    sign = "-" if offset < 0 else "+"
    hours, minutes = divmod(abs(offset), 60)
    text = f"{moment.isoformat(timespec='microseconds')}{sign}{hours:02}:{minutes:02}"
    expected = us_of(aware) - offset * 60_000_000
    if MIN_US <= expected <= MAX_US:
        assert parse_us(text) == expected
        assert moment_of(expected) == aware - timedelta(minutes=offset)
    else:
        with pytest.raises(TimeError):
            parse_us(text)


def test_time_of_a_uuid7_is_read_and_of_others_is_not() -> None:
    assert us_of_uuid7("017f22e2-79b0-7cc3-98c4-dc0c0c07398f") == 1645557742000 * 1000
    assert us_of_uuid7("017f22e2-79b0-4cc3-98c4-dc0c0c07398f") is None
    assert us_of_uuid7("017f22e279b07cc398c4dc0c0c07398f") is None
