"""Taking streams in from outside through the same steps as the API, each in one transaction.

Names are mapped (`catalog.naming.from_outside`) and keep their original as an alias. Nothing is
refused for style or for breaking an earlier version; taking the same in again changes nothing.
"""

from dataclasses import dataclass

from django.db import transaction

from catalog import naming
from catalog.exchange.documents import OutsideStream, OutsideVersion, description_of
from catalog.models import SchemaVersion, Stream, StreamAlias
from catalog.schema_safety import fingerprint
from catalog.services.schemas import add_version
from catalog.services.streams import NewStream, is_taken, register_stream
from catalog.services.telling import tell_of_activation
from governance import audit
from portal.kernel.actor import Actor
from portal.kernel.errors import ConflictError


@dataclass(frozen=True, slots=True)
class Imported:
    """What became of one stream: its versions by their place in the input."""

    stream: Stream
    is_new: bool
    new_versions: int
    versions: tuple[int, ...]


@transaction.atomic
def import_stream(outside: OutsideStream, *, actor: Actor, domain: str = "imported") -> Imported:
    """Register a stream from outside or bring it up to date.

    Raises InvalidError for a name that leaves nothing or a schema that cannot be taken, and
    ConflictError when a version of the same label holds something else here.
    """
    name = naming.from_outside(outside.name, domain=domain)
    stream = _known(outside.name, name)
    is_new = stream is None
    numbers: list[int] = []
    added = 0
    rest = outside.versions
    if stream is None:
        first, rest = outside.versions[0], outside.versions[1:]
        stream = register_stream(
            NewStream(
                name=naming.free_name(name, is_taken),
                document=first.document,
                description=outside.description or description_of(outside.versions[-1].document),
                aliases=(outside.name,),
                label=first.label,
                note="imported",
                origin="import",
            ),
            actor=actor,
        )
        numbers, added = [1], 1
    for version in rest:
        number, was_added = _take(stream, version, actor)
        numbers.append(number)
        added += was_added
    if added and not is_new:
        tell_of_activation(stream, stream.versions.latest("version"), by=actor)
        audit.record(
            actor,
            "schema.published",
            stream.ref,
            summary=f"imported {added} versions of {stream.name}",
        )
    return Imported(stream, is_new, added, tuple(numbers))


def _known(original: str, name: str) -> Stream | None:
    """The stream that this name from outside meant before."""
    alias = StreamAlias.objects.select_related("stream").filter(alias=original).first()
    if alias is not None:
        return alias.stream
    return Stream.objects.filter(name=name).first() if original == name else None


def _take(stream: Stream, version: OutsideVersion, actor: Actor) -> tuple[int, bool]:
    digest = fingerprint(version.document)
    known = SchemaVersion.objects.filter(stream=stream)
    if version.label:
        same = known.filter(label=version.label[:60]).first()
        if same is not None and bytes(same.document_sha256) != digest:
            raise ConflictError(
                f"Version {version.label} of {stream.name} holds another schema here.",
                code="version_differs",
            )
    else:
        same = known.filter(document_sha256=digest).first()
    if same is not None:
        return same.version, False
    row, is_new = add_version(
        stream, version.document, actor=actor, label=version.label, note="imported"
    )
    return row.version, is_new
