"""Seeing treated values in clear: for who holds the grant to personal fields, one audit row a look."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any, Final

import orjson

from catalog.models import Stream
from governance import access, audit
from governance.privacy import vault
from governance.privacy.ciphers import key_id_of
from governance.types import Permission
from ingest.models import DeadLetter
from ingest.privacy import marks, sealing
from ingest.privacy.treating import place_of
from ingest.selectors import dead_letters
from ingest.selectors.events import event_to_reveal
from portal.kernel.actor import Actor
from portal.kernel.errors import FieldError, InvalidError, NotPermittedError
from portal.kernel.strict_json import pointer_part

MAX_REASON: Final = 500


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
        after={
            "event": marks.mark("event", found.id),
            "fields": marks.named_places(stream, places),
        },
    )
    return {**clear, "portal": portal}, places


def reveal_letter(letter: DeadLetter, *, reason: str, actor: Actor) -> tuple[Any, list[str]]:
    """What a dead letter keeps, unsealed and with its tokens and encrypted values in clear, and where.

    The pointer of what was sealed as a whole is empty; bytes that are no JSON are given as text.
    Raises InvalidError without a reason, NotPermittedError without the grant to personal fields,
    UnavailableError when a key is not at hand. Leaves one audit row with the reason.
    """
    why = reason.strip()[:MAX_REASON]
    if not why:
        raise InvalidError(
            "Say why you look.", errors=[FieldError("/reason", "required", "is required")]
        )
    ref = dead_letters.ref_of(letter)
    if not dead_letters.may_reveal(actor, letter):
        raise NotPermittedError(
            f"This needs the permission {Permission.READ_PERSONAL.value} on {ref}.",
            code="permission_missing",
            permission=Permission.READ_PERSONAL.value,
            request_at=access.ask_url(ref),
            about=ref.as_pair(),
        )
    body = bytes(letter.body)
    text = sealing.opened(body, letter.id).decode("utf-8", "replace")
    stream = dead_letters.meant_stream(letter)
    document = dead_letters.parsed(text)
    places: list[str] = []
    if isinstance(document, dict):
        document, places = in_clear(
            document, stream_id=stream.pk if stream is not None else 0, event_id=letter.event_id
        )
    if body.startswith(sealing.MARK):
        places.insert(0, "")
    audit.record(
        actor,
        "dead_letter.personal_revealed",
        ref,
        summary=f"had a dead letter of {ref.key or 'no type'} in clear: {why}",
        after={
            "dead_letter": str(letter.id),
            "fields": marks.named_places(stream, places),
            "reason": why,
        },
    )
    return (text if document is None else document), places


def has_treated(document: object) -> bool:
    """Whether something in an event could be had in clear."""
    return next(_made_in(document, ""), None) is not None


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
