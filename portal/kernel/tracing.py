"""OpenTelemetry spans, where an endpoint for them is named; else no more than a look at `is_on`.

The standard variables decide: `OTEL_EXPORTER_OTLP_ENDPOINT` (or `…_TRACES_ENDPOINT`) switches it on,
`OTEL_SDK_DISABLED=true` or `OTEL_TRACES_EXPORTER=none` off again, `OTEL_TRACES_SAMPLER` thins it out.
The SDK is imported when it is needed, never before. Spans leave by OTLP over HTTP, in a thread, and
are dropped when nobody takes them: no request waits for the collector.

Beside the spans this module holds what the present work is known by (`Trail`), for the log: that is
there with tracing off as well.
"""

import logging
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from portal.kernel.identifiers import TRACEPARENT

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.trace import Link, Span, SpanKind, Tracer

logger = logging.getLogger(__name__)

# Of one span; more are counted in an attribute and not named.
MAX_LINKS: Final = 128
SERVICE: Final = "event-portal"
_MAX_TRACESTATE: Final = 512

is_on: bool = False
_provider: "TracerProvider | None" = None
_tracer: "Tracer | None" = None


@dataclass(frozen=True, slots=True)
class Trail:
    """What the present work is known by. Ids are texts, empty when there is none."""

    request_id: str = ""
    trace_id: str = ""
    span_id: str = ""


_trail: ContextVar[Trail] = ContextVar("portal_trail", default=Trail())  # noqa: B039  # frozen


def trail() -> Trail:
    """What the present work is known by; empty texts outside of any."""
    return _trail.get()


@contextmanager
def following(found: Trail) -> Iterator[None]:
    """Within the block the present work is known by this."""
    token = _trail.set(found)
    try:
        yield
    finally:
        _trail.reset(token)


def trail_of(traceparent: str, request_id: str = "") -> Trail:
    """The trail of a caller's header; without ids of a trace when it is not a valid one."""
    if not TRACEPARENT.fullmatch(traceparent):
        return Trail(request_id)
    _, trace_id, span_id, _ = traceparent.split("-")
    return Trail(request_id, trace_id, span_id)


def is_wanted(variables: Mapping[str, str]) -> bool:
    """Whether the environment asks for spans."""
    names = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
    return (
        any(variables.get(name) for name in names)
        and variables.get("OTEL_SDK_DISABLED", "").lower() != "true"
        and "otlp" in variables.get("OTEL_TRACES_EXPORTER", "otlp").split(",")
    )


def start(role: str) -> None:
    """Begin to export the spans of this process, if that is wanted; `role` is web, worker, …

    To be called after the last fork.
    """
    global is_on, _provider, _tracer  # noqa: PLW0603  # the SDK is one of a process
    if is_on or not is_wanted(os.environ):
        return
    # Half a second and 20 MB that nobody pays who has no collector.
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import (  # noqa: PLC0415
        OTLPSpanExporter,
    )
    from opentelemetry.sdk.resources import SERVICE_NAME, Resource  # noqa: PLC0415
    from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415
    from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415

    protocol = os.environ.get("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf")
    if protocol != "http/protobuf":
        logger.warning("spans are exported as http/protobuf: the portal speaks no other protocol")
    about = {SERVICE_NAME: os.environ.get("OTEL_SERVICE_NAME", SERVICE), "portal.process": role}
    _provider = TracerProvider(resource=Resource.create(about))
    _provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    _tracer = _provider.get_tracer(SERVICE)
    is_on = True
    logger.info("spans are exported")


def stop() -> None:
    """Export what is left of this process's spans, and end."""
    global is_on, _provider, _tracer
    found, is_on, _tracer, _provider = _provider, False, None, None
    if found is not None:
        found.shutdown()


def tracer() -> "Tracer":
    """To be asked for only while `is_on`."""
    assert _tracer is not None
    return _tracer


def context_of(traceparent: str, tracestate: str = "") -> "Context | None":
    """A caller's span as a parent; None when the header is not a valid one."""
    from opentelemetry.trace import NonRecordingSpan, set_span_in_context  # noqa: PLC0415

    found = _span_context(traceparent, tracestate)
    return None if found is None else set_span_in_context(NonRecordingSpan(found))


def _span_context(traceparent: str, tracestate: str) -> Any:
    from opentelemetry.trace import SpanContext, TraceFlags, TraceState  # noqa: PLC0415

    if not TRACEPARENT.fullmatch(traceparent):
        return None
    _, trace_id, span_id, flags = traceparent.split("-")
    state = TraceState()
    if tracestate and len(tracestate) <= _MAX_TRACESTATE:
        state = TraceState.from_header([tracestate])
    return SpanContext(
        int(trace_id, 16), int(span_id, 16), is_remote=True,
        trace_flags=TraceFlags(int(flags, 16) & 1), trace_state=state,
    )  # fmt: skip


def links_of(contexts: Iterable[tuple[str, str]], *, but: str = "") -> "list[Link]":
    """Links to the spans that events tell of (`traceparent`, `tracestate`), each once, `MAX_LINKS`
    at most; without what is no valid one, and without `but`, which is the parent already."""
    from opentelemetry.trace import Link  # noqa: PLC0415

    found: dict[str, Link] = {}
    for traceparent, tracestate in contexts:
        if traceparent != but and traceparent not in found:
            context = _span_context(traceparent, tracestate)
            if context is not None:
                found[traceparent] = Link(context)
                if len(found) >= MAX_LINKS:
                    break
    return list(found.values())


def traceparent_of(span: "Span") -> str:
    """A span as the W3C's `traceparent`, version 00."""
    context = span.get_span_context()
    return f"00-{context.trace_id:032x}-{context.span_id:016x}-{context.trace_flags:02x}"


def traceparent() -> str:
    """Of the present work, to be handed on; empty when it belongs to no trace."""
    if is_on:
        from opentelemetry.trace import get_current_span  # noqa: PLC0415

        span = get_current_span()
        if span.get_span_context().is_valid:
            return traceparent_of(span)
    found = _trail.get()
    return f"00-{found.trace_id}-{found.span_id}-00" if found.trace_id else ""


@contextmanager
def span(
    name: str,
    *,
    kind: "SpanKind | None" = None,
    parent: "Context | None" = None,
    links: "Iterable[Link]" = (),
    attributes: Mapping[str, str | int | float | bool] | None = None,
    request_id: str = "",
) -> "Iterator[Span]":
    """A span around the block, which is also what the log knows the work by. Only while `is_on`."""
    from opentelemetry.trace import SpanKind  # noqa: PLC0415

    started = tracer().start_as_current_span(
        name, context=parent, kind=kind or SpanKind.INTERNAL, links=list(links),
        attributes=dict(attributes or {}), record_exception=False,
    )  # fmt: skip
    with started as made:
        found = trail_of(traceparent_of(made), request_id or _trail.get().request_id)
        with following(found):
            yield made
