"""The hourly judgement: streams whose contract holds are enforced more, by themselves.

One statement reads the days of every stream that may rise; each step is then a transaction of its
own, which only holds if the stream and its rule are still what was judged.
"""

import logging
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from django.db import DatabaseError

from catalog.models import EnforcementRule, Stream
from catalog.services.enforcement import MAX_DAYS, advance_enforcement
from catalog.types import Enforcement, LadderMode, Lifecycle
from ingest.judging import ladder
from ingest.selectors.enforcement import days_of, terms_of
from portal.http import words
from portal.kernel import clock
from portal.kernel.errors import PortalError

logger = logging.getLogger(__name__)
_RISING: Final = (Enforcement.OBSERVE, Enforcement.WARN)


def advance_due_streams(at: datetime | None = None) -> int:
    """Move every stream up whose days allow it; gives how many. Safe to run twice, or at once."""
    now = (at or clock.now()).astimezone(UTC)
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    streams = list(
        Stream.objects.filter(
            enforcement__in=_RISING, lifecycle__in=(Lifecycle.ACTIVE, Lifecycle.DEPRECATED)
        ).select_related("enforcement_rule")
    )
    rules = {stream.pk: _rule_of(stream) for stream in streams}
    streams = [one for one in streams if rules[one.pk].mode == LadderMode.AUTOMATIC]
    if not streams:
        return 0
    longest = min(max(rules[one.pk].days for one in streams), MAX_DAYS)
    days = days_of(
        [one.pk for one in streams], since=midnight - timedelta(days=longest), until=midnight
    )
    moved = 0
    for stream in streams:
        rule = rules[stream.pk]
        found = ladder.standing(
            days[stream.pk], terms_of(rule), since=rule.rung_since.astimezone(UTC), now=now
        )
        if found.is_due:
            moved += _advance(stream, rule, found)
    return moved


def _advance(stream: Stream, rule: EnforcementRule, found: ladder.Standing) -> bool:
    try:
        return advance_enforcement(
            stream, judged=rule, rung=stream.enforcement, evidence=_evidence(rule, found)
        )
    except (DatabaseError, PortalError):
        logger.exception("%s could not be moved up; the next hour tries again", stream.name)
        return False


def _evidence(rule: EnforcementRule, found: ladder.Standing) -> dict[str, Any]:
    share = found.share or 0.0
    return {
        "said": f"{words.share(share, 2)} of {words.plural(found.judged, 'event')} broke the "
        f"contract in {words.plural(rule.days, 'day')}, below {words.share(rule.violation_bound, 2)}",
        "judged": found.judged,
        "violations": found.violations,
        "violation_bound": rule.violation_bound,
        "days": rule.days,
        "least_events": rule.least_events,
    }


def _rule_of(stream: Stream) -> EnforcementRule:
    found: EnforcementRule | None = getattr(stream, "enforcement_rule", None)
    return found or EnforcementRule(stream=stream, rung_since=stream.created_at)
