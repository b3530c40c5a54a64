"""The later life of a version: default, deprecated with a sunset, practised, corrected, retired.

active ──deprecate──▶ deprecated ──on its day, or by hand──▶ retired

Events that name a retired version become dead letters `version_retired`; ingest judges the sunset
by itself, so the day needs no job to be effective. Who may approve for the stream may extend the
day, of a version and of a field whose contract says `x-sunset`.
"""

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import Final

from django.db import transaction
from django.db.models import F

from catalog.models import FieldExtension, SchemaField, SchemaVersion, Stream
from catalog.services.schemas import lock, make_default
from catalog.services.telling import tell_of_deprecation, tell_of_retirement
from catalog.types import VersionState
from governance import access, audit
from governance.types import Permission
from portal.kernel import clock
from portal.kernel.actor import SYSTEM, Actor
from portal.kernel.errors import FieldError, InvalidError, InvalidStateError

MAX_NOTE: Final = 4_000
MAX_REASON: Final = 1_000
MAX_BROWNOUTS: Final = 20
LONGEST_BROWNOUT: Final = timedelta(hours=24)
Window = tuple[datetime, datetime]


@transaction.atomic
def set_default_version(version: SchemaVersion, *, actor: Actor) -> SchemaVersion:
    """Have events that name no version mean this active one."""
    stream, version = _held(version, actor)
    if version.state != VersionState.ACTIVE:
        raise InvalidStateError("Only an active version can be the default.")
    if stream.default_version != version.version:
        make_default(stream, version)
        _record(actor, stream, "schema.default_set", f"made v{version.version} the default")
    return version


@transaction.atomic
def deprecate_version(
    version: SchemaVersion,
    *,
    actor: Actor,
    sunset_at: datetime,
    migration: str,
    brownouts: Sequence[Window] = (),
) -> SchemaVersion:
    """Say until when a version is taken and how to move on; again moves the day or the note.

    `brownouts` are windows before the sunset in which it is refused for practice. Raises
    InvalidError for a day that does not lie ahead or windows that do not fit, InvalidStateError
    for the default version and for one that is neither active nor deprecated.
    """
    stream, version = _held(version, actor)
    _check_deprecation(sunset_at, migration, brownouts)
    if version.version == stream.default_version:
        raise InvalidStateError("The default version is in use; make another the default first.")
    if version.state not in (VersionState.ACTIVE, VersionState.DEPRECATED):
        raise InvalidStateError(f"A {version.state} version cannot be deprecated.")
    version.state = VersionState.DEPRECATED
    version.deprecated_at = version.deprecated_at or clock.now()
    version.sunset_at = sunset_at
    version.migration_note = migration.strip()
    version.brownouts = [
        {"from": start.isoformat(), "until": end.isoformat()} for start, end in brownouts
    ]
    version.save(
        update_fields=["state", "deprecated_at", "sunset_at", "migration_note", "brownouts"]
    )
    tell_of_deprecation(
        stream, f"{stream.name} v{version.version}", sunset_at, migration.strip(), by=actor
    )
    _record(
        actor,
        stream,
        "schema.deprecated",
        f"deprecated v{version.version} until {sunset_at:%Y-%m-%d}",
        sunset_at=sunset_at.isoformat(),
        migration=migration.strip(),
    )
    return version


@transaction.atomic
def extend_version(
    version: SchemaVersion, *, actor: Actor, sunset_at: datetime, reason: str
) -> SchemaVersion:
    """Approve a later end of a deprecated version. Its brownouts stay.

    Raises InvalidError unless the day lies ahead of the one that was said, InvalidStateError for
    a version that is not deprecated: what is retired stays so.
    """
    access.require(actor, Permission.APPROVE, version.stream)
    said = _checked_reason(reason)
    stream = lock(version.stream)
    version = stream.versions.select_related("stream").get(pk=version.pk)
    if version.state != VersionState.DEPRECATED or version.sunset_at is None:
        raise InvalidStateError("Only a deprecated version can be extended.")
    if sunset_at <= max(version.sunset_at, clock.now()):
        raise InvalidError(
            "The new day must be later.",
            errors=[FieldError("/sunset_at", "past", "must lie after the day that was said")],
        )
    before = version.sunset_at
    version.sunset_at = sunset_at
    version.save(update_fields=["sunset_at"])
    _record(
        actor,
        stream,
        "schema.extended",
        f"extended v{version.version} until {sunset_at:%Y-%m-%d}",
        sunset_at=sunset_at.isoformat(),
        was=before.isoformat(),
        reason=said,
    )
    return version


@transaction.atomic
def extend_field(
    stream: Stream, path: str, *, actor: Actor, until_on: date, reason: str
) -> FieldExtension:
    """Approve that a deprecated field may be sent beyond its `x-sunset`, in every version.

    Raises InvalidError for a field that no version in use ends (it has no sunset, or is required),
    and for a day that is not later than what holds now.
    """
    access.require(actor, Permission.APPROVE, stream)
    said = _checked_reason(reason)
    stream = lock(stream)
    ends = list(
        SchemaField.objects.filter(
            stream=stream,
            path=path,
            deprecated=True,
            required=False,
            sunset_on__isnull=False,
            schema_version__state__in=(VersionState.ACTIVE, VersionState.DEPRECATED),
        ).values_list("sunset_on", flat=True)
    )
    if not ends:
        raise InvalidError(
            "No version in use says when this field ends.",
            errors=[FieldError("/field", "unknown", "name a deprecated field with x-sunset")],
        )
    found = FieldExtension.objects.filter(stream=stream, path=path).first()
    held = max([*(end for end in ends if end is not None), *([found.until_on] if found else [])])
    if until_on <= max(held, clock.now().date()):
        raise InvalidError(
            "The new day must be later.",
            errors=[FieldError("/until", "past", f"must lie after {held}")],
        )
    extension, _ = FieldExtension.objects.update_or_create(
        stream=stream,
        path=path,
        defaults={
            "until_on": until_on,
            "reason": said,
            "approved_at": clock.now(),
            "approved_by": actor.label,
        },
    )
    _record(
        actor,
        stream,
        "schema.field_extended",
        f"extended the field {path} until {until_on}",
        field=path,
        until=until_on.isoformat(),
        was=held.isoformat(),
        reason=said,
    )
    return extension


@transaction.atomic
def retire_version(version: SchemaVersion, *, actor: Actor) -> SchemaVersion:
    """End a deprecated version before its day; events that name it are refused from now on."""
    stream, version = _held(version, actor)
    _retire(stream, version, actor)
    return version


@transaction.atomic
def supersede_version(version: SchemaVersion, *, corrects: int, actor: Actor) -> SchemaVersion:
    """Declare that an active version corrects an older one: its events are judged by this one."""
    stream, version = _held(version, actor)
    older = stream.versions.filter(version=corrects).first()
    if version.state != VersionState.ACTIVE:
        raise InvalidStateError("Only an active version can correct another.")
    if older is None or corrects >= version.version:
        raise InvalidError(
            "It can only correct an older version of its stream.",
            errors=[FieldError("/corrects", "unknown", "name an older version")],
        )
    version.supersedes = corrects
    version.save(update_fields=["supersedes"])
    _record(actor, stream, "schema.superseded", f"v{version.version} corrects v{corrects}")
    return version


def retire_due_versions() -> int:
    """Retire the deprecated versions whose day has come; gives how many. Safe to run twice."""
    due = SchemaVersion.objects.filter(
        state=VersionState.DEPRECATED, sunset_at__lte=clock.now()
    ).select_related("stream")
    count = 0
    for found in due.order_by("sunset_at", "pk")[:500]:
        with transaction.atomic():
            stream, version = _held(found, SYSTEM)
            if version.state == VersionState.DEPRECATED:
                _retire(stream, version, SYSTEM)
                count += 1
    return count


def _held(version: SchemaVersion, actor: Actor) -> tuple[Stream, SchemaVersion]:
    """Stream and version as they are now, under the stream's lock, for who may edit it."""
    access.require(actor, Permission.EDIT, version.stream)
    stream = lock(version.stream)
    return stream, stream.versions.select_related("stream").get(pk=version.pk)


def _retire(stream: Stream, version: SchemaVersion, actor: Actor) -> None:
    moved = SchemaVersion.objects.filter(pk=version.pk, state=VersionState.DEPRECATED).update(
        state=VersionState.RETIRED, retired_at=clock.now()
    )
    if moved != 1:
        raise InvalidStateError("Only a deprecated version can be retired.")
    version.refresh_from_db()
    tell_of_retirement(stream, f"{stream.name} v{version.version}", by=actor)
    _record(actor, stream, "schema.retired", f"retired v{version.version}")


def _checked_reason(reason: str) -> str:
    said = reason.strip()
    if not said or len(said) > MAX_REASON:
        raise InvalidError(
            "The extension breaks a rule.",
            errors=[FieldError("/reason", "required", "say why, in 1 to 1,000 characters")],
        )
    return said


def _check_deprecation(sunset_at: datetime, migration: str, brownouts: Sequence[Window]) -> None:
    faults = []
    if sunset_at <= clock.now():
        faults.append(FieldError("/sunset_at", "past", "must lie ahead"))
    if not migration.strip() or len(migration) > MAX_NOTE:
        faults.append(
            FieldError(
                "/migration", "required", "say what to use instead, in 1 to 4,000 characters"
            )
        )
    if len(brownouts) > MAX_BROWNOUTS:
        faults.append(FieldError("/brownouts", "too_many", f"at most {MAX_BROWNOUTS}"))
    for place, (start, end) in enumerate(brownouts):
        if not start < end <= sunset_at or end - start > LONGEST_BROWNOUT:
            faults.append(
                FieldError(
                    f"/brownouts/{place}", "window", "must end before the sunset, within a day"
                )
            )
    if faults:
        raise InvalidError("The deprecation breaks a rule.", errors=faults)


def _record(actor: Actor, stream: Stream, action: str, text: str, **after: object) -> None:
    audit.record(actor, action, stream.ref, summary=f"{text} of {stream.name}", after=after or None)
    Stream.objects.filter(pk=stream.pk).update(revision=F("revision") + 1, updated_at=clock.now())
