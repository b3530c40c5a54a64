"""The trust mark: five signals with one sentence of evidence each, and the word they make.

Owned, Stable, Fresh, Clean, Cleared; each fine, care, failing or unknown ("not measured"). There is
no score, so one failing part is never averaged away. The rules are those of the interface design:

| part | care | failing | unknown |
| --- | --- | --- | --- |
| Owned | review overdue (`catalog.reviewing`) | no owner team, or nobody in it | |
| Stable | deprecated, or a breaking change proposed | past its sunset | no version yet |
| Fresh | freshness check at level 1 | at level 2 | no verdict |
| Clean | a check in suspect | an alarm open | no check gave a verdict |
| Cleared | an open privacy suggestion, or personal and its review overdue | a personal field without \
treatment | no field known |

Word: all fine is Trusted; any failing is Not ready; else any care is Use with care; else Unproven.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

from catalog import reviewing
from catalog.types import Tier
from portal.http import words


class State(StrEnum):
    FINE = "fine"
    CARE = "care"
    FAILING = "failing"
    UNKNOWN = "unknown"


EVIDENCE: Final = {
    "Owned": "Who to ask",
    "Stable": "Version history",
    "Fresh": "Freshness",
    "Clean": "See the checks",
    "Cleared": "Personal fields",
}


@dataclass(frozen=True, slots=True)
class Part:
    """One signal. `link` is where its evidence stands, relative to the stream's page."""

    name: str
    state: State
    sentence: str
    link: str

    @property
    def evidence(self) -> str:
        """What the link to the evidence is called."""
        return EVIDENCE[self.name]


@dataclass(frozen=True, slots=True)
class Trust:
    """The five signals in the order Owned, Stable, Fresh, Clean, Cleared."""

    parts: tuple[Part, ...]

    @property
    def word(self) -> str:
        """Not ready, Use with care, Unproven or Trusted: the first that any part asks for."""
        states = {part.state for part in self.parts}
        if State.FAILING in states:
            return "Not ready"
        if State.CARE in states:
            return "Use with care"
        return "Unproven" if State.UNKNOWN in states else "Trusted"

    @property
    def failing(self) -> list[Part]:
        return [part for part in self.parts if part.state is State.FAILING]

    @property
    def caring(self) -> list[Part]:
        return [part for part in self.parts if part.state is State.CARE]

    @property
    def unknown(self) -> list[Part]:
        return [part for part in self.parts if part.state is State.UNKNOWN]


@dataclass(frozen=True, slots=True)
class CheckFact:
    """What a check says now: its level (None: no verdict), its machine's state, its sentence."""

    level: int | None
    state: str
    sentence: str


@dataclass(frozen=True, slots=True)
class TrustFacts:
    """Everything the five signals follow from."""

    now: datetime
    owner: str = ""
    owner_people: int = 0
    reviewed_at: datetime | None = None  # or registered, where it never was
    tier: str = Tier.T3
    is_personal: bool = False  # its data or its subject
    lifecycle: str = "active"
    versions: int = 0
    first_version_at: datetime | None = None
    sunset_at: datetime | None = None
    breaking_changes: int = 0  # proposed, and not decided or not active yet
    fields: int = 0
    personal_fields: int = 0
    untreated_fields: int = 0
    privacy_suggestions: int = 0
    last_event_at: datetime | None = None
    checks: dict[str, CheckFact] | None = None

    @property
    def is_review_overdue(self) -> bool:
        """Whether nobody looked again in time."""
        if self.reviewed_at is None:
            return True
        due_at = reviewing.due_at(self.reviewed_at, self.tier, is_personal=self.is_personal)
        return self.now > due_at


def trust_of_facts(facts: TrustFacts) -> Trust:
    """The five signals of a stream from its facts."""
    return Trust((owned(facts), stable(facts), fresh(facts), clean(facts), cleared(facts)))


def owned(facts: TrustFacts) -> Part:
    """Owned: failing without people in an owner team, care when its review is overdue."""
    state, said = (
        State.FINE,
        f"Team {facts.owner}, {words.plural(facts.owner_people, 'person', 'people')}.",
    )
    if not facts.owner:
        state, said = State.FAILING, "No team owns it."
    elif not facts.owner_people:
        state, said = State.FAILING, f"Nobody is in team {facts.owner}."
    elif facts.is_review_overdue:
        when = words.day(facts.reviewed_at, facts.now) if facts.reviewed_at else "never"
        state, said = State.CARE, f"Team {facts.owner} owns it; review overdue, last {when}."
    return Part("Owned", state, said, "#about")


def stable(facts: TrustFacts) -> Part:
    """Stable: failing past its sunset or retired, care when deprecated, unknown without version."""
    if not facts.versions:
        return Part("Stable", State.UNKNOWN, "It has no contract yet.", "versions/")
    count = words.plural(facts.versions, "version")
    since = (
        f" since {words.day(facts.first_version_at, facts.now)}" if facts.first_version_at else ""
    )
    if facts.lifecycle == "retired" or (facts.sunset_at and facts.sunset_at <= facts.now):
        return Part("Stable", State.FAILING, "It is past its sunset.", "versions/")
    if facts.lifecycle == "deprecated":
        until = f" until {words.day(facts.sunset_at, facts.now)}" if facts.sunset_at else ""
        return Part("Stable", State.CARE, f"Deprecated{until}.", "versions/")
    if facts.breaking_changes:
        said = f"{words.plural(facts.breaking_changes, 'breaking change')} proposed."
        return Part("Stable", State.CARE, said, "versions/")
    return Part("Stable", State.FINE, f"{count}{since}, in use.", "versions/")


def fresh(facts: TrustFacts) -> Part:
    """Fresh: by the level of the freshness check; unknown without its verdict."""
    check = (facts.checks or {}).get("freshness")
    if check is None or check.level is None:
        said = "Not measured: no rhythm is known yet."
        if facts.last_event_at is not None:
            said = f"Last event {words.ago(facts.last_event_at, facts.now)}; its rhythm is not known yet."
        return Part("Fresh", State.UNKNOWN, said, "quality/")
    state = (State.FINE, State.CARE, State.FAILING)[min(check.level, 2)]
    said = fresh_sentence(check.level, check.sentence, facts.last_event_at, facts.now)
    return Part("Fresh", state, said, "quality/")


def fresh_sentence(level: int, said: str, last_event_at: datetime | None, now: datetime) -> str:
    """What is said of freshness: of this moment while all is well, else what the check found.

    A check speaks of the moment it ran; "last event 1 s ago" is wrong a minute later.
    """
    if level or last_event_at is None:
        return said
    return f"Last event {words.ago(last_event_at, now)}, within its rhythm."


def clean(facts: TrustFacts) -> Part:
    """Clean: failing with an alarm, care with a suspect check or a breach of validity; unknown
    while no check gave a verdict."""
    checks = facts.checks or {}
    alarms = [kind for kind, check in checks.items() if check.state in ("alarm", "remediating")]
    suspects = [kind for kind, check in checks.items() if check.state == "suspect"]
    validity = checks.get("validity")
    if alarms:
        return Part("Clean", State.FAILING, checks[alarms[0]].sentence, "quality/")
    if suspects:
        said = checks[suspects[0]].sentence
        if not checks[suspects[0]].level:  # it is back inside, and its sentence would say so
            said = f"Its {suspects[0]} was over a limit lately, and is watched."
        return Part("Clean", State.CARE, said, "quality/")
    if not any(check.level is not None for check in checks.values()):
        return Part("Clean", State.UNKNOWN, "Not measured: too few events to judge.", "quality/")
    if validity is not None and validity.level:
        return Part("Clean", State.CARE, validity.sentence, "quality/")
    said = validity.sentence if validity is not None and validity.level is not None else ""
    return Part("Clean", State.FINE, said or "No check complains.", "quality/")


def cleared(facts: TrustFacts) -> Part:
    """Cleared: failing with an untreated personal field, care with an open suggestion or when a
    personal stream's review is overdue; unknown while no field is known."""
    if not facts.fields and not facts.privacy_suggestions:
        return Part("Cleared", State.UNKNOWN, "No field is known yet.", "schema/")
    if facts.untreated_fields:
        return Part(
            "Cleared",
            State.FAILING,
            f"{words.plural(facts.untreated_fields, 'personal field')} without treatment.",
            "schema/",
        )
    if facts.privacy_suggestions:
        return Part(
            "Cleared",
            State.CARE,
            f"{words.plural(facts.privacy_suggestions, 'field')} may be personal and not labelled.",
            "schema/",
        )
    if facts.is_personal and facts.is_review_overdue:
        return Part(
            "Cleared", State.CARE, "The review of its personal data is overdue.", "privacy/"
        )
    said = (
        f"{words.plural(facts.personal_fields, 'personal field')} labelled and treated."
        if facts.personal_fields
        else "No personal field."
    )
    return Part("Cleared", State.FINE, said, "schema/")
