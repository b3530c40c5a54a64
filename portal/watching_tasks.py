"""Each task: the trace of who sent it goes on in it, and it leaves a line in the log.

The message carries `traceparent` and the request's id as headers. Spans are exported by the processes
that run tasks, each of which starts its own exporter after the fork.
"""

import logging
import time
from contextlib import ExitStack
from typing import Any, Final

from celery import Task
from celery.signals import (
    before_task_publish,
    task_postrun,
    task_prerun,
    worker_process_init,
    worker_process_shutdown,
)

from portal.kernel import tracing

logger = logging.getLogger("portal.task")
_REQUEST: Final = "portal_request_id"
_running: Final[dict[str, tuple[float, ExitStack, Any]]] = {}


@before_task_publish.connect
def _hand_on(headers: dict[str, Any] | None = None, **_: Any) -> None:
    if headers is None:
        return
    traceparent = tracing.traceparent()
    if traceparent:
        headers["traceparent"] = traceparent
    request_id = tracing.trail().request_id
    if request_id:
        headers[_REQUEST] = request_id


@task_prerun.connect
def _begin(task_id: str = "", task: Task[..., Any] | None = None, **_: Any) -> None:
    if task is None:
        return
    came = _header(task, "traceparent")
    request_id = _header(task, _REQUEST)
    stack, span = ExitStack(), None
    stack.enter_context(tracing.following(tracing.trail_of(came, request_id)))
    if tracing.is_on:
        from opentelemetry.trace import SpanKind  # noqa: PLC0415  # only while it is on

        said = {"messaging.system": "celery", "portal.task_id": task_id}
        span = stack.enter_context(
            tracing.span(
                str(task.name), kind=SpanKind.CONSUMER, parent=tracing.context_of(came),
                attributes=said | ({"portal.request_id": request_id} if request_id else {}),
                request_id=request_id,
            )
        )  # fmt: skip
    _running[task_id] = (time.perf_counter(), stack, span)


def _header(task: Task[..., Any], name: str) -> str:
    """A header of the message; Celery puts those it does not know on the request as attributes."""
    value = task.request.get(name) or (task.request.get("headers") or {}).get(name)
    return value if isinstance(value, str) else ""


@task_postrun.connect
def _end(task_id: str = "", task: Task[..., Any] | None = None, state: str = "", **_: Any) -> None:
    found = _running.pop(task_id, None)
    if found is None or task is None:
        return
    began, stack, span = found
    with stack:
        if span is not None:
            from opentelemetry.trace import StatusCode  # noqa: PLC0415

            span.set_attribute("portal.task_state", state)
            if state == "FAILURE":
                span.set_status(StatusCode.ERROR)
        logger.info(
            "task",
            extra={
                "task": str(task.name), "task_id": task_id, "state": state.lower(),
                "ms": round((time.perf_counter() - began) * 1000, 1),
            },
        )  # fmt: skip


@worker_process_init.connect
def _start(**_: Any) -> None:
    tracing.start("worker")


@worker_process_shutdown.connect
def _stop(**_: Any) -> None:
    tracing.stop()
