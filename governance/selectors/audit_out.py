"""How far the audit log was sent to each receiver of the settings, as pages and `doctor` say it."""

from dataclasses import dataclass
from datetime import datetime

from governance.models import AuditEntry, AuditOutlet
from governance.outlets import configured
from governance.selectors.audit_log import newest_number


@dataclass(frozen=True, slots=True)
class OutletState:
    """One receiver. `waiting` rows were not taken yet, the oldest of them is of `waiting_since`; `error` is the newest failure's sentence,
    empty once the receiver took something again."""

    label: str
    upto: int
    waiting: int
    waiting_since: datetime | None
    taken_at: datetime | None
    error: str
    failed_at: datetime | None


def outlet_states() -> list[OutletState]:
    """The receivers that the settings name, in their order; one that was never tried stands at 0."""
    outlets = configured()
    if not outlets:
        return []
    rows = AuditOutlet.objects.in_bulk([outlet.key for outlet in outlets])
    newest = newest_number()
    found = []
    next_ones = AuditEntry.objects.filter(seq__in=[row.upto_seq + 1 for row in rows.values()] + [1])
    moments = dict(next_ones.values_list("seq", "at"))
    for outlet in outlets:
        row = rows.get(outlet.key) or AuditOutlet(key=outlet.key)
        found.append(
            OutletState(
                label=outlet.label,
                upto=row.upto_seq,
                waiting=max(0, newest - row.upto_seq),
                waiting_since=moments.get(row.upto_seq + 1),
                taken_at=row.taken_at,
                error=row.error,
                failed_at=row.failed_at,
            )
        )
    return found
