"""When a stream takes the next step of enforcement: pure, from days and a rule.

A day (UTC) is *good* when it has at least the rule's events and the share of them that broke the
contract lies below the bound (none in breach always does). A step is due once the rule's number of
whole days, up to yesterday and begun after the stream came onto its rung, were good without a gap.
Too little data is never good: it delays, whatever its share.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Final, Literal

ONE_DAY: Final = timedelta(days=1)
State = Literal["good", "bad", "few", "before", "running"]


@dataclass(frozen=True, slots=True)
class Day:
    """What was judged on one day, and how much of it broke the contract."""

    judged: int = 0
    violations: int = 0

    @property
    def share(self) -> float | None:
        """The share that broke the contract, 0 to 1; None for a day without events."""
        return self.violations / self.judged if self.judged else None


@dataclass(frozen=True, slots=True)
class Terms:
    """A rule: the share must stay below `bound` on `days` days of `least` events each."""

    bound: float
    days: int
    least: int


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a stream stands on its rung: its days, oldest first, and when a step is due."""

    days: tuple[tuple[date, Day, State], ...]
    good_days: int
    judged: int
    violations: int
    is_due: bool
    advances_on: date | None  # if it holds; None while yesterday had too few events

    @property
    def share(self) -> float | None:
        """Of all events judged on the days that count, today's so far included."""
        return self.violations / self.judged if self.judged else None


def first_whole_day(since: datetime) -> date:
    """The first day that lies wholly after a moment."""
    return (
        since.date() if since.timetz().replace(tzinfo=None) == time.min else since.date() + ONE_DAY
    )


def is_low(day: Day, bound: float) -> bool:
    """Whether a day's share lies below the bound, or nothing was in breach; False for no event."""
    share = day.share
    return share is not None and (day.violations == 0 or share < bound)


def standing(days: Mapping[date, Day], terms: Terms, *, since: datetime, now: datetime) -> Standing:
    """How far a stream is, as of now. `since` is when it came onto its rung; both are in UTC."""
    today = now.date()
    first = first_whole_day(since)
    shown: list[tuple[date, Day, State]] = []
    for back in range(terms.days, 0, -1):
        on = today - back * ONE_DAY
        found = days.get(on, Day())
        shown.append((on, found, _state(on, found, terms, first)))
    good = 0
    for _, _, state in reversed(shown):
        if state != "good":
            break
        good += 1
    begun = days.get(today, Day())
    counted = [day for on, day, _ in shown if on >= first]
    counted += [begun] if today >= first else []
    shown.append((today, begun, "running"))
    return Standing(
        days=tuple(shown),
        good_days=good,
        judged=sum(day.judged for day in counted),
        violations=sum(day.violations for day in counted),
        is_due=good >= terms.days,
        advances_on=_due_on(shown, terms, good=good, first=first, today=today),
    )


def _state(on: date, day: Day, terms: Terms, first: date) -> State:
    if on < first:
        return "before"
    if day.judged < terms.least:
        return "few"
    return "good" if is_low(day, terms.bound) else "bad"


def _due_on(
    shown: list[tuple[date, Day, State]], terms: Terms, *, good: int, first: date, today: date
) -> date | None:
    """The day on which the step is taken if every day from now on is good."""
    if good >= terms.days:
        return today
    *_, (_, _, yesterday), (_, begun, _) = shown
    if yesterday == "few":
        return None
    if today < first or (begun.judged and not is_low(begun, terms.bound)):
        # Today counts for nothing, or is bad already: the days begin with the next.
        return max(today + ONE_DAY, first) + terms.days * ONE_DAY
    return today + (terms.days - good) * ONE_DAY
