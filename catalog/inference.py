"""From sample events to a contract: types, formats, requiredness, examples, privacy suggestions.

A sample may be a CloudEvent (its `data` is taken, `type` and `source` are proposed), also one that
forgot `specversion`, a tracking
call (`event` and `properties`) or plain JSON. Merging is monotone: every sample given is valid
under the schema inferred from them. Formats are only claimed when all values have them; an enum is
never guessed, because the next value would break it.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from catalog import naming
from catalog.style_lint import looks_personal
from portal.kernel.errors import BadRequestError, FieldError, InvalidError, PortalError

MAX_SAMPLES: Final = 200
MAX_DEPTH: Final = 20
DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
_FORMATS: Final[tuple[tuple[str, re.Pattern[str]], ...]] = (
    (
        "date-time",
        re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)", re.ASCII),
    ),
    ("date", re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)),
    ("uuid", re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII | re.IGNORECASE)),
    ("email", re.compile(r"[A-Za-z0-9._%+-]+@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+", re.ASCII)),
    ("uri", re.compile(r"https?://[^\s<>\"{}|\\^`]+", re.ASCII)),
    (
        "ipv4",
        re.compile(r"(25[0-5]|2[0-4]\d|1?\d?\d)(\.(25[0-5]|2[0-4]\d|1?\d?\d)){3}", re.ASCII),
    ),
)
_PERSONAL_FORMATS: Final = frozenset({"email", "ipv4"})
_EXAMPLE_LENGTH: Final = 80


@dataclass(frozen=True, slots=True)
class Suggestion:
    """Something to accept or drop: a rule's name, the field's path, and the schema words it sets."""

    rule: str
    path: str
    message: str
    sets: dict[str, str]


@dataclass(frozen=True, slots=True)
class Inferred:
    """What samples say. `name`, `source` and `subject` come from their envelope, if any."""

    document: dict[str, Any]
    suggestions: tuple[Suggestion, ...]
    samples: int
    name: str = ""
    source: str = ""
    subject: str = ""
    shape: str = "json"


@dataclass(slots=True)
class _Seen:
    """What was seen at one place over all samples."""

    count: int = 0
    types: set[str] = field(default_factory=set)
    formats: set[str] | None = None
    example: Any = None
    properties: dict[str, "_Seen"] = field(default_factory=dict)
    objects: int = 0
    items: "_Seen | None" = None


def infer(samples: Sequence[Any]) -> Inferred:
    """Infer a contract. Raises InvalidError without samples, or when one is not an object."""
    if not samples:
        raise InvalidError("Give at least one event.", code="no_samples")
    if len(samples) > MAX_SAMPLES:
        raise BadRequestError(f"At most {MAX_SAMPLES} events.", code="too_many_samples")
    root = _Seen()
    envelope: dict[str, str] = {}
    shape = "json"
    for index, sample in enumerate(samples):
        if not isinstance(sample, Mapping):
            raise InvalidError(
                "Events are JSON objects.",
                errors=[FieldError(f"/events/{index}", "type", "must be a JSON object")],
            )
        shape, said, data = _unwrap(sample)
        envelope = {**said, **envelope}
        _observe(root, data, 0)
    suggestions: list[Suggestion] = []
    document = {"$schema": DIALECT, **_schema(root, "", suggestions)}
    return Inferred(
        document=document,
        suggestions=tuple(suggestions),
        samples=len(samples),
        name=_name(envelope.get("name", "")),
        source=envelope.get("source", ""),
        subject=envelope.get("subject", ""),
        shape=shape,
    )


def apply_suggestions(
    document: dict[str, Any], suggestions: Sequence[Suggestion]
) -> dict[str, Any]:
    """The document with suggestions accepted: their words set on their fields."""
    changed: dict[str, Any] = _copy(document)
    for suggestion in suggestions:
        target = _at(changed, suggestion.path)
        if target is not None:
            target.update(suggestion.sets)
    return changed


def _unwrap(sample: Mapping[str, Any]) -> tuple[str, dict[str, str], Any]:
    if "type" in sample and ("specversion" in sample or _is_bare_envelope(sample)):
        said = {
            "name": _text(sample.get("type")),
            "source": _text(sample.get("source")),
            "subject": _text(sample.get("subject")),
        }
        data = sample.get("data", {})
        return "cloudevent", said, data if isinstance(data, Mapping) else {}
    body = sample.get("properties", sample.get("traits"))
    if isinstance(body, Mapping) and ("event" in sample or sample.get("type") in _CALLS):
        said = {
            "name": _text(sample.get("event") or sample.get("type")),
            "subject": _text(sample.get("userId") or sample.get("anonymousId")),
        }
        return "tracking", said, body
    return "json", {}, sample


_CALLS: Final = frozenset({"track", "identify", "page", "screen", "group", "alias"})


def _is_bare_envelope(sample: Mapping[str, Any]) -> bool:
    """A CloudEvent that forgot to name its version: `type` and `data` beside its identity."""
    return isinstance(sample.get("data"), Mapping) and bool({"id", "source", "time"} & set(sample))


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _name(original: str) -> str:
    if not original:
        return ""
    try:
        return naming.from_outside(original, domain="new")
    except PortalError:
        return ""


def _observe(seen: _Seen, value: Any, depth: int) -> None:
    seen.count += 1
    kind = _kind(value)
    seen.types.add(kind)
    if seen.example is None and kind not in ("object", "array", "null"):
        seen.example = value[:_EXAMPLE_LENGTH] if isinstance(value, str) else value
    if isinstance(value, str):
        fitting = {name for name, pattern in _FORMATS if pattern.fullmatch(value)}
        seen.formats = fitting if seen.formats is None else seen.formats & fitting
    if depth >= MAX_DEPTH:
        return
    if isinstance(value, Mapping):
        seen.objects += 1
        for key, item in value.items():
            _observe(seen.properties.setdefault(str(key), _Seen()), item, depth + 1)
    elif isinstance(value, list):
        seen.items = seen.items or _Seen()
        for item in value:
            _observe(seen.items, item, depth + 1)


def _kind(value: Any) -> str:
    if value is None:
        return "null"
    for kinds, name in ((bool, "boolean"), (int, "integer"), (float, "number"), (str, "string")):
        if isinstance(value, kinds):
            return name
    return "array" if isinstance(value, list) else "object"


def _schema(seen: _Seen, path: str, suggestions: list[Suggestion]) -> dict[str, Any]:
    types = set(seen.types)
    if "number" in types:
        types.discard("integer")
    schema: dict[str, Any] = {"type": min(types) if len(types) == 1 else sorted(types)}
    if types == {"string"} and seen.formats:
        schema["format"] = next(name for name, _ in _FORMATS if name in seen.formats)
    if seen.example is not None and not types & {"object", "array"}:
        schema["examples"] = [seen.example]
    if "object" in types:
        schema["properties"] = {
            key: _schema(item, f"{path}.{key}" if path else key, suggestions)
            for key, item in seen.properties.items()
        }
        schema["required"] = sorted(
            key for key, item in seen.properties.items() if item.count == seen.objects
        )
    if "array" in types and seen.items is not None and seen.items.count:
        schema["items"] = _schema(seen.items, f"{path}[]", suggestions)
    if path:
        _suggest(path, schema, suggestions)
    return schema


def _suggest(path: str, schema: dict[str, Any], suggestions: list[Suggestion]) -> None:
    name = path.rpartition(".")[2]
    if schema.get("format") in _PERSONAL_FORMATS or looks_personal(name.removesuffix("[]")):
        schema.pop("examples", None)  # a real person's value is no example
        suggestions.append(
            Suggestion(
                "personal",
                path,
                f"{name} looks personal: label it, and store a token instead of the value.",
                {"x-classification": "personal", "x-privacy": "tokenize"},
            )
        )
    if name.endswith(("_minor", "_cents")) and schema.get("type") == "integer":
        suggestions.append(
            Suggestion("money", path, f"{name} is money in minor units.", {"x-unit": "minor units"})
        )
    unit = name.rpartition("_")[2]
    if unit in _UNITS and schema.get("type") in ("integer", "number"):
        suggestions.append(
            Suggestion("unit", path, f"{name} is in {_UNITS[unit]}.", {"x-unit": _UNITS[unit]})
        )


_UNITS: Final = {"ms": "milliseconds", "seconds": "seconds", "bytes": "bytes", "percent": "percent"}


def _copy(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _copy(item) for key, item in value.items()}
    return [_copy(item) for item in value] if isinstance(value, list) else value


def _at(document: dict[str, Any], path: str) -> dict[str, Any] | None:
    target: Any = document
    for step in path.split("."):
        name, deeper = step.removesuffix("[]"), step.endswith("[]")
        target = target.get("properties", {}).get(name) if isinstance(target, dict) else None
        if deeper and isinstance(target, dict):
            target = target.get("items")
    return target if isinstance(target, dict) else None
