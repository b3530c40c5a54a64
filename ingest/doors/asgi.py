"""The thin raw handler of the doors of ingest; Django is never entered on this road.

Loading a key, a stream or a contract that the process does not know yet happens in a thread. A
larger body is unpacked in one too, and handled in slices, so that a small request never waits behind
it for longer than one slice.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, MutableMapping
from contextvars import ContextVar
from typing import Any, Final, TypeVar

from ingest.doors import door, watching
from ingest.doors.by_path import BY_PATH
from ingest.doors.door import Door, Head, Reply, Visit
from ingest.doors.express import (
    DATABASE_SECONDS,
    SCOPE_KEY,
    Call,
    database_gone,
    refusal,
    unexpected,
)
from ingest.doors.gate import SLICE_BYTES, SLOW_BODY_SECONDS, Ticket, gate
from ingest.doors.settling import start_settling
from ingest.doors.single_flight import in_thread, load_once
from ingest.doors.turns import turns
from ingest.judging import admission
from ingest.judging.admission import Publisher, StreamEntry, directory
from ingest.judging.pipeline import Batch
from ingest.log.store import writer
from ingest.protocols.cloudevents import EVENT_BYTES, weight_of
from portal.kernel import tracing
from portal.kernel.errors import BadRequestError, PortalError
from portal.kernel.failpoints import failpoint

logger = logging.getLogger(__name__)

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
T = TypeVar("T")

BODY_SECONDS: Final = 29  # the promise is an answer within 30
_patience: ContextVar[float] = ContextVar("patience")  # what is left of them for this request
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
    return scope["type"] == "http" and scope["path"] in BY_PATH


async def handle(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer one request to the ingest road, whatever comes."""
    _patience.set(DATABASE_SECONDS)
    call: Call | None = scope.get(SCOPE_KEY)
    if call is not None:
        await _go_on(call, receive, send)
        return
    admission.start_listening()
    start_settling()
    path = scope["path"]
    at = BY_PATH[path]
    fields = tuple(
        (name.decode("latin-1").lower(), value.decode("latin-1"))
        for name, value in scope["headers"]
    )
    query = scope["query_string"].decode("latin-1")
    head = Head(scope["method"], path, query, fields, dict(fields))
    request_id = door.new_request_id()
    headers = door.base_headers(head, request_id)
    began = time.monotonic()
    road = watching.set_out(head) if tracing.is_on else None
    reply = await _outcome(
        _answer(at, head, receive, request_id, headers), at, head, request_id, headers
    )
    if reply is None:
        return
    if road is not None:
        road.end(reply, request_id)
    await _send(reply, send)
    watching.tell(head, reply.status, request_id, began)


async def _go_on(call: Call, receive: Receive, send: Send) -> None:
    """Answer a request that `express` has let in and could not take."""
    visit = call.visit
    reply = await _outcome(
        _take_in(call.at, visit, receive, None), call.at, call.head, visit.request_id, visit.headers
    )
    if reply is not None:
        await _send(reply, send)
        watching.tell(call.head, reply.status, visit.request_id, call.began)


async def _outcome(
    work: Awaitable[Reply], at: Door, head: Head, request_id: str, headers: dict[str, str]
) -> Reply | None:
    """The answer, whatever comes; None when nobody waits for it any more."""
    try:
        return await work
    except PortalError as error:
        return refusal(at, head, request_id, headers, error)
    except ClientGoneError:
        return None
    except Exception:
        logger.exception("ingest failed unexpectedly", extra={"request_id": request_id})
        return refusal(at, head, request_id, headers, unexpected())


async def _answer(
    at: Door, head: Head, receive: Receive, request_id: str, headers: dict[str, str]
) -> Reply:
    door.check_head(head)
    if head.method == "OPTIONS":
        origins: frozenset[str] = frozenset()
        if at.asks_origins:
            origins = await _bounded(load_once("origins", admission.browser_origins))
        return at.preflight(head, origins, headers)
    if "expect" in head.fields:
        # Refused before it was asked for its body, a client may send it or not: nobody can tell.
        headers["Connection"] = "close"
    credential = at.credential(head)
    publisher = await _publisher(credential) if credential is not None else None
    early: bytes | None = None
    if publisher is None and at.key_in_body:
        door.check_length(at, head)
        door.check_room()
        early = await _read(at, receive, None)
        credential = at.credential_in(head, early)
        publisher = await _publisher(credential) if credential is not None else None
    visit = at.enter(head, publisher, request_id=request_id, headers=headers)
    headers.pop("Connection", None)
    return await _take_in(at, visit, receive, early)


async def _take_in(at: Door, visit: Visit, receive: Receive, early: bytes | None) -> Reply:
    """Answer a request that was let in; `early` is its body where that came before."""
    try:
        if early is None:
            body = await _read(at, receive, visit.ticket)
        else:
            body = early
            visit.ticket.hold(len(body))
        return await _take(at, visit, body)
    finally:
        visit.ticket.close()


async def _take(at: Door, visit: Visit, body: bytes) -> Reply:
    try:
        async with gate.lane(visit.ticket):
            if tracing.is_on:
                watching.road().read()
            body = await _unpack(at, visit, body)
            batch = await _judge(visit, body)
            if tracing.is_on:
                watching.road().judged(batch)
    except BadRequestError as error:
        if not door.keeps_body(visit, error):
            raise
        submission = door.unparsable_item(visit, body, error)
        await _bounded(writer().write(submission))
        raise door.name_dead_letter(error, submission.items[0]) from error
    if batch.items:
        await _bounded(writer().write(batch.submission()))
        batch.settle()
        if tracing.is_on:
            watching.road().committed()
    failpoint("ingest.before_answer")
    return visit.reply(batch)


async def _publisher(credential: str) -> Publisher | None:
    found = directory.publisher(credential)
    return found or await _bounded(load_once(credential, directory.load_publisher, credential))


async def _read(at: Door, receive: Receive, ticket: Ticket | None) -> bytes:
    """The whole body, refused as soon as it is too large. Without a ticket the key is still in it."""
    parts: list[bytes] = []
    size = 0
    slow: asyncio.TimerHandle | None = None
    try:
        async with asyncio.timeout(BODY_SECONDS):
            while True:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise ClientGoneError
                part = message.get("body", b"")
                size += len(part)
                if size > at.most_bytes:
                    raise at.too_large()
                if ticket is not None:
                    ticket.hold(len(part))
                parts.append(part)
                if not message.get("more_body", False):
                    if ticket is not None:
                        ticket.body_came()
                    return parts[0] if len(parts) == 1 else b"".join(parts)
                if slow is None and ticket is not None:
                    slow = asyncio.get_running_loop().call_later(
                        SLOW_BODY_SECONDS, ticket.wait_for_body
                    )
    except TimeoutError as error:
        raise RequestTimeoutError(
            f"Send the whole body within {BODY_SECONDS} seconds.", headers={"Connection": "close"}
        ) from error
    finally:
        if slow is not None:
            slow.cancel()


async def _unpack(at: Door, visit: Visit, body: bytes) -> bytes:
    encoding = visit.encoding
    if encoding and len(body) > _UNPACKED_AT_ONCE_BYTES:
        return await asyncio.to_thread(at.unpack, encoding, body)
    return at.unpack(encoding, body)


async def _judge(visit: Visit, body: bytes) -> Batch:
    """Read a body and judge its events, with a pause after each slice.

    What is known to be plain is judged as soon as it is read; the rest when what it needs is there.
    """
    batch = door.batch_of(visit, directory)
    receive = batch.wait if visit.settles_names else batch.offer
    weight = 0
    if len(body) > SLICE_BYTES:
        await turns().wait()
    for run in visit.runs(body, _room):
        receive(run)
        weight += weight_of(run)
        if weight >= SLICE_BYTES:
            weight = 0
            await turns().wait()
    if batch.waiting:
        await _load(visit, batch)
        for envelope in batch.take_waiting():
            weight += len(envelope.raw) + EVENT_BYTES
            if weight >= SLICE_BYTES:
                weight = 0
                await turns().wait()
    return batch


def _room() -> int:
    return SLICE_BYTES


async def _load(visit: Visit, batch: Batch) -> None:
    """Load what the waiting events need and the process does not know."""
    envelopes = [envelope for _, envelope in batch.waiting]
    if visit.settles_names:
        unknown = directory.missing(visit.names_meant(envelopes))
        loaded = await _loaded_streams(unknown) if unknown else {}
        visit.settle_names(envelopes, loaded, directory)
    missing = batch.names_to_load(envelopes)
    if missing:
        batch.streams.update(await _loaded_streams(missing))
    needed = batch.contracts_to_load(envelopes)
    if needed:
        versions = frozenset((stream.id, version) for stream, version in needed)
        await _bounded(load_once(("contracts", versions), batch.load_contracts, needed))
    if batch.secrets_to_load(envelopes):
        await _bounded(in_thread(batch.load_secrets))


async def _loaded_streams(names: set[str]) -> dict[str, StreamEntry]:
    return await _bounded(load_once(frozenset(names), directory.load_streams, names))


async def _bounded(work: Awaitable[T]) -> T:
    """Wait for the database for a while only. What was handed to the writer may still be stored."""
    left = _patience.get()
    began = time.monotonic()
    try:
        async with asyncio.timeout(left):
            return await work
    except TimeoutError as error:
        raise database_gone() from error
    finally:
        _patience.set(left - (time.monotonic() - began))


async def _send(reply: Reply, send: Send) -> None:
    headers = [
        (name.lower().encode("latin-1"), value.encode("latin-1"))
        for name, value in reply.headers.items()
    ]
    headers.append((b"content-length", str(len(reply.body)).encode("ascii")))
    await send({"type": "http.response.start", "status": reply.status, "headers": headers})
    failpoint("ingest.after_answer_head")
    await send({"type": "http.response.body", "body": reply.body})
