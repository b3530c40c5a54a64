"""The short way of a request: from the parser to the writer without a task of its own.

Most requests need nothing to wait for but their commit: the process knows their key, streams and
contracts, and head and body come together. Those are let in, judged and handed to the writer right
where the parser ends (`portal.http.server`), and answered from where the writer ends. Whatever has
to wait for anything else goes on along the ordinary road (`ingest.doors.road`) from where it stands; the
head of a request is judged here either way, so that a refusal costs no task.
"""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final

from ingest.doors import door, road, together, watching
from ingest.doors.by_path import BY_PATH
from ingest.doors.door import Door, Head, Reply, Visit
from ingest.doors.gate import gate
from ingest.doors.limits import Bucket, quotas
from ingest.doors.together import MAX_WEIGHT, submit
from ingest.judging.admission import Publisher, digest_of, directory
from ingest.judging.pipeline import Batch
from ingest.log.group import Item
from ingest.protocols.cloudevents import weight_of
from portal.http.server import RefusedError, Written, written
from portal.kernel import tracing
from portal.kernel.errors import PortalError, UnavailableError
from portal.kernel.failpoints import failpoint

logger = logging.getLogger(__name__)

SCOPE_KEY: Final = "ingest.call"
MAX_BYTES: Final = 64 * 1024
_MAX_DIGITS: Final = 10  # of a length that a short body can have
_LOOK_SECONDS: Final = 0.25
_BY_PATH: Final = {path.encode("ascii"): found for path, found in BY_PATH.items()}

_OF_THE_MOMENT: Final = frozenset({"RateLimit", "RateLimit-Policy", "Retry-After"})

Answer = Callable[[Reply], None]


class Call:
    """A request that was let in. It is the waiter of its submission (`ingest.log.group`)."""

    __slots__ = (
        "_answer",
        "_batch",
        "_is_done",
        "at",
        "began",
        "body",
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
        self.body = b""
        self._batch: Batch | None = None
        self._answer: Answer | None = None
        self._is_done = False

    def take(self, body: bytes, answer: Answer) -> None:
        """Judge the whole body and hand it to the writer; `answer` is called, once, when it is
        stored, or refused."""
        self.body, self._answer = body, answer
        try:
            self.visit.ticket.hold(len(body))
        except PortalError as error:
            self._end(error)
            return
        if self.visit.is_single:
            _watch.add(self)
            together.add(self)
        else:
            self.take_alone()

    def take_alone(self) -> None:
        """Take it as a batch of its own."""
        batch = self._judged()
        if batch is None:
            task = asyncio.get_running_loop().create_task(self._go_on())
            _tasks.add(task)
            task.add_done_callback(_tasks.discard)
            return
        self._batch = batch
        if not batch.items:
            self._end(None)
            return
        try:
            submit(batch, self)
        except PortalError as error:
            self._end(error)
        else:
            if not self.deadline:
                _watch.add(self)

    def _judged(self) -> Batch | None:
        """None: it has to wait for something, or there is something to say of the whole."""
        try:
            return self._judged_at_once()
        except PortalError:
            return None
        except Exception:
            logger.exception(
                "ingest failed unexpectedly", extra={"request_id": self.visit.request_id}
            )
            return None

    def _judged_at_once(self) -> Batch | None:
        visit = self.visit
        batch = door.batch_of(visit, directory)
        receive = batch.wait if visit.settles_names else batch.offer
        weight = 0
        for run in visit.runs(self.body, _room):
            receive(run)
            weight += weight_of(run)
            if weight > MAX_WEIGHT:
                return None
        if batch.waiting:
            if not _needs_nothing(visit, batch):
                return None
            for _ in batch.take_waiting():
                pass
        return batch

    async def _go_on(self) -> None:
        """Go the ordinary road."""
        road.set_out()
        at, visit = self.at, self.visit
        work = road.take(at, visit, self.body)
        reply = await road.outcome(work, at, self.head, visit.request_id, visit.headers)
        assert reply is not None  # the body is here
        self._end_with(reply)

    def done(self) -> bool:
        return self._is_done

    def set_result(self, result: None) -> None:
        self._end(None)
        if self.visit.is_single:
            together.answered(1)

    def set_exception(self, error: PortalError) -> None:
        self._end(error)

    def stored_as(self, item: Item) -> None:
        """Its event was stored, or refused, with others."""
        self._end_with(self._worded(lambda: self.visit.reply_to(item)))

    def _end(self, error: PortalError | None) -> None:
        self._end_with(self._refusal(error) if error is not None else self._worded(self._reply))

    def _end_with(self, reply: Reply) -> None:
        if self._is_done:  # it took too long for something else than its commit
            return
        self._is_done = True
        self.visit.ticket.close()
        assert self._answer is not None
        self._answer(reply)
        watching.tell(self.head, reply.status, self.visit.request_id, self.began)

    def _worded(self, reply: Callable[[], Reply]) -> Reply:
        """The answer after the commit, whatever comes."""
        try:
            failpoint("ingest.before_answer")
            return reply()
        except PortalError as error:
            return self._refusal(error)
        except Exception:
            logger.exception(
                "ingest failed unexpectedly", extra={"request_id": self.visit.request_id}
            )
            return self._refusal(road.unexpected())

    def _reply(self) -> Reply:
        assert self._batch is not None
        self._batch.settle()
        return self.visit.reply(self._batch)

    def _refusal(self, error: PortalError) -> Reply:
        visit = self.visit
        return road.refusal(self.at, self.head, visit.request_id, visit.headers, error)


_tasks: Final[set[asyncio.Task[None]]] = set()  # the loop itself keeps none


class _Watch:
    """Ends the calls that wait too long for their commit; what they sent may still be stored."""

    def __init__(self) -> None:
        self._calls: deque[Call] = deque()
        self._loop: asyncio.AbstractEventLoop | None = None  # that looks; None while none waits

    def add(self, call: Call) -> None:
        call.deadline = call.began + road.DATABASE_SECONDS
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
                call.set_exception(road.database_gone())
        if calls and self._loop is not None:
            self._loop.call_later(_LOOK_SECONDS, self._look)
        else:
            self._loop = None


_watch: Final = _Watch()


class Known:
    """What a head says, for as many requests as have it."""

    __slots__ = ("_at", "_digest", "_head", "_turned_away", "length")

    def __init__(self, at: Door, head: Head, credential: str) -> None:
        self._at, self._head, self._digest = at, head, digest_of(credential)
        self._turned_away: _TurnedAway | None = None  # the latest of them
        length = head.get("content-length")
        is_plain = length.isascii() and length.isdigit() and len(length) < _MAX_DIGITS
        self.length = int(length) if is_plain else -1

    def enter(self) -> Call | Written | None:
        """Let a request in, or turn it away; None: it goes the ordinary road. Raises RefusedError."""
        began = time.monotonic()
        at, head = self._at, self._head
        publisher = directory.publisher_by(self._digest)
        if publisher is None or tracing.is_on:
            return None
        before = self._turned_away
        if before is not None and before.publisher is publisher:
            refused = self._turned_away_again(before, began)
            if refused is not None:
                return refused
        request_id = door.new_request_id()
        headers = door.base_headers(head, request_id)
        try:
            visit = at.enter(head, publisher, request_id=request_id, headers=headers)
        except PortalError as error:
            reply = _refusal(at, head, request_id, headers, error, began)
            if isinstance(error, UnavailableError):
                self._turned_away = _TurnedAway(publisher, reply, request_id)
            raise RefusedError(reply) from error
        return Call(at, head, visit, began)

    def _turned_away_again(self, before: "_TurnedAway", began: float) -> Written | None:
        """Turn a request away as the one before, in a third of the time: at twice the load more are
        turned away than let in. None: there may be room. Raises RefusedError for a quota."""
        publisher, head = before.publisher, self._head
        if not gate.turns_away(publisher.key_id):
            return None
        try:
            bucket = quotas.pay(publisher)
        except PortalError as error:  # this is asked before there is room or not
            request_id = door.new_request_id()
            headers = {**before.headers, "X-Request-Id": request_id}
            raise RefusedError(
                _refusal(self._at, head, request_id, headers, error, began)
            ) from error
        wait = gate.turn_away(publisher.key_id)
        if not wait:
            return None
        request_id = door.new_request_id()
        if watching.LOGS_ALL:
            watching.log(head, UnavailableError.status, request_id, began)
        return before.again(request_id, bucket, wait)


class _TurnedAway:
    """The answer to a request of a publisher for which there was no room: the next ones' are made
    of it."""

    __slots__ = ("_body", "_head", "headers", "publisher")

    def __init__(self, publisher: Publisher, reply: Reply, request_id: str) -> None:
        self.publisher = publisher
        self.headers = {
            name: value for name, value in reply.headers.items() if name not in _OF_THE_MOMENT
        }
        said, own = written(Reply(reply.status, self.headers, reply.body)), request_id.encode()
        self._head, self._body = said.head.split(own), said.body.split(own)

    def again(self, request_id: str, bucket: Bucket, wait: int) -> Written:
        """The same for another request, with what is of the moment: its id, what is left to its
        key, and when (seconds) it may come again."""
        own = request_id.encode()
        moment = (
            f"ratelimit-policy: {bucket.policy}\r\nratelimit: {bucket.limit}\r\n"
            f"retry-after: {wait}\r\n"
        )
        return Written(own.join(self._head) + moment.encode("latin-1"), own.join(self._body))


def read(path: bytes, query: bytes, raw_headers: Sequence[tuple[bytes, bytes]]) -> Known | None:
    """Read the head of a POST, names of fields in lower case. None: it goes the ordinary road.

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
    try:
        door.check_head(head)
        credential = at.credential(head)
    except PortalError as error:
        request_id = door.new_request_id()
        headers = door.base_headers(head, request_id)
        raise RefusedError(_refusal(at, head, request_id, headers, error, began)) from error
    return Known(at, head, credential) if credential is not None else None


def _refusal(
    at: Door, head: Head, request_id: str, headers: dict[str, str], error: PortalError, began: float
) -> Reply:
    """What is said to a request that is not let in."""
    reply = road.refusal(at, head, request_id, headers, error)
    watching.tell(head, reply.status, request_id, began)
    return reply


def _room() -> int:
    return MAX_WEIGHT


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
