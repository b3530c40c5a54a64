"""Two versions of a contract side by side: by field, and as text. Pure, and quick for 2,000 fields."""

import difflib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from catalog.field_index import FieldRow
from catalog.touched import BREAKS, CARE, Touched, touched_fields

SIGNS: Final = {"add": "+", "del": "−", "chg": "~"}  # a minus sign, to be read
MAX_LINES: Final = 4_000
CHECKED: Final = "checked"
_CONTEXT: Final = 3


@dataclass(frozen=True, slots=True)
class DiffRow:
    """One field that is added (`add`), removed (`del`) or changed (`chg`), for its readers."""

    kind: str
    path: str
    types: str
    detail: str
    effect: str
    classification: str
    required: bool

    @property
    def sign(self) -> str:
        return SIGNS[self.kind]


@dataclass(frozen=True, slots=True)
class Fold:
    """Fields in a row that are the same in both."""

    paths: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class FieldDiff:
    """The rows in order, unchanged fields folded, and how many came, went and changed."""

    rows: tuple[DiffRow | Fold, ...]
    added: int
    removed: int
    changed: int


def field_diff(
    old: Sequence[FieldRow],
    new: Sequence[FieldRow],
    said: Mapping[str, Sequence[Touched]] | None = None,
) -> FieldDiff:
    """What happens to each field, in the new order with removed ones where they stood.

    `said` is what the contract check found at paths where the field rows look the same.
    """
    by_path: dict[str, list[Touched]] = {}
    for item in touched_fields(old, new):
        by_path.setdefault(item.path, []).append(item)
    for path, items in (said or {}).items():
        by_path.setdefault(path, list(items))
    before = {row.path: row for row in old}
    after = {row.path: row for row in new}
    rows: list[DiffRow | Fold] = []
    same: list[str] = []
    counts = {"add": 0, "del": 0, "chg": 0}
    for path in _merged([row.path for row in old], [row.path for row in new]):
        if path not in by_path:
            same.append(path)
            continue
        if same:
            rows.append(Fold(tuple(same)))
            same = []
        row = _row(before.get(path), after.get(path), by_path[path])
        counts[row.kind] += 1
        rows.append(row)
    if same:
        rows.append(Fold(tuple(same)))
    return FieldDiff(tuple(rows), counts["add"], counts["del"], counts["chg"])


def _merged(old: list[str], new: list[str]) -> list[str]:
    """Both orders in one: removed paths follow the last path before them that is still there."""
    kept = set(new)
    after: dict[str, list[str]] = {}
    anchor = ""
    for path in old:
        if path in kept:
            anchor = path
        else:
            after.setdefault(anchor, []).append(path)
    merged = list(after.get("", []))
    for path in new:
        merged.append(path)
        merged += after.get(path, [])
    return merged


def _row(old: FieldRow | None, new: FieldRow | None, touched: list[Touched]) -> DiffRow:
    row = new or old
    assert row is not None
    kind = "add" if old is None else "del" if new is None else "chg"
    before, after = type_text(old) if old else "", type_text(new) if new else ""
    worst = BREAKS if any(item.effect == BREAKS for item in touched) else ""
    if not worst:
        worst = CARE if any(item.effect == CARE for item in touched) else "safe"
    return DiffRow(
        kind=kind,
        path=row.path,
        types=f"{before} → {after}" if before and after and before != after else after or before,
        detail=_detail(new, touched),
        effect=worst,
        classification=row.classification,
        required=row.required,
    )


def _detail(new: FieldRow | None, touched: list[Touched]) -> str:
    if touched[0].change == "added":
        return (new.description or new.title or "It is new.") if new else ""
    if touched[0].change == CHECKED:
        return " ".join(item.detail for item in touched)
    return "It " + ", and ".join(item.detail for item in touched) + "."


def from_check(differences: Sequence[Mapping[str, Any]]) -> dict[str, list[Touched]]:
    """Differences of the contract check (as `Difference.as_dict` gives them) by path."""
    found: dict[str, list[Touched]] = {}
    for row in differences:
        effect = CARE if row["breaks"] else "safe"
        found.setdefault(row["path"], []).append(
            Touched(row["path"], CHECKED, effect, row["detail"])
        )
    return found


def type_text(row: FieldRow) -> str:
    """A field's type as pages show it: `string`, `integer or null`, `enum · 4`."""
    if row.enum is not None:
        return f"enum · {len(row.enum)}"
    return " or ".join(row.types) or "any"


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the two texts: `same`, `add`, `del` or `gap` (lines left out)."""

    kind: str
    old: str
    new: str


def text_diff(old: Mapping[str, Any], new: Mapping[str, Any]) -> tuple[list[Line], bool]:
    """The documents as indented JSON, changed lines with three lines around them; at most
    MAX_LINES, and whether there are more."""
    left, right = (_lines(document) for document in (old, new))
    matcher = difflib.SequenceMatcher(None, left, right, autojunk=len(left) > 2_000)
    lines: list[Line] = []
    for number, group in enumerate(matcher.get_grouped_opcodes(_CONTEXT)):
        if number:
            lines.append(Line("gap", "", ""))
        for tag, i1, i2, j1, j2 in group:
            lines += _block(tag, left[i1:i2], right[j1:j2])
    return lines[:MAX_LINES], len(lines) > MAX_LINES


def _lines(document: Mapping[str, Any]) -> list[str]:
    return json.dumps(document, indent=2, ensure_ascii=False).splitlines()


def _block(tag: str, left: list[str], right: list[str]) -> Iterator[Line]:
    if tag == "equal":
        yield from (Line("same", line, line) for line in left)
        return
    yield from (Line("del", line, "") for line in left)
    yield from (Line("add", "", line) for line in right)
