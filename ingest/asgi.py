"""The thin raw handler of POST /v1/events; Django is never entered on this road.

Loading a key, a stream or a contract that the process does not know yet happens in a thread. A
larger body is unpacked in one too, and handled in slices, so that a small request never waits behind
it for longer than one slice.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Final, TypeVar

from django.db import DatabaseError
from psycopg_pool import PoolTimeout

from ingest import admission, door
from ingest.admission import Publisher, directory
from ingest.door import Head, Reply, Visit
from ingest.pipeline import Batch
from ingest.store import writer
from ingest.types import Envelope
from portal.kernel import inflate
from portal.kernel.errors import BadRequestError, PortalError, UnavailableError

logger = logging.getLogger(__name__)

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
T = TypeVar("T")

BODY_SECONDS: Final = 29  # the promise is an answer within 30
# A slice ends after this much; an event counts as its bytes and 1 KiB.
_SLICE_BYTES: Final = 128 * 1024
_EVENT_BYTES: Final = 1024
# Up to here unpacking takes less than the way to a thread and back is worth.
_UNPACKED_AT_ONCE_BYTES: Final = 64 * 1024


class RequestTimeoutError(PortalError):
    status = 408
    code = "request_timeout"
    title = "The body did not arrive in time"


class ClientGoneError(Exception):
    """The connection closed before the body was complete: nobody waits for an answer."""


def handles(scope: Scope) -> bool:
    """Whether this road answers a request, with and without a trailing slash."""
    return scope["type"] == "http" and scope["path"] in door.PATHS


async def handle(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer one request to the ingest road, whatever comes."""
    admission.start_listening()
    fields = tuple(
        (name.decode("latin-1").lower(), value.decode("latin-1"))
        for name, value in scope["headers"]
    )
    head = Head(scope["method"], scope["query_string"].decode("latin-1"), fields, dict(fields))
    request_id = door.new_request_id()
    headers = door.base_headers(head, request_id)
    try:
        reply = await _answer(head, receive, request_id, headers)
    except PortalError as error:
        reply = door.reply_error(error, request_id=request_id, headers=headers)
    except ClientGoneError:
        return
    except Exception:
        logger.exception("ingest failed unexpectedly", extra={"request_id": request_id})
        failure = PortalError("It has been logged. Nothing was stored. Trying again may help.")
        reply = door.reply_error(failure, request_id=request_id, headers=headers)
    await _send(reply, send)


async def _answer(head: Head, receive: Receive, request_id: str, headers: dict[str, str]) -> Reply:
    door.check_head(head)
    if head.method == "OPTIONS":
        return door.preflight(head, await _in_thread(admission.browser_origins), headers)
    if "expect" in head.fields:
        # Refused before it was asked for its body, a client may send it or not: nobody can tell.
        headers["Connection"] = "close"
    credential = door.credential(head)
    publisher = await _publisher(credential) if credential is not None else None
    visit = door.enter(head, publisher, request_id=request_id, headers=headers)
    headers.pop("Connection", None)
    body = await _read(receive)
    try:
        body = await _unpack(visit, body)
        envelopes = await _envelopes(visit, body)
    except BadRequestError as error:
        if not door.keeps_body(visit, error):
            raise
        submission = door.unparsable_item(visit, body, error)
        await writer().write(submission)
        raise door.name_dead_letter(error, submission.items[0]) from error
    return door.reply_to(visit, await _accept(visit, envelopes))


async def _publisher(credential: str) -> Publisher | None:
    found = directory.publisher(credential)
    return found or await _in_thread(directory.load_publisher, credential)


async def _read(receive: Receive) -> bytes:
    """The whole body, refused as soon as it is too large."""
    parts: list[bytes] = []
    size = 0
    try:
        async with asyncio.timeout(BODY_SECONDS):
            while True:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise ClientGoneError
                part = message.get("body", b"")
                size += len(part)
                if size > inflate.MAX_SENT_BYTES:
                    raise door.too_large()
                parts.append(part)
                if not message.get("more_body", False):
                    return parts[0] if len(parts) == 1 else b"".join(parts)
    except TimeoutError as error:
        raise RequestTimeoutError(
            f"Send the whole body within {BODY_SECONDS} seconds.", headers={"Connection": "close"}
        ) from error


async def _unpack(visit: Visit, body: bytes) -> bytes:
    if visit.encoding and len(body) > _UNPACKED_AT_ONCE_BYTES:
        return await asyncio.to_thread(door.unpack, visit, body)
    return door.unpack(visit, body)


async def _envelopes(visit: Visit, body: bytes) -> list[Envelope]:
    envelopes: list[Envelope] = []
    weight = 0
    for envelope in door.envelopes_of(visit, body):
        envelopes.append(envelope)
        weight += len(envelope.raw) + _EVENT_BYTES
        if weight > _SLICE_BYTES:
            weight = 0
            await asyncio.sleep(0)
    return envelopes


async def _accept(visit: Visit, envelopes: list[Envelope]) -> Batch:
    batch = door.batch_of(visit, directory)
    missing = batch.names_to_load(envelopes)
    if missing:
        await _in_thread(batch.load, missing)
    needed = batch.contracts_to_load(envelopes)
    if needed:
        await _in_thread(batch.load_contracts, needed)
    if batch.secrets_to_load(envelopes):
        await _in_thread(batch.load_secrets)
    weight = 0
    for envelope in envelopes:
        batch.take(envelope)
        weight += len(envelope.raw) + _EVENT_BYTES
        if weight > _SLICE_BYTES:
            weight = 0
            await asyncio.sleep(0)
    if batch.items:
        await writer().write(batch.submission())
        batch.settle()
    return batch


async def _in_thread(function: Callable[..., T], *arguments: object) -> T:
    """Run what blocks on the database off the loop; its troubles are a 503."""

    def run() -> T:
        try:
            return function(*arguments)
        finally:
            admission.release_connection()

    try:
        return await asyncio.to_thread(run)
    except (DatabaseError, PoolTimeout) as error:
        raise UnavailableError("The database does not answer just now. Try again.") from error


async def _send(reply: Reply, send: Send) -> None:
    headers = [
        (name.lower().encode("latin-1"), value.encode("latin-1"))
        for name, value in reply.headers.items()
    ]
    headers.append((b"content-length", str(len(reply.body)).encode("ascii")))
    await send({"type": "http.response.start", "status": reply.status, "headers": headers})
    await send({"type": "http.response.body", "body": reply.body})
