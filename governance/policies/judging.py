"""Judging a thing by a policy: the expression over its facts, and what that says.

1. `true` or an empty list: in order. `false`: not in order. A list of texts: what is not, by name.
2. It reads a declared fact that the thing does not have: not measured, which the answer names.
3. Of a kind that is answered (`Subject.is_answered`) also an object: see `governance.policies.answers`.
4. It fails otherwise, or gives anything else: it could not be judged, which is a finding too.
"""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

from governance.policies.answers import answer_of
from governance.policies.facts import Subject
from governance.types import PolicyOutcome, Severity
from portal.kernel.cel import CelError, CelKeyError, Expression, compile_expression
from portal.kernel.errors import FieldError, InvalidError

MAX_NAMES: Final = 10
_LONGEST_NAME: Final = 120


@dataclass(frozen=True, slots=True)
class Rule:
    """What of a policy judging needs. `id` is its row's, 0 where there is none."""

    slug: str
    title: str
    subject: str
    expression: str
    severity: str
    remedy: str = ""
    version: int = 1
    id: int = 0


@dataclass(frozen=True, slots=True)
class Said:
    """What a rule says of a thing. `detail`: which parts, which fact, or why it failed.

    `waived_until` is the RFC 3339 time until which a breach is waived.
    """

    policy: str
    title: str
    severity: str
    outcome: PolicyOutcome
    detail: str = ""
    remedy: str = ""
    version: int = 1
    policy_id: int = 0
    waived_until: str | None = None

    @property
    def is_finding(self) -> bool:
        return self.outcome in (PolicyOutcome.BREAKS, PolicyOutcome.UNDECIDED)

    @property
    def blocks(self) -> bool:
        """Whether it stops a change: what could not be judged stops it like what is not in order."""
        return self.is_finding and self.severity == Severity.BLOCK and self.waived_until is None

    @property
    def sentence(self) -> str:
        """In one line: what is not in order, and how to mend it."""
        named = f" ({self.detail})" if self.detail else ""
        if self.outcome == PolicyOutcome.UNDECIDED:
            return f"{self.title}: could not be judged{named}."
        return f"{self.title}{named}. {self.remedy}".strip()

    def as_dict(self) -> dict[str, Any]:
        """As JSON, without row ids."""
        found = asdict(self) | {"outcome": str(self.outcome), "severity": str(self.severity)}
        del found["policy_id"]
        return found


def judge(rule: Rule, subject: Subject, facts: Mapping[str, Any]) -> Said:
    """What a rule says of the facts of one thing. Nothing is raised for what an expression does."""
    outcome, detail = _outcome(rule, subject, facts)
    return Said(
        rule.slug,
        rule.title,
        rule.severity,
        outcome,
        detail,
        rule.remedy if outcome == PolicyOutcome.BREAKS else "",
        rule.version,
        rule.id,
    )


def _outcome(rule: Rule, subject: Subject, facts: Mapping[str, Any]) -> tuple[PolicyOutcome, str]:
    try:
        value = value_of(rule, subject, facts)
    except CelKeyError as error:
        path = subject.unmeasured(facts).get(error.key)
        if path is not None:
            return PolicyOutcome.NOT_MEASURED, path
        return PolicyOutcome.UNDECIDED, f"it reads {error.key}, which is not among the facts"
    except CelError as error:
        return PolicyOutcome.UNDECIDED, str(error)
    except InvalidError as error:
        return PolicyOutcome.UNDECIDED, error.detail
    if value is True or value == []:
        return PolicyOutcome.IN_ORDER, ""
    if value is False:
        return PolicyOutcome.BREAKS, ""
    if isinstance(value, list) and all(isinstance(name, str) for name in value):
        return PolicyOutcome.BREAKS, _named(value)
    if isinstance(value, dict) and subject.is_answered:
        return _answered(value)
    return PolicyOutcome.UNDECIDED, "it gives neither true, false nor a list of names"


def value_of(rule: Rule, subject: Subject, facts: Mapping[str, Any]) -> Any:
    """What a rule's expression gives for the facts of one thing. Raises CelError, or InvalidError for
    one that cannot be compiled."""
    variables = subject.variables
    expression = compile_expression(rule.expression, variables)
    return expression.value({name: facts.get(name, {}) for name in variables})


def _answered(value: Mapping[str, Any]) -> tuple[PolicyOutcome, str]:
    found = answer_of(value)
    if isinstance(found, str):
        return PolicyOutcome.UNDECIDED, found
    if found.is_against:
        return PolicyOutcome.BREAKS, found.because
    return PolicyOutcome.IN_ORDER, ""


def _named(names: list[str]) -> str:
    """`email, phone and 3 more`."""
    shown = [name[:_LONGEST_NAME] for name in names[:MAX_NAMES]]
    more = len(names) - len(shown)
    return ", ".join(shown) + (f" and {more} more" if more else "")


def rows_of(said: Iterable[Said]) -> list[dict[str, Any]]:
    """What policies say as JSON, what blocks first, then the other findings, then the rest."""
    order = ("block", "warn", "inform")
    ranked = sorted(said, key=lambda one: (not one.is_finding, order.index(one.severity)))
    return [one.as_dict() | {"blocks": one.blocks} for one in ranked]


def check_expression(text: str, subject: Subject) -> Expression:
    """Compile an expression and try it on an example of which everything is measured.

    Raises InvalidError at `/expression` that says what is wrong: its syntax, a fact that there is
    not, or a value that is neither true, false nor a list of names.
    """
    expression = compile_expression(text, subject.variables)
    rule = Rule("", "", subject.kind, text, Severity.INFORM)
    outcome, detail = _outcome(rule, subject, subject.example())
    if outcome == PolicyOutcome.UNDECIDED:
        raise InvalidError(
            "The expression cannot judge.",
            code="expression",
            errors=[FieldError("/expression", "expression", detail)],
        )
    return expression
