"""How fast teams answer requests for access."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from governance.models import Team
from portal.kernel import clock, sql

DAYS: Final = 90
_PACE: Final = sql.load("governance", "pace_of_answers")


@dataclass(frozen=True, slots=True)
class Pace:
    """How many requests were decided in the last 90 days, and the median of how long that took;
    without any it is not measured."""

    answered: int
    median_seconds: float | None


def pace_of(team: Team) -> Pace:
    """The pace of one team, whoever decided for it. What was withdrawn does not count."""
    since = clock.now() - timedelta(days=DAYS)
    row = sql.fetch_one(_PACE, {"team": team.pk, "since": since})
    assert row is not None
    return Pace(row["answered"], row["median_seconds"])
