"""Differences of objects: properties, required names, content models, names, dependencies."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from catalog.compatibility.joined import Joined, Key
from catalog.compatibility.nodes import Node, same_value
from catalog.compatibility.objects import (
    dependent_outcome,
    dependent_schema_outcome,
    names_outcome,
    property_key,
    property_outcome,
    region_outcome,
    required_outcome,
    right_objects,
    worst,
)
from catalog.compatibility.patterns import texts_of
from catalog.compatibility.places import Pair, Place, Step, pointer_of
from catalog.compatibility.proofs import Proofs
from catalog.compatibility.types import Direction, Outcome

if TYPE_CHECKING:
    from catalog.compatibility.walk import Walk

Gate = frozenset[Direction]
Pointers = tuple[str | None, str | None]


def walk_objects(walk: "Walk", place: Place, gate: Gate) -> None:
    """Note what differs in the objects of a place, properties included. Raises ExhaustedError."""
    old, new = walk.joins[place.old], walk.joins[place.new]
    before, after = _properties(old), _properties(new)
    for name in before | after:
        _property(walk, place, gate, name, (before.get(name), after.get(name)))
    for name in dict.fromkeys([*old.required, *new.required]):
        if name not in before | after or (name in before and name in after):
            _required(walk, place, gate, name)
    _content_model(walk, place, gate)
    _patterns(walk, place, gate)
    _names(walk, place, gate)
    _dependencies(walk, place, gate)
    _unevaluated(walk, place, gate)


def child(walk: "Walk", place: Place, name: str, path: str) -> Place:
    """The place of a property, with what each side holds there."""
    pairs = {
        one: Pair(
            property_key(walk.proofs[one], pair.left, name),
            property_key(walk.proofs[one], pair.right, name),
        )
        for one, pair in place.pairs.items()
    }
    return Place(path, pairs, (*place.steps, Step(name, place.pairs)))


def _path(place: Place, name: str) -> str:
    return f"{place.path}.{name}" if place.path else name


def _properties(joined: Joined) -> dict[str, Node]:
    return {
        name: shape.node
        for shape in joined.objects
        for name in shape.properties
        if shape.node is not None
    }


def _property(
    walk: "Walk", place: Place, gate: Gate, name: str, nodes: tuple[Node | None, Node | None]
) -> None:
    path = _path(place, name)
    if nodes[0] is not None and nodes[1] is not None:
        walk.walk(child(walk, place, name, path), gate)
        return
    came = nodes[0] is None
    side = walk.joins[place.new if came else place.old]
    pointers: Pointers = (
        pointer_of(nodes[0], "properties", name),
        pointer_of(nodes[1], "properties", name),
    )
    breaks = walk.asked(place, gate, lambda proofs, pair: _keeps(walk, proofs, pair, name))
    change = "property_added" if came else "property_removed"
    if came and name in side.required and name not in walk.joins[place.old].required:
        change = "required_property_added"
    here = Place(path, place.pairs, place.steps)
    walk.note(here, change, pointers, breaks, focus=name, name=_quoted(path))


def _keeps(walk: "Walk", proofs: Proofs, pair: Pair, name: str) -> Outcome:
    right = walk.joins[pair.right]
    found = worst(property_outcome(proofs, pair.left, shape, name) for shape in right.objects)
    if name in right.required:
        found = min(found, required_outcome(proofs, pair.left, right, name))
    return found


def _required(walk: "Walk", place: Place, gate: Gate, name: str) -> None:
    old, new = walk.joins[place.old], walk.joins[place.new]
    if (name in old.required) == (name in new.required):
        return

    def question(proofs: Proofs, pair: Pair) -> Outcome:
        right = walk.joins[pair.right]
        if name not in right.required:
            return Outcome.YES
        return required_outcome(proofs, pair.left, right, name)

    breaks = walk.asked(place, gate, question)
    change = "required_added" if name in new.required else "required_removed"
    pointers = (
        pointer_of(old.required.get(name) or old.nodes[0], "required"),
        pointer_of(new.required.get(name) or new.nodes[0], "required"),
    )
    path = _path(place, name)
    here = Place(path, place.pairs, place.steps)
    walk.note(here, change, pointers, breaks, focus=name, name=_quoted(path))


def _model(walk: "Walk", joined: Joined) -> tuple[str, Node | None]:
    for shape in joined.objects:
        if shape.node is not None and shape.additional is not None:
            if shape.forbids:
                return "closed", shape.node
            if not walk.joins.is_true(shape.additional):
                return "partial", shape.node
    return "open", None


_MODELS = {
    ("open", "closed"): "content_model_closed",
    ("partial", "closed"): "content_model_closed",
    ("closed", "open"): "content_model_opened",
    ("closed", "partial"): "content_model_widened",
    ("open", "partial"): "content_model_narrowed",
    ("partial", "open"): "content_model_widened",
}


def _content_model(walk: "Walk", place: Place, gate: Gate) -> None:
    old, new = walk.joins[place.old], walk.joins[place.new]
    before, after = _model(walk, old), _model(walk, new)
    pointers = (
        pointer_of(before[1], "additionalProperties"),
        pointer_of(after[1], "additionalProperties"),
    )
    if before[0] != after[0]:
        change = _MODELS[before[0], after[0]]
        walk.note(place, change, pointers, walk.asked(place, gate, _rest_question(walk)))
    elif before[0] == "partial":
        path = _path(place, "*")
        pairs = {
            one: Pair(*(_rest(walk, key) for key in pair)) for one, pair in place.pairs.items()
        }
        walk.walk(Place(path, pairs, (*place.steps, Step("undeclared", place.pairs))), gate)


def _rest(walk: "Walk", key: Key) -> Key:
    numbers = [s.additional for s in walk.joins[key].objects if s.additional is not None]
    return walk.joins.entry(numbers)


def _rest_question(walk: "Walk") -> Callable[[Proofs, Pair], Outcome]:
    def question(proofs: Proofs, pair: Pair) -> Outcome:
        shapes = proofs.objects_of(pair.left)
        return worst(
            region_outcome(proofs, shapes, shape)
            for shape in walk.joins[pair.right].objects
            if shape.node is not None
        )

    return question


def _patterns(walk: "Walk", place: Place, gate: Gate) -> None:
    old, new = walk.joins[place.old], walk.joins[place.new]
    sides = [
        {pattern: shape.node for shape in side.objects for pattern in shape.patterns}
        for side in (old, new)
    ]
    for pattern in sides[0] | sides[1]:
        pointers = (
            pointer_of(sides[0].get(pattern), "patternProperties", pattern),
            pointer_of(sides[1].get(pattern), "patternProperties", pattern),
        )
        if pattern in sides[0] and pattern in sides[1]:
            pairs = {
                one: Pair(*(_of_pattern(walk, key, pattern) for key in pair))
                for one, pair in place.pairs.items()
            }
            name = _name_like(pattern)
            steps = (*place.steps, Step(name, place.pairs))
            walk.walk(Place(_path(place, f"/{pattern}/"), pairs, steps), gate)
            continue
        change = "pattern_property_added" if pattern in sides[1] else "pattern_property_removed"
        breaks = walk.asked(place, gate, _rest_question(walk))
        walk.note(place, change, pointers, breaks, name=f"“{pattern}”")


def _of_pattern(walk: "Walk", key: Key, pattern: str) -> Key:
    found = [s.patterns.get(pattern) for s in walk.joins[key].objects]
    return walk.joins.entry(one for one in found if one is not None)


def _name_like(pattern: str) -> str:
    return next(iter(texts_of(pattern)), "a")


def _names(walk: "Walk", place: Place, gate: Gate) -> None:
    old, new = walk.joins[place.old].names, walk.joins[place.new].names
    raws = [_raws(walk, [number for number, _ in side]) for side in (old, new)]
    if same_value(raws[0], raws[1]):
        return
    change = "property_names_" + ("changed" if old and new else "added" if new else "removed")

    def question(proofs: Proofs, pair: Pair) -> Outcome:
        names = walk.joins[pair.right].names
        return worst(names_outcome(proofs, pair.left, number) for number, _ in names)

    pointers = tuple(
        pointer_of(side[0][1], "propertyNames") if side else None for side in (old, new)
    )
    walk.note(place, change, (pointers[0], pointers[1]), walk.asked(place, gate, question))


def _raws(walk: "Walk", numbers: list[int]) -> list[object]:
    return [walk.joins.nodes[number].raw for number in numbers]


def _dependencies(walk: "Walk", place: Place, gate: Gate) -> None:
    sides = [_dependent(walk, walk.joins[key]) for key in (place.old, place.new)]
    for name in sides[0] | sides[1]:
        before, after = sides[0].get(name), sides[1].get(name)
        if before is not None and after is not None and same_value(before[1:], after[1:]):
            continue
        move = "changed" if before and after else "added" if after else "removed"

        def question(proofs: Proofs, pair: Pair, name: str = name) -> Outcome:
            right = walk.joins[pair.right]
            return worst(
                [
                    *(
                        dependent_outcome(proofs, pair.left, right, name, others)
                        for known, others, _ in right.dependent_required
                        if known == name
                    ),
                    *(
                        dependent_schema_outcome(proofs, pair.left, right, name, number)
                        for known, number, _ in right.dependent_schemas
                        if known == name
                    ),
                ]
            )

        breaks = walk.asked(place, gate, question)
        pointers = (before and before[0].pointer, after and after[0].pointer)
        walk.note(place, f"dependency_{move}", pointers, breaks, name=_quoted(name))


def _dependent(
    walk: "Walk", joined: Joined
) -> dict[str, tuple[Node, frozenset[str], list[object]]]:
    found: dict[str, tuple[Node, frozenset[str], list[object]]] = {}
    for name, others, node in joined.dependent_required:
        known = found.get(name, (node, frozenset(), []))
        found[name] = (known[0], known[1] | set(others), known[2])
    for name, number, node in joined.dependent_schemas:
        known = found.get(name, (node, frozenset(), []))
        found[name] = (known[0], known[1], [*known[2], walk.joins.nodes[number].raw])
    return found


def _unevaluated(walk: "Walk", place: Place, gate: Gate) -> None:
    keyword = "unevaluatedProperties"
    sides = [
        [node for node in walk.joins[key].unevaluated if node.unevaluated_properties is not None]
        for key in (place.old, place.new)
    ]
    if same_value(*([n.raw[keyword] for n in side] for side in sides)):
        return

    def question(proofs: Proofs, pair: Pair) -> Outcome:
        right = walk.joins[pair.right]
        shapes = proofs.objects_of(pair.left)
        said = right_objects(proofs, pair.left, right)[len(right.objects) :]
        return worst(region_outcome(proofs, shapes, shape) for shape in said)

    move = "changed" if sides[0] and sides[1] else "added" if sides[1] else "removed"
    pointers = tuple(pointer_of(side[0], keyword) if side else None for side in sides)
    breaks = walk.asked(place, gate, question)
    walk.note(place, f"unevaluated_{move}", (pointers[0], pointers[1]), breaks)


def _quoted(name: str) -> str:
    return f"“{name}”"
