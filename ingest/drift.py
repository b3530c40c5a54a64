"""The writer form of a contract: what an event carries beyond it is set aside, not refused.

Under the policy `reader_writer` the portal promises readers the closed form of each schema. An
object that lists `properties` and leaves its content model open (`additionalProperties` absent or
true) is closed for writers: other properties go to the event's `extra`. An object without
`properties` is a free-form map and keeps everything; so does one whose other keywords decide on
property names themselves (`patternProperties`, `propertyNames`, a schema as
`additionalProperties`, `unevaluatedProperties`, a count of properties).
"""

from dataclasses import dataclass, field
from typing import Any, Final

from portal.kernel.strict_json import pointer_part

_OPEN_ENDED: Final = (
    "patternProperties",
    "propertyNames",
    "unevaluatedProperties",
    "minProperties",
    "$dynamicRef",
    "$recursiveRef",
)
_BRANCHES: Final = ("allOf", "anyOf", "oneOf")
_SINGLE_BRANCHES: Final = ("if", "then", "else")
_MAX_DEPTH: Final = 16


@dataclass(slots=True)
class _Node:
    """What is known of one object, or of the items of one array."""

    names: frozenset[str] | None = None  # None: keeps everything
    children: dict[str, "_Node"] = field(default_factory=dict)
    items: "_Node | None" = None

    @property
    def matters(self) -> bool:
        return self.names is not None or bool(self.children) or self.items is not None


class DriftPlan:
    """Splits data into its writer form and the rest; costs one set comparison an object."""

    __slots__ = ("_root",)

    def __init__(self, root: _Node) -> None:
        self._root = root

    def split(self, data: Any) -> tuple[Any, dict[str, Any] | None]:
        """The data without unknown properties, and those by JSON Pointer within `data`.

        Answers the same object and None when there are none; never changes what it is given.
        """
        if not _drifts(data, self._root):
            return data, None
        extra: dict[str, Any] = {}
        return _copy(data, self._root, "", extra), extra


def plan_of(document: Any) -> DriftPlan | None:
    """The plan of a schema; None when it sets nothing aside."""
    root = _node(document, document, 0, ())
    return DriftPlan(root) if root is not None else None


def join(data: Any, extra: dict[str, Any]) -> Any:
    """Data with what was set aside put back in its places: as the event came. Changes `data`."""
    for pointer, value in extra.items():
        *steps, last = [
            step.replace("~1", "/").replace("~0", "~") for step in pointer.split("/")[1:]
        ]
        place = data
        for step in steps:
            place = place[int(step)] if isinstance(place, list) else place[step]
        place[last] = value
    return data


def _drifts(value: Any, node: _Node) -> bool:
    if isinstance(value, dict):
        if node.names is not None and not value.keys() <= node.names:
            return True
        return any(
            name in value and _drifts(value[name], child) for name, child in node.children.items()
        )
    if isinstance(value, list) and node.items is not None:
        items = node.items
        return any(_drifts(item, items) for item in value)
    return False


def _copy(value: Any, node: _Node, pointer: str, extra: dict[str, Any]) -> Any:
    if isinstance(value, dict):
        kept: dict[str, Any] = {}
        for name, child in value.items():
            place = f"{pointer}/{pointer_part(name)}"
            if node.names is not None and name not in node.names:
                extra[place] = child
            elif name in node.children:
                kept[name] = _copy(child, node.children[name], place, extra)
            else:
                kept[name] = child
        return kept
    if isinstance(value, list) and node.items is not None:
        items = node.items
        return [_copy(item, items, f"{pointer}/{index}", extra) for index, item in enumerate(value)]
    return value


def _node(schema: Any, root: Any, depth: int, seen: tuple[str, ...]) -> _Node | None:
    """The plan of a schema's place; None when nothing can be set aside there."""
    if not isinstance(schema, dict) or depth > _MAX_DEPTH:
        return None
    found = _gather(schema, root, seen)
    if found is None:
        return None
    properties, items, trail = found
    node = _Node()
    if properties:
        node.names = frozenset(properties)
    for name, subschemas in properties.items():
        # A property described in several branches is left alone: which one holds is not known.
        child = _node(subschemas[0], root, depth + 1, trail) if len(subschemas) == 1 else None
        if child is not None:
            node.children[name] = child
    if isinstance(items, dict):
        node.items = _node(items, root, depth + 1, trail)
    return node if node.matters else None


def _gather(
    schema: dict[str, Any], root: Any, seen: tuple[str, ...]
) -> tuple[dict[str, list[Any]], Any, tuple[str, ...]] | None:
    """All property schemas that may describe this place, its items, and the references followed.

    None when some part decides on names itself, or a reference can't be followed.
    """
    properties: dict[str, list[Any]] = {}
    items: Any = None
    trail = seen
    todo: list[Any] = [schema]
    while todo:
        part = todo.pop()
        if not isinstance(part, dict):
            continue
        additional = part.get("additionalProperties", True)
        if any(word in part for word in _OPEN_ENDED) or additional is not True:
            return None
        reference = part.get("$ref")
        if reference is not None:
            if not isinstance(reference, str) or reference in trail:
                return None
            target = _resolve(reference, root)
            if target is None:
                return None
            trail = (*trail, reference)
            todo.append(target)
        for name, subschema in part.get("properties", {}).items():
            properties.setdefault(name, []).append(subschema)
        if part is schema and "items" in part and "prefixItems" not in part:
            items = part["items"]
        for word in _BRANCHES:
            todo.extend(part.get(word, ()))
        todo.extend(part.get(word) for word in _SINGLE_BRANCHES)
        for word in ("dependentSchemas", "dependencies"):
            todo.extend(part.get(word, {}).values())
    return properties, items, trail


def _resolve(reference: str, root: Any) -> Any:
    """The target of a pointer within the document; None for anything else."""
    if not reference.startswith("#"):
        return None
    target = root
    for step in reference.lstrip("#").split("/")[1:]:
        key = step.replace("~1", "/").replace("~0", "~")
        if not isinstance(target, dict) or key not in target:
            return None
        target = target[key]
    return target if reference == "#" or reference.startswith("#/") else None
