"""The short way of a request: from the parser to the writer without a task of its own.

Most requests need nothing to wait for but their commit: the process knows their key, streams and
contracts, and head and body come together. Those are let in, judged and handed to the writer right
where the parser ends (`portal.http.server`), and answered from where the writer ends. Whatever has
to wait for anything else goes on along the ordinary road (`ingest.doors.asgi`) from where it stands; the
head of a request is judged here either way, so that a refusal costs no task.
"""

import asyncio
import logging
import random
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final

from ingest.doors import door, watching
from ingest.doors.by_path import BY_PATH
from ingest.doors.door import Door, Head, Reply, Visit
from ingest.doors.gate import gate
from ingest.judging.admission import directory
from ingest.judging.pipeline import Batch
from ingest.log.store import writer
from ingest.protocols.cloudevents import weight_of
from portal.http.server import RefusedError
from portal.kernel import tracing
from portal.kernel.errors import PortalError, UnavailableError
from portal.kernel.failpoints import failpoint

logger = logging.getLogger(__name__)

# A database that hangs is not waited for: the promise is a 503 within five seconds.
DATABASE_SECONDS: Final = 4.5
SCOPE_KEY: Final = "ingest.call"
MAX_BYTES: Final = 64 * 1024
# As a run weighs; more holds the loop for too long.
_MAX_WEIGHT: Final = 224 * 1024
_LOOK_SECONDS: Final = 0.25
_BY_PATH: Final = {path.encode("ascii"): found for path, found in BY_PATH.items()}

Answer = Callable[[Reply], None]


class Call:
    """A request that was let in. It is the waiter of its submission (`ingest.log.group`)."""

    __slots__ = (
        "_answer",
        "_batch",
        "_is_done",
        "at",
        "began",
        "deadline",
        "head",
        "is_short",
        "visit",
    )

    def __init__(self, at: Door, head: Head, visit: Visit, began: float) -> None:
        self.at, self.head, self.visit, self.began = at, head, visit, began
        length = head.get("content-length")
        self.is_short = (
            bool(length)
            and int(length) <= MAX_BYTES
            and not visit.encoding
            and gate.may_be_short(int(length))
        )
        self.deadline = 0.0
        self._batch: Batch | None = None
        self._answer: Answer | None = None
        self._is_done = False

    def take(self, body: bytes, answer: Answer) -> bool:
        """Judge the whole body and hand it to the writer; `answer` is called, once, when it is
        stored. False, and nothing has happened: it has to go the ordinary road."""
        visit = self.visit
        try:
            batch = self._judged(body)
            if batch is None:
                return False
        except PortalError:
            return False
        except Exception:
            logger.exception("ingest failed unexpectedly", extra={"request_id": visit.request_id})
            return False
        self._batch, self._answer = batch, answer
        try:
            visit.ticket.hold(len(body))
            if batch.items:
                submission = batch.submission()
                submission.waiter, submission.loop = self, asyncio.get_running_loop()
                writer().enqueue(submission)
                _watch.add(self)
            else:
                self._end(None)
        except PortalError as error:
            self._end(error)
        return True

    def _judged(self, body: bytes) -> Batch | None:
        visit = self.visit
        batch = door.batch_of(visit, directory)
        receive = batch.wait if visit.settles_names else batch.offer
        weight = 0
        for run in visit.runs(body, _room):
            receive(run)
            weight += weight_of(run)
            if weight > _MAX_WEIGHT:
                return None
        if batch.waiting:
            if not _needs_nothing(visit, batch):
                return None
            for _ in batch.take_waiting():
                pass
        return batch

    def done(self) -> bool:
        return self._is_done

    def set_result(self, result: None) -> None:
        self._end(None)

    def set_exception(self, error: PortalError) -> None:
        self._end(error)

    def _end(self, error: PortalError | None) -> None:
        self._is_done = True
        visit, batch, answer = self.visit, self._batch, self._answer
        assert batch is not None
        assert answer is not None
        visit.ticket.close()
        try:
            if error is not None:
                reply = refusal(self.at, self.head, visit.request_id, visit.headers, error)
            else:
                batch.settle()
                failpoint("ingest.before_answer")
                try:
                    reply = visit.reply(batch)
                except PortalError as refused:
                    reply = refusal(self.at, self.head, visit.request_id, visit.headers, refused)
        except Exception:
            logger.exception("ingest failed unexpectedly", extra={"request_id": visit.request_id})
            reply = refusal(self.at, self.head, visit.request_id, visit.headers, unexpected())
        answer(reply)
        watching.tell(self.head, reply.status, visit.request_id, self.began)


class _Watch:
    """Ends the calls that wait too long for their commit; what they sent may still be stored."""

    def __init__(self) -> None:
        self._calls: deque[Call] = deque()
        self._loop: asyncio.AbstractEventLoop | None = None  # that looks; None while none waits

    def add(self, call: Call) -> None:
        call.deadline = call.began + DATABASE_SECONDS
        self._calls.append(call)
        loop = asyncio.get_running_loop()
        if self._loop is not loop:  # the one before may have ended
            self._loop = loop
            loop.call_later(_LOOK_SECONDS, self._look)

    def _look(self) -> None:
        now, calls = time.monotonic(), self._calls
        while calls and (calls[0].done() or calls[0].deadline <= now):
            call = calls.popleft()
            if not call.done():
                call.set_exception(database_gone())
        if calls and self._loop is not None:
            self._loop.call_later(_LOOK_SECONDS, self._look)
        else:
            self._loop = None


_watch: Final = _Watch()


def enter(path: bytes, query: bytes, raw_headers: Sequence[tuple[bytes, bytes]]) -> Call | None:
    """Judge the head of a POST, names of fields in lower case. None: it goes the ordinary road.

    Raises RefusedError with the answer of a request that is not let in.
    """
    at = _BY_PATH.get(path)
    # Where spans are exported, a request goes the road that makes them.
    if at is None or b"#" in query or tracing.is_on:
        return None
    began = time.monotonic()
    # What keeps the directory and the quotas fresh was started when the key was first loaded.
    fields = tuple(
        [(name.decode("latin-1"), value.decode("latin-1")) for name, value in raw_headers]
    )
    head = Head("POST", path.decode("ascii"), query.decode("latin-1"), fields, dict(fields))
    if "expect" in head.fields:
        return None
    request_id = door.new_request_id()
    headers = door.base_headers(head, request_id)
    try:
        door.check_head(head)
        credential = at.credential(head)
        publisher = directory.publisher(credential) if credential is not None else None
        if publisher is None:
            return None
        visit = at.enter(head, publisher, request_id=request_id, headers=headers)
    except PortalError as error:
        reply = refusal(at, head, request_id, headers, error)
        watching.tell(head, reply.status, request_id, began)
        raise RefusedError(reply) from error
    return Call(at, head, visit, began)


def _room() -> int:
    return _MAX_WEIGHT


def _needs_nothing(visit: Visit, batch: Batch) -> bool:
    """Whether the process knows all that the waiting events need."""
    envelopes = [envelope for _, envelope in batch.waiting]
    if visit.settles_names:
        if directory.missing(visit.names_meant(envelopes)):
            return False
        visit.settle_names(envelopes, {}, directory)
    return not (
        batch.names_to_load(envelopes)
        or batch.contracts_to_load(envelopes)
        or batch.secrets_to_load(envelopes)
    )


def refusal(
    at: Door, head: Head, request_id: str, headers: dict[str, str], error: PortalError
) -> Reply:
    return at.refuse(head, error, request_id=request_id, headers=headers)


def unexpected() -> PortalError:
    return PortalError("It has been logged. Nothing was stored. Trying again may help.")


def database_gone() -> UnavailableError:
    return UnavailableError(
        "The database does not answer just now. Send the same events again.",
        retry_after_seconds=random.randint(1, 5),  # noqa: S311  # jitter
    )
