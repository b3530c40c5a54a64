"""Reading the audit log: the question as a sentence, and the newest verification."""

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any, Final

import orjson
from django.db.models import QuerySet

from governance.models import AuditAnchor, AuditEntry, AuditVerification
from governance.selectors.audit_verbs import EXPORTED, SAW, TOUCHED, VERB, verb_of
from portal.kernel import clock, rfc3339
from portal.kernel.errors import NotFoundError

# Who saw values or took them out; the index governance_audit_looked names the same.
LOOKS: Final = (*SAW, *EXPORTED)
# Of those, what had treated values in clear.
IN_CLEAR: Final = (
    "event.personal_revealed", "dead_letter.personal_revealed", "vault.looked_up", *EXPORTED,
)  # fmt: skip
PERIODS: Final[Mapping[str, int | None]] = {
    "24 hours": 1, "7 days": 7, "30 days": 30, "90 days": 90, "all time": None,
}  # fmt: skip
PERIOD: Final = "30 days"
# The clock of who anchors and the database's may differ, and be set back, by this at most.
_SLACK: Final = timedelta(days=1)
_LAST: Final = 2**63 - 1


def entries(
    *,
    actor: str = "",
    action: str = "",
    verb: str = "",
    object_key: str = "",
    since: datetime | None = None,
    until: datetime | None = None,
) -> QuerySet[AuditEntry]:
    """Rows that fit the question, to be paged newest first by `seq` (the primary key).

    By the indexes governance_audit_verb, _thing and _actor, each in the order of `seq`, and no
    further than a day beyond the moments.
    """
    rows = AuditEntry.objects.all()
    if actor:
        rows = rows.filter(actor=actor)
    if action:
        rows = rows.filter(action=action)
        verb = verb or verb_of(action)
    if verb not in ("", TOUCHED):
        rows = rows.alias(verb=VERB).filter(verb=verb)
    if object_key:
        rows = rows.filter(object_key=object_key)
    if since is not None:
        rows = rows.filter(at__gte=since, seq__gt=_anchored_before(since))
    if until is not None:
        rows = rows.filter(at__lt=until, seq__lte=_anchored_after(until))
    return rows


def entry(seq: int) -> AuditEntry:
    """One row by its number; NotFoundError without it."""
    found = AuditEntry.objects.filter(pk=seq).first() if seq <= _LAST else None
    if found is None:
        raise NotFoundError
    return found


def looks(*, since: datetime) -> QuerySet[AuditEntry]:
    """Looks at personal values from a moment on, the newest first; by the index of looks."""
    return AuditEntry.objects.filter(action__in=LOOKS, at__gte=since).order_by("-at", "-seq")


def period_start(period: str) -> datetime | None:
    """When a period of the sentence began; None for the one that has no beginning."""
    days = PERIODS.get(period, PERIODS[PERIOD])
    return clock.now() - timedelta(days=days) if days is not None else None


def spelled(asked: Mapping[str, Any]) -> dict[str, str]:
    """A question by its parts as texts, as an export states it."""
    return {
        name: rfc3339.spell(value) if isinstance(value, datetime) else str(value)
        for name, value in asked.items()
    }


def _anchored_before(since: datetime) -> int:
    """The newest row that was anchored so long before a moment that it was written before it."""
    anchors = AuditAnchor.objects.filter(at__lt=since - _SLACK).order_by("-at", "-number")
    return anchors.values_list("upto_seq", flat=True).first() or 0


def _anchored_after(until: datetime) -> int:
    """The newest row of the first anchor that is so much later than a moment that what follows was
    written after it."""
    anchors = AuditAnchor.objects.filter(at__gt=until + _SLACK).order_by("at", "number")
    return anchors.values_list("upto_seq", flat=True).first() or _LAST


def newest_number() -> int:
    """The number of the newest row, which is how many there are."""
    return AuditEntry.objects.order_by("-seq").values_list("seq", flat=True).first() or 0


def newest_verification() -> AuditVerification | None:
    """What the last walk over the chain found; None before the first."""
    return AuditVerification.objects.order_by("-at").first()


def entries_of_export(lines: Iterable[bytes]) -> Iterator[AuditEntry]:
    """The rows of an export (`as_dict`, one a line), as they stood in the table."""
    for line in lines:
        yield entry_of(orjson.loads(line))


def entry_of(row: Mapping[str, Any]) -> AuditEntry:
    """A row of `as_dict` as it stood in the table. Raises KeyError, TypeError, ValueError."""
    return AuditEntry(
        seq=int(row["seq"]),
        at=rfc3339.parse(row["at"]) if isinstance(row["at"], str) else row["at"],
        actor_kind=row["actor"]["kind"],
        actor_id=row["actor"]["id"],
        actor=row["actor"]["name"],
        action=row["action"],
        object_kind=row["object"]["kind"],
        object_key=row["object"]["key"],
        summary=row["summary"],
        detail=row["detail"],
        request_id=row["request_id"],
        prev_hash=bytes.fromhex(row["prev_hash"]),
        hash=bytes.fromhex(row["hash"]),
        format=int(row.get("format", 1)),  # exports of older portals do not say
    )


def as_dict(entry: AuditEntry) -> dict[str, Any]:
    """A row as the API gives it, with its hashes in hex so that anyone can check the chain."""
    return {
        "seq": entry.seq,
        "at": entry.at,
        "actor": {"kind": entry.actor_kind, "id": entry.actor_id, "name": entry.actor},
        "action": entry.action,
        "object": {"kind": entry.object_kind, "key": entry.object_key},
        "summary": entry.summary,
        "detail": entry.detail,
        "request_id": entry.request_id,
        "prev_hash": bytes(entry.prev_hash).hex(),
        "hash": bytes(entry.hash).hex(),
        "format": entry.format,
    }


def as_line(entry: AuditEntry) -> bytes:
    """The same as JSON on one line, without its end."""
    return orjson.dumps(as_dict(entry) | {"at": rfc3339.spell(entry.at)})
