"""Segment tracking plans, read into streams.

1. Three shapes are read: the rules of the Public API (`rules: [{type, key, jsonSchema, version}]`),
   a plan that holds them, and the older Config API's (`rules: {events, global, identify, group}`).
2. A rule's schema is of the whole message; the stream's contract is the schema of its `properties`
   or `traits`, which is what becomes `data`. What the rule says of `context` and the like is kept.
3. A tracked event gives a stream of its name; identify, group, page and screen give streams of these
   names, as events sent to `/v1/identify` and the like arrive in them.
4. Rules of one name and several versions are versions of one stream, in order.
5. A common (global) rule holds for every tracked event: it is joined to their schemas.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from catalog.exchange.bounded_yaml import MAX_DEPTH
from catalog.exchange.documents import OutsideStream, OutsideVersion, Unreadable
from catalog.exchange.schema_references import FaultError, Tokens, pointer_of, with_references
from portal.kernel.strict_json import depth_of

EXTENSION: Final = "segment"
_TYPES: Final = ("TRACK", "IDENTIFY", "GROUP", "PAGE", "SCREEN", "COMMON")
_OLD_KINDS: Final = {"global": "COMMON", "identify": "IDENTIFY", "group": "GROUP"}
_PART: Final = {"IDENTIFY": "traits", "GROUP": "traits"}
_DRAFT_7: Final = "http://json-schema.org/draft-07/schema#"


@dataclass(frozen=True, slots=True)
class _Rule:
    """One rule: what it is of, its schema of the whole message, and all else it says."""

    kind: str
    key: str
    version: Any
    schema: Mapping[str, Any]
    place: Tokens
    description: str
    others: Mapping[str, Any]

    @property
    def name(self) -> str:
        if self.kind == "TRACK":
            return self.key
        own = self.kind.lower()
        return own if self.key.lower() in ("", own) else f"{own} {self.key}"


def is_plan(document: Any) -> bool:
    """Whether a parsed document is a tracking plan, in one of the shapes that are read."""
    if not isinstance(document, Mapping):
        return False
    inner, _ = _unwrapped(document)
    rules = inner.get("rules")
    if isinstance(rules, Mapping):
        return bool({"events", *_OLD_KINDS} & set(rules))
    if not isinstance(rules, list):
        return False
    first = rules[0] if rules else {}
    return (isinstance(first, Mapping) and "jsonSchema" in first) or "trackingPlan" in inner


def read(document: Mapping[str, Any], *, where: str) -> list[OutsideStream | Unreadable]:
    """A stream per event of the plan; its document is the schema of the event's `properties` or
    `traits`, which is what becomes `data`. Nothing is raised."""
    if not is_plan(document):
        return [Unreadable(where, "is no Segment tracking plan: it needs rules")]
    if depth_of(document) > MAX_DEPTH:
        return [Unreadable(where, f"is nested deeper than {MAX_DEPTH} levels")]
    inner, base = _unwrapped(document)
    rules: list[_Rule] = []
    found: list[OutsideStream | Unreadable] = []
    for one in _rules(inner, base):
        if isinstance(one, FaultError):
            found.append(Unreadable(f"{where}{pointer_of(one.place)}", one.why))
        else:
            rules.append(one)
    common = [rule for rule in rules if rule.kind == "COMMON"]
    plan = {"plan": _plan(inner)}
    by_name: dict[str, list[_Rule]] = {}
    for rule in rules:
        if rule.kind != "COMMON":
            by_name.setdefault(rule.name, []).append(rule)
    for name, group in by_name.items():
        found.append(_stream(name, sorted(group, key=_order), common, plan, where))
    if not found:
        found.append(Unreadable(where, "has no rules, so no streams"))
    return found


def _unwrapped(document: Mapping[str, Any]) -> tuple[Mapping[str, Any], Tokens]:
    """The plan inside of an API's answer (`{"data": …}`, `{"trackingPlan": {…, "rules": …}}`)."""
    inner: Mapping[str, Any] = document
    place: Tokens = ()
    for key in ("data", "trackingPlan", "tracking_plan"):
        held = inner.get(key)
        if isinstance(held, Mapping) and "rules" not in inner:
            inner, place = held, (*place, key)
    return inner, place


def _plan(inner: Mapping[str, Any]) -> dict[str, Any]:
    """What the plan says of itself."""
    held = inner.get("trackingPlan")
    own = {key: item for key, item in inner.items() if key not in ("rules", "trackingPlan")}
    return {**(held if isinstance(held, Mapping) else {}), **own}


def _rules(inner: Mapping[str, Any], base: Tokens) -> Iterator[_Rule | FaultError]:
    rules = inner["rules"]
    if isinstance(rules, list):
        for number, raw in enumerate(rules):
            yield _checked(raw, (*base, "rules", str(number)), "")
        return
    place = (*base, "rules")
    events = rules.get("events", [])
    if not isinstance(events, list):
        yield FaultError((*place, "events"), "must be a list of events")
        events = []
    for number, raw in enumerate(events):
        yield _checked(raw, (*place, "events", str(number)), "TRACK")
    for word, kind in _OLD_KINDS.items():
        raw = rules.get(word)
        if raw is not None and raw != {}:
            wrapped = raw if isinstance(raw, Mapping) and "rules" in raw else {"rules": raw}
            yield _checked(wrapped, (*place, word), kind)


def _checked(raw: Any, place: Tokens, kind: str) -> _Rule | FaultError:
    try:
        return _rule(raw, place, kind)
    except FaultError as fault:
        return fault


def _rule(raw: Any, place: Tokens, kind: str) -> _Rule:
    if not isinstance(raw, Mapping):
        raise FaultError(place, "must be an object")
    is_old = bool(kind)
    schema_key, name_key = ("rules", "name") if is_old else ("jsonSchema", "key")
    stated = kind or raw.get("type")
    if stated not in _TYPES:
        raise FaultError((*place, "type"), f"must be one of {', '.join(sorted(_TYPES))}")
    key = raw.get(name_key, "")
    if not isinstance(key, str) or (stated == "TRACK" and not key.strip()):
        raise FaultError((*place, name_key), "must be the event's name")
    schema = raw.get(schema_key)
    if not isinstance(schema, Mapping):
        raise FaultError((*place, schema_key), "must be a JSON Schema as an object")
    description = raw.get("description") or schema.get("description")
    return _Rule(
        kind=str(stated),
        key=key.strip(),
        version=raw.get("version"),
        schema=schema,
        place=place,
        description=description if isinstance(description, str) else "",
        others={name: item for name, item in raw.items() if name not in (schema_key, name_key)},
    )


def _order(rule: _Rule) -> tuple[int, float, str]:
    """Versions in order: numbers by value, then what is no number by its text."""
    try:
        return (0, float(rule.version), "")
    except (TypeError, ValueError):
        return (1, 0.0, str(rule.version or ""))


def _stream(
    name: str, rules: list[_Rule], common: list[_Rule], plan: Mapping[str, Any], where: str
) -> OutsideStream | Unreadable:
    versions = []
    for rule in rules:
        try:
            versions.append(_version(rule, common if rule.kind == "TRACK" else []))
        except FaultError as fault:
            return Unreadable(f"{where}{pointer_of(fault.place)}", fault.why)
    newest = rules[-1]
    return OutsideStream(
        name=name,
        where=f"{where}{pointer_of(newest.place)}",
        title=name if newest.kind == "TRACK" else "",
        description=newest.description,
        tags=_labels(newest.others),
        versions=tuple(versions),
        extensions={EXTENSION: dict(plan)},
    )


def _labels(others: Mapping[str, Any]) -> tuple[str, ...]:
    """Labels of the older API: `{"area": "checkout"}` becomes the tag `area: checkout`."""
    labels = others.get("labels")
    if not isinstance(labels, Mapping):
        return ()
    return tuple(
        f"{key}: {value}" if value not in ("", None, True) else str(key)
        for key, value in labels.items()
        if isinstance(value, str | bool) or value is None
    )


def _version(rule: _Rule, common: list[_Rule]) -> OutsideVersion:
    document, around = _taken(rule)
    for one in common:
        document = _joined(document, _taken(one)[0])
    if rule.description and "description" not in document:
        document = {**document, "description": rule.description}
    dialect = rule.schema.get("$schema", _DRAFT_7)
    kept: dict[str, Any] = {"type": rule.kind, **rule.others}
    if around:
        kept["around"] = around
    return OutsideVersion(
        label="" if rule.version in (None, "") else _label(rule.version),
        document={"$schema": dialect, **document},
        extensions={EXTENSION: kept},
    )


def _label(version: Any) -> str:
    if isinstance(version, float) and version.is_integer():
        return str(int(version))
    return str(version)


def _taken(rule: _Rule) -> tuple[dict[str, Any], dict[str, Any]]:
    """The schema of a rule's `properties` or `traits`, and what the rule says of all else."""
    part = _PART.get(rule.kind, "properties")
    members = rule.schema.get("properties", {})
    if not isinstance(members, Mapping):
        raise FaultError((*rule.place, "properties"), "must be an object of schemas")
    inner = members.get(part)
    if inner is None and rule.kind in ("IDENTIFY", "GROUP"):
        inner = members.get("properties")
    if inner is None and _is_of_data(members):
        # Some tools write the schema of the properties alone.
        return _without(rule.schema, "$schema"), {}
    if inner is None or inner is True:
        inner = {"type": "object"}
    if not isinstance(inner, Mapping):
        raise FaultError((*rule.place, part), "must be a schema as an object")
    document = dict(inner)
    for home in ("definitions", "$defs"):
        if home in rule.schema and home not in document:
            document[home] = rule.schema[home]
    _require_own_definitions(inner, rule.place)
    around = {key: item for key, item in members.items() if key != part}
    others = {
        key: item
        for key, item in rule.schema.items()
        if key not in ("properties", "$schema", "definitions", "$defs", "type", "description")
    }
    if around:
        others["properties"] = around
    return document, others


def _require_own_definitions(inner: Mapping[str, Any], place: Tokens) -> None:
    """Refuse pointers that went through the message, which is no longer around the schema."""

    def check(reference: str) -> str:
        if reference == "#" or reference.startswith("#/properties/"):
            raise FaultError(
                place, f"refers to {reference[:120]}; only definitions can be referred to"
            )
        return reference

    with_references(inner, check)


def _is_of_data(members: Mapping[str, Any]) -> bool:
    """Whether the members are an event's own, not those of Segment's message."""
    return bool(members) and not {"properties", "traits", "context", "userId"} & set(members)


def _without(schema: Mapping[str, Any], key: str) -> dict[str, Any]:
    return {name: item for name, item in schema.items() if name != key}


def _joined(own: Mapping[str, Any], common: Mapping[str, Any]) -> dict[str, Any]:
    """Both schemas at once: members side by side where that says it, else `allOf`."""
    simple = {"type", "properties", "required", "description", "title", "$schema"}
    properties = common.get("properties") or {}
    mine = own.get("properties") or {}
    if not isinstance(properties, Mapping) or not isinstance(mine, Mapping):
        return {"allOf": [own, common]}
    if not properties and not common.get("required") and set(common) <= simple:
        return dict(own)
    if set(common) <= simple and not set(properties) & set(mine):
        joined = {**own, "properties": {**mine, **properties}}
        required = [*_list(own, "required"), *_list(common, "required")]
        return {
            **joined,
            **(
                {"required": [*dict.fromkeys(one for one in required if isinstance(one, str))]}
                if required
                else {}
            ),
        }
    return {**own, "allOf": [*_list(own, "allOf"), dict(common)]}


def _list(schema: Mapping[str, Any], word: str) -> list[Any]:
    value = schema.get(word)
    return value if isinstance(value, list) else []
