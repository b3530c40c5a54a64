"""A contract while somebody registers it: what was found, what they change, what is still open.

The page keeps nothing on the server: the draft travels in its form, and every press of a button is
one step from a draft to the next (`edited`, then `acted`). What travels is judged again when the
stream is registered, so that nothing rests on it.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from catalog.field_index import FieldRow, fields_of
from catalog.fixes import Fix, apply_patch
from catalog.inference import Inferred, accept_all
from catalog.neighbours import Neighbours
from catalog.references import at
from catalog.style_lint import Finding, lint
from catalog.style_subject import places_of
from catalog.types import Classification
from portal.kernel import strict_json
from portal.kernel.errors import BadRequestError, InvalidError

MAX_ROWS: Final = 150
MAX_STATE: Final = 512 * 1024
DECIDE: Final = "personal_unlabelled"
_QUIET: Final = frozenset({"described", "example_missing", "flat", "sunset"})
TYPES: Final[Mapping[str, dict[str, str]]] = {
    "string": {"type": "string"},
    "email": {"type": "string", "format": "email"},
    "date-time": {"type": "string", "format": "date-time"},
    "date": {"type": "string", "format": "date"},
    "uuid": {"type": "string", "format": "uuid"},
    "uri": {"type": "string", "format": "uri"},
    "ip address": {"type": "string", "format": "ipv4"},
    "integer": {"type": "integer"},
    "number": {"type": "number"},
    "boolean": {"type": "boolean"},
}
PRIVACY: Final = ("", *Classification.values)


@dataclass(frozen=True, slots=True)
class Draft:
    """The document and what travels beside it: what values were seen to be, notes by path, what
    was left as it is, how many samples there were, and the discovered type it began from."""

    document: dict[str, Any]
    evidence: Mapping[str, str] = field(default_factory=dict)
    notes: Mapping[str, str] = field(default_factory=dict)
    left: frozenset[str] = frozenset()
    samples: int = 0
    shape: str = ""
    discovered: str = ""

    def state(self) -> str:
        """All but the document, as the form carries it."""
        return json.dumps(
            {
                "evidence": self.evidence,
                "notes": self.notes,
                "left": sorted(self.left),
                "samples": self.samples,
                "shape": self.shape,
                "discovered": self.discovered,
            }
        )


@dataclass(frozen=True, slots=True)
class Row:
    """One field on the page: what may be changed, and the findings that have a button."""

    number: int
    field: FieldRow
    type: str
    types: tuple[str, ...]
    note: str
    findings: tuple[Finding, ...]

    @property
    def is_private(self) -> bool:
        """Whether the contract classifies it as personal or sensitive."""
        return self.field.classification in ("personal", "sensitive")


def from_inferred(found: Inferred, *, discovered: str = "", may_show: bool = True) -> Draft:
    """The draft an inference begins; without `may_show` its document holds no sampled value."""
    document = found.document if may_show else without_values(found.document)
    return Draft(
        document,
        found.evidence,
        {fact.path: fact.note.partition(";")[0] for fact in found.facts[:MAX_ROWS]},
        frozenset(),
        found.samples,
        found.shape,
        discovered,
    )


def without_values(document: Any) -> Any:
    """The document without anything that was a value in a sample: for who may not see them."""
    if isinstance(document, list):
        return [without_values(item) for item in document]
    if not isinstance(document, dict):
        return document
    kept = {word: part for word, part in document.items() if word not in ("examples", "enum")}
    return {
        word: {name: without_values(item) for name, item in part.items()}
        if word == "properties" and isinstance(part, dict)
        else without_values(part)
        for word, part in kept.items()
    }


def from_form(document: dict[str, Any], state: str) -> Draft:
    """The draft that a form carries. Raises InvalidError for a form that was not ours."""
    try:
        found: dict[str, Any] = strict_json.decode(state.encode())
        return Draft(
            document,
            _texts(found["evidence"]),
            _texts(found["notes"]),
            frozenset(str(item) for item in found["left"]),
            int(found["samples"]),
            str(found["shape"])[:20],
            str(found["discovered"])[:255],
        )
    except (BadRequestError, KeyError, TypeError, ValueError) as error:
        raise InvalidError("The form is not complete. Begin again.") from error


def _texts(found: Any) -> dict[str, str]:
    return {str(key): str(value)[:500] for key, value in dict(found).items()}


def edited(draft: Draft, given: Mapping[str, str]) -> Draft:
    """The draft with what people wrote into the rows: type, always, privacy, meaning.

    Inputs are named by the place of the row (`f3_type`); a row without inputs stays as it is.
    """
    document = draft.document
    for row in fields_of(document)[:MAX_ROWS]:
        prefix = f"f{row.position}_"
        if f"{prefix}path" not in given or given[f"{prefix}path"] != row.path:
            continue
        place = places_of(document).get(row.path)
        if place is not None and isinstance(at(document, place), Mapping):
            patch = _row_patch(document, row, place, prefix, given)
            document = apply_patch(document, patch) if patch else document
    return replace(draft, document=document)


def _row_patch(
    document: Mapping[str, Any], row: FieldRow, place: str, prefix: str, given: Mapping[str, str]
) -> list[dict[str, Any]]:
    patch: list[dict[str, Any]] = []
    kind = given.get(f"{prefix}type", "")
    if kind in TYPES and kind != type_of(row):
        schema = at(document, place)
        stale = [word for word in ("format", "enum", "examples", "pattern") if word in schema]
        patch += [{"op": "remove", "path": f"{place}/{word}"} for word in stale]
        patch += [
            {"op": "add", "path": f"{place}/{word}", "value": value}
            for word, value in TYPES[kind].items()
        ]
    for word, key, old in (
        ("description", "meaning", row.description),
        ("x-classification", "privacy", row.classification),
    ):
        new = given.get(f"{prefix}{key}", old).strip()[:2_000]
        if word == "x-classification" and new not in PRIVACY:
            continue
        if new and new != old:
            patch.append({"op": "add", "path": f"{place}/{word}", "value": new})
        elif old and not new:
            patch.append({"op": "remove", "path": f"{place}/{word}"})
    return patch + _required_patch(document, row, place, f"{prefix}always" in given)


def _required_patch(
    document: Mapping[str, Any], row: FieldRow, place: str, wanted: bool
) -> list[dict[str, Any]]:
    if wanted == row.required:
        return []
    parent = place.rpartition("/properties/")[0]
    holder = at(document, parent)
    required = holder.get("required") if isinstance(holder, Mapping) else None
    if wanted:
        names = [*(required if isinstance(required, list) else ()), row.name]
        return [{"op": "add", "path": f"{parent}/required", "value": sorted(names)}]
    if not isinstance(required, list) or row.name not in required:
        return []
    number = required.index(row.name)
    return [{"op": "remove", "path": f"{parent}/required/{number}"}]


def type_of(row: FieldRow) -> str:
    """The type of a field in a word, one of TYPES where it is one."""
    if row.enum is not None:
        return "enum"
    if row.format in ("ipv4", "ipv6"):
        return "ip address"
    return row.format or " or ".join(row.types) or "any"


def acted(draft: Draft, action: str, found: Sequence[Finding]) -> tuple[Draft, str]:
    """The draft after a button, and the stream's new name where the button gave one.

    `accept` takes the first fix of every suggestion; `fix:<rule>:<path>:<number>` one fix;
    `leave:<rule>:<path>` puts a finding aside; `meanings` takes what other streams say.
    """
    kind, _, rest = action.partition(":")
    if kind == "accept":
        return replace(draft, document=accept_all(draft.document, draft.evidence)), ""
    if kind == "meanings":
        fixes = [item.fixes[0] for item in found if item.rule == "described" and item.fixes]
        return _with(draft, fixes), ""
    if kind == "leave":
        return replace(draft, left=draft.left | {rest[:600]}), ""
    if kind == "fix":
        name, _, number = rest.rpartition(":")
        for item in found:
            if item.id == name and number.isdigit() and int(number) < len(item.fixes):
                fix = item.fixes[int(number)]
                return _with(draft, [fix]), fix.name
    return draft, ""


def _with(draft: Draft, fixes: Sequence[Fix]) -> Draft:
    """The draft after fixes; what was noted of a renamed field follows it."""
    document, moved = draft.document, {}
    for fix in fixes:
        before = places_of(document)
        document = apply_patch(document, fix.patch)
        pointers = {
            operation["from"]: operation["path"]
            for operation in fix.patch
            if operation["op"] == "move"
        }
        after = {place: path for path, place in places_of(document).items()}
        for path, place in before.items():
            for old, new in pointers.items():
                if place == old or place.startswith(f"{old}/"):
                    moved[path] = after.get(new + place[len(old) :], path)
    return replace(
        draft,
        document=document,
        evidence={moved.get(path, path): said for path, said in draft.evidence.items()},
        notes={moved.get(path, path): said for path, said in draft.notes.items()},
    )


def judged(draft: Draft, name: str, around: Neighbours) -> list[Finding]:
    """What the house rules say about the draft, without what was left as it is."""
    found = lint(
        fields_of(draft.document),
        draft.document,
        name=name,
        neighbours=around,
        evidence=draft.evidence,
    )
    return [finding for finding in found if finding.id not in draft.left]


def rows_of(draft: Draft, found: Sequence[Finding]) -> list[Row]:
    """The fields with their notes and the findings that have a button, two at most each."""
    by_path: dict[str, list[Finding]] = {}
    for finding in found:
        if finding.path and finding.rule not in _QUIET and (
            finding.fixes or finding.severity != "suggestion"
        ):  # fmt: skip
            by_path.setdefault(finding.path, []).append(finding)
    rows = []
    for row in fields_of(draft.document)[:MAX_ROWS]:
        here = _distinct(sorted(by_path.get(row.path, ()), key=lambda item: item.rule != DECIDE))
        kind = type_of(row)
        changeable = kind in TYPES or kind == "enum"
        types = (*((kind,) if kind not in TYPES else ()), *TYPES) if changeable else (kind,)
        note = draft.notes.get(row.path, "")
        rows.append(Row(row.position, row, kind, types, note, tuple(here[:2])))
    return rows


def _distinct(found: Sequence[Finding]) -> list[Finding]:
    """The findings without those whose button would do the same as one before."""
    kept: dict[str, Finding] = {}
    for finding in found:
        kept.setdefault(finding.fixes[0].label if finding.fixes else finding.id, finding)
    return list(kept.values())


def is_open(found: Sequence[Finding]) -> list[Finding]:
    """The findings that a person has to decide before publishing: what looks personal."""
    return [finding for finding in found if finding.rule == DECIDE]
