"""What a machine can do about a difference that is refused: JSON Patches on the candidate.

1. A table proposes patches by kind of change: put back what the earlier version says there, take
   out what is new, widen a list again, make a property optional, give it a default.
2. Each is tried before it is offered: the patched candidate is a schema that can be taken, the
   engine finds the difference gone or no longer refused, and nothing else is refused that was not
   before. What cannot be decided in time is not offered.
3. Opening a compatibility group changes no document: it is the remedy that always holds.
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from catalog.compatibility.budget import Budget
from catalog.compatibility.engine import compare
from catalog.compatibility.types import Difference, Mode, Policy
from catalog.fixes import Operation, apply_patch
from catalog.references import at
from catalog.schema_safety import canonical, check_schema
from portal.kernel.errors import InvalidError
from portal.kernel.json_schema import compile_schema

MAX_OFFERED: Final = 3  # beside opening a group
OPEN_GROUP: Final = "open-group"
_PLACEHOLDERS: Final[tuple[Any, ...]] = ("", 0, False, [], {}, None)


@dataclass(frozen=True, slots=True)
class Remedy:
    """One way out. Without a patch it opens a compatibility group."""

    label: str
    patch: tuple[Operation, ...] = ()

    @property
    def id(self) -> str:
        """The same for the same patch, so that a page and a program mean one thing by it."""
        if not self.patch:
            return OPEN_GROUP
        return hashlib.sha256(canonical(list(self.patch))).hexdigest()[:12]

    def as_dict(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "label": self.label,
            "patch": list(self.patch),
            "opens_group": not self.patch,
        }


GROUP: Final = Remedy("Open a compatibility group")


@dataclass(frozen=True, slots=True)
class Question:
    """What a candidate is judged by: earlier documents oldest first, mode and policy."""

    candidate: Mapping[str, Any]
    earlier: Sequence[Mapping[str, Any]]
    mode: Mode
    policy: Policy

    def refused(
        self, candidate: Mapping[str, Any], budget: Budget | None = None
    ) -> frozenset[tuple[str, str]] | None:
        """Place and kind of each difference that is refused; None where it is undecided."""
        verdict = compare(
            candidate, self.earlier, mode=self.mode, policy=self.policy, budget=budget
        )
        if verdict.undecided:
            return None
        return frozenset(_key(one) for one in verdict.differences if _is_refused(one, self.mode))


def _key(difference: Difference) -> tuple[str, str]:
    return difference.path, difference.change


def _is_refused(difference: Difference, mode: Mode) -> bool:
    return not set(difference.breaks).isdisjoint(mode.directions)


def remedies_of(
    question: Question, difference: Mapping[str, Any], *, old: Mapping[str, Any],
    refused: frozenset[tuple[str, str]], budget: Budget,
) -> list[Remedy]:  # fmt: skip
    """The remedies of one refused difference against an earlier version `old`, tried, best first.

    `refused` are all differences of the candidate that are refused. A group is always the last.
    """
    found: list[Remedy] = []
    target = (difference["path"], difference["change"])
    for remedy in proposed(question.candidate, old, difference):
        if len(found) == MAX_OFFERED or not budget.has_time():
            break
        if remedy.id not in {one.id for one in found} and _holds(
            question, remedy, target, refused, budget
        ):
            found.append(remedy)
    return [*found, GROUP]


def _holds(
    question: Question, remedy: Remedy, target: tuple[str, str],
    refused: frozenset[tuple[str, str]], budget: Budget,
) -> bool:  # fmt: skip
    """Whether the engine finds the target gone after the remedy, and nothing new refused."""
    try:
        mended = apply_patch(question.candidate, remedy.patch)
        check_schema(mended)
        left = question.refused(mended, budget)
    except InvalidError:
        return False
    return left is not None and left <= refused - {target}


def is_mended(
    question: Question, mended: Mapping[str, Any], targets: Iterable[tuple[str, str]]
) -> bool:
    """Whether none of the targets is refused any more, nor anything that was not before."""
    before, left = question.refused(question.candidate), question.refused(mended)
    return before is not None and left is not None and left <= before - frozenset(targets)


# --- What is proposed ---------------------------------------------------------------------------


def proposed(
    new: Mapping[str, Any], old: Mapping[str, Any], difference: Mapping[str, Any]
) -> Iterator[Remedy]:
    """Untried remedies of a difference, those that keep most of the change first."""
    for make in (*_BY_CHANGE.get(difference["change"], ()), _put_back):
        yield from make(new, old, difference)


Making = Callable[[Mapping[str, Any], Mapping[str, Any], Mapping[str, Any]], Iterator[Remedy]]


def _put_back(
    new: Mapping[str, Any], old: Mapping[str, Any], difference: Mapping[str, Any]
) -> Iterator[Remedy]:
    """Say there again what the earlier version says, or nothing where it says nothing."""
    before, after = difference["pointer_old"], difference["pointer_new"]
    place = _keyword_place(new, before, after)
    if place is None:
        return
    word = _last(place)
    if word == "required" or (before is None and after is not None):
        value = at(old, place)
    else:
        value = at(old, before) if before and _last(before) == word else None
    where = f" of “{difference['path']}”" if difference["path"] else ""
    if value is None:
        if at(new, place) is not None:
            yield Remedy(f"Leave out the new “{word}”{where}", (_remove(place),))
    elif at(new, place) != value:
        yield Remedy(f"Keep the earlier “{word}”{where}", (_add(place, value),))


def _keyword_place(new: Mapping[str, Any], before: str | None, after: str | None) -> str | None:
    """Where in the candidate the keyword stands (or stood) that the difference is about."""
    if after is None:
        return None
    if before is None or isinstance(at(new, after), bool):
        return after
    if not isinstance(at(new, after), Mapping) or _last(after) == _last(before):
        return after
    # The pointer leads to the schema that no longer says it.
    return f"{after}/{_last(before)}"


def _make_optional(
    new: Mapping[str, Any], old: Mapping[str, Any], difference: Mapping[str, Any]
) -> Iterator[Remedy]:
    holder, name = _owner_of(difference)
    required = at(new, f"{holder}/required")
    if not isinstance(required, list) or name not in required:
        return
    rest = [one for one in required if one != name]
    place = f"{holder}/required"
    step = _add(place, rest) if rest else _remove(place)
    yield Remedy(f"Make “{name}” optional", (step,))


def _require_again(
    new: Mapping[str, Any], old: Mapping[str, Any], difference: Mapping[str, Any]
) -> Iterator[Remedy]:
    holder, name = _owner_of(difference)
    required = at(new, f"{holder}/required")
    names = sorted({*(required if isinstance(required, list) else ()), name})
    yield Remedy(f"Keep “{name}” required", (_add(f"{holder}/required", names),))


def _give_default(
    new: Mapping[str, Any], old: Mapping[str, Any], difference: Mapping[str, Any]
) -> Iterator[Remedy]:
    holder, name = _owner_of(difference)
    place = f"{holder}/properties/{_escaped(name)}"
    schema = at(new, place)
    if not isinstance(schema, Mapping) or "default" in schema:
        return
    for value in _plausible(schema):
        if _is_valid(new, schema, value):
            yield Remedy(f"Give “{name}” a default", (_add(f"{place}/default", value),))
            return


def _keep_property(
    new: Mapping[str, Any], old: Mapping[str, Any], difference: Mapping[str, Any]
) -> Iterator[Remedy]:
    """Describe the property again, as deprecated; required again where it was."""
    place = difference["pointer_old"]
    schema = at(old, place) if place else None
    holder, _, escaped = (place or "").rpartition("/properties/")
    if schema is None or not isinstance(at(new, holder), Mapping):
        return
    name = _unescaped(escaped)
    kept = {**schema, "deprecated": True} if isinstance(schema, Mapping) else schema
    steps: list[Operation] = []
    if not isinstance(at(new, f"{holder}/properties"), Mapping):
        steps.append(_add(f"{holder}/properties", {}))
    steps.append(_add(place, kept))
    yield Remedy(f"Keep “{name}” and mark it deprecated", tuple(steps))
    before = at(old, f"{holder}/required")
    if isinstance(before, list) and name in before:
        now = at(new, f"{holder}/required")
        names = sorted({*(now if isinstance(now, list) else ()), name})
        again = (*steps, _add(f"{holder}/required", names))
        yield Remedy(f"Keep “{name}”, required as before, and mark it deprecated", again)


def _leave_out(
    new: Mapping[str, Any], old: Mapping[str, Any], difference: Mapping[str, Any]
) -> Iterator[Remedy]:
    """Take a new property out again, with its place among the required ones."""
    place = difference["pointer_new"]
    holder, _, escaped = (place or "").rpartition("/properties/")
    if at(new, place or "") is None or not place or "/" in escaped:
        return
    name = _unescaped(escaped)
    steps: list[Operation] = [_remove(place)]
    required = at(new, f"{holder}/required")
    if isinstance(required, list) and name in required:
        rest = [one for one in required if one != name]
        where = f"{holder}/required"
        steps.append(_add(where, rest) if rest else _remove(where))
    yield Remedy(f"Leave “{name}” out", tuple(steps))


def _widen_values(
    new: Mapping[str, Any], old: Mapping[str, Any], difference: Mapping[str, Any]
) -> Iterator[Remedy]:
    """Take the earlier values again beside the new ones."""
    before, after = difference["pointer_old"], difference["pointer_new"]
    earlier, now = _values(old, before), _values(new, after)
    if not earlier or now is None:
        return
    seen = {canonical(value) for value in now}
    wider = [*now, *(value for value in earlier if canonical(value) not in seen)]
    holder = after.rpartition("/")[0]
    steps: list[Operation] = [_add(f"{holder}/enum", wider)]
    if _last(after) == "const":
        steps.append(_remove(after))
    where = f" of “{difference['path']}”" if difference["path"] else ""
    yield Remedy(f"Take the earlier values{where} too", tuple(steps))


def _widen_types(
    new: Mapping[str, Any], old: Mapping[str, Any], difference: Mapping[str, Any]
) -> Iterator[Remedy]:
    """Allow the earlier types again beside the new ones."""
    before, after = difference["pointer_old"], difference["pointer_new"]
    if not before or not after or _last(before) != "type" or _last(after) != "type":
        return
    earlier, now = _listed(at(old, before)), _listed(at(new, after))
    both = list(dict.fromkeys([*now, *earlier]))
    where = f" of “{difference['path']}”" if difference["path"] else ""
    yield Remedy(f"Allow the earlier type{where} too", (_add(after, both),))


def _alternative_back(
    new: Mapping[str, Any], old: Mapping[str, Any], difference: Mapping[str, Any]
) -> Iterator[Remedy]:
    place = difference["pointer_old"]
    if not place:
        return
    found, group = at(old, place), place.rpartition("/")[0]
    if found is not None and isinstance(at(new, group), list):
        where = f" of “{difference['path']}”" if difference["path"] else ""
        yield Remedy(f"Keep the alternative{where}", (_add(f"{group}/-", found),))


_BY_CHANGE: Final[Mapping[str, tuple[Making, ...]]] = {
    "property_added": (_leave_out,),
    "required_property_added": (_give_default, _make_optional, _leave_out),
    "required_added": (_give_default, _make_optional),
    "required_removed": (_require_again,),
    "property_removed": (_keep_property,),
    "enum_narrowed": (_widen_values,),
    "enum_changed": (_widen_values,),
    "type_narrowed": (_widen_types,),
    "type_changed": (_widen_types,),
    "alternative_removed": (_alternative_back,),
}


# --- Small change -------------------------------------------------------------------------------


def _add(path: str, value: Any) -> Operation:
    return {"op": "add", "path": path, "value": value}


def _remove(path: str) -> Operation:
    return {"op": "remove", "path": path}


def _last(pointer: str) -> str:
    return pointer.rpartition("/")[2]


def _owner_of(difference: Mapping[str, Any]) -> tuple[str, str]:
    """The pointer of the object schema that holds the property, and the property's name."""
    place = difference["pointer_new"] or difference["pointer_old"] or ""
    if _last(place) == "required":
        return place.removesuffix("/required"), str(difference["path"]).rpartition(".")[2]
    holder, _, escaped = place.rpartition("/properties/")
    return holder, _unescaped(escaped)


def _values(document: Mapping[str, Any], pointer: str | None) -> list[Any] | None:
    if not pointer:
        return None
    found = at(document, pointer)
    if _last(pointer) == "const":
        return [found]
    return list(found) if isinstance(found, list) and _last(pointer) == "enum" else None


def _listed(types: Any) -> list[str]:
    return [types] if isinstance(types, str) else list(types or ())


def _plausible(schema: Mapping[str, Any]) -> Iterator[Any]:
    """Values that a property may take, the most telling first."""
    listed = schema.get("enum")
    yield from listed[:1] if isinstance(listed, list) else ()
    if "const" in schema:
        yield schema["const"]
    for word in ("minimum", "maximum"):
        if isinstance(schema.get(word), int | float):
            yield schema[word]
    yield from _PLACEHOLDERS


def _is_valid(document: Mapping[str, Any], schema: Mapping[str, Any], value: Any) -> bool:
    """Whether a value is valid under a part of a document, whose definitions it may name."""
    whole = {key: document[key] for key in ("$schema", "$defs", "definitions") if key in document}
    try:
        return compile_schema({**whole, **schema}).is_valid(value)
    except InvalidError:
        return False


def _escaped(name: str) -> str:
    return name.replace("~", "~0").replace("/", "~1")


def _unescaped(step: str) -> str:
    return step.replace("~1", "/").replace("~0", "~")
