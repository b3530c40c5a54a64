"""The repairs that a group's newest event suggests."""

from collections.abc import Mapping
from typing import Any, Final

from catalog.models import SchemaVersion, Stream
from governance import access
from ingest.letters.suggestions import Suggestion, suggest
from ingest.models import DeadLetter
from ingest.selectors import dead_letters
from portal.kernel.actor import Actor

_MAX_STREAMS: Final = 2_000


def suggestions_for(
    actor: Actor, group: dead_letters.Group, *, document: Mapping[str, Any] | None = None
) -> list[Suggestion]:
    """Up to three repairs for a group. `document` is its newest event, where it was shown already.

    Without it no byte is read, so what only the event says is not suggested.
    """
    newest = dead_letters.example_of(actor, group.key)
    if newest is None:
        return []
    streams = []
    if group.reason == "unknown_stream":
        known = access.discoverable(actor, Stream.objects.filter(lifecycle="active"))
        streams = list(known.order_by("name").values_list("name", flat=True)[:_MAX_STREAMS])
    event = document
    if event is None and group.reason == "unknown_stream":
        event = {"type": newest.type}
    return suggest(newest.errors, _schema(newest), event=event, streams=streams)


def _schema(letter: DeadLetter) -> Any:
    """The contract that judged it, or the stream's current one."""
    stream = Stream.objects.filter(pk=letter.stream_id or 0).first()
    if stream is None or stream.default_version is None:
        return None
    rows = SchemaVersion.objects.filter(stream=stream, version=stream.default_version)
    return rows.values_list("document", flat=True).first()
