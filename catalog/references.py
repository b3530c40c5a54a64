"""What a reference inside a schema document names: a JSON Pointer or an anchor, never beyond it."""

from collections.abc import Mapping
from typing import Any


def target_of(document: Mapping[str, Any], reference: str) -> Any:
    """The schema that `#`, `#/a/pointer` or `#anchor` names; None when it names nothing here."""
    if reference in ("", "#"):
        return document
    if not reference.startswith("#"):
        return None
    return at(document, reference[1:]) if reference[1] == "/" else _anchor(document, reference[1:])


def at(document: Any, pointer: str) -> Any:
    """The part of a document at a JSON Pointer; None when there is none."""
    found = document
    for step in pointer.split("/")[1:]:
        key = step.replace("~1", "/").replace("~0", "~")
        if isinstance(found, Mapping) and key in found:
            found = found[key]
        elif isinstance(found, list) and key.isdigit() and int(key) < len(found):
            found = found[int(key)]
        else:
            return None
    return found


def _anchor(document: Mapping[str, Any], name: str) -> Any:
    todo: list[Any] = [document]
    while todo:
        node = todo.pop()
        if isinstance(node, Mapping):
            named = (node.get("$anchor"), node.get("$dynamicAnchor"))
            if name in named or node.get("$id") == f"#{name}":
                return node
            todo += [item for item in node.values() if isinstance(item, Mapping | list)]
        elif isinstance(node, list):
            todo += node
    return None
