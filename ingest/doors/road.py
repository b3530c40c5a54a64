"""The ordinary road of a request whose head was let in and whose body is here.

Loading a stream or a contract that the process does not know yet happens in a thread. A larger body is
unpacked in one too, and handled in slices, so that a small request never waits behind it for longer
than one slice.
"""

import asyncio
import logging
import random
import time
from collections.abc import Awaitable
from contextvars import ContextVar
from typing import Final, TypeVar

from ingest.doors import door, watching
from ingest.doors.door import Door, Head, Reply, Visit
from ingest.doors.gate import SLICE_BYTES, gate
from ingest.doors.single_flight import in_thread, load_once
from ingest.doors.turns import turns
from ingest.judging.admission import StreamEntry, directory
from ingest.judging.pipeline import Batch
from ingest.log.store import writer
from ingest.protocols.cloudevents import EVENT_BYTES, weight_of
from portal.kernel import tracing
from portal.kernel.errors import BadRequestError, PortalError, UnavailableError
from portal.kernel.failpoints import failpoint

logger = logging.getLogger(__name__)

T = TypeVar("T")

# A database that hangs is not waited for: the promise is a 503 within five seconds.
DATABASE_SECONDS: Final = 4.5
_patience: ContextVar[float] = ContextVar("patience")  # what is left of them for this request
# Up to here unpacking takes less than the way to a thread and back is worth.
_UNPACKED_AT_ONCE_BYTES: Final = 64 * 1024


class ClientGoneError(Exception):
    """The connection closed before the body was complete: nobody waits for an answer."""


def set_out() -> None:
    """Begin with a request: from now on it waits for the database for a while only."""
    _patience.set(DATABASE_SECONDS)


async def outcome(
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


async def take(at: Door, visit: Visit, body: bytes) -> Reply:
    """Unpack, judge and store a body; gives the answer. Raises PortalError."""
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
        await bounded(writer().write(submission))
        raise door.name_dead_letter(error, submission.items[0]) from error
    if batch.items:
        await bounded(writer().write(batch.submission()))
        batch.settle()
        if tracing.is_on:
            watching.road().committed()
    failpoint("ingest.before_answer")
    return visit.reply(batch)


async def _unpack(at: Door, visit: Visit, body: bytes) -> bytes:
    encoding = visit.encoding
    if encoding and len(body) > _UNPACKED_AT_ONCE_BYTES:
        return await asyncio.to_thread(at.unpack, encoding, body)
    return at.unpack(encoding, body)


async def _judge(visit: Visit, body: bytes) -> Batch:
    """Read a body and judge its events, with a pause after each slice, and before the first where
    the loop has others to refuse.

    What is known to be plain is judged as soon as it is read; the rest when what it needs is there.
    """
    batch = door.batch_of(visit, directory)
    receive = batch.wait if visit.settles_names else batch.offer
    weight = 0
    if len(body) > SLICE_BYTES or not gate.may_be_short(len(body)):
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
        await bounded(load_once(("contracts", versions), batch.load_contracts, needed))
    if batch.secrets_to_load(envelopes):
        await bounded(in_thread(batch.load_secrets))


async def _loaded_streams(names: set[str]) -> dict[str, StreamEntry]:
    return await bounded(load_once(frozenset(names), directory.load_streams, names))


async def bounded(work: Awaitable[T]) -> T:
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


def refusal(
    at: Door, head: Head, request_id: str, headers: dict[str, str], error: PortalError
) -> Reply:
    """An error as the protocol says it."""
    return at.refuse(head, error, request_id=request_id, headers=headers)


def unexpected() -> PortalError:
    """What a client is told of a fault of ours."""
    return PortalError("It has been logged. Nothing was stored. Trying again may help.")


def database_gone() -> UnavailableError:
    """What a client is told when the database does not answer in time."""
    return UnavailableError(
        "The database does not answer just now. Send the same events again.",
        retry_after_seconds=random.randint(1, 5),  # noqa: S311  # jitter
    )
