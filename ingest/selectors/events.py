"""Browsing stored events: the grant is part of the statement, personal values are masked here.

Whoever holds `read_payload` sees events with personal fields masked; whoever holds `read_personal`
sees them in clear, and that read leaves one audit row. A grant may be about some fields: others are
left out, or stay masked (`governance.projection`).
"""

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from django.db.models import Q, QuerySet

from catalog.classified import MASK, PERSONAL, is_personal, project
from catalog.models import Producer, Stream
from catalog.services.observed_reads import note_read
from governance import access, audit
from governance.projection import Projection, note_use, projection
from governance.types import Permission
from ingest.log.alive import FieldLives, alive_since
from ingest.models import Event, Restore, RestoredEvent
from ingest.protocols.segment import SKEW
from ingest.types import Mark
from portal.http.pagination import Page, paginate
from portal.kernel import clock
from portal.kernel.actor import Actor
from portal.kernel.errors import NotFoundError

ORDER: Final = ("-occurred_at", "event_id")
# Attributes that tell of a person where the subject does: what a Segment SDK knew of them, and
# their other ids.
_OF_THE_PERSON: Final = frozenset({"context", "anonymousid", "previousid"})


@dataclass(frozen=True, slots=True)
class StoredEvent:
    """One accepted event as its reader may see it. `masked` names the paths held back, `left_out`
    those that the reader's grant is not about.

    `is_replayed`: it was a dead letter first. `is_imported`: it came as history, by an import.
    `has_extra`: it came with fields that its contract does not know, whoever may see them.
    """

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
    binary: bytes | None
    extra: Any
    masked: tuple[str, ...]
    left_out: tuple[str, ...] = ()
    is_replayed: bool = False
    is_imported: bool = False
    has_extra: bool = False
    track: int = 0

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
            **self._data(),
            "portal": {
                "version": self.version,
                "received_at": self.received_at,
                "corrected_time": corrected_time(self.occurred_at, self.attributes),
                "producer": self.producer,
                "extra": self.extra,
                "masked": list(self.masked),
                "left_out": list(self.left_out),
                "replayed": self.is_replayed,
            },
        }

    @property
    def corrected_time(self) -> datetime | None:
        """When it happened by our clock; None when nothing is known against its sender's."""
        return corrected_time(self.occurred_at, self.attributes)

    def _data(self) -> dict[str, Any]:
        """Data as JSON, or as base64 what is no JSON."""
        if self.binary is None:
            return {"data": self.data}
        return {"data_base64": base64.b64encode(self.binary).decode("ascii")}


def stored_events(
    actor: Actor,
    stream: Stream,
    *,
    since: datetime | None = None,
    until: datetime | None = None,
    limit: int | None = None,
    cursor: str | None = None,
    restored: UUID | None = None,
) -> Page[StoredEvent]:
    """A page of a stream's events, newest first. Raises NotPermittedError without a grant.

    With `restored` those that a restore has loaded out of the archive; NotFoundError without it.
    """
    access.require(actor, Permission.READ_PAYLOAD, stream)
    rows: QuerySet[Any] = _readable(actor, stream)
    if restored is not None:
        rows = _restored(actor, stream, restored)
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


def next_event(actor: Actor, stream: Stream, event: StoredEvent) -> tuple[str, datetime] | None:
    """Id and time of the event that follows in the list of the stream, newest first; None at its
    end. It reads no data, so it leaves no trace."""
    rows = _readable(actor, stream).filter(
        Q(occurred_at__lt=event.occurred_at) | Q(event_id__gt=event.id),
        occurred_at__lte=event.occurred_at,
        track=event.track,
    )
    return rows.order_by(*ORDER).values_list("event_id", "occurred_at").first()


def contract_of(stream: Stream, event: StoredEvent) -> object:
    """The contract that the event was judged by; None when there was none."""
    return _documents(stream, {event.version}).get(event.version) if event.version else None


def event_to_reveal(
    actor: Actor, stream: Stream, event_id: str, *, occurred_at: datetime | None = None
) -> StoredEvent:
    """As `stored_event`, for who may see personal fields; the caller records the look."""
    access.require(actor, Permission.READ_PERSONAL, stream)
    rows = _readable(actor, stream, Permission.READ_PERSONAL).filter(event_id=event_id)
    if occurred_at is not None:
        rows = rows.filter(occurred_at=occurred_at)
    found = rows.order_by("-occurred_at").first()
    if found is None:
        raise NotFoundError
    return _described(stream, [found], projection(actor, stream))[0][0]


def _readable(
    actor: Actor, stream: Stream, permission: Permission = Permission.READ_PAYLOAD
) -> QuerySet[Event]:
    """The stream's living events under the access predicate, judged by the same statement."""
    permitted = access.permitted(actor, permission, Stream.objects.filter(pk=stream.pk))
    return Event.objects.filter(
        stream_id=stream.pk,
        stream_id__in=permitted.values("pk"),
        occurred_at__gte=alive_since(stream),
    )


def _restored(actor: Actor, stream: Stream, restore_id: UUID) -> QuerySet[RestoredEvent]:
    """What a restore has loaded, under the same predicate."""
    live = Restore.objects.filter(pk=restore_id, stream_id=stream.pk, expires_at__gt=clock.now())
    if not live.exists():
        raise NotFoundError
    permitted = access.permitted(
        actor, Permission.READ_PAYLOAD, Stream.objects.filter(pk=stream.pk)
    )
    return RestoredEvent.objects.filter(
        restore_id=restore_id, stream_id=stream.pk, stream_id__in=permitted.values("pk")
    )


def _shown(
    actor: Actor, stream: Stream, rows: Sequence[Event | RestoredEvent]
) -> list[StoredEvent]:
    if not rows:
        return []
    seen = projection(actor, stream)
    shown, touched = _described(stream, rows, seen)
    note_use(actor, stream)
    if touched:
        audit.record(
            actor,
            "event.personal_read",
            stream.ref,
            summary=f"saw {', '.join(sorted(touched))} in {len(rows)} events of {stream.name}",
            after={"fields": sorted(touched), "events": len(rows)},
        )
    note_read(actor, stream, seen, len(rows))
    return shown


def _described(
    stream: Stream, rows: Sequence[Event | RestoredEvent], seen: Projection
) -> tuple[list[StoredEvent], set[str]]:
    """The events as they may be seen, and which personal fields are seen in clear."""
    documents = _documents(stream, {row.version for row in rows})
    # What no contract speaks of may be anything: in a personal stream it is held back whole.
    is_about_people = any(is_personal(document) for document in documents.values())
    holds_back = (seen.clear is not None and is_about_people) or seen.fields is not None
    producers = dict(
        Producer.objects.filter(pk__in={row.producer_id for row in rows}).values_list("pk", "name")
    )
    field_lives = FieldLives(documents, stream.default_version)
    touched: set[str] = set()
    shown = []
    for row in rows:
        contracts = [documents.get(row.version), documents.get(stream.default_version)]
        data = field_lives.left_of(row.data, version=row.version, occurred_at=row.occurred_at)
        found = project(contracts, data, seen)
        of_person = []
        has_subject = stream.subject_classification in PERSONAL and bool(row.subject)
        hides_subject = has_subject and seen.clear is not None
        if has_subject or is_about_people:
            of_person = sorted(_OF_THE_PERSON & row.attributes.keys())
        # What a SDK knew of the person is in no contract: it takes a grant to all of them.
        of_person_clear = of_person if seen.clear is None else []
        held = [*found.masked, *(["subject"] if hides_subject else [])]
        held += of_person if seen.clear is not None else []
        touched |= {*found.clear, *of_person_clear}
        touched |= {"subject"} if has_subject and not hides_subject else set()
        binary = bytes(row.data_base64) if row.data_base64 is not None else None
        shown.append(
            StoredEvent(
                stream=stream.name,
                id=row.event_id,
                occurred_at=row.occurred_at,
                received_at=row.received_at,
                version=row.version,
                subject=MASK if hides_subject else row.subject,
                source=row.source,
                producer=producers.get(row.producer_id, "unknown"),
                attributes=_without(row.subject if hides_subject else None, row.attributes)
                if hides_subject or (seen.clear is not None and is_about_people)
                else row.attributes,
                data=found.data,
                binary=None if holds_back else binary,
                extra=None if holds_back else row.extra,
                masked=tuple(held),
                left_out=found.left_out,
                is_replayed=bool(row.marks & Mark.REPLAYED),
                is_imported=bool(row.marks & Mark.IMPORTED),
                has_extra=bool(row.extra),
                track=row.track,
            )
        )
    return shown, touched


def _without(subject: str | None, attributes: dict[str, Any]) -> dict[str, Any]:
    """The attributes without what tells of the person, and without the subject that is masked (a
    partition key may be the same)."""
    return {
        name: MASK
        if name in _OF_THE_PERSON or (subject is not None and value == subject)
        else value
        for name, value in attributes.items()
    }


def corrected_time(occurred_at: datetime, attributes: dict[str, Any]) -> datetime | None:
    """When it happened by our clock, of an event whose sender's was wrong by more than a minute.

    None when nothing is known against the sender's clock. For display and analytics only: the
    event's time, partition and identity stay as it was sent.
    """
    skew = attributes.get(SKEW)
    if not isinstance(skew, int):
        return None
    try:
        return occurred_at + timedelta(milliseconds=skew)
    except OverflowError:
        return None


def _documents(stream: Stream, versions: set[int | None]) -> dict[int | None, object]:
    """The contracts of the versions, and today's: what is personal now was so before."""
    wanted = {version for version in (*versions, stream.default_version) if version is not None}
    rows = stream.versions.filter(version__in=wanted)
    return dict(rows.values_list("version", "document"))
