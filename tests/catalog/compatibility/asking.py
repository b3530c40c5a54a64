"""Questions to the engine, short enough to stand in tables."""

from typing import Any

from catalog.compatibility.engine import compare
from catalog.compatibility.types import Direction, Mode, Policy, Verdict

STRICT, LENIENT, READER_WRITER = Policy.STRICT, Policy.LENIENT, Policy.READER_WRITER
DRAFTS = {
    "4": "http://json-schema.org/draft-04/schema#",
    "6": "http://json-schema.org/draft-06/schema#",
    "7": "http://json-schema.org/draft-07/schema#",
    "2019-09": "https://json-schema.org/draft/2019-09/schema",
    "2020-12": "https://json-schema.org/draft/2020-12/schema",
}


def ask(old: Any, new: Any, policy: Policy = STRICT, mode: Mode = Mode.FULL) -> Verdict:
    return compare(new, [old], mode=mode, policy=policy)


def breaks(verdict: Verdict) -> set[Direction]:
    return {one for difference in verdict.differences for one in difference.breaks}


def backward(old: Any, new: Any, policy: Policy = STRICT) -> bool:
    """Whether a new reader reads old data; forward is the same question asked the other way."""
    verdict = ask(old, new, policy, Mode.BACKWARD)
    mirrored = ask(new, old, policy, Mode.FORWARD)
    assert verdict.compatible == mirrored.compatible, (old, new)
    assert verdict.compatible == (Direction.BACKWARD not in breaks(verdict)), verdict.as_dict()
    return verdict.compatible


def written_in(draft: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"$schema": DRAFTS[draft], **schema}
