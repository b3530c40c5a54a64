"""Where streams stand on the ladder of enforcement, from ingest's accounts; and their history."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Final

from django.db.models import Q

from catalog.models import EnforcementRule, Stream
from catalog.services.enforcement import ADVANCED, MOVED, next_rung, rule_of
from catalog.types import Enforcement, LadderMode
from governance.models import AuditEntry
from ingest.judging import ladder
from ingest.judging.ladder import Day, Standing, Terms
from portal.http import words
from portal.kernel import clock, sql

SHOWN_MOVES: Final = 10
_DAYS: Final = sql.load("ingest", "ladder_days")


@dataclass(frozen=True, slots=True)
class Move:
    """One step of a stream's history on the ladder; `by` is `portal` for an automatic one."""

    at: datetime
    by: str
    before: str
    after: str
    reason: str


@dataclass(frozen=True, slots=True)
class Ladder:
    """All that a page says of a stream's enforcement. `standing` is None at the top, or when off."""

    stream: Stream
    rule: EnforcementRule
    above: Enforcement | None
    standing: Standing | None

    @property
    def sentence(self) -> str:
        """What comes next, in one sentence."""
        rule, found = self.rule, self.standing
        if self.above is None:
            return "Events that break the contract become dead letters: the top of the ladder."
        if found is None:
            return f"It stays at {self.stream.enforcement}: the ladder is off for this stream."
        bound = f"{words.share(rule.violation_bound, 2)}"
        if found.is_due:
            if rule.mode == LadderMode.BY_HAND:
                return f"Ready for {self.above}: move it by hand."
            return f"Moves to {self.above} within the hour."
        goal = (
            f"{words.plural(rule.days, 'day')} below {bound}, "
            f"{words.plural(rule.least_events, 'event')} each"
        )
        if found.advances_on is None:
            return f"Too few events to judge: {self.above} needs {goal}."
        verb = "Ready for" if rule.mode == LadderMode.BY_HAND else "Advances to"
        return (
            f"{verb} {self.above} on {words.day(_start(found.advances_on))} if it holds: "
            f"{found.good_days} of {goal}."
        )


def _start(on: date) -> datetime:
    return datetime.combine(on, time.min, UTC)


def terms_of(rule: EnforcementRule) -> Terms:
    return Terms(rule.violation_bound, rule.days, rule.least_events)


def days_of(
    stream_ids: Iterable[int], *, since: datetime, until: datetime
) -> dict[int, dict[date, Day]]:
    """By stream the days on which events were judged; one query."""
    ids = list(stream_ids)
    found: dict[int, dict[date, Day]] = {stream_id: {} for stream_id in ids}
    for row in sql.fetch_all(_DAYS, {"streams": ids, "since": since, "until": until}):
        found[row["stream_id"]][row["day"]] = Day(int(row["judged"]), int(row["violations"]))
    return found


def ladder_of(stream: Stream) -> Ladder:
    """Where a stream stands now."""
    rule = rule_of(stream)
    above = next_rung(stream.enforcement)
    if above is None or rule.mode == LadderMode.OFF:
        return Ladder(stream, rule, above, None)
    now = clock.now().astimezone(UTC)
    days = days_of([stream.pk], since=_midnight(now, rule.days), until=now)[stream.pk]
    return Ladder(
        stream,
        rule,
        above,
        ladder.standing(days, terms_of(rule), since=rule.rung_since.astimezone(UTC), now=now),
    )


def _midnight(now: datetime, days: int) -> datetime:
    return now.replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=days)


def moves_of(stream: Stream, limit: int = SHOWN_MOVES) -> list[Move]:
    """The newest steps up and down, whoever took them."""
    rows = AuditEntry.objects.filter(object_kind="stream", object_key=stream.name).filter(
        Q(action__in=(MOVED, ADVANCED))
        | Q(action="stream.changed", detail__after__has_key="enforcement")
    )
    return [
        Move(
            at=row.at,
            by=row.actor if row.action != ADVANCED else "portal",
            before=row.detail.get("before", {}).get("enforcement", ""),
            after=row.detail.get("after", {}).get("enforcement", ""),
            reason=row.detail["after"].get("reason") or row.detail["after"].get("said", ""),
        )
        for row in rows.order_by("-seq")[:limit]
    ]
