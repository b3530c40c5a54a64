"""The size of a body, judged before Django: it reads a body whole before its first line runs."""

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from portal.http.problem import MEDIA_TYPE, document
from portal.http.rendering import dump
from portal.kernel.errors import BadRequestError, PortalError, TooLargeError
from portal.kernel.identifiers import uuid7
from portal.kernel.inflate import MAX_SENT_BYTES

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]


def limit_body(application: Application) -> Application:
    """The application behind a limit of 5 MiB a body, whether its length is announced or not."""

    async def limited(scope: Scope, receive: Receive, send: Send) -> None:
        refusal = _announced(scope)
        if refusal is not None:
            await _refuse(refusal, send)
            return
        size = 0

        async def counted() -> MutableMapping[str, Any]:
            nonlocal size
            message = await receive()
            size += len(message.get("body", b""))
            if size > MAX_SENT_BYTES:
                return {"type": "http.disconnect"}  # Django gives up without an answer
            return message

        await application(scope, counted, send)
        if size > MAX_SENT_BYTES:
            await _refuse(_too_large(), send)

    return limited


def _announced(scope: Scope) -> PortalError | None:
    """What is wrong with the Content-Length, if it is there."""
    for name, value in scope["headers"]:
        if name == b"content-length":
            if not value.isdigit():
                return BadRequestError("Content-Length is not a number.", code="content_length")
            if len(value) > 15 or int(value) > MAX_SENT_BYTES:
                return _too_large()
    return None


def _too_large() -> PortalError:
    # The rest of the body is not read, so the connection can't carry another request.
    return TooLargeError("A body may have at most 5 MiB as sent.", headers={"Connection": "close"})


async def _refuse(error: PortalError, send: Send) -> None:
    request_id = str(uuid7())
    body = dump(document(error, request_id=request_id))
    headers = {
        "Content-Type": MEDIA_TYPE,
        "Content-Length": str(len(body)),
        "X-Request-Id": request_id,
        "Cache-Control": "no-store",
        **error.headers,
    }
    await send(
        {
            "type": "http.response.start",
            "status": error.status,
            "headers": [(name.lower().encode(), value.encode()) for name, value in headers.items()],
        }
    )
    await send({"type": "http.response.body", "body": body})
