"""Reading the audit log: the question as a sentence, and the newest verification."""

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any, Final

import orjson
from django.db.models import QuerySet

from governance.models import AuditEntry, AuditVerification
from portal.kernel import clock, rfc3339

# Looks at personal values, and those that had treated values in clear; the index
# governance_audit_saw names the same.
LOOKS: Final = (
    "event.personal_read", "event.personal_revealed",
    "dead_letter.personal_read", "dead_letter.personal_revealed",
    "vault.looked_up", "subject_export.downloaded",
)  # fmt: skip
IN_CLEAR: Final = (
    "event.personal_revealed", "dead_letter.personal_revealed", "vault.looked_up",
    "subject_export.downloaded",
)  # fmt: skip
# The verbs of the audit sentence and the actions they stand for.
VERBS: Final[Mapping[str, tuple[str, ...]]] = {
    "did anything to": (),
    "saw": LOOKS,
    "changed": (
        "stream.registered", "stream.changed", "schema.published", "stream.tagged",
        "domain.created", "producer.created", "consumer.created", "consumer.mapped",
    ),
    "granted": ("access.granted", "access.ended", "access.denied", "access.requested"),
    "signed": ("key.created", "key.revoked", "key.rotated", "person.signed_up"),
}  # fmt: skip
PERIODS: Final = {"24 hours": 1, "7 days": 7, "30 days": 30, "90 days": 90}


def entries(
    *,
    actor: str = "",
    action: str = "",
    verb: str = "",
    object_key: str = "",
    since: datetime | None = None,
    until: datetime | None = None,
) -> QuerySet[AuditEntry]:
    """Rows that fit the question, to be paged newest first by `seq` (the primary key)."""
    rows = AuditEntry.objects.all()
    if actor:
        rows = rows.filter(actor=actor)
    if action:
        rows = rows.filter(action=action)
    if actions := VERBS.get(verb):
        rows = rows.filter(action__in=actions)
    if object_key:
        rows = rows.filter(object_key=object_key)
    if since is not None:
        rows = rows.filter(at__gte=since)
    if until is not None:
        rows = rows.filter(at__lt=until)
    return rows


def looks(*, since: datetime) -> QuerySet[AuditEntry]:
    """Looks at personal values from a moment on, the newest first; by the index of looks."""
    return AuditEntry.objects.filter(action__in=LOOKS, at__gte=since).order_by("-at", "-seq")


def period_start(period: str) -> datetime:
    """When a period of the sentence began."""
    return clock.now() - timedelta(days=PERIODS.get(period, 30))


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
