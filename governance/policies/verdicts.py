"""What the policies say together of one request for access, and what follows from it.

1. One that declines at once beats all others: `deny`, or a breach of a policy that blocks.
2. One that grants at once holds only where none objects and none failed, and never for personal
   fields in clear: then it is an agreement, and a person decides.
3. Terms: the shortest that is said holds; without any, the longest of all grants does.
"""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

from governance.policies.answers import Answer, answer_of
from governance.policies.facts import Subject
from governance.policies.judging import Rule, judge, value_of
from governance.types import PolicyOutcome, Severity

APPROVE: Final = "approve"
DENY: Final = "deny"


@dataclass(frozen=True, slots=True)
class Word:
    """What one policy says: `word` is agrees, objects, grants, declines, term or undecided."""

    policy: str
    word: str
    sentence: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """What all of them say: `stance` is agrees, objects or empty; `answer` what follows at once,
    approve, deny or empty where a person decides; `by` the policy that answers."""

    words: tuple[Word, ...] = ()
    stance: str = ""
    answer: str = ""
    by: str = ""
    longest_days: int | None = None

    @property
    def reason(self) -> str:
        """Why it is answered at once."""
        wanted = "grants" if self.answer == APPROVE else "declines"
        return next((one.sentence for one in self.words if one.word == wanted), "")

    def as_dict(self) -> dict[str, Any]:
        """As the request keeps it and the API gives it."""
        found = asdict(self)
        found["words"] = list(found["words"])
        return found


def verdict(
    rules: Iterable[Rule], subject: Subject, facts: Mapping[str, Any], *, is_clear: bool
) -> Verdict:
    """What the rules say of the facts of one request."""
    words: list[Word] = []
    terms: list[int] = []
    for rule in rules:
        word, days = _word_of(rule, subject, facts)
        words += [word] if word is not None else []
        terms += [days] if days is not None else []
    against = [one for one in words if one.word in ("objects", "declines", "undecided")]
    stance = "objects" if against else "agrees" if _has(words, "agrees", "grants") else ""
    answer, by = "", ""
    if declining := _has(words, "declines"):
        answer, by = DENY, declining
    elif (granting := _has(words, "grants")) and not against and not is_clear:
        answer, by = APPROVE, granting
    return Verdict(tuple(words), stance, answer, by, min(terms) if terms else None)


def _has(words: Iterable[Word], *wanted: str) -> str:
    """The first policy that says one of these."""
    return next((one.policy for one in words if one.word in wanted), "")


def _word_of(
    rule: Rule, subject: Subject, facts: Mapping[str, Any]
) -> tuple[Word | None, int | None]:
    said = judge(rule, subject, facts)
    if said.outcome in (PolicyOutcome.UNDECIDED, PolicyOutcome.NOT_MEASURED):
        why = f"{rule.title}: could not be judged ({said.detail})."
        return Word(rule.slug, "undecided", why), None
    value = value_of(rule, subject, facts)
    if not isinstance(value, dict):
        if said.outcome == PolicyOutcome.IN_ORDER:
            return Word(rule.slug, "agrees", f"{rule.title}."), None
        word = "declines" if rule.severity == Severity.BLOCK else "objects"
        return Word(rule.slug, word, said.sentence), None
    found = answer_of(value)
    assert isinstance(found, Answer)  # else it could not have been judged
    words = {"approve": "grants", "deny": "declines", "agree": "agrees", "object": "objects"}
    because = found.because or (said.sentence if found.is_against else f"{rule.title}.")
    if found.answer in words:
        return Word(rule.slug, words[found.answer], because), found.longest_days
    if found.longest_days is not None:
        term = found.because or f"{rule.title}: at most {found.longest_days} days."
        return Word(rule.slug, "term", term), found.longest_days
    return None, None
