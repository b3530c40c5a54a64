"""What the house rules judge: a contract, where its fields stand in it, and how a fix is written there.

A fix is a JSON Patch on the document given. Where a field stands behind a shared definition of a
draft that ignores words beside `$ref`, there is no safe place to write, and no fix.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from catalog.field_index import FieldRow
from catalog.fixes import Fix, Operation
from catalog.neighbours import Neighbours
from catalog.references import at, target_of
from portal.kernel.json_schema import draft_of
from portal.kernel.strict_json import pointer_part


@dataclass(frozen=True, slots=True)
class Subject:
    """What is judged: the contract, what else is known of it, and where its fields stand."""

    rows: Sequence[FieldRow]
    document: Mapping[str, Any]
    name: str = ""
    neighbours: Neighbours = field(default_factory=Neighbours)
    evidence: Mapping[str, str] = field(default_factory=dict)
    places: Mapping[str, str] = field(default_factory=dict)
    siblings: Mapping[str, frozenset[str]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Said:
    """What a rule found at one field or at the document: why, and how to settle it."""

    why: str
    fixes: tuple[Fix, ...] = ()
    pointer: str = ""


def places_of(document: Mapping[str, Any]) -> dict[str, str]:
    """The JSON Pointer of each field's schema by its path, the first where there are several."""
    places: dict[str, str] = {}
    steps = 0

    def visit(schema: Any, pointer: str, path: str, refs: tuple[str, ...]) -> None:
        nonlocal steps
        steps += 1
        if not isinstance(schema, Mapping) or steps > 20_000 or len(refs) > 20:
            return
        reference = schema.get("$ref")
        if isinstance(reference, str) and reference.startswith("#") and reference not in refs:
            visit(target_of(document, reference), reference[1:], path, (*refs, reference))
        properties = schema.get("properties")
        for name, part in (properties if isinstance(properties, Mapping) else {}).items():
            where = f"{path}.{name}" if path else str(name)
            inner = f"{pointer}/properties/{pointer_part(str(name))}"
            if where not in places and where.count(".") < 20:
                places[where] = inner
                visit(part, inner, where, refs)
        if isinstance(schema.get("items"), Mapping):
            visit(schema["items"], f"{pointer}/items", f"{path}[]", refs)
        for word in ("allOf", "anyOf", "oneOf"):
            branches = schema.get(word)
            for number, branch in enumerate(branches[:50] if isinstance(branches, list) else ()):
                visit(branch, f"{pointer}/{word}/{number}", path, (*refs, f"<{word}>"))

    visit(document, "", "", ())
    return places


def siblings_of(rows: Sequence[FieldRow]) -> dict[str, frozenset[str]]:
    """The names of the fields at each level, by the path of their parent."""
    found: dict[str, set[str]] = {}
    for row in rows:
        found.setdefault(parent_of(row.path), set()).add(row.name)
    return {parent: frozenset(names) for parent, names in found.items()}


def parent_of(path: str) -> str:
    """The path of the field that holds a field; empty at the top."""
    return path.rpartition(".")[0]


def place_of(row: FieldRow, subject: Subject) -> str:
    """The JSON Pointer of a field's schema; empty where it has none."""
    return subject.places.get(row.path, "")


def writable(row: FieldRow, subject: Subject) -> Mapping[str, Any] | None:
    """The field's schema where a fix may write into it; None where it may not."""
    place = subject.places.get(row.path)
    schema = at(subject.document, place) if place is not None else None
    if not isinstance(schema, Mapping):
        return None
    old = draft_of(subject.document) in ("4", "6", "7")
    return None if old and "$ref" in schema else schema


def annotate(
    row: FieldRow, subject: Subject, label: str, words: Mapping[str, Any], *, data: bool = False
) -> tuple[Fix, ...]:
    """A fix that sets words of a field; none where they cannot be written."""
    if writable(row, subject) is None:
        return ()
    place = place_of(row, subject)
    patch = tuple(
        {"op": "add", "path": f"{place}/{pointer_part(word)}", "value": value}
        for word, value in words.items()
    )
    return (Fix(label, patch, changes_data=data),)


def rename(row: FieldRow, subject: Subject, name: str, label: str = "") -> tuple[Fix, ...]:
    """A fix that renames a field, in `required` too; none where the name is taken or unusable."""
    place = subject.places.get(row.path, "")
    parent, _, _ = place.rpartition("/properties/")
    holder = at(subject.document, parent) if place else None
    taken = subject.siblings.get(parent_of(row.path), frozenset())
    if not isinstance(holder, Mapping) or not name or name in taken:
        return ()
    target = f"{parent}/properties/{pointer_part(name)}"
    patch: list[Operation] = [{"op": "move", "from": place, "path": target}]
    required = holder.get("required")
    if isinstance(required, list) and row.name in required:
        number = required.index(row.name)
        patch.append({"op": "replace", "path": f"{parent}/required/{number}", "value": name})
    return (Fix(label or f"Call it {name}", tuple(patch), changes_data=True),)
