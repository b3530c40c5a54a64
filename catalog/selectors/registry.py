"""Reading what registry clients see: subjects, versions and schemas of streams they may know of."""

from collections.abc import Iterable, Mapping
from typing import Final

from django.db.models import Exists, OuterRef, Prefetch, Q, QuerySet

from catalog.models import (
    RegistryReference,
    RegistrySchema,
    RegistrySubject,
    RegistryVersion,
    Stream,
)
from catalog.registry.answers import SchemaAnswer, VersionAnswer
from catalog.registry.errors import schema_not_found, subject_not_found, version_not_found
from catalog.registry.requests import Reference
from catalog.registry.subjects import names_of
from catalog.selectors.registry_callers import registry_streams
from catalog.types import VersionState
from portal.kernel.actor import Actor

CONTEXT: Final = "."
_SERVED: Final = (VersionState.ACTIVE, VersionState.DEPRECATED)
# What clients may use, what they may still look at, and what is soft deleted for them. A version
# that the catalog retired is to them as one that somebody deleted.
LIVE: Final = Q(deleted_at=None, version__state__in=_SERVED)
KNOWN: Final = Q(is_permanent=False, version__state__in=[*_SERVED, VersionState.RETIRED])


def locate(subject: str) -> Stream | None:
    """The stream behind a subject, whoever asks; None before the first registration."""
    row = (
        RegistrySubject.objects.select_related("stream")
        .filter(subject=subject, stream__isnull=False)
        .first()
    )
    if row is not None:
        return row.stream
    for name in names_of(subject):
        found = Stream.objects.filter(Q(name=name) | Q(aliases__alias=name)).order_by("id").first()
        if found is not None:
            return found
    return None


def find_stream(actor: Actor, subject: str) -> Stream:
    """The stream behind a subject; RegistryError 40401 for missing and hidden alike."""
    stream = locate(subject)
    if stream is None or not registry_streams(actor).filter(pk=stream.pk).exists():
        raise subject_not_found(subject)
    return stream


def registered(*, deleted: bool = False, deleted_only: bool = False) -> QuerySet[RegistryVersion]:
    """Versions as clients list them, with their schema and its references at hand."""
    rows = (
        RegistryVersion.objects.select_related("version__stream", "schema")
        .prefetch_related(
            Prefetch(
                "schema__references",
                RegistryReference.objects.select_related("target__version").order_by("position"),
            )
        )
        .order_by("version__stream__name", "version__version")
    )
    if deleted_only:
        return rows.filter(KNOWN).exclude(LIVE)
    return rows.filter(KNOWN if deleted else LIVE)


def version_numbers(
    actor: Actor, subject: str, *, deleted: bool = False, deleted_only: bool = False
) -> list[int]:
    """The versions of a subject; RegistryError 40401 when there is none to show."""
    stream = find_stream(actor, subject)
    rows = registered(deleted=deleted, deleted_only=deleted_only).filter(version__stream=stream)
    numbers = list(rows.values_list("version__version", flat=True))
    if not numbers:
        raise subject_not_found(subject)
    return numbers


def get_registered(
    actor: Actor, subject: str, number: int | None, *, deleted: bool = False
) -> RegistryVersion:
    """One version of a subject, the latest without a number.

    Raises RegistryError 40401 without any version to show, 40402 without this one.
    """
    stream = find_stream(actor, subject)
    rows = registered(deleted=deleted).filter(version__stream=stream)
    if not rows.exists():
        raise subject_not_found(subject)
    found = (
        rows.order_by("-version__version").first()
        if number is None
        else rows.filter(version__version=number).first()
    )
    if found is None:
        raise version_not_found(number)
    return found


def with_metadata(
    actor: Actor, subject: str, wanted: Mapping[str, str], *, deleted: bool = False
) -> RegistryVersion:
    """The latest version of a subject whose metadata has these properties; 40402 without one."""
    stream = find_stream(actor, subject)
    rows = registered(deleted=deleted).filter(version__stream=stream)
    found = (
        rows.filter(schema__metadata__properties__contains=dict(wanted))
        .order_by("-version__version")
        .first()
    )
    if found is None:
        raise version_not_found("with this metadata")
    return found


def find_same(
    stream: Stream, fingerprint: bytes, *, deleted: bool = False
) -> RegistryVersion | None:
    """The newest version of a stream that holds this schema."""
    return (
        registered(deleted=deleted)
        .filter(version__stream=stream, schema__fingerprint=fingerprint)
        .order_by("-version__version")
        .first()
    )


def has_live_versions(stream: Stream) -> bool:
    """Whether there is a version of a stream that clients may use."""
    return RegistryVersion.objects.filter(LIVE, version__stream=stream).exists()


def get_schema(actor: Actor, schema_id: int) -> RegistrySchema:
    """A schema by id, while any version that the caller may know of holds it, deleted or not."""
    known = RegistryVersion.objects.filter(
        KNOWN, schema=OuterRef("pk"), version__stream__in=registry_streams(actor).values("pk")
    )
    found = _schemas().filter(Exists(known), pk=schema_id).first()
    if found is None:
        raise schema_not_found(schema_id)
    return found


def get_schema_by_guid(actor: Actor, guid_bytes: bytes) -> RegistrySchema:
    """A schema by the first half of its fingerprint, as `get_schema` by id."""
    ends = guid_bytes + bytes(16), guid_bytes + b"\xff" * 16
    found = RegistrySchema.objects.filter(fingerprint__range=ends).values_list("pk", flat=True)
    first = found.first()
    if first is None:
        raise schema_not_found()
    return get_schema(actor, first)


def versions_of_schema(
    actor: Actor, schema: RegistrySchema, *, deleted: bool = False
) -> list[RegistryVersion]:
    """The versions that hold a schema and the caller may know of, by stream and number."""
    return list(
        registered(deleted=deleted).filter(
            schema=schema, version__stream__in=registry_streams(actor).values("pk")
        )
    )


def referring_ids(actor: Actor, target: RegistryVersion) -> list[int]:
    """Ids of the schemas that refer to a version and are in use."""
    return sorted(
        set(
            RegistryVersion.objects.filter(
                LIVE,
                schema__references__target=target,
                version__stream__in=registry_streams(actor).values("pk"),
            ).values_list("schema_id", flat=True)
        )
    )


def subjects_of(stream_ids: Iterable[int]) -> dict[int, list[str]]:
    """The texts under which clients find each stream: as it was registered, else by name."""
    ids = set(stream_ids)
    found: dict[int, list[str]] = {}
    made = set()
    rows = RegistrySubject.objects.filter(stream__in=ids).order_by("subject")
    for row in rows:
        if row.stream_id is not None and row.is_listed:
            found.setdefault(row.stream_id, []).append(row.subject)
        if row.stream_id is not None and row.made_stream:
            made.add(row.stream_id)
    for pk, name in Stream.objects.filter(pk__in=ids).values_list("pk", "name"):
        names = found.setdefault(pk, [])
        if pk not in made and name not in names:
            names.append(name)
    return found


def listed_subjects(
    actor: Actor, *, prefix: str = "", deleted: bool = False, deleted_only: bool = False
) -> list[str]:
    """All subjects that the caller may know of, sorted.

    With `deleted` those without a live version too, with `deleted_only` only those.
    """
    wanted = RegistryVersion.objects.filter(KNOWN, version__stream=OuterRef("pk"))
    live = RegistryVersion.objects.filter(LIVE, version__stream=OuterRef("pk"))
    streams = registry_streams(actor)
    if deleted_only:
        streams = streams.filter(Exists(wanted) & ~Exists(live))
    else:
        streams = streams.filter(Exists(wanted) if deleted else Exists(live))
    names = subjects_of(streams.values_list("pk", flat=True))
    return sorted(name for some in names.values() for name in some if name.startswith(prefix))


def listed_versions(
    actor: Actor, *, prefix: str = "", deleted: bool = False, latest_only: bool = False
) -> list[tuple[str, int, int]]:
    """All versions that the caller may know of, as (subject, version, row), by subject."""
    rows = (
        RegistryVersion.objects.filter(KNOWN if deleted else LIVE)
        .filter(version__stream__in=registry_streams(actor).values("pk"))
        .order_by("version__stream", "version__version")
        .values_list("version__stream_id", "version__version", "pk")
    )
    by_stream: dict[int, list[tuple[int, int]]] = {}
    for stream_id, number, pk in rows:
        by_stream.setdefault(stream_id, []).append((number, pk))
    names = subjects_of(by_stream)
    return sorted(
        (name, number, pk)
        for stream_id, versions in by_stream.items()
        for name in names[stream_id]
        if name.startswith(prefix)
        for number, pk in (versions[-1:] if latest_only else versions)
    )


def rows_by_id(ids: Iterable[int]) -> Mapping[int, RegistryVersion]:
    """Versions by row id, soft deleted ones too; those deleted for good are absent."""
    return registered(deleted=True).in_bulk(list(set(ids)))


def newest_id() -> int:
    """The highest id given so far; 0 before the first."""
    return RegistrySchema.objects.order_by("-pk").values_list("pk", flat=True).first() or 0


def schema_answer(schema: RegistrySchema) -> SchemaAnswer:
    return SchemaAnswer(
        id=schema.pk,
        fingerprint=bytes(schema.fingerprint),
        text=schema.text,
        references=tuple(
            Reference(one.name, one.subject, one.target.version.version)
            for one in schema.references.all()
        ),
        metadata=schema.metadata,
        rule_set=schema.rule_set,
    )


def version_answer(row: RegistryVersion, subject: str) -> VersionAnswer:
    """A version as clients read it, under the subject as they spelled it."""
    return VersionAnswer(
        subject=subject,
        version=row.version.version,
        schema=schema_answer(row.schema),
        is_deleted=is_deleted(row),
    )


def is_deleted(row: RegistryVersion) -> bool:
    """Whether a version is deleted for clients, softly or for good."""
    return row.deleted_at is not None or row.version.state not in _SERVED


def _schemas() -> QuerySet[RegistrySchema]:
    return RegistrySchema.objects.prefetch_related(
        Prefetch(
            "references",
            RegistryReference.objects.select_related("target__version").order_by("position"),
        )
    )
