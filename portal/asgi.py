"""The ASGI application: the ingest road is answered raw, everything else by Django."""

import asyncio
import gc
import os
import sys
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Final

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "portal.settings")
os.environ.setdefault("PORTAL_PROCESS", "web")

from django.core.asgi import get_asgi_application

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

_SWITCH_SECONDS: Final = 0.0005

_django = get_asgi_application()

from ingest.doors import asgi as ingest_road  # after django.setup()
from ingest.doors import express
from ingest.doors.settling import stop_settling
from ingest.log.store import close_writer, drain_writer
from portal.http.body_limit import limit_body
from portal.http.server import Protocol
from portal.kernel import tracing

Protocol.short_road = express
django_application = limit_body(_django)  # type: ignore[arg-type]  # asgiref's own types


async def application(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "lifespan":
        await _lifespan(receive, send)
        return
    if ingest_road.handles(scope):
        await ingest_road.handle(scope, receive, send)
        return
    await django_application(scope, receive, send)


# A full collection walks all that Django loaded, 20 to 45 ms in which no request moves; what was
# loaded stays, so it is put aside once. Events make many small objects and few cycles: with the
# usual thresholds, collections took a sixth of all time while batches were in hand.
_GC_THRESHOLDS = (200_000, 10, 10)


async def _lifespan(receive: Receive, send: Send) -> None:
    # The loop takes the interpreter's lock anew for each event of a socket. While the writer's
    # thread computes, each time may cost a whole interval, and a hundred of them a second.
    sys.setswitchinterval(_SWITCH_SECONDS)
    while True:
        message = await receive()
        if message["type"] == "lifespan.startup":
            tracing.start("web")
            gc.collect()
            gc.freeze()
            gc.set_threshold(*_GC_THRESHOLDS)
        if message["type"] == "lifespan.shutdown":
            await drain_writer()  # what was taken in is written first
            await asyncio.to_thread(close_writer)
            await asyncio.to_thread(stop_settling)
            await asyncio.to_thread(tracing.stop)
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return
