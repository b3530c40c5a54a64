"""Opening, reopening and closing alarms: what the alert machine concluded, told and written down.

Everything of one evaluation at once, its audit rows last: they hold the head of the chain.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db.models import F

from catalog.models import Stream
from catalog.services.telling import tell_of_stream
from governance import audit
from governance.types import NoticeKind
from portal.kernel.actor import SYSTEM
from quality.models import Alarm

ACTIONS = {
    "persistent": "alarm.opened",
    "reopened": "alarm.reopened",
    "recovered": "alarm.closed",
}


@dataclass(frozen=True, slots=True)
class Happening:
    """What one check of one stream went through: an event of the machine, with its evidence."""

    stream: Stream
    kind: str
    event: str
    level: int
    value: float | None
    expected: float | None
    sentence: str


def settle_alarms(happenings: Iterable[Happening], *, at: datetime) -> None:
    """Bring the alarms in line with what happened; other events than those of ACTIONS do nothing."""
    told = [happening for happening in happenings if happening.event in ACTIONS]
    _open([row for row in told if row.event == "persistent"], at)
    for row in told:
        if row.event == "recovered":
            Alarm.objects.filter(stream=row.stream, kind=row.kind, closed_at=None).update(
                closed_at=at
            )
        elif row.event == "reopened":
            _reopen(row)
    for row in told:
        _tell(row, at)
    for row in told:
        audit.record(
            SYSTEM,
            ACTIONS[row.event],
            row.stream.ref,
            summary=f"{row.kind} of {row.stream.name}: {row.sentence}",
        )


def close_orphans(*, at: datetime) -> int:
    """Close the alarms of streams that are no longer checked; gives how many there were."""
    rows = list(
        Alarm.objects.filter(closed_at=None, opened_at__lte=at)
        .exclude(stream__lifecycle__in=("active", "deprecated"))
        .select_related("stream")
    )
    Alarm.objects.filter(pk__in=[row.pk for row in rows]).update(closed_at=at)
    for row in rows:
        tell_of_stream(
            row.stream,
            NoticeKind.ALARM_ENDED,
            f"{row.kind.capitalize()} alarm of {row.stream.name} is over",
            f"The stream is {row.stream.lifecycle} and no longer checked.",
            by=SYSTEM,
            url=f"/quality/alarms/{row.pk}/",
            at=at,
        )
    for row in rows:
        audit.record(
            SYSTEM,
            "alarm.closed",
            row.stream.ref,
            summary=f"{row.kind} of {row.stream.name}: the stream is {row.stream.lifecycle}.",
        )
    return len(rows)


def _tell(row: Happening, at: datetime) -> None:
    """Tell followers and owners that an alarm began or ended, with a link to it."""
    alarm = Alarm.objects.filter(stream=row.stream, kind=row.kind).order_by("-opened_at").first()
    is_over = row.event == "recovered"
    tell_of_stream(
        row.stream,
        NoticeKind.ALARM_ENDED if is_over else NoticeKind.ALARM_RAISED,
        f"{row.kind.capitalize()} alarm of {row.stream.name}{' is over' if is_over else ''}",
        row.sentence,
        by=SYSTEM,
        url=f"/quality/alarms/{alarm.pk}/" if alarm else "",
        at=at,
    )


def _open(rows: Sequence[Happening], at: datetime) -> None:
    Alarm.objects.bulk_create(
        Alarm(
            stream=row.stream,
            kind=row.kind,
            opened_at=at,
            level=row.level,
            sentence=row.sentence,
            evidence={"value": row.value, "expected": row.expected},
        )
        for row in rows
    )


def _reopen(row: Happening) -> None:
    newest = Alarm.objects.filter(stream=row.stream, kind=row.kind).order_by("-opened_at")[:1]
    Alarm.objects.filter(pk__in=newest.values("pk")).update(
        closed_at=None, reopened=F("reopened") + 1
    )
