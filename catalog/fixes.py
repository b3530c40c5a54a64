"""Fixes that one click applies: JSON Patch (RFC 6902) on a schema document.

All operations of the RFC are known. A patch is applied as a whole or not at all: the document given
is never changed.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from portal.kernel.errors import FieldError, InvalidError

MAX_OPERATIONS: Final = 500
Operation = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Fix:
    """One way to settle a finding. `name` is a new name for the stream, where that is the fix.

    `changes_data` says that producers must send other data afterwards (a rename, another type); a
    fix without it only says more about what they send.
    """

    label: str
    patch: tuple[Operation, ...] = ()
    changes_data: bool = False
    name: str = ""

    def as_dict(self) -> dict[str, Any]:
        """As JSON; `name` stands there only where it is the fix."""
        body: dict[str, Any] = {
            "label": self.label,
            "patch": list(self.patch),
            "changes_data": self.changes_data,
        }
        return body | {"name": self.name} if self.name else body


def apply_patch(document: Any, patch: Sequence[Operation]) -> Any:
    """The document after a patch. Raises InvalidError that names the operation which failed."""
    if len(patch) > MAX_OPERATIONS:
        raise _refused("", f"may have {MAX_OPERATIONS} operations at most")
    changed = _copy(document)
    for number, operation in enumerate(patch):
        try:
            changed = _apply(changed, operation)
        except (KeyError, IndexError, TypeError, ValueError) as error:
            raise _refused(f"/{number}", "does not fit the document") from error
    return changed


def _apply(document: Any, operation: Operation) -> Any:
    kind, path = operation["op"], _steps(operation["path"])
    if kind == "add":
        return _add(document, path, _copy(operation["value"]))
    if kind == "remove":
        return _remove(document, path)[0]
    if kind == "replace":
        return _replace(document, path, _copy(operation["value"]))
    if kind == "test":
        if not _same(_get(document, path), operation["value"]):
            raise ValueError("the value is another one")
        return document
    start = _steps(operation["from"])
    if kind == "copy":
        return _add(document, path, _copy(_get(document, start)))
    if kind == "move":
        if path[: len(start)] == start and path != start:
            raise ValueError("it would move into itself")
        left, value = _remove(document, start)
        return _add(left, path, value)
    raise ValueError("the operation is not known")


def _steps(pointer: str) -> list[str]:
    if pointer and not pointer.startswith("/"):
        raise ValueError("a pointer starts with /")
    return [step.replace("~1", "/").replace("~0", "~") for step in pointer.split("/")[1:]]


def _get(document: Any, path: Sequence[str]) -> Any:
    for step in path:
        document = document[_index(document, step)]
    return document


def _index(node: Any, step: str, *, past_end: bool = False) -> Any:
    """The key or place that a step names in a node."""
    if isinstance(node, dict):
        return step
    if not isinstance(node, list):
        raise TypeError("it has no parts")
    if step == "-" and past_end:
        return len(node)
    if not (step.isascii() and step.isdigit()) or (len(step) > 1 and step[0] == "0"):
        raise ValueError("it is not a place in a list")
    place = int(step)
    if place > len(node) or (place == len(node) and not past_end):
        raise IndexError
    return place


def _add(document: Any, path: Sequence[str], value: Any) -> Any:
    if not path:
        return value
    node = _get(document, path[:-1])
    place = _index(node, path[-1], past_end=True)
    if isinstance(node, list):
        node.insert(place, value)
    else:
        node[place] = value
    return document


def _replace(document: Any, path: Sequence[str], value: Any) -> Any:
    """In its place: the order of members is part of how a contract reads."""
    if not path:
        return value
    node = _get(document, path[:-1])
    place = _index(node, path[-1])
    if isinstance(node, dict) and place not in node:
        raise KeyError(place)
    node[place] = value
    return document


def _remove(document: Any, path: Sequence[str]) -> tuple[Any, Any]:
    if not path:
        return None, document
    node = _get(document, path[:-1])
    return document, node.pop(_index(node, path[-1]))


def _same(one: Any, other: Any) -> bool:
    """Equal as JSON: 1 and 1.0 are, 1 and true are not."""
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_same(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_same, one, other))
    return bool(one == other)


def _copy(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _copy(item) for key, item in value.items()}
    return [_copy(item) for item in value] if isinstance(value, list | tuple) else value


def _refused(where: str, detail: str) -> InvalidError:
    return InvalidError(
        "The patch cannot be applied.",
        code="patch",
        errors=[FieldError(f"/patch{where}", "patch", detail)],
    )
