"""Writing schema versions: each is immutable once active, numbered from 1 within its stream."""

from collections.abc import Mapping
from typing import Any

from django.db import transaction
from django.db.models import F, Max

from catalog.classified import SENSITIVITY, sensitivity_of
from catalog.field_index import FieldRow, fields_of
from catalog.models import SchemaField, SchemaVersion, Stream
from catalog.schema_safety import check_schema, fingerprint
from catalog.style_lint import lint
from catalog.types import Classification, VersionState
from governance import access, audit
from governance.types import Permission
from portal.kernel import clock, sql
from portal.kernel.actor import Actor
from portal.kernel.locks import or_busy

_INDEX = sql.load("catalog", "index_stream")


@transaction.atomic
def publish_schema(
    stream: Stream,
    document: Mapping[str, Any],
    *,
    actor: Actor,
    label: str = "",
    note: str = "",
) -> tuple[SchemaVersion, bool]:
    """Publish the next version of a stream's contract and make it the default.

    A document equal to the newest version changes nothing: gives that version and False.
    Raises InvalidError for a document that cannot be taken.
    """
    access.require(actor, Permission.EDIT, stream)
    version, is_new = add_version(stream, document, actor=actor, label=label, note=note)
    if is_new:
        audit.record(
            actor,
            "schema.published",
            stream.ref,
            summary=f"published {stream.name} v{version.version}",
            after={"version": version.version, "note": note},
        )
    return version, is_new


def add_version(
    stream: Stream,
    document: Mapping[str, Any],
    *,
    actor: Actor,
    label: str = "",
    note: str = "",
) -> tuple[SchemaVersion, bool]:
    """Shared step: check, number under the stream's row lock, store, index, make default."""
    # Everything that needs no lock comes before it: many may publish to one stream at once.
    draft = check_schema(document)
    digest, rows = fingerprint(document), fields_of(document)
    findings = [finding.as_dict() for finding in lint(rows, document)]
    with or_busy():
        locked = Stream.objects.select_for_update().get(pk=stream.pk)
    newest = locked.versions.order_by("-version").first()
    if newest is not None and bytes(newest.document_sha256) == digest:
        return newest, False
    number = (locked.versions.aggregate(Max("version"))["version__max"] or 0) + 1
    schema_id = document.get("$id")
    version = SchemaVersion.objects.create(
        stream=locked,
        version=number,
        label=label[:60],
        document=dict(document),
        document_sha256=digest,
        schema_id=schema_id[:500] if isinstance(schema_id, str) else "",
        draft=draft,
        state=VersionState.ACTIVE,
        note=note,
        findings=findings,
        created_by=actor.label,
        activated_at=clock.now(),
    )
    _index_fields(locked, version, rows)
    _raise_classification(locked, document)
    Stream.objects.filter(pk=locked.pk).update(
        default_version=number, revision=F("revision") + 1, updated_at=clock.now()
    )
    stream.refresh_from_db()
    reindex(stream)
    return version, True


def reindex(stream: Stream) -> None:
    """Rebuild the stream's search vector inside the present transaction."""
    sql.execute(_INDEX, {"stream_id": stream.pk})


def _index_fields(stream: Stream, version: SchemaVersion, rows: list[FieldRow]) -> None:
    SchemaField.objects.filter(stream=stream, is_current=True).update(is_current=False)
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
                is_current=True,
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
