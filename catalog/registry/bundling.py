"""Making a schema that refers to other subjects self-contained.

A client names what it refers to (`references`); its schema says `{"$ref": "order.json"}`, or
`"order.json#/definitions/item"`. Each schema so named goes under `$defs` (`definitions` before
draft 2019-09) and the `$ref` points there. Nothing is ever fetched.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final
from urllib.parse import urljoin

from portal.kernel.json_schema import draft_of
from portal.kernel.strict_json import pointer_part

# Keywords whose members are names, not keywords; and those that hold values, not schemas.
_NAMED: Final = frozenset(
    {"properties", "patternProperties", "$defs", "definitions", "dependentSchemas", "dependencies"}
)
_VALUES: Final = frozenset({"enum", "const", "default", "examples", "example"})
_NEW_DRAFTS: Final = frozenset({"2019-09", "2020-12"})


def bundle(document: Mapping[str, Any], named: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """The document with the named documents inside; those it does not refer to are left out.

    The named documents must be self-contained themselves.
    """
    home = "$defs" if draft_of(document) in _NEW_DRAFTS else "definitions"
    addresses = _addresses(document, named)
    present = document.get(home)
    kept: dict[str, Any] = dict(present) if isinstance(present, Mapping) else {}
    used: dict[str, str] = {}

    def point(reference: str) -> str:
        address, _, fragment = reference.partition("#")
        name = addresses.get(address)
        if not address or name is None:
            return reference
        if name not in used:
            used[name] = _free(name, kept.keys() | set(used.values()))
        if fragment and not fragment.startswith("/"):
            return f"#{fragment}"  # an anchor, which has no place
        return f"#/{home}/{pointer_part(used[name])}{fragment}"

    bundled: dict[str, Any] = _rewritten(document, point)
    if used:
        inside = bundled.get(home)
        bundled[home] = (dict(inside) if isinstance(inside, Mapping) else {}) | {
            key: _embedded(named[name], f"#/{home}/{pointer_part(key)}")
            for name, key in used.items()
        }
    return bundled


def _addresses(
    document: Mapping[str, Any], named: Mapping[str, Mapping[str, Any]]
) -> dict[str, str]:
    """What a `$ref` may say to mean each name: the name, its address, its document's `$id`."""
    base = document.get("$id", document.get("id", ""))
    found: dict[str, str] = {}
    for name, other in named.items():
        own = other.get("$id")
        for address in (own.rstrip("#") if isinstance(own, str) else "", name):
            if address:
                found[address] = name
                found[urljoin(base if isinstance(base, str) else "", address)] = name
    return found


def _embedded(document: Mapping[str, Any], place: str) -> dict[str, Any]:
    """A document as a subschema: its own pointers go through its place, its identity is gone."""

    def point(reference: str) -> str:
        if reference == "#" or reference.startswith("#/"):
            return place + reference[1:]
        return reference

    inside: dict[str, Any] = _rewritten(document, point)
    return {word: part for word, part in inside.items() if word not in ("$schema", "$id", "id")}


def _rewritten(schema: Any, point: Callable[[str], str]) -> Any:
    if isinstance(schema, list):
        return [_rewritten(part, point) for part in schema]
    if not isinstance(schema, Mapping):
        return schema
    rewritten: dict[str, Any] = {}
    for word, part in schema.items():
        if word == "$ref" and isinstance(part, str):
            rewritten[word] = point(part)
        elif word in _NAMED and isinstance(part, Mapping):
            rewritten[word] = {name: _rewritten(inner, point) for name, inner in part.items()}
        else:
            rewritten[word] = part if word in _VALUES else _rewritten(part, point)
    return rewritten


def _free(name: str, taken: set[str]) -> str:
    key, number = name, 2
    while key in taken:
        key, number = f"{name}_{number}", number + 1
    return key
