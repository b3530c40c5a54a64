"""Repairs: declared steps that put refused events right. Pure: nothing is read or written here.

A repair is a list of steps over one event, the CloudEvent document as it came. Each names a place
by a JSON Pointer; `*` stands for every element of an array. A step leaves an event alone that lacks
its place, for the events of a group differ; it raises `StepError` where it cannot do its work, and
then that event stays refused. `id`, `source` and `specversion` are never touched, so that what is
repaired keeps its identity.

| step | members | does |
| --- | --- | --- |
| rename | at, to | moves a value to another name in the same object, or to another place |
| cast | at, to | text to a number, number to a text …; also epoch seconds to `date-time` |
| default | at, value | sets what is absent |
| remove | at | takes a value away |
| replace | at, pattern, with | rewrites a text by an RE2 pattern; `\\1` is the first group |
| map | at, values | exchanges texts by a table |
| compute | at, expression | sets the value of a CEL expression over `event`, `data` and `value` |
"""

import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import re2

from portal.kernel.cel import CelError, Expression, compile_expression
from portal.kernel.errors import FieldError, InvalidError
from portal.kernel.strict_json import pointer_part

MAX_STEPS: Final = 20
MAX_POINTER: Final = 500
MAX_PATTERN: Final = 300
MAX_TEXT: Final = 64 * 1024
MAX_VALUES: Final = 200
MAX_VALUE_BYTES: Final = 4096
# Identity is never rewritten; bytes in base64 have no places inside.
UNTOUCHED: Final = frozenset({"id", "source", "specversion", "data_base64"})
TYPES: Final = ("integer", "number", "string", "boolean", "date-time")
KINDS: Final[Mapping[str, frozenset[str]]] = {
    "rename": frozenset({"at", "to"}),
    "cast": frozenset({"at", "to"}),
    "default": frozenset({"at", "value"}),
    "remove": frozenset({"at"}),
    "replace": frozenset({"at", "pattern", "with"}),
    "map": frozenset({"at", "values"}),
    "compute": frozenset({"at", "expression"}),
}
_INT64: Final = 2**63
_EPOCH_MS_FROM: Final = 100_000_000_000  # in seconds this is the year 5138
_ABSENT: Final = object()
_PATTERN_OPTIONS: Final = re2.Options()
_PATTERN_OPTIONS.max_mem = 1024 * 1024
_PATTERN_OPTIONS.log_errors = False
Path = tuple[str, ...]


class StepError(ValueError):
    """A step cannot put this event right. `pointer` is the place; the text holds no value."""

    def __init__(self, pointer: str, detail: str) -> None:
        super().__init__(detail)
        self.pointer = pointer
        self.detail = detail


@dataclass(frozen=True, slots=True)
class Step:
    """One compiled step. `said` is what people read of it."""

    kind: str
    at: Path
    said: str
    run: Callable[[dict[str, Any]], None]


@dataclass(frozen=True, slots=True)
class Steps:
    """A compiled repair; without steps it changes nothing."""

    steps: tuple[Step, ...] = ()

    def apply(self, event: Mapping[str, Any]) -> dict[str, Any]:
        """The event put right, as a new document. Raises StepError."""
        found: dict[str, Any] = json.loads(json.dumps(event)) if self.steps else dict(event)
        for step in self.steps:
            step.run(found)
        return found

    @property
    def said(self) -> list[str]:
        return [step.said for step in self.steps]


def compile_steps(declared: object) -> Steps:
    """Read and compile declared steps. Raises InvalidError that names every faulty step."""
    if not isinstance(declared, Sequence) or isinstance(declared, str | bytes):
        raise _invalid([FieldError("/steps", "type", "must be a list of steps")])
    if len(declared) > MAX_STEPS:
        raise _invalid([FieldError("/steps", "maxItems", f"may have {MAX_STEPS} steps at most")])
    compiled, faults = [], []
    for number, step in enumerate(declared):
        try:
            compiled.append(_compile(step))
        except _FaultError as fault:
            place = f"/steps/{number}" + (f"/{fault.member}" if fault.member else "")
            faults.append(FieldError(place, "step", str(fault)))
    if faults:
        raise _invalid(faults)
    return Steps(tuple(compiled))


def _invalid(faults: list[FieldError]) -> InvalidError:
    return InvalidError("The repair cannot be read.", code="repair", errors=faults)


class _FaultError(ValueError):
    def __init__(self, member: str, detail: str) -> None:
        super().__init__(detail)
        self.member = member


def _compile(step: object) -> Step:
    if not isinstance(step, Mapping):
        raise _FaultError("", "must be an object")
    kind = step.get("do")
    if not isinstance(kind, str) or kind not in KINDS:
        raise _FaultError("do", f"must be one of {', '.join(KINDS)}")
    for name in step:
        if name not in KINDS[kind] | {"do"}:
            raise _FaultError("", f"has a member that {kind} does not know")
    for name in sorted(KINDS[kind]):
        if name not in step:
            raise _FaultError(name, f"is needed by {kind}")
    at = _path(step["at"], "at")
    said, run = _MAKERS[kind](at, step)
    return Step(kind, at, said, run)


def _path(value: object, member: str) -> Path:
    """The parts of a pointer that a repair may touch."""
    if not isinstance(value, str) or len(value) > MAX_POINTER:
        raise _FaultError(member, f"must be a JSON Pointer of {MAX_POINTER} characters at most")
    if not value.startswith("/"):
        raise _FaultError(member, "must begin with /, as in /data/price")
    if not value.isprintable():
        raise _FaultError(member, "holds a character that no name has")
    parts = tuple(part.replace("~1", "/").replace("~0", "~") for part in value.split("/")[1:])
    if parts[0] in UNTOUCHED:
        raise _FaultError(member, f"{parts[0]} is part of what the event is and stays as it came")
    if not parts[0]:
        raise _FaultError(member, "must name an attribute, or a place in /data")
    if len(parts) > 1 and parts[0] != "data":
        raise _FaultError(member, "only data has places inside")
    return parts


def pointer_of(path: Path) -> str:
    """The JSON Pointer of a path, `~` and `/` in names escaped."""
    return "".join(f"/{pointer_part(part)}" for part in path)


# --- Places -----------------------------------------------------------------------------------


def _parents(event: dict[str, Any], path: Path) -> Iterator[tuple[Any, str | int]]:
    """Each object or array that holds the place, with the last part; absent ones are left out."""
    holders: list[Any] = [event]
    for part in path[:-1]:
        holders = [
            value
            for holder in holders
            for key in _keys(holder, part)
            if (value := _get(holder, key)) is not _ABSENT
        ]
    for holder in holders:
        for key in _keys(holder, path[-1]):
            if isinstance(holder, dict | list):
                yield holder, key


def _keys(holder: Any, part: str) -> list[str | int]:
    if isinstance(holder, list):
        if part == "*":
            return list(range(len(holder)))
        return [int(part)] if part.isascii() and part.isdigit() and int(part) < len(holder) else []
    return [part] if isinstance(holder, dict) else []


def _get(holder: Any, key: str | int) -> Any:
    if isinstance(holder, dict):
        return holder.get(key, _ABSENT)
    return holder[key]


def _change(path: Path, change: Callable[[Any, dict[str, Any]], Any]) -> Callable[..., None]:
    """A run that exchanges each present value at a place."""

    def run(event: dict[str, Any]) -> None:
        for holder, key in _parents(event, path):
            value = _get(holder, key)
            if value is not _ABSENT:
                try:
                    holder[key] = change(value, event)
                except _CannotError as error:
                    raise StepError(pointer_of(path), str(error)) from error

    return run


class _CannotError(ValueError):
    pass


# --- Kinds ------------------------------------------------------------------------------------

_Made = tuple[str, Callable[[dict[str, Any]], None]]


def _rename(at: Path, step: Mapping[str, Any]) -> _Made:
    to = _path(step["to"], "to")
    if at == to:
        raise _FaultError("to", "is the same place")
    is_sibling = at[:-1] == to[:-1]
    if "*" in at + to and not is_sibling:
        raise _FaultError("to", "with * both places are in the same object")
    if to[: len(at)] == at or at[: len(to)] == to:
        raise _FaultError("to", "must not lie inside the other place")
    if "*" in (at[-1], to[-1]):
        raise _FaultError("at", "must end in a name")

    def run(event: dict[str, Any]) -> None:
        for holder, key in list(_parents(event, at)):
            if not isinstance(holder, dict) or key not in holder:
                continue
            targets = [(holder, to[-1])] if is_sibling else list(_parents(event, to))
            if not targets or not isinstance(targets[0][0], dict):
                raise StepError(pointer_of(to), "has no object to stand in")
            target, name = targets[0]
            if name in target:
                raise StepError(pointer_of(to), "is there already")
            target[name] = holder.pop(key)

    return f"Rename {pointer_of(at)} to {pointer_of(to)}", run


def _default(at: Path, step: Mapping[str, Any]) -> _Made:
    value = step["value"]
    try:
        text = json.dumps(value, allow_nan=False)
    except (TypeError, ValueError, RecursionError):
        raise _FaultError("value", "must be JSON") from None
    if len(text) > MAX_VALUE_BYTES:
        raise _FaultError("value", f"may have {MAX_VALUE_BYTES:,} characters at most")

    def run(event: dict[str, Any]) -> None:
        for holder, key in _parents(event, at):
            if isinstance(holder, dict) and key not in holder:
                holder[key] = json.loads(text)

    return f"Set {pointer_of(at)} to {text[:60]} where it is missing", run


def _remove(at: Path, step: Mapping[str, Any]) -> _Made:
    del step

    def run(event: dict[str, Any]) -> None:
        for holder, key in reversed(list(_parents(event, at))):
            if isinstance(holder, list) or key in holder:
                del holder[key]

    return f"Remove {pointer_of(at)}", run


def _cast(at: Path, step: Mapping[str, Any]) -> _Made:
    to = step["to"]
    if not isinstance(to, str) or to not in TYPES:
        raise _FaultError("to", f"must be one of {', '.join(TYPES)}")
    change = _CASTS[to]
    words = {"integer": "a whole number", "number": "a number", "string": "text",
             "boolean": "true or false", "date-time": "a time"}  # fmt: skip
    return f"Convert {pointer_of(at)} to {words[to]}", _change(at, lambda value, _: change(value))


def _replace(at: Path, step: Mapping[str, Any]) -> _Made:
    pattern, by = step["pattern"], step["with"]
    if not isinstance(pattern, str) or not 0 < len(pattern) <= MAX_PATTERN:
        raise _FaultError("pattern", f"must be a text of 1 to {MAX_PATTERN} characters")
    if not isinstance(by, str) or len(by) > MAX_PATTERN:
        raise _FaultError("with", f"must be a text of {MAX_PATTERN} characters at most")
    try:
        compiled = re2.compile(pattern, _PATTERN_OPTIONS)
        compiled.sub(by, "")
        # A group that the pattern lacks is only noticed in a match.
        re2.compile(f"(?:{pattern})?", _PATTERN_OPTIONS).sub(by, "")
    except (re2.error, IndexError, UnicodeError, KeyError) as error:
        raise _FaultError("pattern", f"is not a pattern that RE2 takes: {_said(error)}") from error

    def change(value: Any, event: dict[str, Any]) -> Any:
        del event
        if not isinstance(value, str):
            raise _CannotError("is not a text")
        if len(value) > MAX_TEXT:
            raise _CannotError("is longer than a text may be")
        found = compiled.sub(by, value)
        if len(found) > MAX_TEXT:
            raise _CannotError("would become longer than a text may be")
        return found

    return f"Replace {pattern[:60]} in {pointer_of(at)} by {by[:60] or 'nothing'}", _change(
        at, change
    )


def _said(error: Exception) -> str:
    first = error.args[0] if error.args else ""
    text = first.decode("utf-8", "replace") if isinstance(first, bytes) else str(first)
    return text.partition(":")[0][:100]


def _map(at: Path, step: Mapping[str, Any]) -> _Made:
    values = step["values"]
    if not isinstance(values, Mapping) or not 0 < len(values) <= MAX_VALUES:
        raise _FaultError("values", f"must be an object of 1 to {MAX_VALUES} members")
    table: dict[str, Any] = {}
    for key, value in values.items():
        if not isinstance(value, str | int | float | bool | None):
            raise _FaultError("values", "must hold texts, numbers, booleans or null")
        table[str(key)] = value

    def change(value: Any, event: dict[str, Any]) -> Any:
        del event
        return table.get(value, value) if isinstance(value, str) else value

    count = f"{len(table)} value{'' if len(table) == 1 else 's'}"
    return f"Exchange {count} of {pointer_of(at)} by a table", _change(at, change)


def _compute(at: Path, step: Mapping[str, Any]) -> _Made:
    text = step["expression"]
    if not isinstance(text, str):
        raise _FaultError("expression", "must be a text")
    try:
        expression: Expression = compile_expression(text, ("event", "data", "value"))
    except InvalidError as error:
        raise _FaultError("expression", error.errors[0].detail) from error

    def run(event: dict[str, Any]) -> None:
        for holder, key in _parents(event, at):
            value = _get(holder, key)
            try:
                holder[key] = expression.value(
                    {
                        "event": event,
                        "data": event.get("data"),
                        "value": None if value is _ABSENT else value,
                    }
                )
            except CelError as error:
                raise StepError(pointer_of(at), f"the expression {error}") from error

    return f"Set {pointer_of(at)} to {text[:80]}", run


_MAKERS: Final[Mapping[str, Callable[[Path, Mapping[str, Any]], _Made]]] = {
    "rename": _rename,
    "cast": _cast,
    "default": _default,
    "remove": _remove,
    "replace": _replace,
    "map": _map,
    "compute": _compute,
}


# --- Casts ------------------------------------------------------------------------------------

_WHOLE: Final = re2.compile(r"[+-]?[0-9]{1,19}(\.0{1,20})?")
_NUMBER: Final = re2.compile(r"[+-]?[0-9]{1,30}(\.[0-9]{1,30})?([eE][+-]?[0-9]{1,3})?")
_TRUE: Final = {"true": True, "1": True, "false": False, "0": False}


def _to_integer(value: Any) -> Any:
    if isinstance(value, bool):
        raise _CannotError("is true or false, not a number")
    if isinstance(value, str):
        text = value.strip()
        if not _WHOLE.fullmatch(text):
            raise _CannotError("is text that is no whole number")
        value = int(text.partition(".")[0])
    if isinstance(value, float):
        if not value.is_integer() or abs(value) >= _INT64:
            raise _CannotError("has a fraction, or is beyond 64 bits")
        value = int(value)
    if not isinstance(value, int):
        raise _CannotError("is neither text nor a number")
    if not -_INT64 <= value < _INT64:
        raise _CannotError("is beyond 64 bits")
    return value


def _to_number(value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise _CannotError("is neither text nor a number")
    if not isinstance(value, str):
        return value
    text = value.strip()
    if not _NUMBER.fullmatch(text):
        raise _CannotError("is text that is no number")
    found = float(text)
    if not math.isfinite(found):
        raise _CannotError("is beyond what a number can be")
    if _WHOLE.fullmatch(text) and "." not in text and abs(int(text)) < _INT64:
        return int(text)
    return found


def _to_text(value: Any) -> Any:
    if isinstance(value, str):
        return value
    if value is None or isinstance(value, dict | list):
        raise _CannotError("has no plain text")
    return json.dumps(value)


def _to_boolean(value: Any) -> Any:
    if isinstance(value, bool):
        return value
    text = str(value).strip().lower() if isinstance(value, str | int) else ""
    if text not in _TRUE:
        raise _CannotError("is neither true nor false")
    return _TRUE[text]


def _to_time(value: Any) -> Any:
    """Epoch seconds or milliseconds, or a text that `datetime` reads, as RFC 3339 in UTC."""
    if isinstance(value, str) and not _NUMBER.fullmatch(value.strip()):
        try:
            at = datetime.fromisoformat(value.strip())
        except ValueError:
            raise _CannotError("is text that is no time") from None
        at = at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
        return at.isoformat().replace("+00:00", "Z")
    number = _to_number(value)
    seconds = number / 1000 if abs(number) >= _EPOCH_MS_FROM else number
    try:
        return datetime.fromtimestamp(seconds, UTC).isoformat().replace("+00:00", "Z")
    except (OverflowError, ValueError, OSError):
        raise _CannotError("is a number that is no time") from None


_CASTS: Final[Mapping[str, Callable[[Any], Any]]] = {
    "integer": _to_integer,
    "number": _to_number,
    "string": _to_text,
    "boolean": _to_boolean,
    "date-time": _to_time,
}
