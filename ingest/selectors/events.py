"""Browsing stored events: the grant is part of the statement, personal values are masked here.

Whoever holds `read_payload` sees events with personal fields masked; whoever holds `read_personal`
sees them in clear, and that read leaves one audit row.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from django.db.models import QuerySet

from catalog.models import Producer, SchemaField, Stream
from governance import access, audit
from governance.masking import MASK, mask, present
from governance.types import Permission
from ingest.models import Event
from portal.http.pagination import Page, paginate
from portal.kernel.actor import Actor
from portal.kernel.errors import NotFoundError

ORDER: Final = ("-occurred_at", "event_id")
_PERSONAL: Final = ("personal", "sensitive")


@dataclass(frozen=True, slots=True)
class StoredEvent:
    """One accepted event as its reader may see it. `masked` names the paths held back."""

    stream: str
    id: str
    occurred_at: datetime
    received_at: datetime
    version: int | None
    subject: str | None
    source: str
    producer: str
    attributes: dict[str, Any]
    data: Any
    extra: Any
    masked: tuple[str, ...]

    def as_cloudevent(self) -> dict[str, Any]:
        """The event in the structured JSON form, with what the portal knows beside it."""
        return {
            "specversion": "1.0",
            "id": self.id,
            "source": self.source,
            "type": self.stream,
            "time": self.occurred_at,
            "subject": self.subject,
            **self.attributes,
            "data": self.data,
            "portal": {
                "version": self.version,
                "received_at": self.received_at,
                "producer": self.producer,
                "extra": self.extra,
                "masked": list(self.masked),
            },
        }


def stored_events(
    actor: Actor,
    stream: Stream,
    *,
    since: datetime | None = None,
    until: datetime | None = None,
    limit: int | None = None,
    cursor: str | None = None,
) -> Page[StoredEvent]:
    """A page of a stream's events, newest first. Raises NotPermittedError without a grant."""
    access.require(actor, Permission.READ_PAYLOAD, stream)
    rows = _readable(actor, stream)
    if since is not None:
        rows = rows.filter(occurred_at__gte=since)
    if until is not None:
        rows = rows.filter(occurred_at__lt=until)
    page = paginate(rows, order=ORDER, limit=limit, cursor=cursor)
    return Page(_shown(actor, stream, page.items), page.next)


def stored_event(
    actor: Actor, stream: Stream, event_id: str, *, occurred_at: datetime | None = None
) -> StoredEvent:
    """One event by id, the newest of that id without its time. NotFoundError when there is none."""
    access.require(actor, Permission.READ_PAYLOAD, stream)
    rows = _readable(actor, stream).filter(event_id=event_id)
    if occurred_at is not None:
        rows = rows.filter(occurred_at=occurred_at)
    found = rows.order_by("-occurred_at").first()
    if found is None:
        raise NotFoundError
    return _shown(actor, stream, [found])[0]


def _readable(actor: Actor, stream: Stream) -> QuerySet[Event]:
    """The stream's events under the access predicate, judged by the same statement."""
    permitted = access.permitted(
        actor, Permission.READ_PAYLOAD, Stream.objects.filter(pk=stream.pk)
    )
    return Event.objects.filter(stream_id=stream.pk, stream_id__in=permitted.values("pk"))


def _shown(actor: Actor, stream: Stream, rows: list[Event]) -> list[StoredEvent]:
    if not rows:
        return []
    personal = _personal_paths(stream, {row.version for row in rows})
    subject_is_personal = stream.subject_classification in _PERSONAL
    in_clear = access.may(actor, Permission.READ_PERSONAL, stream)
    producers = dict(
        Producer.objects.filter(pk__in={row.producer_id for row in rows}).values_list("pk", "name")
    )
    touched: set[str] = set()
    shown = []
    for row in rows:
        held = present(row.data, personal.get(row.version or 0, ()))
        if subject_is_personal and row.subject:
            held.append("subject")
        touched |= set(held)
        hide = () if in_clear else tuple(held)
        masks_subject = "subject" in hide
        shown.append(
            StoredEvent(
                stream=stream.name,
                id=row.event_id,
                occurred_at=row.occurred_at,
                received_at=row.received_at,
                version=row.version,
                subject=MASK if masks_subject else row.subject,
                source=row.source,
                producer=producers.get(row.producer_id, "unknown"),
                attributes=row.attributes,
                data=mask(row.data, [path for path in hide if path != "subject"]),
                extra=row.extra if in_clear or not touched else None,
                masked=hide,
            )
        )
    if in_clear and touched:
        audit.record(
            actor,
            "event.personal_read",
            stream.ref,
            summary=f"saw {', '.join(sorted(touched))} in {len(rows)} events of {stream.name}",
            after={"fields": sorted(touched), "events": len(rows)},
        )
    return shown


def _personal_paths(stream: Stream, versions: set[int | None]) -> dict[int, list[str]]:
    found: dict[int, list[str]] = {}
    rows = SchemaField.objects.filter(
        stream=stream,
        schema_version__version__in=[version for version in versions if version],
        classification__in=_PERSONAL,
    ).values_list("schema_version__version", "path")
    for version, path in rows:
        found.setdefault(version, []).append(path)
    return found
