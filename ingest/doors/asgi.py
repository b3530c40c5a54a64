"""The thin raw handler of the doors of ingest; Django is never entered on this road.

Reads a request's head, key and body, and writes the answer that `ingest.doors.road` gives.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from ingest.doors import door, road, watching
from ingest.doors.by_path import BY_PATH
from ingest.doors.door import Door, Head, Reply, Visit
from ingest.doors.express import SCOPE_KEY, Call
from ingest.doors.gate import SLOW_BODY_SECONDS, Ticket
from ingest.doors.road import ClientGoneError
from ingest.doors.settling import start_settling
from ingest.doors.single_flight import load_once
from ingest.judging import admission
from ingest.judging.admission import Publisher, directory
from portal.http.body_limit import BODY_SECONDS, body_timeout
from portal.kernel import tracing
from portal.kernel.failpoints import failpoint

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


def handles(scope: Scope) -> bool:
    """Whether this road answers a request, with and without a trailing slash."""
    return scope["type"] == "http" and scope["path"] in BY_PATH


async def handle(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer one request to the ingest road, whatever comes."""
    road.set_out()
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
    followed = watching.set_out(head) if tracing.is_on else None
    reply = await road.outcome(
        _answer(at, head, receive, request_id, headers), at, head, request_id, headers
    )
    if reply is None:
        return
    if followed is not None:
        followed.end(reply, request_id)
    await _send(reply, send)
    watching.tell(head, reply.status, request_id, began)


async def _go_on(call: Call, receive: Receive, send: Send) -> None:
    """Answer a request that `express` has let in and could not take."""
    visit = call.visit
    reply = await road.outcome(
        _take_in(call.at, visit, receive, None), call.at, call.head, visit.request_id, visit.headers
    )
    if reply is not None:
        await _send(reply, send)
        watching.tell(call.head, reply.status, visit.request_id, call.began)


async def _answer(
    at: Door, head: Head, receive: Receive, request_id: str, headers: dict[str, str]
) -> Reply:
    door.check_head(head)
    if head.method == "OPTIONS":
        origins: frozenset[str] = frozenset()
        if at.asks_origins:
            origins = await road.bounded(load_once("origins", admission.browser_origins))
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
        return await road.take(at, visit, body)
    finally:
        visit.ticket.close()


async def _publisher(credential: str) -> Publisher | None:
    found = directory.publisher(credential)
    return found or await road.bounded(load_once(credential, directory.load_publisher, credential))


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
        raise body_timeout(BODY_SECONDS) from error
    finally:
        if slow is not None:
            slow.cancel()


async def _send(reply: Reply, send: Send) -> None:
    headers = [
        (name.lower().encode("latin-1"), value.encode("latin-1"))
        for name, value in reply.headers.items()
    ]
    headers.append((b"content-length", str(len(reply.body)).encode("ascii")))
    await send({"type": "http.response.start", "status": reply.status, "headers": headers})
    failpoint("ingest.after_answer_head")
    await send({"type": "http.response.body", "body": reply.body})
