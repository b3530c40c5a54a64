"""Objects of the left are objects of the right: properties, patterns, required, dependencies."""

from collections.abc import Iterable

from catalog.compatibility import texts
from catalog.compatibility.evaluated import properties_rest
from catalog.compatibility.joined import NOTHING, Joined, Key, ObjectShape, says_nothing
from catalog.compatibility.proving import Prover
from catalog.compatibility.types import Outcome
from catalog.compatibility.values import accepts, covering

_STRINGS = frozenset({"string"})


def worst(outcomes: Iterable[Outcome]) -> Outcome:
    """All of them: stops at the first NO."""
    found = Outcome.YES
    for one in outcomes:
        found = min(found, one)
        if found is Outcome.NO:
            break
    return found


def property_key(prover: Prover, key: Key, name: str) -> Key:
    """What a property of documents of the key may hold; NOTHING when it cannot be there."""
    numbers: set[int] = set()
    for shape in prover.objects_of(key):
        if shape.forbids and not _declares(shape, name):
            return NOTHING
        numbers.update(one for one in covering(shape, name) if one is not None)
    return prover.joins.entry(numbers)


def _declares(shape: ObjectShape, name: str) -> bool:
    return name in shape.properties or any(texts.matches(p, name) for p in shape.patterns)


def is_declared(prover: Prover, key: Key, name: str) -> bool:
    """Whether a schema of the key names the property, by `properties` or by pattern."""
    return any(_declares(shape, name) for shape in prover.joins[key].objects)


def property_outcome(prover: Prover, left: Key, shape: ObjectShape, name: str) -> Outcome:
    """One property of the left under one shape of the right, with the policies' exceptions."""
    wanted = {one for one in covering(shape, name) if one is not None}
    forbidden = shape.forbids and not _declares(shape, name)
    if not wanted and not forbidden:
        return Outcome.YES
    have = property_key(prover, left, name)
    if have is NOTHING:
        return Outcome.YES
    if prover.lenient:
        if forbidden:
            return Outcome.YES  # removed from a closed model
        declared = is_declared(prover, left, name)
        if name in shape.properties and not declared and says_nothing(prover.joins[have]):
            return Outcome.YES  # added to an open model
    return prover.below(have, prover.joins.entry(wanted) if wanted else NOTHING)


def shape_outcome(prover: Prover, left: Key, shape: ObjectShape) -> Outcome:
    """All properties that documents of the left may have, named or not."""
    shapes = prover.objects_of(left)
    names = dict.fromkeys(shape.properties)
    for one in shapes:
        names.update(dict.fromkeys(one.properties))
    names.update(dict.fromkeys(prover.joins[left].required))
    found = Outcome.YES
    for name in names:
        found = min(found, property_outcome(prover, left, shape, name))
        if found is Outcome.NO:
            return found
    return min(found, region_outcome(prover, shapes, shape))


def region_outcome(prover: Prover, shapes: list[ObjectShape], shape: ObjectShape) -> Outcome:
    """Names that no side declares: those of each pattern of the left, and the rest."""
    patterns = {pattern for one in shapes for pattern in one.patterns}
    found = Outcome.YES
    for pattern in sorted(patterns):
        found = min(found, _pattern_outcome(prover, shapes, shape, pattern))
        if found is Outcome.NO:
            return found
    if any(texts.matches_all(pattern) for pattern in patterns):
        return found
    have = rest_key(prover, shapes)
    if have is NOTHING:
        return found
    for pattern, wanted in shape.patterns.items():
        if pattern not in patterns and wanted is not None:
            found = min(found, prover.below(have, prover.joins.entry([wanted])))
    if not any(texts.matches_all(pattern) for pattern in shape.patterns):
        found = min(found, _additional_outcome(prover, have, shape))
    return found


def rest_key(prover: Prover, shapes: list[ObjectShape]) -> Key:
    """What properties hold that nothing declares."""
    if any(shape.forbids for shape in shapes):
        return NOTHING
    return prover.joins.entry(
        {shape.additional for shape in shapes if shape.additional is not None}
    )


def _additional_outcome(prover: Prover, have: Key, shape: ObjectShape) -> Outcome:
    if shape.forbids:
        if prover.lenient:
            return Outcome.YES  # closing a content model
        return Outcome.YES if prover.is_empty(have) else Outcome.NO
    if shape.additional is None:
        return Outcome.YES
    return prover.below(have, prover.joins.entry([shape.additional]))


def _pattern_outcome(
    prover: Prover, shapes: list[ObjectShape], shape: ObjectShape, pattern: str
) -> Outcome:
    have: set[int] = set()
    for one in shapes:
        others = [other for other in one.patterns if other != pattern]
        if pattern in one.patterns:
            number = one.patterns[pattern]
            have |= set() if number is None else {number}
        elif all(texts.never_both(pattern, other) for other in others):
            if one.forbids:
                return Outcome.YES
            have |= set() if one.additional is None else {one.additional}
    entry = prover.joins.entry
    if prover.is_empty(entry(have)):
        return Outcome.YES
    found = Outcome.YES
    for other, wanted in shape.patterns.items():
        if wanted is None or texts.never_both(pattern, other):
            continue
        both = {one.patterns.get(other) for one in shapes} - {None}
        joined = have | {number for number in both if number is not None}
        found = min(found, prover.below(entry(joined), entry([wanted])))
    covered = pattern in shape.patterns or any(texts.matches_all(p) for p in shape.patterns)
    return found if covered else min(found, _additional_outcome(prover, entry(have), shape))


def required_outcome(prover: Prover, left: Key, right: Joined, name: str) -> Outcome:
    """A required name of the right; one with a default may be added, except to an open model."""
    if name in prover.joins[left].required:
        return Outcome.YES
    if prover.takes_defaults and has_default(prover, right, name):
        is_open = says_nothing(prover.joins[property_key(prover, left, name)])
        if prover.lenient or not is_open or is_declared(prover, left, name):
            return Outcome.YES
    return Outcome.NO


def has_default(prover: Prover, joined: Joined, name: str) -> bool:
    """Whether the schema of a property has a `default`, or one that applies with it."""
    return any(
        node.has_default
        for shape in joined.objects
        if shape.properties.get(name) is not None
        for node in prover.joins[Key(frozenset({shape.properties[name] or 0}))].nodes
    )


def names_outcome(prover: Prover, left: Key, wanted: int) -> Outcome:
    """`propertyNames` of the right: by that of the left, or by the names a closed model has."""
    right = Key(frozenset({wanted}))
    have = Key(frozenset(number for number, _ in prover.joins[left].names), kinds=_STRINGS)
    if prover.exact.within(have, right) is Outcome.YES:
        return Outcome.YES
    names = closed_names(prover, left)
    if names is None:
        return Outcome.NO
    kept = [name for name in names if not prover.is_empty(property_key(prover, left, name))]
    return Outcome.YES if all(accepts(prover.joins, right, n) for n in kept) else Outcome.NO


def closed_names(prover: Prover, left: Key) -> set[str] | None:
    """All names a model allows that its author closed; None when it is not closed."""
    for shape in prover.objects_of(left):
        if shape.forbids and shape.node is not None and not shape.patterns:
            return set(shape.properties)
    return None


def dependent_outcome(
    prover: Prover, left: Key, right: Joined, name: str, others: tuple[str, ...]
) -> Outcome:
    """`dependentRequired` of the right."""
    if _is_new_here(prover, left, right, name):
        return Outcome.YES
    required = prover.joins[left._replace(needs=left.needs | {name})].required
    return Outcome.YES if all(other in required for other in others) else Outcome.NO


def dependent_schema_outcome(
    prover: Prover, left: Key, right: Joined, name: str, wanted: int
) -> Outcome:
    """`dependentSchemas` of the right, asked of documents of the left that have the name."""
    if _is_new_here(prover, left, right, name):
        return Outcome.YES
    return prover.within(left._replace(needs=left.needs | {name}), Key(frozenset({wanted})))


def _is_new_here(prover: Prover, left: Key, right: Joined, name: str) -> bool:
    """Whether no document of the left can have the name, and not only for its writer's closing.

    A writer's closing counts for names that the right declares itself: they arrive with it.
    """
    if property_key(prover, left, name) is not NOTHING:
        return False
    names = closed_names(prover, left)
    if names is not None and name not in names:
        return True
    return any(name in shape.properties for shape in right.objects)


def right_objects(prover: Prover, left: Key, right: Joined) -> list[ObjectShape]:
    """The shapes that the right asks for, `unevaluatedProperties` as far as it is certain."""
    shapes = list(right.objects)
    for node in right.unevaluated:
        if node.unevaluated_properties is not None:
            shapes += properties_rest(prover, node, left, certain=True)
    return shapes
