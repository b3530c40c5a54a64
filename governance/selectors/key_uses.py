"""What keys sent and were refused lately, as the web processes counted it; some seconds behind."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from governance.models import RefusalTotal
from portal.kernel import clock, sql

SPANS: Final = ("minute", "hour", "day")
REASONS: Final = ("quota_key", "quota_stream", "busy")
_USES: Final = sql.load("governance", "uses_of_keys")


@dataclass(frozen=True, slots=True)
class KeyUse:
    """One key over one span. `refused` are requests by reason; `refused_at` is to the minute."""

    events: int = 0
    refused: tuple[tuple[str, int], ...] = tuple((reason, 0) for reason in REASONS)
    busiest_minute: int = 0
    refused_at: datetime | None = None

    @property
    def refused_in_all(self) -> int:
        return sum(count for _, count in self.refused)


def uses_of_keys(key_ids: Sequence[str]) -> dict[str, dict[str, KeyUse]]:
    """By key and span: the last whole minute, the hour that ends with it, and the day up to now."""
    found = {key_id: dict.fromkeys(SPANS, KeyUse()) for key_id in key_ids}
    for row in sql.fetch_all(_USES, {"keys": list(key_ids), "now": clock.now()}):
        found[row["key_id"]][row["name"]] = KeyUse(
            events=row["events"],
            refused=tuple((reason, row[reason]) for reason in REASONS),
            busiest_minute=row["busiest"],
            refused_at=row["refused_at"],
        )
    return found


def refusals_ever() -> dict[str, int]:
    """Requests turned away before they were read, by reason."""
    return dict.fromkeys(REASONS, 0) | dict(
        RefusalTotal.objects.filter(reason__in=REASONS).values_list("reason", "requests")
    )
