"""Writing schema versions: numbered from 1 within their stream, immutable once active.

These are the steps that registering, importing and changing share; each runs under the lock of
the stream's row, so of many publishers at once each gets a number of its own, and each is compared
with what the one before it made active.
"""

from collections.abc import Mapping
from typing import Any

from django.db.models import F, Max

from catalog.classified import SENSITIVITY, sensitivity_of
from catalog.compatibility.engine import compare
from catalog.compatibility.types import Mode, Policy, Verdict
from catalog.field_index import FieldRow, fields_of
from catalog.models import SchemaField, SchemaVersion, Stream
from catalog.schema_safety import check_schema, fingerprint
from catalog.services.registry_ids import enroll
from catalog.style_lint import lint
from catalog.types import Classification, VersionState
from portal.kernel import clock, sql
from portal.kernel.actor import Actor
from portal.kernel.errors import ConflictError, FieldError
from portal.kernel.locks import or_busy

_INDEX = sql.load("catalog", "index_stream")


def add_version(
    stream: Stream,
    document: Mapping[str, Any],
    *,
    actor: Actor,
    label: str = "",
    note: str = "",
    extensions: Mapping[str, Any] | None = None,
) -> tuple[SchemaVersion, bool]:
    """Shared step of registering and importing: store the next version and make it active.

    What breaks the versions before it opens a compatibility group; nothing is refused for that.
    A document equal to the newest version changes nothing: gives that version and False.
    """
    version, verdict = take_version(
        stream, document, actor=actor, label=label, note=note, extensions=extensions
    )
    return version, verdict is not None


def take_version(
    stream: Stream,
    document: Mapping[str, Any],
    *,
    actor: Actor,
    label: str = "",
    note: str = "",
    extensions: Mapping[str, Any] | None = None,
    opens_group: bool | None = None,
) -> tuple[SchemaVersion, Verdict | None]:
    """As `add_version`, with the verdict on a new version, None for one that is there.

    `opens_group` is as in `make_active`, which raises ConflictError when it refuses.
    """
    draft = check_schema(document)
    locked = lock(stream)
    newest = locked.versions.order_by("-version").first()
    if newest is not None and bytes(newest.document_sha256) == fingerprint(document):
        return newest, None
    version = store_version(
        locked, document, draft=draft, actor=actor, label=label, note=note, extensions=extensions
    )
    verdict = make_active(locked, version, opens_group=opens_group)
    stream.refresh_from_db()
    return version, verdict


def lock(stream: Stream) -> Stream:
    """The stream's row, held until the transaction ends: who writes versions waits here."""
    with or_busy():
        return Stream.objects.select_for_update().get(pk=stream.pk)


def store_version(
    locked: Stream,
    document: Mapping[str, Any],
    *,
    draft: str,
    actor: Actor,
    label: str = "",
    note: str = "",
    extensions: Mapping[str, Any] | None = None,
) -> SchemaVersion:
    """Shared step: number a checked document under the stream's lock and index its fields."""
    rows = fields_of(document)
    findings = [finding.as_dict() for finding in lint(rows, document)]
    schema_id = document.get("$id")
    version = SchemaVersion.objects.create(
        stream=locked,
        version=(locked.versions.aggregate(Max("version"))["version__max"] or 0) + 1,
        label=label[:60],
        document=dict(document),
        document_sha256=fingerprint(document),
        schema_id=schema_id[:500] if isinstance(schema_id, str) else "",
        draft=draft,
        state=VersionState.PROPOSED,
        note=note,
        findings=findings,
        extensions=dict(extensions or {}),
        created_by=actor.label,
        created_at=clock.now(),
    )
    _index_fields(locked, version, rows)
    return version


def compared_versions(stream: Stream, *, but: int | None = None) -> list[SchemaVersion]:
    """The versions a candidate is compared with, oldest first: the active ones of the newest
    compatibility group."""
    active = [
        version
        for version in stream.versions.filter(state=VersionState.ACTIVE).order_by("version")
        if version.version != but
    ]
    newest = max((version.compatibility_group for version in active), default=0)
    return [version for version in active if version.compatibility_group == newest]


def verdict_on(stream: Stream, document: Mapping[str, Any], *, but: int | None = None) -> Verdict:
    """What the stream's mode and policy say of a candidate against its active versions."""
    return compare(
        document,
        [version.document for version in compared_versions(stream, but=but)],
        mode=Mode(stream.compatibility_mode),
        policy=Policy(stream.compatibility_policy),
    )


def make_active(
    locked: Stream, version: SchemaVersion, *, opens_group: bool | None, makes_default: bool = True
) -> Verdict:
    """Shared step: a stored version becomes active, and the default unless told otherwise.

    `opens_group` says what to do with an incompatible one: refuse it (False), let it open a new
    compatibility group (None), or open one in any case (True). Raises ConflictError when refused.
    """
    verdict = verdict_on(locked, version.document, but=version.version)
    if not verdict.compatible and opens_group is False:
        raise ConflictError(
            f"It is not compatible with the active versions of {locked.name} under "
            f"{locked.compatibility_mode} ({locked.compatibility_policy}). Mend it, or let it open "
            "a compatibility group.",
            code="incompatible",
            errors=[
                FieldError(difference.pointer_new or "", difference.change, difference.detail)
                for difference in verdict.differences
                if set(difference.breaks) & set(Mode(locked.compatibility_mode).directions)
            ],
        )
    groups = locked.versions.exclude(pk=version.pk).aggregate(Max("compatibility_group"))
    newest = groups["compatibility_group__max"] or 0
    has_earlier = locked.versions.filter(activated_at__isnull=False).exists()
    opens = has_earlier and (opens_group is True or not verdict.compatible)
    version.state = VersionState.ACTIVE
    version.activated_at = clock.now()
    version.compatibility_group = newest + 1 if opens else max(newest, 1)
    version.save(update_fields=["state", "activated_at", "compatibility_group"])
    enroll(version)
    if makes_default:
        make_default(locked, version)
    return verdict


def make_default(locked: Stream, version: SchemaVersion) -> None:
    """Shared step: events that name no version mean this one; its fields are the stream's."""
    mine = SchemaField.objects.filter(stream=locked)
    mine.filter(is_current=True).exclude(schema_version=version).update(is_current=False)
    mine.filter(schema_version=version).update(is_current=True)
    _raise_classification(locked, version.document)
    Stream.objects.filter(pk=locked.pk).update(
        default_version=version.version, revision=F("revision") + 1, updated_at=clock.now()
    )
    reindex(locked)


def reindex(stream: Stream) -> None:
    """Rebuild the stream's search vector inside the present transaction."""
    sql.execute(_INDEX, {"stream_id": stream.pk})


def _index_fields(stream: Stream, version: SchemaVersion, rows: list[FieldRow]) -> None:
    SchemaField.objects.bulk_create(
        [
            SchemaField(
                schema_version=version,
                stream=stream,
                path=row.path,
                name=row.name,
                depth=row.depth,
                position=row.position,
                types=list(row.types),
                format=row.format,
                required=row.required,
                title=row.title,
                description=row.description,
                classification=row.classification,
                privacy=row.privacy,
                unit=row.unit,
                enum=row.enum,
                example=row.example,
                deprecated=row.deprecated,
                sunset_on=row.sunset_on,
            )
            for row in rows
        ],
        batch_size=500,
    )


def _raise_classification(stream: Stream, document: Mapping[str, Any]) -> None:
    """A stream is at least as sensitive as its most sensitive field."""
    highest = sensitivity_of(document)
    if highest > SENSITIVITY.index(Classification(stream.classification)):
        Stream.objects.filter(pk=stream.pk).update(classification=SENSITIVITY[highest])
