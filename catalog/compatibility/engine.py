"""Whether a candidate may follow earlier versions: the engine's one question and answer.

Pure: documents in, verdict out; no network, no files, no Django. Bounded by `budget.py`: what is
not decided within it is `undecided`, which counts as a break.
"""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any, Final

from catalog.compatibility.budget import MAX_EXAMPLE_SECONDS, Budget, ExhaustedError
from catalog.compatibility.changes import CHANGES
from catalog.compatibility.documents import Document, read_document
from catalog.compatibility.examples import Examples
from catalog.compatibility.joined import Joins
from catalog.compatibility.nodes import Nodes, View
from catalog.compatibility.places import Found, Pair, Place
from catalog.compatibility.proofs import Proofs
from catalog.compatibility.types import Difference, Direction, Mode, Outcome, Policy, Verdict
from catalog.compatibility.walk import Walk
from portal.kernel.json_schema import is_known_dialect

MAX_COMPARED: Final = 100  # earlier versions in one question

_VIEWS = {Policy.READER_WRITER: (View.WRITER, View.READER)}


def compare(
    candidate: Any,
    versions: Sequence[Any],
    *,
    mode: Mode = Mode.BACKWARD,
    policy: Policy = Policy.STRICT,
    budget: Budget | None = None,
) -> Verdict:
    """The verdict on a candidate against earlier versions, oldest first.

    Raises InvalidError with a pointer (`/candidate`, `/versions/0`, …) for documents that are not
    schemas, too large, or refer outside themselves.
    """
    budget = budget or Budget()
    new = read_document(candidate, place="/candidate")
    numbered = list(enumerate(versions))
    chosen = numbered if mode.is_transitive else numbered[-1:]
    notes = [] if is_known_dialect(candidate) else [_NOTE.format(place="The candidate")]
    differences: list[Difference] = []
    outcomes: list[Outcome] = []
    for number, version in reversed(chosen):
        old = read_document(version, place=f"/versions/{number}")
        if not is_known_dialect(version):
            notes.append(_NOTE.format(place=f"Version {number}"))
        try:
            comparison = _Comparison(old, new, mode, policy, number, budget)
            outcomes.append(comparison.outcome())
            differences += comparison.differences()
        except ExhaustedError:
            outcomes.append(Outcome.UNKNOWN if mode.directions else Outcome.YES)
            differences.append(_capped(mode, number))
    worst = min(outcomes, default=Outcome.YES)
    return Verdict(
        compatible=worst is Outcome.YES,
        undecided=worst is Outcome.UNKNOWN,
        differences=tuple(differences),
        notes=tuple(notes),
    )


def _capped(mode: Mode, number: int) -> Difference:
    words = CHANGES["undecided"]
    return Difference(
        path="",
        pointer_old="",
        pointer_new="",
        change="undecided",
        breaks=mode.directions,
        detail=words.sentence,
        example=None,
        remedy=words.remedy,
        version=number,
    )


_NOTE = "{place} names a dialect in $schema that is not known here; it is read as draft 2020-12."


class _Comparison:
    """A candidate and one earlier version."""

    def __init__(
        self,
        old: Document,
        new: Document,
        mode: Mode,
        policy: Policy,
        number: int,
        budget: Budget,
    ) -> None:
        self.mode, self.number, self.budget = mode, number, budget
        nodes = Nodes()
        self.joins = Joins(nodes, budget)
        writer, reader = _VIEWS.get(policy, (View.PLAIN, View.PLAIN))

        def pair(left: Document, right: Document) -> Pair:
            start = (nodes.number(left, "", writer), nodes.number(right, "", reader))
            return Pair(*(self.joins.entry([one]) for one in start))

        self.pairs: Mapping[Direction, Pair] = {
            Direction.BACKWARD: pair(old, new),
            Direction.FORWARD: pair(new, old),
        }
        self.proofs = {one: Proofs(self.joins, budget, policy) for one in Direction}
        self.found: list[Found] = []
        self.examples: list[tuple[Any, ...]] = []

    def outcome(self) -> Outcome:
        """What the mode's directions come to; also finds the differences and their examples."""
        outcomes = {one: self._try(one) for one in self.mode.directions}
        walk = Walk(self.joins, self.proofs, self.budget)
        with suppress(ExhaustedError, RecursionError):  # what was found until then is the answer
            walk.walk(Place("", self.pairs))
        self.found = walk.found
        missing = frozenset(outcomes) - {one for found in self.found for one in found.breaks}
        capped = frozenset(one for one in missing if outcomes[one] is not Outcome.YES)
        if capped:
            place = Place("", self.pairs)
            self.found.append(Found(place, "undecided", "", "", capped))
        self._look_for_examples()
        for found, example in zip(self.found, self.examples, strict=True):
            if found.change == "undecided" and example:
                found.change, found.words = "schema_changed", {}
        for found, example in zip(self.found, self.examples, strict=True):
            for one in found.breaks if example else ():
                if outcomes.get(one) is Outcome.UNKNOWN:
                    outcomes[one] = self._decided(one)
        return min(outcomes.values(), default=Outcome.YES)

    def _try(self, direction: Direction) -> Outcome:
        try:
            return self.proofs[direction].within(*self.pairs[direction])
        except (ExhaustedError, RecursionError):
            return Outcome.UNKNOWN

    def _decided(self, direction: Direction) -> Outcome:
        shown = any(
            example and direction in found.breaks
            for found, example in zip(self.found, self.examples, strict=True)
        )
        return Outcome.NO if shown else Outcome.UNKNOWN

    def _look_for_examples(self) -> None:
        asked = self.mode.directions
        order = (*asked, *(one for one in Direction if one not in asked))
        self.joins.budget = Budget(seconds=MAX_EXAMPLE_SECONDS)
        looking = Examples(self.joins, self.pairs, self.joins.budget)
        for found in self.found:
            try:
                self.examples.append(looking.of(found, order) if found.breaks else ())
            except (ExhaustedError, RecursionError):
                self.examples.append(())

    def differences(self) -> list[Difference]:
        return [
            self._difference(found, example)
            for found, example in zip(self.found, self.examples, strict=True)
        ]

    def _difference(self, found: Found, example: tuple[Any, ...]) -> Difference:
        words = CHANGES[found.change]
        where = f"“{found.place.path}”" if found.place.path else "the document"
        said = {"old": "", "new": "", "name": "", "where": where} | found.words
        detail = words.sentence.format(**said)
        return Difference(
            path=found.place.path,
            pointer_old=found.pointer_old,
            pointer_new=found.pointer_new,
            change=found.change,
            breaks=tuple(one for one in Direction if one in found.breaks),
            detail=detail[:1].upper() + detail[1:],
            example=example[0] if example else None,
            remedy=words.remedy if found.breaks else "",
            version=self.number,
        )
