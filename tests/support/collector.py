"""An OTLP/HTTP collector: a real server that takes spans as a real one does, and shows them."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)


@dataclass(frozen=True)
class Seen:
    """A span as it arrived; ids are hex, `links` those of the spans linked to."""

    name: str
    trace_id: str
    span_id: str
    parent_id: str
    kind: int
    links: tuple[str, ...]
    attributes: dict[str, Any]
    resource: dict[str, Any]
    started_ns: int
    ended_ns: int


class Collector:
    def __init__(self) -> None:
        self._spans: list[Seen] = []
        self._came = threading.Condition()
        self.paths: set[str] = set()

    def take(self, path: str, body: bytes) -> None:
        request = ExportTraceServiceRequest()
        request.ParseFromString(body)
        found = [
            _seen(span, _attributes(spans.resource.attributes))
            for spans in request.resource_spans
            for scope in spans.scope_spans
            for span in scope.spans
        ]
        with self._came:
            self.paths.add(path)
            self._spans += found
            self._came.notify_all()

    def wait_for(self, name: str, attributes: dict[str, Any] | None = None) -> Seen:
        """The first span of a name with these attributes; waits for it up to a minute."""
        deadline = time.monotonic() + 60
        wanted = attributes or {}
        with self._came:
            while True:
                for span in self._spans:
                    if span.name == name and wanted.items() <= span.attributes.items():
                        return span
                left = deadline - time.monotonic()
                assert left > 0, f"no span {name}: {sorted({one.name for one in self._spans})}"
                self._came.wait(left)

    def children_of(self, parent: Seen) -> dict[str, Seen]:
        with self._came:
            return {span.name: span for span in self._spans if span.parent_id == parent.span_id}


def _attributes(pairs: Any) -> dict[str, Any]:
    return {pair.key: getattr(pair.value, pair.value.WhichOneof("value")) for pair in pairs}


def _seen(span: Any, resource: dict[str, Any]) -> Seen:
    return Seen(
        name=span.name,
        trace_id=span.trace_id.hex(),
        span_id=span.span_id.hex(),
        parent_id=span.parent_span_id.hex(),
        kind=span.kind,
        links=tuple(link.span_id.hex() for link in span.links),
        attributes=_attributes(span.attributes),
        resource=resource,
        started_ns=span.start_time_unix_nano,
        ended_ns=span.end_time_unix_nano,
    )


@contextmanager
def collecting() -> Iterator[tuple[Collector, str]]:
    """A collector and its address, while the block lasts."""
    collector = Collector()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            collector.take(self.path, self.rfile.read(int(self.headers["Content-Length"])))
            body = ExportTraceServiceResponse().SerializeToString()
            self.send_response(200)
            self.send_header("Content-Type", "application/x-protobuf")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            """Not to the tests' output."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield collector, f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)
