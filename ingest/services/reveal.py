"""Seeing treated values in clear: for who holds the grant to personal fields, one audit row a look."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

import orjson

from catalog.models import Stream
from governance import audit
from governance.privacy import vault
from governance.privacy.ciphers import key_id_of
from ingest.privacy import place_of
from ingest.selectors.events import event_to_reveal
from portal.kernel.actor import Actor
from portal.kernel.strict_json import pointer_part


def reveal_event(
    stream: Stream, event_id: str, *, actor: Actor, occurred_at: datetime | None = None
) -> tuple[dict[str, Any], list[str]]:
    """A stored event as a CloudEvent with its tokens and encrypted values in clear, and where.

    What was dropped, truncated or put into a bucket is gone for good; so is what belongs to somebody
    whose key or token was destroyed, and that stays as it is. Raises NotPermittedError without the
    grant, NotFoundError without the event, UnavailableError when a key is not at hand.
    """
    found = event_to_reveal(actor, stream, event_id, occurred_at=occurred_at)
    document = found.as_cloudevent()
    portal = document.pop("portal")
    clear, places = in_clear(document, stream_id=stream.pk, event_id=found.id)
    audit.record(
        actor,
        "event.personal_revealed",
        stream.ref,
        summary=f"had {len(places)} treated values of an event of {stream.name} in clear",
        after={"event": found.id, "fields": places},
    )
    return {**clear, "portal": portal}, places


def in_clear(
    document: dict[str, Any], *, stream_id: int, event_id: str
) -> tuple[dict[str, Any], list[str]]:
    """A copy of an event with what can be reversed in clear, and the pointers where it was."""
    made = list(_made_in(document, ""))
    meant = vault.meanings([value for _, value in made if vault.is_token(value)])
    keys = vault.keys_by_id(key_id for _, value in made if (key_id := key_id_of(value)) is not None)
    clear: dict[str, Any] = {}
    for pointer, value in made:
        if value in meant:
            clear[pointer] = meant[value]
            continue
        key = keys.get(key_id_of(value) or 0)
        opened = key.open(value, place_of(stream_id, pointer, event_id)) if key else None
        if opened is not None:
            clear[pointer] = orjson.loads(opened)
    return _replaced(document, "", clear), sorted(clear)


def _made_in(value: Any, pointer: str) -> Iterator[tuple[str, str]]:
    """The places of tokens and encrypted values, by their form."""
    if isinstance(value, dict):
        for name, one in value.items():
            yield from _made_in(one, f"{pointer}/{pointer_part(name)}")
    elif isinstance(value, list):
        for at, one in enumerate(value):
            yield from _made_in(one, f"{pointer}/{at}")
    elif isinstance(value, str) and (vault.is_token(value) or key_id_of(value) is not None):
        yield pointer, value


def _replaced(value: Any, pointer: str, clear: dict[str, Any]) -> Any:
    if pointer in clear:
        return clear[pointer]
    if isinstance(value, dict):
        return {
            name: _replaced(one, f"{pointer}/{pointer_part(name)}", clear)
            for name, one in value.items()
        }
    if isinstance(value, list):
        return [_replaced(one, f"{pointer}/{at}", clear) for at, one in enumerate(value)]
    return value
