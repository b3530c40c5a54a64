"""House rules for contracts: reported with the place and what to do, never a reason to refuse.

The rules are a table; each says which field rows break it.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

from catalog.field_index import FieldRow

SNAKE: Final = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")
PERSONAL_WORDS: Final = frozenset(
    [
        "email",
        "mail",
        "phone",
        "mobile",
        "address",
        "street",
        "zip",
        "postcode",
        "firstname",
        "lastname",
        "surname",
        "birthday",
        "birthdate",
        "ip",
        "iban",
        "passport",
        "ssn",
    ]
)
_MONEY: Final = frozenset({"price", "amount", "total", "cost", "fee", "revenue", "tax", "discount"})


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that a reviewer would say. `severity` is "warning" or "suggestion"."""

    rule: str
    path: str
    severity: str
    message: str

    def as_dict(self) -> dict[str, str]:
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Rule:
    name: str
    severity: str
    message: str
    breaks: Callable[[FieldRow], bool]


RULES: Final[tuple[Rule, ...]] = (
    Rule(
        "snake_case",
        "warning",
        "Name fields in snake_case.",
        lambda row: not SNAKE.fullmatch(row.name),
    ),
    Rule(
        "described",
        "suggestion",
        "Say in one sentence what it means.",
        lambda row: not row.description and not row.title and "object" not in row.types,
    ),
    Rule("typed", "warning", "Give it a type.", lambda row: not row.types and row.enum is None),
    Rule(
        "one_type",
        "suggestion",
        "Give it one type; make it optional instead of null.",
        lambda row: len(row.types) > 1,
    ),
    Rule(
        "flat",
        "suggestion",
        "Keep data flat: at most two levels.",
        lambda row: row.depth > 2,
    ),
    Rule(
        "personal_unlabelled",
        "warning",
        "Looks personal: give it x-classification, and x-privacy where it is stored.",
        lambda row: looks_personal(row.name) and not row.classification,
    ),
    Rule(
        "money_minor_units",
        "suggestion",
        "Send money as whole minor units (integer), with its currency beside it.",
        lambda row: _has_word(row.name, _MONEY) and "number" in row.types,
    ),
    Rule(
        "time_format",
        "suggestion",
        "Give times the format date-time.",
        lambda row: row.name.endswith(("_at", "_time")) and "string" in row.types
        and row.format not in ("date-time", "time"),
    ),
    Rule(
        "sunset",
        "warning",
        "Deprecated: say until when with x-sunset.",
        lambda row: row.deprecated and row.sunset_on is None,
    ),
)  # fmt: skip
MAX_FINDINGS: Final = 200


def lint(rows: Sequence[FieldRow], document: Any = None) -> list[Finding]:
    """What the house rules say about a contract's fields, in the order of the fields."""
    found: list[Finding] = []
    if isinstance(document, dict) and not document.get("description"):
        found.append(
            Finding("stream_described", "", "suggestion", "Say what one event of it means.")
        )
    if not rows:
        found.append(Finding("has_fields", "", "warning", "The contract names no field."))
    for row in rows:
        found += [
            Finding(rule.name, row.path, rule.severity, rule.message)
            for rule in RULES
            if rule.breaks(row)
        ]
    return found[:MAX_FINDINGS]


def looks_personal(name: str) -> bool:
    """Whether a field's name says that it holds something about a person."""
    return _has_word(name, PERSONAL_WORDS)


def _has_word(name: str, words: frozenset[str]) -> bool:
    parts = re.split(r"[^a-z0-9]+", re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower())
    return not words.isdisjoint(parts) or "".join(parts) in words
