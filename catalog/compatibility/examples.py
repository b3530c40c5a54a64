"""Counter-examples: documents that one version takes and the other does not.

1. Values are guessed for the place of the difference, from what its left side allows and what its
   right side limits, those about the property in question first.
2. Each that the left form takes and the right form does not is put into the smallest document of
   the whole schema that leads there.
3. That document is shown only when the two compiled validators say so: those of the versions
   themselves, or, where forms of them are compared, those of the forms.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from catalog.compatibility.budget import Budget, ExhaustedError
from catalog.compatibility.emission import form_document
from catalog.compatibility.joined import Joins, Key
from catalog.compatibility.nodes import View, frozen
from catalog.compatibility.places import Found, Pair
from catalog.compatibility.samples import _items, least, samples
from catalog.compatibility.types import Direction
from catalog.compatibility.values import accepts
from portal.kernel.errors import InvalidError
from portal.kernel.json_schema import compile_schema, listing_cost

MAX_TRIED: Final = 60
MAX_COST: Final = 1_000_000  # subschemas that one validation may visit
MAX_BYTES: Final = 20_000


@dataclass(slots=True)
class Examples:
    """Looks for examples of one comparison until its budget is spent."""

    joins: Joins
    root: Mapping[Direction, Pair]
    budget: Budget
    _validators: dict[int, Any] = field(default_factory=dict)

    def of(self, found: Found, directions: tuple[Direction, ...]) -> tuple[Any, ...]:
        """A checked document in a tuple, or an empty one; the first direction first."""
        for direction in directions:
            if direction not in found.breaks:
                continue
            for tried, document in enumerate(self._guesses(found, direction)):
                if tried >= MAX_TRIED or not self.budget.has_time():
                    break
                if self._is_proof(direction, document):
                    return (document,)
        return ()

    def _guesses(self, found: Found, direction: Direction) -> Iterator[Any]:
        pair = found.place.pairs[direction]
        values = samples(self.joins, pair.left, pair.right, focus=found.focus)
        if found.focus is not None:
            values.sort(key=lambda value: _distance(found, direction, value))
        late: list[Any] = []
        for value in values:
            if not self.budget.has_time():
                return
            if not accepts(self.joins, pair.left, value):
                continue
            if accepts(self.joins, pair.right, value):
                continue
            whole = self._whole(found, direction, value)
            if whole:
                if whole[0] is None:
                    late.append(None)
                else:
                    yield whole[0]
        yield from late

    def _whole(self, found: Found, direction: Direction, value: Any) -> tuple[Any, ...]:
        """The value within the smallest document that leads to its place."""
        for step in reversed(found.place.steps):
            above = step.above[direction].left
            if isinstance(step.at, str):
                base = least(self.joins, above._replace(needs=above.needs | {step.at}))
                base = base or least(self.joins, above)
                if not base or not isinstance(base[0], dict):
                    base = ({},)
                value = {**base[0], step.at: value}
            else:
                joined = self.joins[above]
                size = max(joined.count("minItems") or 0, step.at + 1)
                items = _items(self.joins, joined, size, 2)
                if len(items) <= step.at:
                    items = [*items, *[None] * (step.at + 1 - len(items))]
                items[step.at] = value
                value = items
        return (value,)

    def _is_proof(self, direction: Direction, document: Any) -> bool:
        pair = self.root[direction]
        try:
            if len(str(document)) > MAX_BYTES:
                return False
            return bool(
                self._validator(pair.left).is_valid(document)
                and not self._validator(pair.right).is_valid(document)
            )
        except (InvalidError, ValueError, OverflowError):
            return False

    def _validator(self, key: Key) -> Any:
        number = next(iter(key.holds))
        known = self._validators.get(number)
        if known is None:
            node = self.joins.nodes[number]
            plain = node.view is View.PLAIN
            source = node.document.root if plain else form_document(self.joins, number)
            if listing_cost(source) > MAX_COST:
                raise ExhaustedError  # the validator itself would take too long
            known = self._validators[number] = compile_schema(source)
        return known


def _distance(found: Found, direction: Direction, value: Any) -> tuple[int, int]:
    """Small for what shows this very change: with the property, or without a required one."""
    has = isinstance(value, dict) and found.focus in value
    lacks = found.change.startswith("required") and direction is Direction.BACKWARD
    lacks = lacks or (direction is Direction.FORWARD and found.change.endswith("removed"))
    return (0 if has is not lacks else 1, len(str(frozen(value))) if isinstance(value, dict) else 0)
