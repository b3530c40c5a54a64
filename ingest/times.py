"""Times of events as whole microseconds since 1970, by integer arithmetic only.

A float in this road is off by a microsecond now and then: the same event gets two keys and
duplicates slip in.
"""

import re
from datetime import UTC, date, datetime, timedelta
from typing import Final

_RFC3339: Final = re.compile(
    r"([0-9]{4})-([0-9]{2})-([0-9]{2})[Tt]([0-9]{2}):([0-9]{2}):([0-9]{2})(?:\.([0-9]+))?"
    r"(?:[Zz]|([+-])([0-9]{2}):([0-9]{2}))"
)
_BEYOND: Final = re.compile(r"[+-]?[0-9]{5,}-.*|-?infinity|[+-][0-9]{4}-.*", re.IGNORECASE)
_UUID7: Final = re.compile(
    r"([0-9a-fA-F]{8})-([0-9a-fA-F]{4})-7[0-9a-fA-F]{3}-[89abAB][0-9a-fA-F]{3}-[0-9a-fA-F]{12}"
)
EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_EPOCH_ORDINAL: Final = date(1970, 1, 1).toordinal()
_DAY_SECONDS: Final = 86_400
# 0001-01-01 to 9999-12-31 in UTC: what datetime, and so every reader in Python, can hold.
MIN_US: Final = (date.min.toordinal() - _EPOCH_ORDINAL) * _DAY_SECONDS * 1_000_000
MAX_US: Final = (date.max.toordinal() + 1 - _EPOCH_ORDINAL) * _DAY_SECONDS * 1_000_000 - 1


class TimeError(ValueError):
    """Not a usable time; `code` is `bad_time` or `time_range`."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


def parse_us(text: str) -> int:
    """Microseconds since 1970 of an RFC 3339 time with offset, cut (not rounded) to that unit.

    A leap second (23:59:60 UTC on a month's last day) is the first second of the next day, as in
    PostgreSQL. Hour 24 is not RFC 3339.
    """
    match = _RFC3339.fullmatch(text)
    if match is None:
        raise TimeError("time_range" if _BEYOND.fullmatch(text) else "bad_time")
    year, month, day, hour, minute, second, fraction, sign, ahead_h, ahead_m = match.groups()
    h, m, s = int(hour), int(minute), int(second)
    if h > 23 or m > 59 or s > 60:
        raise TimeError("bad_time")
    try:
        days = date(int(year), int(month), int(day)).toordinal() - _EPOCH_ORDINAL
    except ValueError as error:
        raise TimeError("time_range" if year == "0000" else "bad_time") from error
    seconds = days * _DAY_SECONDS + h * 3600 + m * 60 + s
    if sign is not None:
        oh, om = int(ahead_h), int(ahead_m)
        if oh > 23 or om > 59:
            raise TimeError("bad_time")
        offset = oh * 3600 + om * 60
        seconds += offset if sign == "-" else -offset
    if s == 60 and not _is_month_start(seconds):
        raise TimeError("bad_time")
    us = seconds * 1_000_000
    if fraction is not None:
        us += int(fraction[:6].ljust(6, "0"))
    if not MIN_US <= us <= MAX_US:
        raise TimeError("time_range")
    return us


_MAX_SECONDS: Final = 100_000
_seconds: Final[dict[str, int]] = {}


def parse_recent_us(text: str) -> int:
    """As `parse_us`, several times faster for times in UTC whose second came before."""
    start = _seconds.get(text[:19])
    if start is not None and text[-1] == "Z":
        if len(text) == 27 and text[19] == ".":  # microseconds: the usual case
            fraction = text[20:26]
            if fraction.isdigit() and fraction.isascii():
                return start + int(fraction)
        fraction = text[20:-1]
        if not fraction:
            if len(text) == 20:
                return start
        elif text[19] == "." and fraction.isdigit() and fraction.isascii():
            return start + int(fraction[:6].ljust(6, "0"))
    us = parse_us(text)
    if text[-1] == "Z" and text[17:19] != "60":
        if len(_seconds) >= _MAX_SECONDS:
            _seconds.clear()
        _seconds[text[:19]] = us - us % 1_000_000
    return us


def _is_month_start(seconds: int) -> bool:
    days, rest = divmod(seconds, _DAY_SECONDS)
    ordinal = days + _EPOCH_ORDINAL
    return (
        rest == 0 and 1 <= ordinal <= date.max.toordinal() and (date.fromordinal(ordinal).day == 1)
    )


def us_of_uuid7(text: str) -> int | None:
    """The milliseconds in a UUIDv7, as microseconds; None for any other text."""
    match = _UUID7.fullmatch(text)
    return None if match is None else int(match[1] + match[2], 16) * 1000


def us_of(moment: datetime) -> int:
    """Microseconds since 1970 of an aware datetime, exactly."""
    return (moment - EPOCH) // timedelta(microseconds=1)


def moment_of(us: int) -> datetime:
    """The aware datetime of microseconds since 1970."""
    return EPOCH + timedelta(microseconds=us)
