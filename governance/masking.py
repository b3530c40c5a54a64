"""Masking personal values on the server: a masked value never reaches a page or an answer.

Paths are those of the field index: dotted, `[]` for the items of an array.
"""

from collections.abc import Iterable
from typing import Any, Final

MASK: Final = "•••••"


def mask(data: Any, paths: Iterable[str]) -> Any:
    """A copy of the data with the values at the paths replaced; what is absent stays absent."""
    tree: dict[str, Any] = {}
    for path in paths:
        node = tree
        for step in path.split("."):
            node = node.setdefault(step, {})
    return _mask(data, tree) if tree else data


def present(data: Any, paths: Iterable[str]) -> list[str]:
    """Those of the paths that hold a value in the data."""
    return [path for path in paths if _holds(data, path.split("."))]


def _mask(value: Any, tree: dict[str, Any]) -> Any:
    if not tree:
        return MASK if value is not None else None
    if isinstance(value, list):
        return [_mask(item, tree) for item in value]
    if not isinstance(value, dict):
        return value
    masked = dict(value)
    for step, below in tree.items():
        name = step.removesuffix("[]")
        if name in masked:
            masked[name] = _mask(masked[name], below)
    return masked


def _holds(value: Any, steps: list[str]) -> bool:
    if value is None:
        return False
    if not steps:
        return True
    if isinstance(value, list):
        return any(_holds(item, steps) for item in value)
    name = steps[0].removesuffix("[]")
    return isinstance(value, dict) and name in value and _holds(value[name], steps[1:])
