"""The repairs that a group's newest event suggests."""

from collections.abc import Mapping
from typing import Any, Final

from catalog.models import SchemaVersion, Stream
from governance import access
from ingest.models import DeadLetter
from ingest.repairs import StepError
from ingest.replaying import document_of, letter_of
from ingest.selectors import dead_letters
from ingest.suggestions import Suggestion, suggest
from portal.kernel.actor import Actor

_MAX_STREAMS: Final = 2_000


def suggestions_for(
    actor: Actor, group: dead_letters.Group, *, document: Mapping[str, Any] | None = None
) -> list[Suggestion]:
    """Up to three repairs for a group. `document` is its newest event, where it was shown already.

    Without it no byte is read, so what only the event says is not suggested.
    """
    newest = newest_letter(actor, group.key)
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


def newest_letter(actor: Actor, key: str) -> DeadLetter | None:
    rows = dead_letters.visible_dead_letters(actor).filter(group_key=key)
    return rows.order_by("-received_at", "id").first()


def _schema(letter: DeadLetter) -> Any:
    """The contract that judged it, or the stream's current one."""
    stream = Stream.objects.filter(pk=letter.stream_id or 0).first()
    if stream is None or stream.default_version is None:
        return None
    rows = SchemaVersion.objects.filter(stream=stream, version=stream.default_version)
    return rows.values_list("document", flat=True).first()


def readable_event(actor: Actor, letter: DeadLetter) -> Mapping[str, Any] | None:
    """The event of a letter for who may read it; reading leaves the same trace as on its page."""
    if dead_letters.readable_body(actor, letter) is None:
        return None
    try:
        return document_of(
            letter_of(letter.__dict__)
        )  # fmt: skip
    except StepError:
        return None
