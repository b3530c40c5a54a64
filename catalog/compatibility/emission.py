"""The forms actually compared, as documents: what the reader and writer views of a schema say.

Written in draft 2020-12, one definition a node. A value that starts closed carries the names that
its start knows and `additionalProperties: false` beside its reference.
"""

from fractions import Fraction
from typing import Any, Final

from catalog.compatibility.joined import Joins
from catalog.compatibility.nodes import ALL_KINDS, NUMBERS, Node, View

_TYPES: Final = ("null", "boolean", "string", "array", "object")


def form_document(joins: Joins, number: int) -> dict[str, Any]:
    """The document of a node as a value's start."""
    writing = _Writing(joins)
    start = writing.start(number)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **start,
            "$defs": writing.definitions()}  # fmt: skip


class _Writing:
    def __init__(self, joins: Joins) -> None:
        self.joins = joins
        self.todo: list[int] = []
        self.seen: set[int] = set()

    def definitions(self) -> dict[str, Any]:
        found = {}
        while self.todo:
            number = self.todo.pop()
            found[f"n{number}"] = self.body(self.joins.nodes[number])
        return found

    def in_place(self, number: int) -> dict[str, Any]:
        if number not in self.seen:
            self.seen.add(number)
            self.todo.append(number)
        return {"$ref": f"#/$defs/n{number}"}

    def start(self, number: int) -> dict[str, Any]:
        """A value's start. A schema that is part of several closed starts gets the words of all:
        an example valid under the document is valid under the form."""
        found = self.in_place(number)
        if self.joins.nodes.view_of(number) is not View.WRITER:
            return found
        closings = [
            {
                "properties": dict.fromkeys(sorted(start.names), True),
                "patternProperties": dict.fromkeys(start.patterns, True),
                "additionalProperties": False,
            }
            for start in self.joins.plan_of(number).starts_with(number)
        ]
        return found | ({"allOf": closings} if closings else {})

    def body(self, node: Node) -> Any:
        if self.joins.is_false(node.number):
            return False
        found: dict[str, Any] = {}
        if node.kinds is not None and node.kinds != ALL_KINDS:
            found["type"] = _types(node.kinds)
        if node.values is not None:
            found["enum"] = node.values
        for bounds, plain in ((node.lower, "minimum"), (node.upper, "maximum")):
            for bound in bounds:
                strict = "exclusive" + plain.capitalize()
                found[strict if bound.exclusive else plain] = _number(bound.value)
        if node.multiple is not None:
            found["multipleOf"] = _number(node.multiple)
        plain_format = [name for name in node.formats if ":" not in name]
        found |= {"format": plain_format[0]} if plain_format else {}
        for keyword, value in (
            ("minLength", node.min_length), ("maxLength", node.max_length),
            ("pattern", node.pattern), ("minItems", node.min_items),
            ("maxItems", node.max_items), ("uniqueItems", node.unique or None),
            ("minProperties", node.min_properties), ("maxProperties", node.max_properties),
            ("required", list(node.required) or None),
            ("dependentRequired", {k: list(v) for k, v in node.dependent_required.items()} or None),
        ):  # fmt: skip
            if value is not None:
                found[keyword] = value
        self.arrays(node, found)
        self.objects(node, found)
        self.applied(node, found)
        return found

    def arrays(self, node: Node, found: dict[str, Any]) -> None:
        if node.prefix:
            found["prefixItems"] = [self.start(one) for one in node.prefix]
        if node.items is not None:
            found["items"] = self.start(node.items)
        if node.contains is not None:
            inside, least, most = node.contains
            found |= {"contains": self.in_place(inside), "minContains": least}
            found |= {} if most is None else {"maxContains": most}
        if node.unevaluated_items is not None:
            found["unevaluatedItems"] = self.start(node.unevaluated_items)

    def objects(self, node: Node, found: dict[str, Any]) -> None:
        if node.properties:
            found["properties"] = {name: self.start(one) for name, one in node.properties.items()}
        if node.patterns:
            found["patternProperties"] = {p: self.start(one) for p, one in node.patterns.items()}
        if node.additional is not None and not self.joins.is_true(node.additional):
            found["additionalProperties"] = self.start(node.additional)
        if node.names is not None:
            found["propertyNames"] = self.in_place(node.names)
        if node.unevaluated_properties is not None:
            found["unevaluatedProperties"] = self.start(node.unevaluated_properties)

    def applied(self, node: Node, found: dict[str, Any]) -> None:
        parts = [self.in_place(one) for one in node.parts]
        parts += [
            {"dependentSchemas": {n: self.in_place(one)}} for n, one in node.dependent_schemas
        ]
        for each in node.sums:
            if each.plain:
                parts.append({"oneOf": [self.in_place(one) for one in each.plain]})
            parts.append({"anyOf": [self.in_place(one) for one in each.members]})
        if parts:
            found["allOf"] = parts
        if node.negated is not None:
            found["not"] = self.in_place(node.negated)
        if node.condition is not None:
            names = zip(("if", "then", "else"), node.condition, strict=True)
            found |= {name: self.in_place(one) for name, one in names if one is not None}


def _types(kinds: frozenset[str]) -> list[str]:
    found: list[str] = [kind for kind in _TYPES if kind in kinds]
    if kinds & NUMBERS:
        found.append("number" if "fraction" in kinds else "integer")
    return found


def _number(value: Fraction) -> int | float:
    return value.numerator if value.denominator == 1 else float(value)
