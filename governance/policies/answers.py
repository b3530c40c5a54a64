"""What a policy may answer to a request for access beside true, false and names.

An expression over requests may give an object:

1. `answer`: `approve` grants it at once, `deny` declines it at once, `agree` and `object` advise who
   decides, and `none` (or none at all) says nothing.
2. `because`: why, in a line, which who asked and who decides read.
3. `longest_days`: how long the term may be.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

MOST_DAYS: Final = 366
ANSWERS: Final = ("approve", "deny", "agree", "object", "none")
_LONGEST_REASON: Final = 300
_MEMBERS: Final = frozenset({"answer", "because", "longest_days"})


@dataclass(frozen=True, slots=True)
class Answer:
    """One policy's answer to one request; `longest_days` none where it says nothing of the term."""

    answer: str = "none"
    because: str = ""
    longest_days: int | None = None

    @property
    def is_against(self) -> bool:
        return self.answer in ("deny", "object")


def answer_of(value: Mapping[str, Any]) -> Answer | str:
    """The answer that an expression's object is, or what is wrong with it."""
    if unknown := sorted(set(value) - _MEMBERS):
        return f"it gives {unknown[0][:60]}, which is none of {', '.join(sorted(_MEMBERS))}"
    said, because = value.get("answer", "none"), value.get("because", "")
    days = value.get("longest_days")
    if said not in ANSWERS:
        return f"its answer is none of {', '.join(ANSWERS)}"
    if not isinstance(because, str):
        return "its because is no text"
    if days is not None and not (type(days) is int and 1 <= days <= MOST_DAYS):
        return f"its longest_days is no number from 1 to {MOST_DAYS}"
    return Answer(said, " ".join(because.split())[:_LONGEST_REASON], days)
