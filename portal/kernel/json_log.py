"""The log: one JSON object a line, with what the present work is known by, and of bounded length.

Nothing that somebody sent stands in it. Messages are texts of ours with counts and names of kinds;
of an exception the types and places are written, never its text, which may quote a value. What is
passed as `extra` is written only under the names in `FIELDS`.
"""

import logging
import traceback
from datetime import UTC, datetime
from typing import Any, Final

import orjson

from portal.kernel.tracing import trail

MAX_MESSAGE: Final = 2000
MAX_FRAMES: Final = 30
MAX_LINE: Final = 8 * 1024
FIELDS: Final = (
    "request_id", "method", "route", "status", "ms", "events", "task", "task_id", "state", "left_out",
    "person", "key", "code",
)  # fmt: skip


class JsonFormatter(logging.Formatter):
    """A record as one line of JSON, at most `MAX_LINE` bytes."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": _cut(record.getMessage()),
        }
        work = trail()
        for name in ("request_id", "trace_id", "span_id"):
            if value := getattr(work, name):
                line[name] = value
        for name in FIELDS:
            value = getattr(record, name, None)
            if isinstance(value, str | int | float):
                line[name] = _cut(value) if isinstance(value, str) else value
        if record.exc_info and record.exc_info[1] is not None:
            line["error"] = described(record.exc_info[1])
        written = orjson.dumps(line)
        if len(written) > MAX_LINE:
            line["error"] = line.get("error", [])[:2]
            line["message"] = str(line["message"])[:200]
            written = orjson.dumps(line)
        return written.decode()


def _cut(text: str) -> str:
    return text if len(text) <= MAX_MESSAGE else text[:MAX_MESSAGE] + "…"


def described(error: BaseException) -> list[str]:
    """An exception and its causes: type, then the places it came through, the innermost first."""
    said: list[str] = []
    found: BaseException | None = error
    while found is not None and len(said) < MAX_FRAMES:
        said.append(f"{type(found).__module__}.{type(found).__qualname__}")
        frames = traceback.extract_tb(found.__traceback__)
        said += [f"{one.filename}:{one.lineno} {one.name}" for one in reversed(frames)]
        found = found.__cause__ or (None if found.__suppress_context__ else found.__context__)
    return said[:MAX_FRAMES]
