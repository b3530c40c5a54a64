"""Repairs written from a group's fault and its contract. Pure.

What only the contract says (a type, a default, the spelling of a value) is suggested to everybody
who sees the group. What the event itself says (which name comes near the one that is missing) needs
`event`, which is given only for who may read it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from rapidfuzz import fuzz

from catalog.classified import MASK
from ingest.letters.repairs import MAX_VALUES, TYPES, StepError, compile_steps
from portal.kernel.errors import InvalidError
from portal.kernel.strict_json import pointer_part

MAX_SUGGESTIONS: Final = 3
_NEAR: Final = 75.0
_MAX_REFS: Final = 20
_MISSING: Final = "must have the property "
# A number, then what is no part of one: 25 ms, 12.50 EUR.
_WITH_UNIT: Final = r"^\s*([+-]?[0-9]+(?:\.[0-9]+)?)\s*[A-Za-z%€$£°µ][^0-9]*$"
_DOTTED_DAY: Final = r"^\s*(\d{2})\.(\d{2})\.(\d{4})\s*$"


@dataclass(frozen=True, slots=True)
class Suggestion:
    """Declared steps, and what they do in a few words."""

    title: str
    steps: tuple[Mapping[str, Any], ...]

    @property
    def said(self) -> str:
        """What its steps do, in one line. Raises InvalidError for steps that cannot be read."""
        return "; ".join(compile_steps(self.steps).said)


def suggest(
    errors: Sequence[Mapping[str, str]],
    schema: Any,
    *,
    event: Mapping[str, Any] | None = None,
    streams: Sequence[str] = (),
) -> list[Suggestion]:
    """Up to three repairs for the first faults of an event; none where nothing is plain.

    `schema` is the contract's document (None without one); `streams` are names the type may have
    meant.
    """
    found: list[Suggestion] = []
    for error in errors[:5]:
        found += _for(error, schema, event, streams)
    usable = [one for one in found if _compiles(one)]
    whole = _together(errors, usable)
    return ([whole, *usable] if whole else usable)[:MAX_SUGGESTIONS]


def _together(errors: Sequence[Mapping[str, str]], found: list[Suggestion]) -> Suggestion | None:
    """One repair for all faults of an event that breaks several rules."""
    first_of: dict[str, Suggestion] = {}
    for one in found:
        first_of.setdefault(str(one.steps[0]["at"]), one)
    if len(first_of) < 2 or len(first_of) < len({error["pointer"] for error in errors}):
        return None
    steps = tuple(step for one in first_of.values() for step in one.steps)
    return Suggestion(f"Put {len(first_of)} places right, then replay", steps)


def _compiles(one: Suggestion) -> bool:
    try:
        compile_steps(one.steps)
    except InvalidError:
        return False
    return True


def _for(
    error: Mapping[str, str],
    schema: Any,
    event: Mapping[str, Any] | None,
    streams: Sequence[str],
) -> list[Suggestion]:
    code, at = error["code"], general(error["pointer"])
    if code in ("bad_time", "time_range") and at == "/time":
        return [_one("Convert the time to RFC 3339, then replay", do="cast", at=at, to="date-time")]
    if code == "schema_unknown":
        return [_one("Judge it by the current version, then replay", do="remove", at="/dataschema")]
    if code == "unknown_stream":
        return _renamed_type(event, streams)
    if not at.startswith("/data"):
        return []
    rule = schema_at(schema, at)
    if code == "type":
        return _cast(at, rule, event)
    if code == "enum":
        return _spelling(at, rule)
    if code == "format":
        return _format(at, rule, event)
    if code == "maxLength" and isinstance(rule.get("maxLength"), int):
        cut = f"(?s)^(.{{{rule['maxLength']}}}).*$"
        said = "Cut it to the length that is allowed, then replay"
        return [_one(said, do="replace", at=at, pattern=cut, **{"with": r"\1"})]
    if code == "required":
        return _missing(at, error["detail"].removeprefix(_MISSING), rule, event)
    if code in ("additionalProperties", "unevaluatedProperties"):
        return _unknown(at, rule, event)
    return []


def _one(title: str, **step: Any) -> Suggestion:
    return Suggestion(title, (step,))


def _cast(at: str, rule: Mapping[str, Any], event: Mapping[str, Any] | None) -> list[Suggestion]:
    """Another type for a value; where the text of one can be looked at, only what puts it right."""
    types = rule.get("type")
    names = types if isinstance(types, list) else [types]
    words = {"integer": "a whole number", "number": "a number", "string": "text",
             "boolean": "true or false"}  # fmt: skip
    name = next((name for name in names if name in words and name in TYPES), None)
    if name is None:
        return []
    cast = {"do": "cast", "at": at, "to": name}
    found = [Suggestion(f"Convert it to {words[name]}, then replay", (cast,))]
    value = value_at(event, at)
    if event is None or not isinstance(value, str) or value == MASK:
        return found
    if name in ("integer", "number"):
        drop = {"do": "replace", "at": at, "pattern": _WITH_UNIT, "with": r"\1"}
        title = f"Drop what follows the number, convert it to {words[name]}, then replay"
        found.append(Suggestion(title, (drop, cast)))
    return [one for one in found if _works(one, event)][:1]


def _works(one: Suggestion, event: Mapping[str, Any]) -> bool:
    try:
        compile_steps(one.steps).apply(event)
    except StepError:
        return False
    return True


def _spelling(at: str, rule: Mapping[str, Any]) -> list[Suggestion]:
    """Values that differ from an allowed one by case alone."""
    allowed = [value for value in rule.get("enum", []) if isinstance(value, str)]
    table: dict[str, str] = {}
    for value in allowed:
        for other in (value.lower(), value.upper(), value.capitalize()):
            if other not in allowed:
                table.setdefault(other, value)
    if not table or len(table) > MAX_VALUES:
        return []
    title = "Spell it as the contract does, then replay"
    return [_one(title, do="map", at=at, values=table)]


def _format(at: str, rule: Mapping[str, Any], event: Mapping[str, Any] | None) -> list[Suggestion]:
    name = rule.get("format")
    if name == "date-time":
        return [_one("Convert it to a time, then replay", do="cast", at=at, to="date-time")]
    if name != "date":
        return []
    value = value_at(event, at)
    if isinstance(value, str) and value.strip()[2:3] == ".":
        pattern, by = _DOTTED_DAY, r"\3-\2-\1"
    else:
        pattern, by = r"^(\d{4}-\d{2}-\d{2})[T ].*$", r"\1"
    return [_one("Write the day as YYYY-MM-DD, then replay", do="replace", at=at,
                 pattern=pattern, **{"with": by})]  # fmt: skip


def _missing(
    at: str, name: str, rule: Mapping[str, Any], event: Mapping[str, Any] | None
) -> list[Suggestion]:
    """A property that is not there: under a name that comes near it, or with its default."""
    found = []
    place = f"{at}/{pointer_part(name)}"
    holder, known = value_at(event, at), rule.get("properties")
    if isinstance(holder, Mapping):
        strange = [key for key in holder if not isinstance(known, Mapping) or key not in known]
        near = _nearest(name, strange)
        if near is not None:
            title = f"Rename {near} to {name}, then replay"
            found.append(_one(title, do="rename", at=f"{at}/{pointer_part(near)}", to=place))
    own = known.get(name) if isinstance(known, Mapping) else None
    if isinstance(own, Mapping) and "default" in own:
        title = f"Set {name} to its default, then replay"
        found.append(_one(title, do="default", at=place, value=own["default"]))
    return found


def _unknown(at: str, rule: Mapping[str, Any], event: Mapping[str, Any] | None) -> list[Suggestion]:
    """Properties that the contract does not know: renamed to one that is missing, or removed."""
    holder, known = value_at(event, at), rule.get("properties")
    if not isinstance(holder, Mapping) or not isinstance(known, Mapping):
        return []
    strange = [key for key in holder if key not in known]
    found = []
    for key in strange:
        near = _nearest(key, [name for name in known if name not in holder])
        if near is not None:
            to = f"{at}/{pointer_part(near)}"
            title = f"Rename {key} to {near}, then replay"
            found.append(_one(title, do="rename", at=f"{at}/{pointer_part(key)}", to=to))
    if strange:
        steps = tuple({"do": "remove", "at": f"{at}/{pointer_part(key)}"} for key in strange[:10])
        found.append(Suggestion("Remove what the contract does not know, then replay", steps))
    return found


def _renamed_type(event: Mapping[str, Any] | None, streams: Sequence[str]) -> list[Suggestion]:
    kind = event.get("type") if event is not None else None
    near = _nearest(kind, streams) if isinstance(kind, str) else None
    if near is None:
        return []
    return [_one(f"Take it for {near}, then replay", do="compute", at="/type",
                 expression=f"'{near}'")]  # fmt: skip


def _nearest(name: str, others: Sequence[str]) -> str | None:
    """The name that comes nearest, when one comes near: case and separators count for nothing."""
    plain = _plain(name)
    scored = sorted(((fuzz.ratio(plain, _plain(other)), other) for other in others), reverse=True)
    return scored[0][1] if scored and scored[0][0] >= _NEAR else None


def _plain(name: str) -> str:
    return "".join(char for char in name.lower() if char.isalnum())


# --- Places in documents ----------------------------------------------------------------------


def general(pointer: str) -> str:
    """A pointer with `*` in place of array indexes."""
    return "/".join("*" if part.isdigit() else part for part in pointer.split("/"))


def _parts(pointer: str) -> list[str]:
    return [part.replace("~1", "/").replace("~0", "~") for part in pointer.split("/")[1:]]


def schema_at(document: Any, pointer: str) -> Mapping[str, Any]:
    """The schema of a place in the data (`/data/…`); empty where the contract says nothing plain."""
    node = _resolved(document, document)
    for part in _parts(pointer)[1:]:
        properties = node.get("properties")
        if part == "*" and "items" in node:
            node = _resolved(document, node["items"])
        elif isinstance(properties, Mapping) and part in properties:
            node = _resolved(document, properties[part])
        else:
            return {}
    return node


def _resolved(document: Any, node: Any) -> Mapping[str, Any]:
    for _ in range(_MAX_REFS):
        if not isinstance(node, Mapping):
            return {}
        ref = node.get("$ref")
        if not isinstance(ref, str) or not ref.startswith("#/"):
            return node
        target: Any = document
        for part in _parts(ref[1:]):
            target = target.get(part) if isinstance(target, Mapping) else None
        node = target
    return {}


def value_at(event: Mapping[str, Any] | None, pointer: str) -> Any:
    """The value of a place; of the first element where the place lies in an array."""
    found: Any = event
    for part in _parts(pointer):
        if isinstance(found, Mapping):
            found = found.get(part)
        elif isinstance(found, list):
            found = found[0] if found else None
        else:
            return None
    return found
