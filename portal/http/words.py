"""How numbers, times and shares are said: with a unit, a comparison base and a no-break space."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from portal.kernel import clock

NBSP: Final = "\u00a0"
_SCALES: Final = ((1_000_000_000, "B"), (1_000_000, "M"), (1_000, "k"))
_SPELLED: Final = (
    "no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven",
    "twelve",
)  # fmt: skip


def number(value: float | None) -> str:
    """A count in full up to 9,999, then in three figures: 4.21 M, 402 k. None: a dash."""
    if value is None:
        return "–"
    if abs(value) < 10_000:
        return f"{value:,.0f}" if value == int(value) else f"{value:,.1f}"
    value = float(f"{value:.3g}")  # 999,950 is a million
    for scale, unit in _SCALES:
        if abs(value) >= scale:
            return f"{float(f'{value / scale:.3g}'):g}{NBSP}{unit}"
    return f"{value:,.0f}"


def share(ratio: float | None, digits: int = 2) -> str:
    """A ratio of 0 to 1 in percent; a little that is not nothing never reads as 0 or 100."""
    if ratio is None:
        return "–"
    percent = ratio * 100
    least = 10**-digits
    if 0 < percent < least:
        return f"<{least:g}{NBSP}%"
    if 100 - least < percent < 100:
        return f">{100 - least:g}{NBSP}%"
    text = f"{percent:.{digits}f}"
    return f"{text.rstrip('0').rstrip('.') if '.' in text else text}{NBSP}%"


def duration(seconds: float | None) -> str:
    """A length of time in its largest fitting unit: <1 s, 42 s, 3 min, 2 h, 5 days."""
    if seconds is None:
        return "–"
    if seconds < 1:
        return f"<1{NBSP}s"
    for limit, size, unit in ((60, 1, "s"), (3600, 60, "min"), (2 * 86_400, 3600, "h")):
        if seconds < limit:
            return f"{seconds // size:.0f}{NBSP}{unit}"
    return f"{seconds // 86_400:.0f}{NBSP}days"


def took(seconds: float | None) -> str:
    """How long something took, down to a millisecond: <1 ms, 42 ms, 2.1 s, then as `duration`."""
    if seconds is None:
        return "–"
    if seconds < 0.001:
        return f"<1{NBSP}ms" if seconds else f"0{NBSP}ms"
    if seconds < 0.9995:
        return f"{seconds * 1000:.0f}{NBSP}ms"
    if seconds < 10:
        return f"{float(f'{seconds:.1f}'):g}{NBSP}s"
    return duration(seconds)


def ago(at: datetime | None, now: datetime | None = None) -> str:
    """Relative up to a day, then a date; what lies ahead reads "in 3 h"."""
    if at is None:
        return "never"
    present = now or clock.now()
    passed = present - at
    if timedelta(seconds=-1) < passed < timedelta(days=1):
        return f"{duration(max(passed.total_seconds(), 0))} ago"
    if timedelta(0) > passed > timedelta(days=-1):
        return f"in {duration(-passed.total_seconds())}"
    return day(at, present)


def since(at: datetime, now: datetime | None = None) -> str:
    """What follows "since": 14:05 on the same day, 24 Nov, 14:05 within a week, else 15 Nov."""
    present = now or clock.now()
    if at.date() == present.date():
        return f"{at:%H:%M}"
    if present - at < timedelta(days=7):
        return f"{day(at, present)}, {at:%H:%M}"
    return day(at, present)


def day(at: datetime, now: datetime | None = None) -> str:
    """A date in words: 15 Nov, with the year when it is another one."""
    present = now or clock.now()
    text = f"{at.day}{NBSP}{at:%b}"
    return text if at.year == present.year else f"{text}{NBSP}{at.year}"


def plural(count: int, one: str, many: str = "") -> str:
    """A count with its noun: 1 stream, 33 streams."""
    return f"{number(count)}{NBSP}{one if count == 1 else many or one + 's'}"


def counted(count: int, one: str, many: str = "") -> str:
    """A count in a sentence, spelled out up to twelve: one request, 33 streams, no alarm."""
    if not 0 <= count < len(_SPELLED):
        return plural(count, one, many)
    return f"{_SPELLED[count]} {one if count in (0, 1) else many or one + 's'}"


def capitalized(text: str) -> str:
    """The first letter large, the rest as it is."""
    return text[:1].upper() + text[1:]


def listed(names: Sequence[str]) -> str:
    """Names in a sentence: one; one and two; one, two and three."""
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def size(count: float) -> str:
    """Bytes in the unit that reads best: 812 kB, 1.4 GB."""
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if count < 1000 or unit == "TB":
            digits = 0 if count >= 9.95 or unit == "B" else 1
            return f"{count:.{digits}f}{NBSP}{unit}"
        count /= 1000
    raise AssertionError
