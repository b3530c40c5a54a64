"""Which fields of a contract a change touches, as their readers would feel it.

Compatibility (`catalog.compatibility`) speaks of sets of documents; this speaks of readers: whoever
uses a field that is removed, may hold another type or be missing, is broken by it even where every
event stays valid. The rules are a table; each looks at a field before and after.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

from catalog.field_index import FieldRow

BREAKS, CARE, SAFE = "breaks", "care", "safe"
_ORDER: Final = (SAFE, CARE, BREAKS)


@dataclass(frozen=True, slots=True)
class Touched:
    """One thing that happens to a field. `effect` on its readers is breaks, care or safe."""

    path: str
    change: str
    effect: str
    detail: str

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True, slots=True)
class _Rule:
    change: str
    effect: str
    detail: str
    holds: Callable[[FieldRow, FieldRow], bool]


def _new_types(old: FieldRow, new: FieldRow) -> set[str]:
    """Types that the field may hold now and could not before; a whole number is a number."""
    added = set(new.types) - set(old.types)
    if "number" in old.types:
        added.discard("integer")
    return added if old.types else set()


_RULES: Final = (
    _Rule("type_widened", BREAKS, "may hold another type than before",
          lambda old, new: bool(_new_types(old, new))),
    _Rule("type_narrowed", SAFE, "holds fewer types than before",
          lambda old, new: bool(old.types) and not _new_types(old, new)
          and set(new.types) != set(old.types)),
    _Rule("now_optional", CARE, "may be missing from now on",
          lambda old, new: old.required and not new.required),
    _Rule("now_required", SAFE, "is always there from now on",
          lambda old, new: new.required and not old.required),
    _Rule("unit_changed", BREAKS, "is measured in another unit",
          lambda old, new: bool(old.unit) and old.unit != new.unit),
    _Rule("format_changed", CARE, "has another format",
          lambda old, new: bool(old.format) and old.format != new.format),
    _Rule("values_added", CARE, "may hold values that were not listed before",
          lambda old, new: old.enum is not None
          and (new.enum is None or any(value not in old.enum for value in new.enum))),
    _Rule("values_removed", SAFE, "no longer holds some of its values",
          lambda old, new: old.enum is not None and new.enum is not None
          and any(value not in new.enum for value in old.enum)),
    _Rule("classified", SAFE, "is classified otherwise, so access to it changes",
          lambda old, new: old.classification != new.classification),
    _Rule("treated", CARE, "is treated otherwise before it is stored",
          lambda old, new: old.privacy != new.privacy),
    _Rule("deprecated", CARE, "is deprecated",
          lambda old, new: new.deprecated and not old.deprecated),
)  # fmt: skip


def touched_fields(old: Sequence[FieldRow], new: Sequence[FieldRow]) -> list[Touched]:
    """What happens to each field from one version to another: removed and changed ones in the old
    order, then what is new."""
    before, after = {row.path: row for row in old}, {row.path: row for row in new}
    found = []
    for path, row in before.items():
        later = after.get(path)
        if later is None:
            found.append(Touched(path, "removed", BREAKS, "is no longer there"))
            continue
        found += [
            Touched(path, rule.change, rule.effect, rule.detail)
            for rule in _RULES
            if rule.holds(row, later)
        ]
    found += [Touched(path, "added", SAFE, "is new") for path in after if path not in before]
    return found


def is_about(touched: str, declared: str) -> bool:
    """Whether a touched path concerns a declared one: the same, above it or below it."""
    longer, shorter = sorted((touched, declared), key=len, reverse=True)
    return longer == shorter or longer.startswith((f"{shorter}.", f"{shorter}[]"))


def effect_on(touched: Iterable[Touched], declared: Sequence[str]) -> tuple[str, list[Touched]]:
    """The worst effect on a reader of these fields, and what causes any."""
    mine = [
        item
        for item in touched
        if item.change != "added" and any(is_about(item.path, path) for path in declared)
    ]
    worst = max((_ORDER.index(item.effect) for item in mine), default=0)
    return _ORDER[worst], mine
