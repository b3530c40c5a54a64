"""The size of a body and the time it takes, judged before Django: it reads a body whole before its
first line runs."""

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Final

from portal.http.problem import MEDIA_TYPE, document
from portal.http.rendering import dump
from portal.kernel.errors import BadRequestError, PortalError, TooLargeError
from portal.kernel.identifiers import uuid7
from portal.kernel.inflate import MAX_SENT_BYTES

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
BODY_SECONDS: Final = 29  # the promise is an answer within 30
Application = Callable[[Scope, Receive, Send], Awaitable[None]]


# What has not come of a body is not read, so the connection can't carry another request.
_CLOSE: Final = {"Connection": "close"}
_GONE: Final = {"type": "http.disconnect"}  # at which Django gives up without an answer


class BodyTimeoutError(PortalError):
    """A body that was announced, and did not come whole in time."""

    status = 408
    code = "request_timeout"
    title = "The body did not arrive in time"


def limit_body(application: Application) -> Application:
    """The application behind a limit of 5 MiB a body, whether its length is announced or not, and of
    29 seconds for all of it to come."""

    async def limited(scope: Scope, receive: Receive, send: Send) -> None:
        refusal = _announced(scope)
        if refusal is not None:
            await _refuse(refusal, send)
            return
        size, is_here = 0, False
        refusals: list[PortalError] = []
        until = asyncio.get_running_loop().time() + BODY_SECONDS

        async def counted() -> MutableMapping[str, Any]:
            nonlocal size, is_here
            if is_here:  # what comes now is that the client has gone
                return await receive()
            try:
                async with asyncio.timeout_at(until):
                    message = await receive()
            except TimeoutError:
                refusals.append(body_timeout(BODY_SECONDS))
                return _GONE
            size += len(message.get("body", b""))
            if size > MAX_SENT_BYTES:
                refusals.append(_too_large())
                return _GONE
            is_here = not message.get("more_body", False)
            return message

        await application(scope, counted, send)
        if refusals:
            await _refuse(refusals[0], send)

    return limited


def body_timeout(seconds: float) -> BodyTimeoutError:
    """The error of a body that took longer than these seconds."""
    return BodyTimeoutError(f"Send the whole body within {seconds:g} seconds.", headers=_CLOSE)


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
    return TooLargeError("A body may have at most 5 MiB as sent.", headers=_CLOSE)


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
