"""From sample events to a contract: types, formats, requiredness, enums, examples, suggestions.

A sample may be a CloudEvent (its `data` is taken, `type` and `source` are proposed), also one that
forgot `specversion`, a tracking call (`event` and `properties`) or plain JSON.

1. Merging is monotone: every sample given is valid under the schema inferred from them.
2. A format is claimed when all texts of a field have it, as the validator judges it; `hostname`
   only where the name asks for it too, for any word is one.
3. An enum is claimed for at most MAX_ENUM short texts over at least ENUM_SAMPLES values, each seen
   twice or more; the note says how many, and one click opens it.
4. Integers stay integers until a fraction is seen; ranges are never invented.
5. Objects whose keys are data (many, each rare) become `additionalProperties`.
6. Requiredness says in how many samples it was seen, and what that is worth.
7. Suggestions (privacy, units, money) are findings of the house rules with what was seen in values;
   a value that looks personal is never kept as an example.
"""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Final

from catalog import naming
from catalog.detector import kinds_in
from catalog.field_index import fields_of
from catalog.fixes import apply_patch
from catalog.neighbours import Neighbours
from catalog.personal import IN_TEXT, kind_of_name, kind_of_value
from catalog.style_lint import Finding, lint
from portal.kernel.errors import BadRequestError, FieldError, InvalidError, PortalError
from portal.kernel.json_schema import compile_schema

MAX_SAMPLES: Final = 1_000
MAX_DEPTH: Final = 20
MAX_FIELDS: Final = 2_000
DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
ENUM_SAMPLES: Final = 20
MAX_ENUM: Final = 8
MAX_DISTINCT: Final = 50
MAX_EXAMPLES: Final = 3
MAP_KEYS: Final = 30
# The first that all values have is claimed. The pattern is a cheap guard before the validator.
_FORMATS: Final[tuple[tuple[str, re.Pattern[str]], ...]] = tuple(
    (name, re.compile(pattern, re.ASCII | re.IGNORECASE))
    for name, pattern in (
        ("date-time", r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)"),
        ("date", r"\d{4}-\d\d-\d\d"),
        ("time", r"\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)"),
        ("uuid", r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"),
        ("email", r"[A-Za-z0-9._%+-]+@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+"),
        ("uri", r"[a-z][a-z0-9+.-]*://[^\s<>\"{}|\\^`]+"),
        ("ipv4", r"\d{1,3}(\.\d{1,3}){3}"),
        ("ipv6", r"[0-9a-f:.]*:[0-9a-f:.]*:[0-9a-f:.]*"),
        ("duration", r"P(?=.)(\d+[YMWD])*(T(\d+(\.\d+)?[HMS])+)?"),
        ("hostname", r"([a-z0-9]([a-z0-9-]*[a-z0-9])?\.)+[a-z]{2,}"),
    )
)
_HOST_WORDS: Final = frozenset({"host", "hostname", "domain", "fqdn", "server"})
_EXAMPLE_LENGTH: Final = 80
_ENUM_LENGTH: Final = 40
SUGGESTED: Final = frozenset({"personal_unlabelled", "unit", "unit_missing", "money_minor_units",
                              "money_currency"})  # fmt: skip


@dataclass(frozen=True, slots=True)
class FieldFact:
    """How often a field was seen, and what was made of it. `of` are the objects it could be in."""

    path: str
    seen: int
    of: int
    nulls: int
    required: bool
    confidence: str
    note: str
    personal: str = ""


@dataclass(frozen=True, slots=True)
class Inferred:
    """What samples say. `name`, `source` and `subject` come from their envelope, if any.

    `evidence` names the personal kind that values of a path were seen to be, with the reason.
    """

    document: dict[str, Any]
    suggestions: tuple[Finding, ...]
    samples: int
    facts: tuple[FieldFact, ...] = ()
    evidence: Mapping[str, str] = field(default_factory=dict)
    name: str = ""
    source: str = ""
    subject: str = ""
    shape: str = "json"


@dataclass(slots=True)
class _Seen:
    """What was seen at one place over all samples."""

    count: int = 0
    kinds: Counter[str] = field(default_factory=Counter)
    formats: set[str] | None = None
    texts: Counter[str] = field(default_factory=Counter)
    examples: list[Any] = field(default_factory=list)
    personal: Counter[str] = field(default_factory=Counter)
    texts_with: Counter[str] = field(default_factory=Counter)  # a personal value within them
    properties: dict[str, "_Seen"] = field(default_factory=dict)
    items: "_Seen | None" = None


@dataclass(slots=True)
class _Making:
    """The schema as it grows: facts in the order of the fields, and what values were seen to be."""

    samples: int
    facts: list[FieldFact] = field(default_factory=list)
    evidence: dict[str, str] = field(default_factory=dict)


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
    making = _Making(len(samples))
    document = {"$schema": DIALECT, **_schema(root, "", making)}
    findings = lint(fields_of(document), document, evidence=making.evidence)
    return Inferred(
        document=document,
        suggestions=tuple(finding for finding in findings if finding.rule in SUGGESTED),
        samples=len(samples),
        facts=tuple(making.facts),
        evidence=making.evidence,
        name=_name(envelope.get("name", "")),
        source=envelope.get("source", ""),
        subject=envelope.get("subject", ""),
        shape=shape,
    )


def accept_all(document: dict[str, Any], evidence: Mapping[str, str]) -> dict[str, Any]:
    """The document with the first fix of every suggestion that asks no producer to change."""
    changed = document
    for _ in range(3):  # a fix may bring the next suggestion: money wants a currency beside it
        open_ones = suggestions_of(changed, evidence)
        patches = [
            fix.patch
            for finding in open_ones
            for fix in [fix for fix in finding.fixes if not fix.changes_data][:1]
        ]
        if not patches:
            break
        for patch in patches:
            changed = apply_patch(changed, patch)
    return changed


def suggestions_of(
    document: Mapping[str, Any],
    evidence: Mapping[str, str],
    neighbours: Neighbours | None = None,
) -> list[Finding]:
    """The suggestions that are still open for a document."""
    found = lint(fields_of(document), document, evidence=evidence, neighbours=neighbours)
    return [finding for finding in found if finding.rule in SUGGESTED]


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


# --- Looking -----------------------------------------------------------------------------------


def _observe(seen: _Seen, value: Any, depth: int) -> None:
    seen.count += 1
    kind = _kind(value)
    seen.kinds[kind] += 1
    if kind in ("string", "integer", "number", "boolean"):
        _observe_scalar(seen, value)
    if depth >= MAX_DEPTH:
        return
    if isinstance(value, Mapping):
        for key, item in value.items():
            _observe(seen.properties.setdefault(str(key), _Seen()), item, depth + 1)
    elif isinstance(value, list):
        seen.items = seen.items or _Seen()
        for item in value:
            _observe(seen.items, item, depth + 1)


def _observe_scalar(seen: _Seen, value: Any) -> None:
    personal = kind_of_value(value)
    if personal is not None:
        seen.personal[personal.name] += 1
    elif isinstance(value, str):
        seen.texts_with.update(kinds_in(value))
    short = value[:_EXAMPLE_LENGTH] if isinstance(value, str) else value
    if len(seen.examples) < MAX_EXAMPLES and not any(
        short == old and type(short) is type(old) for old in seen.examples
    ):
        seen.examples.append(short)
    if not isinstance(value, str):
        return
    if len(seen.texts) <= MAX_DISTINCT:
        seen.texts[value[: _ENUM_LENGTH + 1]] += 1
    if seen.formats is None:
        seen.formats = {name for name, _ in _FORMATS if _has_format(name, value)}
    elif seen.formats:
        seen.formats = {name for name in seen.formats if _has_format(name, value)}


def _has_format(name: str, value: str) -> bool:
    return bool(_PATTERNS[name].fullmatch(value)) and _validator(name).is_valid(value)


_PATTERNS: Final = dict(_FORMATS)


@cache
def _validator(name: str) -> Any:
    """The judge of a format is the one that will judge events."""
    return compile_schema({"type": "string", "format": name})


def _kind(value: Any) -> str:
    if value is None:
        return "null"
    for kinds, name in ((bool, "boolean"), (int, "integer"), (float, "number"), (str, "string")):
        if isinstance(value, kinds):
            return name
    return "array" if isinstance(value, list) else "object"


# --- Concluding --------------------------------------------------------------------------------


def _schema(seen: _Seen, path: str, making: _Making) -> dict[str, Any]:
    types = set(seen.kinds)
    if "number" in types:
        types.discard("integer")
    schema: dict[str, Any] = {"type": min(types) if len(types) == 1 else sorted(types)}
    name = path.rpartition(".")[2].removesuffix("[]")
    is_text = types <= {"string", "null"} and "string" in types
    made_format = _format_of(seen, name) if is_text else ""
    if made_format:
        schema["format"] = made_format
    personal = _personal_of(seen, name, made_format)
    if personal:
        making.evidence[path] = personal
    if is_text and not made_format and not personal and kind_of_name(name) is None:
        values = _enum_of(seen)
        if values:
            schema["enum"] = [*values, None] if "null" in types else values
    plain = not types & {"object", "array"}
    private = bool(personal) or kind_of_name(name) is not None or made_format == "email"
    if seen.examples and plain and not private and "enum" not in schema:
        examples = [value for value in seen.examples if _is_whole(value, made_format)]
        if examples:
            schema["examples"] = examples
    if "object" in types:
        schema |= _members(seen, path, making)
    if "array" in types and seen.items is not None and seen.items.count:
        schema["items"] = _schema(seen.items, f"{path}[]", making)
    return schema


def _is_whole(value: Any, made_format: str) -> bool:
    """An example cut short may not have the format any more."""
    return not made_format or not isinstance(value, str) or _has_format(made_format, value)


def _members(seen: _Seen, path: str, making: _Making) -> dict[str, Any]:
    """The members of an object, or of a map when its keys are data."""
    objects = seen.kinds["object"]
    room = MAX_FIELDS - len(making.facts)
    if _is_map(seen, objects) or len(seen.properties) > room:
        merged = _Seen()
        for item in seen.properties.values():
            _merge(merged, item)
        inner = _Making(making.samples)
        body = _schema(merged, f"{path}.*" if path else "*", inner)
        # Keys and values of a map may be anybody's: none of them becomes an example.
        body.pop("examples", None)
        return {"additionalProperties": body}
    found: dict[str, Any] = {"properties": {}}
    for key, item in seen.properties.items():
        where = f"{path}.{key}" if path else key
        required = item.count == objects
        place = len(making.facts)
        making.facts.append(_fact(where, item, objects, required, making.samples))
        found["properties"][key] = _schema(item, where, making)
        if where in making.evidence:
            old = making.facts[place]
            making.facts[place] = FieldFact(
                old.path, old.seen, old.of, old.nulls, old.required, old.confidence, old.note,
                making.evidence[where].partition(":")[0],
            )  # fmt: skip
    found["required"] = sorted(k for k, item in seen.properties.items() if item.count == objects)
    return found


def _fact(path: str, item: _Seen, of: int, required: bool, samples: int) -> FieldFact:
    """In how many objects a field was, and what that is worth: with n of n seen, at most 3/n of
    events lack it, 95 % sure (the rule of three)."""
    confidence = "low" if of < 10 else "medium" if of < 60 else "high"
    unit = "samples" if "[]" not in path and of <= samples else "places"
    note = f"in {item.count} of {of} {unit if of != 1 else unit.removesuffix('s')}"
    if required and of >= 10:
        note += f"; at most {min(100, -(-300 // of))} % may lack it"
    return FieldFact(path, item.count, of, item.kinds["null"], required, confidence, note)


def _is_map(seen: _Seen, objects: int) -> bool:
    count = len(seen.properties)
    if count <= MAP_KEYS:
        return False
    return max(item.count for item in seen.properties.values()) <= max(1, objects // 4)


def _merge(into: _Seen, other: _Seen) -> None:
    """Both places as one. Formats agree only when both do."""
    into.count += other.count
    into.kinds.update(other.kinds)
    into.texts.update(other.texts)
    into.personal.update(other.personal)
    into.texts_with.update(other.texts_with)
    if other.formats is not None:
        into.formats = other.formats if into.formats is None else into.formats & other.formats
    for key, item in other.properties.items():
        _merge(into.properties.setdefault(key, _Seen()), item)
    if other.items is not None:
        into.items = into.items or _Seen()
        _merge(into.items, other.items)


def _format_of(seen: _Seen, name: str) -> str:
    for made, _ in _FORMATS:
        if made in (seen.formats or ()):
            words = set(name.lower().split("_"))
            return made if made != "hostname" or words & _HOST_WORDS else ""
    return ""


def _enum_of(seen: _Seen) -> list[str]:
    """The few values a text was seen to have; none when there are many, rare or long ones."""
    total = sum(seen.texts.values())
    if total < ENUM_SAMPLES or not 1 < len(seen.texts) <= MAX_ENUM:
        return []
    if min(seen.texts.values()) < 2 or max(map(len, seen.texts)) > _ENUM_LENGTH:
        return []
    return sorted(seen.texts) if all(seen.texts) else []


def _personal_of(seen: _Seen, name: str, made_format: str) -> str:
    """The personal kind of the values, or of what texts hold beside other words, with the reason;
    "" when there is none."""
    if made_format in ("uuid", "date-time", "date"):
        return ""
    total = sum(seen.kinds[item] for item in ("string", "integer"))
    for kind, count in seen.personal.most_common():
        is_rare = count < total * 0.9 and kind in ("card", "iban")
        if not is_rare and not _may_be_chance(kind, count, name):
            return f"{kind}:{count} of {total} {'values are' if total > 1 else 'value is'} one"
    for kind, count in seen.texts_with.most_common():
        if not _may_be_chance(kind, count, name):
            return f"{kind}{IN_TEXT}:in {count} of {total} {'values' if total > 1 else 'value'}"
    return ""


def _may_be_chance(kind: str, count: int, name: str) -> bool:
    """One number in ten has the check digit of a card by chance."""
    named = kind_of_name(name)
    return kind == "card" and count < 3 and not (named is not None and named.name == "card")
