"""Kinds of events that are not plain: what each is called, and which share of a run it has.

A kind is a reason of refusal, `schema_violation:KEYWORD`, or `late` and `duplicate`, which the door
takes. Shares are ratios of all places of a run; together they are 1 at most.
"""

from collections.abc import Iterable, Mapping
from typing import Final

from ingest.types import Reason
from portal.kernel.errors import InvalidError

LATE: Final = "late"
DUPLICATE: Final = "duplicate"
ANY: Final = Reason.SCHEMA_VIOLATION.value
ENVELOPE_RULES: Final = (
    Reason.UNPARSABLE, Reason.ENVELOPE_INVALID, Reason.LIMIT_EXCEEDED, Reason.UNKNOWN_STREAM,
    Reason.NOT_PERMITTED, Reason.OUT_OF_WINDOW, Reason.SCHEMA_UNKNOWN, Reason.VERSION_RETIRED,
    Reason.PRIVACY_REFUSED, Reason.ID_CONFLICT,
)  # fmt: skip
TAKEN: Final = (LATE, DUPLICATE)
KEYWORDS: Final = (
    "required", "type", "enum", "const", "minimum", "maximum", "exclusiveMinimum",
    "exclusiveMaximum", "multipleOf", "minLength", "maxLength", "pattern", "format", "minItems",
    "maxItems", "uniqueItems", "additionalProperties",
)  # fmt: skip
RULES: Final = (
    *(reason.value for reason in ENVELOPE_RULES),
    *TAKEN,
    ANY,
    *(f"{ANY}:{word}" for word in KEYWORDS),
)
ALIASES: Final[Mapping[str, str]] = {
    "missing_field": f"{ANY}:required",
    "wrong_type": f"{ANY}:type",
}
# Reasons that no event from outside can have, and why.
UNPROVOKED: Final[Mapping[Reason, str]] = {
    Reason.QUARANTINED: "nothing of the portal puts a source into quarantine yet",
}


def check_rule(rule: str) -> str:
    """The kind's own name, when there is such a one. Raises InvalidError."""
    found = ALIASES.get(rule, rule)
    if found in RULES:
        return found
    why = next((why for reason, why in UNPROVOKED.items() if reason == rule), "")
    raise InvalidError(
        f"No event can be {rule}: {why}."
        if why
        else f"No rule is named {rule[:60]}. Rules are {', '.join(RULES[:13])}, "
        f"schema_violation:KEYWORD, {' and '.join(ALIASES)}.",
        code="unknown_rule",
    )


def even_shares(broken_ratio: float, rules: Iterable[str]) -> dict[str, float]:
    """One share for all, split evenly between the kinds."""
    kinds = sorted(set(rules))
    return {kind: broken_ratio / len(kinds) for kind in kinds} if broken_ratio else {}


def check_shares(said: Mapping[str, float]) -> dict[str, float]:
    """Shares by the kinds' own names and in their order, those of nothing left out. Raises
    InvalidError."""
    found: dict[str, float] = {}
    for name, share in said.items():
        kind = check_rule(name)
        if not 0 <= share <= 1:
            raise InvalidError(f"The share of {name} is from 0 to 100 %.", code="share")
        if share:
            found[kind] = found.get(kind, 0.0) + share
    if sum(found.values()) > 1 + 1e-9:
        raise InvalidError("The shares are more than the whole together.", code="share")
    return dict(sorted(found.items()))


def is_expected(expected: str, seen: str) -> bool:
    """A valid event that was known already was sent twice, after a step that died."""
    return seen == expected or (expected, seen) == ("accepted", DUPLICATE)
