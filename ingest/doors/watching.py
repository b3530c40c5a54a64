"""The road of ingest as spans: a request, its judgement, its commit; and its line in the log.

Made when the answer is ready and not before, out of three moments, and only where spans are exported:
an event never has a span. The request's parent is the `traceparent` header, or of a single event its
own; the other events' are links, each trace once.

A line in the log is left by each request that failed or was slow, and by all where
`PORTAL_LOG_DOORS=all`. One that was turned away unread (429, 503) leaves its count and nothing else;
of the others those beyond a hundred a second are counted and left out, for a flood of requests must
not become a flood of lines.
"""

import logging
import time
from collections import Counter
from collections.abc import Iterator
from contextvars import ContextVar
from typing import TYPE_CHECKING, Final

from django.conf import settings

from ingest.doors.door import Head, Reply
from ingest.judging.pipeline import Batch
from ingest.types import Envelope
from portal.kernel import tracing

if TYPE_CHECKING:
    from opentelemetry.context import Context

logger = logging.getLogger("portal.ingest")

SLOW_SECONDS: Final = 1.0
MAX_LINES: Final = 100  # a second and process
LOGS_ALL: Final = settings.LOG_DOORS == "all"


class Road:
    """One request on its way. `judged` and `committed` are called as it gets there."""

    __slots__ = ("batch", "began_ns", "committed_ns", "head", "judged_ns", "read_ns")

    def __init__(self, head: Head) -> None:
        self.head = head
        self.began_ns = time.time_ns()
        self.read_ns = self.judged_ns = self.committed_ns = 0
        self.batch: Batch | None = None

    def read(self) -> None:
        """The body is there."""
        self.read_ns = time.time_ns()

    def judged(self, batch: Batch) -> None:
        self.batch, self.judged_ns = batch, time.time_ns()

    def committed(self) -> None:
        self.committed_ns = time.time_ns()

    def end(self, reply: Reply, request_id: str) -> None:
        """Make the spans, and tell the caller in `traceparent`."""
        from opentelemetry.trace import SpanKind, StatusCode, set_span_in_context  # noqa: PLC0415

        head, tracer = self.head, tracing.tracer()
        parent, came = self._parent()
        span = tracer.start_span(
            f"{head.method} {head.path.rstrip('/')}", context=parent, kind=SpanKind.SERVER,
            start_time=self.began_ns,
        )  # fmt: skip
        if span.is_recording():
            span.set_attributes(
                {
                    "http.request.method": head.method, "http.route": head.path.rstrip("/"),
                    "http.response.status_code": reply.status, "portal.request_id": request_id,
                    **self._counts(),
                }
            )  # fmt: skip
            if reply.status >= 500:
                span.set_status(StatusCode.ERROR)
            for link in tracing.links_of(self._told(), but=came):
                span.add_link(link.context)
            within = set_span_in_context(span)
            for name, begin, end in (
                ("ingest.judge", self.read_ns, self.judged_ns),
                ("ingest.commit", self.judged_ns, self.committed_ns),
            ):
                if begin and end:
                    tracer.start_span(name, context=within, start_time=begin).end(end)
        reply.headers["traceparent"] = tracing.traceparent_of(span)
        span.end()

    def _parent(self) -> "tuple[Context | None, str]":
        """The parent as OpenTelemetry has it, None for a new trace, and the header it is from."""
        came = self.head.get("traceparent")
        found = tracing.context_of(came, self.head.get("tracestate"))
        if found is not None:
            return found, came
        told = list(self._told()) if self.batch is not None and len(self.batch.items) == 1 else []
        if told:
            return tracing.context_of(*told[0]), told[0][0]
        return None, ""

    def _told(self) -> Iterator[tuple[str, str]]:
        """What the events tell of their traces."""
        for item in self.batch.items if self.batch is not None else ():
            found = told_by(item.envelope)
            if found is not None:
                yield found

    def _counts(self) -> dict[str, int]:
        if self.batch is None or not self.committed_ns:
            return {}
        counts = Counter(item.status.value for item in self.batch.items)
        return {"portal.events": len(self.batch.items)} | {
            f"portal.events.{status}": events for status, events in counts.items()
        }


def told_by(envelope: Envelope) -> tuple[str, str] | None:
    """`traceparent` and `tracestate` of an event, or None."""
    traceparent = envelope.extensions.get("traceparent")
    if not isinstance(traceparent, str):
        return None
    return traceparent, str(envelope.extensions.get("tracestate", ""))


_road: ContextVar[Road] = ContextVar("ingest_road")


def set_out(head: Head) -> Road:
    """Begin to follow a request. Only while spans are exported."""
    road = Road(head)
    _road.set(road)
    return road


def road() -> Road:
    """That of the present request. Only while spans are exported."""
    return _road.get()


_COUNTED: Final = frozenset({429, 503})


def is_told(status: int, began: float) -> bool:
    """Whether a request is worth a line; `began` is of the monotonic clock."""
    if LOGS_ALL:
        return True
    if status >= 400:
        return status not in _COUNTED
    return time.monotonic() - began >= SLOW_SECONDS


class _Lines:
    """How many lines the present second has had."""

    second = 0
    written = 0
    left_out = 0


def tell(head: Head, status: int, request_id: str, began: float) -> None:
    """Leave a line for a request that is worth one; `began` is of the monotonic clock."""
    if is_told(status, began):
        log(head, status, request_id, began)


def log(head: Head, status: int, request_id: str, began: float) -> None:
    """A line for a request that is worth one."""
    now = time.monotonic()
    if int(now) != _Lines.second:
        _Lines.second, _Lines.written = int(now), 0
    if _Lines.written >= MAX_LINES and not LOGS_ALL:
        _Lines.left_out += 1
        return
    _Lines.written += 1
    left_out, _Lines.left_out = _Lines.left_out, 0
    fields: dict[str, object] = {
        "method": head.method, "route": head.path.rstrip("/"), "status": status,
        "ms": round((now - began) * 1000, 1), "request_id": request_id,
    }  # fmt: skip
    if left_out:
        fields["left_out"] = left_out
    with tracing.following(tracing.trail_of(head.get("traceparent"), request_id)):
        logger.info("request", extra=fields)
