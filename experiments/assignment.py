"""Who gets what: the final hash and the order of evaluation (statistics §1).

`h` is the first 15 hexadecimal digits of SHA-256 over `purpose:salt:unit`; the bucket is `h` modulo
10,000. It is the same in every language and in SQL, so assignments can be
recomputed for an audit. `purpose` and `salt` hold no colon, so the text is unambiguous.
"""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any, Final, TypedDict

from experiments.targeting import evaluate

BUCKETS: Final = 10_000


class Assigned(TypedDict):
    """`variant` is None for a unit that gets none, `reason` the rule that ended it (§1.3), and
    `in_analysis` whether an exposure of it counts."""

    variant: str | None
    reason: str
    in_analysis: bool


def bucket(*, purpose: str, salt: str, unit: str, buckets: int = BUCKETS) -> dict[str, int]:
    """The bucket of a unit for a purpose and salt, uniform over 0 … buckets − 1."""
    return {"bucket": _bucket(purpose, salt, unit, buckets)}


def _bucket(purpose: str, salt: str, unit: str, buckets: int = BUCKETS) -> int:
    digest = hashlib.sha256(f"{purpose}:{salt}:{unit}".encode()).hexdigest()
    return int(digest[:15], 16) % buckets


def assign_variant(
    *,
    experiment: Mapping[str, Any],
    unit: object,
    attributes: Mapping[str, Any] | None = None,
    sticky: str | None = None,
    override: str | None = None,
) -> Assigned:
    """The variant of a unit; the first rule that holds ends it (statistics §1.3).

    `sticky` is the stored first answer of a sticky experiment, `override` a variant forced for
    quality assurance.
    """
    if experiment.get("status") not in {None, "running"}:
        return _out("not_running")
    text = unit_text(unit)
    if text is None:
        return _out("unit_missing")
    if override is not None:
        return {"variant": override, "reason": "override", "in_analysis": False}
    holdout = experiment.get("holdout")
    if holdout and _bucket("holdout", holdout["salt"], text) < holdout["bps"]:
        return _out("holdout")
    if sticky is not None:
        return {"variant": sticky, "reason": "sticky", "in_analysis": True}
    rule = experiment.get("targeting")
    if rule is not None and evaluate(rule, attributes or {}) is not True:
        return _out("targeting")
    layer = experiment.get("layer")
    if layer:
        slot = _bucket("layer", layer["salt"], text)
        if not any(low <= slot < high for low, high in layer["ranges"]):
            return _out("layer")
    salt = experiment["salt"]
    if _bucket("alloc", salt, text) >= experiment.get("allocation_bps", BUCKETS):
        return _out("allocation")
    return {
        "variant": _split(experiment["variants"], _bucket("variant", salt, text)),
        "reason": "split",
        "in_analysis": True,
    }


def unit_text(value: object) -> str | None:
    """A unit as text: whole numbers become decimals; what is no unit (§1.1) is None."""
    if isinstance(value, str):
        return value or None
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return None


def _split(variants: Sequence[Mapping[str, Any]], place: int) -> str:
    """The variant whose cumulated weight range holds the place, in declared order."""
    high = 0
    for variant in variants:
        high += variant["weight_bps"]
        if place < high:
            return str(variant["key"])
    raise ValueError("the weights of the variants must sum to 10,000")


def _out(reason: str) -> Assigned:
    return {"variant": None, "reason": reason, "in_analysis": False}
