"""Where a JSON Schema refers, and moving one into another document or out of it.

A schema that stands in a larger document refers to places of that document. Taken out, the places
it needs come along under `$defs`; put in, its own pointers go through the place it stands at.
Only places where a schema may stand are looked at: a `$ref` in an `enum`, an example or an unknown
keyword is a value. A part with an `$id` of its own is a document of its own and left alone.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final
from urllib.parse import unquote

from portal.kernel.strict_json import pointer_part

Tokens = tuple[str, ...]

_NAMED: Final = frozenset(
    {"properties", "patternProperties", "$defs", "definitions", "dependentSchemas", "dependencies"}
)
_ONE: Final = frozenset(
    {
        "additionalItems", "additionalProperties", "contains", "contentSchema", "else", "if",
        "items", "not", "propertyNames", "then", "unevaluatedItems", "unevaluatedProperties",
    }
)  # fmt: skip
_IDENTITY: Final = frozenset({"$id", "$schema"})
_LISTS: Final = frozenset({"allOf", "anyOf", "oneOf", "prefixItems", "items"})


class FaultError(ValueError):
    """Why a part of a document cannot be read: a sentence, and the place as tokens."""

    def __init__(self, place: Tokens, why: str) -> None:
        super().__init__(why)
        self.place = place
        self.why = why


def pointer_of(tokens: Tokens) -> str:
    """`#/a/b` of tokens, `#` of none."""
    return "#" + "".join(f"/{pointer_part(token)}" for token in tokens)


def tokens_of(reference: str) -> Tokens | None:
    """The tokens of `#` or `#/a/b`, percent and tilde escapes undone; None for anything else."""
    if reference == "#":
        return ()
    if not reference.startswith("#/"):
        return None
    return tuple(
        unquote(part).replace("~1", "/").replace("~0", "~") for part in reference[2:].split("/")
    )


def at(document: Any, tokens: Tokens) -> Any:
    """The part at a place. Raises KeyError when there is none."""
    found = document
    for token in tokens:
        if isinstance(found, Mapping):
            found = found[token]
        elif isinstance(found, list) and token.isdecimal() and int(token) < len(found):
            found = found[int(token)]
        else:
            raise KeyError(token)
    return found


class Budget:
    """How many parts of schemas may still be copied: what refers to much, often, stays bounded."""

    def __init__(self, parts: int = 1_000_000) -> None:
        self.parts = parts

    def spend(self) -> None:
        """One part more. Raises FaultError when there were too many."""
        self.parts -= 1
        if self.parts < 0:
            raise FaultError((), "becomes too large once its references are followed")


def with_references(schema: Any, change: Callable[[str], str], budget: Budget | None = None) -> Any:
    """A copy in which each reference of the schema is changed; other values are shared."""
    return _changed(schema, change, budget or Budget(), is_root=True)


def _changed(
    schema: Any, change: Callable[[str], str], budget: Budget, *, is_root: bool = False
) -> Any:
    if not isinstance(schema, Mapping):
        return schema
    own = schema.get("$id")
    if not is_root and isinstance(own, str) and not own.startswith("#"):
        return schema
    budget.spend()
    changed: dict[str, Any] = {}
    for word, part in schema.items():
        if word == "$ref" and isinstance(part, str):
            changed[word] = change(part)
        elif word in _NAMED and isinstance(part, Mapping):
            changed[word] = {name: _changed(one, change, budget) for name, one in part.items()}
        elif word in _LISTS and isinstance(part, list):
            changed[word] = [_changed(one, change, budget) for one in part]
        elif word in _ONE:
            changed[word] = _changed(part, change, budget)
        else:
            changed[word] = part
    return changed


def put_at(schema: Any, place: Tokens) -> Any:
    """The schema as it must read when it stands at a place of another document."""
    base = pointer_of(place)

    def moved(reference: str) -> str:
        if reference == "#" or reference.startswith("#/"):
            return base + reference[1:]
        return reference

    return with_references(schema, moved)


def taken_from(root: Any, place: Tokens, budget: Budget | None = None) -> Any:
    """The schema at a place of a document as a document of its own, with what it refers to.

    Raises FaultError for references that leave the document, point at nothing or go in a circle.
    """
    return _Taking(root, place, budget or Budget()).run()


class _Taking:
    def __init__(self, root: Any, place: Tokens, budget: Budget) -> None:
        self.root = root
        self.place = place
        self.budget = budget
        self.names: dict[Tokens, str] = {}
        self.waiting: list[Tokens] = []
        self.schema = at(root, place)
        self.home = home_of(self.schema)
        inside = self.schema.get(self.home) if isinstance(self.schema, Mapping) else None
        self.used = set(inside) if isinstance(inside, Mapping) else set()

    def run(self) -> Any:
        taken = with_references(self.schema, self._changed, self.budget)
        brought: dict[str, Any] = {}
        while self.waiting:
            target = self.waiting.pop(0)
            part = with_references(at(self.root, target), self._changed, self.budget)
            if isinstance(part, Mapping):  # its own identity would move the root of its pointers
                part = {word: one for word, one in part.items() if word not in _IDENTITY}
            brought[self.names[target]] = part
        if brought:
            inside = taken.get(self.home)
            taken[self.home] = (dict(inside) if isinstance(inside, Mapping) else {}) | brought
        return taken

    def _changed(self, reference: str) -> str:
        tokens = tokens_of(reference)
        if tokens is None:
            if reference.startswith("#"):
                return reference  # an anchor; whoever compiles the schema judges it
            raise FaultError(self.place, leaves_document(reference))
        if tokens[: len(self.place)] == self.place:
            self._require(tokens, reference)
            return pointer_of(tokens[len(self.place) :])
        self._require(tokens, reference)
        return self._brought(tokens)

    def _require(self, tokens: Tokens, reference: str) -> None:
        """Refuse what points at nothing, or only ever at further references."""
        seen = {tokens}
        while True:
            try:
                found = at(self.root, tokens)
            except KeyError:
                raise FaultError(self.place, points_at_nothing(reference)) from None
            onward = tokens_of(found["$ref"]) if is_reference(found) else None
            if onward is None:
                return
            if onward in seen:
                raise FaultError(self.place, goes_in_circle(reference))
            seen.add(onward)
            tokens = onward

    def _brought(self, tokens: Tokens) -> str:
        """Where a place of the outer document stands in the new one."""
        base = tokens[:3] if tokens[:2] == ("components", "schemas") and len(tokens) > 3 else tokens
        if base not in self.names:
            stem = name = base[-1] if base else "document"
            number = 2
            while name in self.used:
                name, number = f"{stem}_{number}", number + 1
            self.used.add(name)
            self.names[base] = name
            self.waiting.append(base)
        return pointer_of((self.home, self.names[base], *tokens[len(base) :]))


def home_of(schema: Any) -> str:
    """Where a schema keeps its definitions: `definitions` before draft 2019-09, else `$defs`."""
    dialect = schema.get("$schema") if isinstance(schema, Mapping) else None
    if isinstance(dialect, str) and "/draft-0" in dialect:
        return "definitions"
    return "$defs"


def is_reference(value: Any) -> bool:
    """Whether a value is a reference and nothing else."""
    return isinstance(value, Mapping) and len(value) == 1 and isinstance(value.get("$ref"), str)


def leaves_document(reference: str) -> str:
    """The sentence about a reference to another document."""
    return (
        f"refers to {reference[:200]}, outside of this document: bundle it into the document first "
        "(nothing is fetched, from no network and no disk)"
    )


def points_at_nothing(reference: str) -> str:
    """The sentence about a reference to what is not there."""
    return f"refers to {reference[:200]}, and there is nothing"


def goes_in_circle(reference: str) -> str:
    """The sentence about a reference that leads back to itself."""
    return f"refers to {reference[:200]}, a circle of references that never arrives"
