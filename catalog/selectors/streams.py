"""Reading streams: one object through one door, with visibility built in."""

import re
from typing import Final

from django.db.models import QuerySet

from catalog.models import Follow, SchemaField, SchemaVersion, Stream
from catalog.types import VersionState
from governance import access
from governance.types import Permission
from portal.kernel.actor import Actor
from portal.kernel.errors import NotFoundError

_NUMBER: Final = re.compile(r"[1-9][0-9]{0,8}")
_LONGEST_LABEL: Final = 60
LATEST: Final = "latest"


def visible_streams(actor: Actor) -> QuerySet[Stream]:
    """Streams the actor may know of, with domain and owner at hand."""
    return access.discoverable(actor, Stream.objects.select_related("domain", "owner_team"))


def get_stream(actor: Actor, name: str) -> Stream:
    """One stream by name or alias; NotFoundError for missing and forbidden alike."""
    if not name or "\0" in name or len(name) > 255:
        raise NotFoundError
    known = visible_streams(actor).order_by()
    # One after the other, each by its own index: both in one condition would go through all streams.
    found = known.filter(name=name).first() or known.filter(aliases__alias=name).first()
    if found is None:
        raise NotFoundError
    return found


def successor_of(actor: Actor, stream: Stream) -> Stream | None:
    """What to use instead of a stream at its end, as far as the actor may know of it."""
    if stream.successor_id is None:
        return None
    return visible_streams(actor).filter(pk=stream.successor_id).first()


def get_version(stream: Stream, version: int | None) -> SchemaVersion:
    """A version of a stream, the default one without a number; NotFoundError without it."""
    number = version if version is not None else stream.default_version
    found = stream.versions.filter(version=number).first() if number is not None else None
    if found is None:
        raise NotFoundError
    return found


def find_version(stream: Stream, said: str) -> SchemaVersion:
    """A version by its number, else by the label it came with from outside; else NotFoundError."""
    number = int(said) if _NUMBER.fullmatch(said) else None
    found = stream.versions.filter(version=number).first() if number is not None else None
    if found is None and said and len(said) <= _LONGEST_LABEL:
        found = stream.versions.filter(label=said).order_by("-version").first()
    if found is None:
        raise NotFoundError
    return found


def compared_version(stream: Stream, said: str) -> SchemaVersion:
    """A version to compare: by number or label, or `latest`, the newest that is active."""
    if said == LATEST:
        active = stream.versions.filter(state=VersionState.ACTIVE)
        rows = active if active.exists() else stream.versions.all()
        found = rows.order_by("-version").first()
        if found is None:
            raise NotFoundError
        return found
    return find_version(stream, said)


def is_following(actor: Actor, stream: Stream) -> bool:
    """Whether a person follows a stream; keys follow nothing."""
    return actor.is_person and Follow.objects.filter(stream=stream, user_id=actor.id).exists()


def fields_of_version(version: SchemaVersion) -> QuerySet[SchemaField]:
    """The indexed fields of a version in the document's order. Older versions keep theirs."""
    return SchemaField.objects.filter(schema_version=version).order_by("position")


def may_read_payload(actor: Actor, stream: Stream) -> bool:
    """Whether the actor may read the stream's events, personal fields masked."""
    return access.may(actor, Permission.READ_PAYLOAD, stream)
