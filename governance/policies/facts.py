"""What policies speak of: the kinds of things and their facts, registered by the apps above.

A kind says which facts there are, and how its things and their facts are read, many at once. A fact
that is declared and that a thing does not have is *not measured*: a policy that reads it says so
and neither passes nor fails. Who measures such a fact later registers it with `measure`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.db.models import QuerySet

from portal.kernel.actor import Actor
from portal.kernel.errors import FieldError, InvalidError


@dataclass(frozen=True, slots=True)
class Fact:
    """One fact: its path in an expression (`stream.tier`), what it says, and an example of it."""

    path: str
    says: str
    example: Any


@dataclass(frozen=True, slots=True)
class Thing:
    """One thing with its facts by variable: `{"stream": {"tier": "T1", …}, "contract": {…}}`."""

    key: str
    facts: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Subject:
    """A kind of thing. `after` gives at most so many things after a key, in the order of keys;
    `known` the keys that an actor may know of, as a query of one column of text; `titles` what
    those of some keys are called that the actor may know of; `address` holds `{key}`. Where a kind `is_answered`, policies
    may do more than judge (`governance.policies.answers`)."""

    kind: str
    one: str
    many: str
    facts: tuple[Fact, ...]
    after: Callable[[str, int], list[Thing]]
    count: Callable[[], int]
    known: Callable[[Actor], QuerySet[Any, Any]]
    titles: Callable[[Actor, Sequence[str]], Mapping[str, str]]
    address: str
    is_answered: bool = False
    measured: dict[str, Callable[[Sequence[str]], Mapping[str, Any]]] = field(default_factory=dict)

    @property
    def variables(self) -> tuple[str, ...]:
        """The names that an expression may use, in the order of the facts."""
        return tuple(dict.fromkeys(fact.path.partition(".")[0] for fact in self.facts))

    def example(self) -> dict[str, Any]:
        """One thing of which everything is measured."""
        found: dict[str, dict[str, Any]] = {name: {} for name in self.variables}
        for fact in self.facts:
            variable, _, name = fact.path.partition(".")
            found[variable][name] = fact.example
        return found

    def unmeasured(self, facts: Mapping[str, Any]) -> dict[str, str]:
        """The declared facts that a thing does not have: their paths by their last name."""
        missing = {}
        for fact in self.facts:
            variable, _, name = fact.path.partition(".")
            if name not in facts.get(variable, {}):
                missing[name] = fact.path
        return missing

    def things(self, after: str, limit: int) -> list[Thing]:
        """Things after a key, with what other apps measure of them."""
        found = self.after(after, limit)
        self.add_measured(found)
        return found

    def add_measured(self, things: Sequence[Thing]) -> None:
        """Put what other apps measure among the facts of these things."""
        keys = [thing.key for thing in things]
        for path, measure in self.measured.items() if keys else ():
            variable, _, name = path.partition(".")
            values = measure(keys)
            for thing in things:
                if thing.key in values:
                    thing.facts[variable][name] = values[thing.key]


_subjects: dict[str, Subject] = {}


def register(subject: Subject) -> None:
    """Make a kind known; called once by its app at start-up."""
    _subjects[subject.kind] = subject


def measure(kind: str, path: str, call: Callable[[Sequence[str]], Mapping[str, Any]]) -> None:
    """Say how a declared fact is measured for many keys at once; called once at start-up.

    Keys that are not in the answer stay not measured. Raises KeyError for an unknown kind or fact.
    """
    subject = _subjects[kind]
    if path not in {fact.path for fact in subject.facts}:
        raise KeyError(path)
    subject.measured[path] = call


def subjects() -> list[Subject]:
    """All kinds in the order in which they were registered."""
    return list(_subjects.values())


def kinds() -> list[str]:
    return list(_subjects)


def subject_of(kind: str) -> Subject:
    """A kind by its name. Raises InvalidError at `/subject` for one there is not."""
    found = _subjects.get(kind)
    if found is None:
        raise InvalidError(
            "There are no policies over this kind of thing.",
            errors=[FieldError("/subject", "choice", f"must be one of {', '.join(_subjects)}")],
        )
    return found
