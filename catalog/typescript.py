"""TypeScript types of a JSON Schema: interfaces, unions, tuples and JSDoc, without Node.

How it reads a schema:

1. An object with properties becomes an interface, named after its path; one without becomes an
   index type. A definition in `$defs` and an enum become named types; recursion is by name.
2. `allOf` is an intersection, `anyOf` and `oneOf` are unions, a `type` list is a union, `const` and
   `enum` are literals, `prefixItems` (or `items` as a list) a tuple, `true` is `unknown`, `false`
   is `never`.
3. What TypeScript cannot say (ranges, patterns, formats, `if`, `not`) stands in JSDoc or is left
   out: every valid document has the type; not every document of the type is valid.
4. A content model is open to more members only where the schema says so: a producer's typing error
   is then an error of the compiler.
5. An alias may not lead to itself without a member in between; where a schema does so (`anyOf` of
   itself and a text), that step is left out.

Bounded by `schema_safety` (size, depth, parts) and MAX_CODE.
"""

import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from catalog.references import target_of
from portal.kernel.errors import InvalidError

MAX_CODE: Final = 2 * 1024 * 1024
MAX_STEPS: Final = 200_000
_IDENTIFIER: Final = re.compile(r"[A-Za-z_$][A-Za-z0-9_$]*")
_WORDS: Final = re.compile(r"[A-Za-z0-9]+")
_CAMEL: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
# Names that the emitted code itself uses or that would hide what a reader expects.
_TAKEN: Final = frozenset({"Array", "Boolean", "Date", "Error", "Event", "Function", "Map", "Number",
                           "Object", "Promise", "Record", "Set", "String", "Symbol"})  # fmt: skip
_PLAIN: Final = {"string": "string", "number": "number", "integer": "number",
                 "boolean": "boolean", "null": "null"}  # fmt: skip
_OBJECT_WORDS: Final = ("properties", "additionalProperties", "patternProperties", "required")
_ARRAY_WORDS: Final = ("items", "prefixItems", "additionalItems")
_COMBINING: Final = ("allOf", "anyOf", "oneOf")


def typescript(document: Mapping[str, Any], name: str) -> str:
    """The types of a schema, the outermost exported under `name`. Raises InvalidError."""
    made = _Module(document)
    made.names[id(document)] = name
    made.used.add(name)
    made.todo.append((name, document))
    while made.todo:
        made.emit(*made.todo.pop(0))
        if made.size > MAX_CODE:
            raise InvalidError("The types of this contract are too large.", code="code_unavailable")
    return "\n".join(made.declarations)


def type_name(text: str) -> str:
    """A text as the name of a type: `order_placed` is `OrderPlaced`."""
    words = _WORDS.findall(_CAMEL.sub("_", text))
    name = "".join(word[:1].upper() + word[1:] for word in words)[:80]
    if not name or name[0].isdigit():
        name = f"N{name}"
    return f"{name}Value" if name in _TAKEN else name


@dataclass(slots=True)
class _Module:
    """Declarations made so far, names given, and types still to be declared."""

    document: Mapping[str, Any]
    declarations: list[str] = field(default_factory=list)
    todo: list[tuple[str, Mapping[str, Any]]] = field(default_factory=list)
    names: dict[int, str] = field(default_factory=dict)
    used: set[str] = field(default_factory=set)
    leads_to: dict[str, set[str]] = field(default_factory=dict)
    size: int = 0
    steps: int = 0

    def emit(self, name: str, schema: Mapping[str, Any]) -> None:
        """Declare one named type: an interface where it is a plain object, else an alias."""
        text = _jsdoc(schema, "")
        if _is_plain_object(schema):
            text += f"export interface {name} {self.members(schema, name)}\n"
        else:
            kind = self.expression(schema, name, alias=name) or "unknown"
            text += f"export type {name} = {kind};\n"
        self.declarations.append(text)
        self.size += len(text)

    def name_for(self, schema: Mapping[str, Any], wanted: str) -> str:
        """The name of a schema's type; the first time it is asked for, it joins the queue."""
        known = self.names.get(id(schema))
        if known is not None:
            return known
        base, number = type_name(wanted), 1
        name = base
        while name in self.used:
            number += 1
            name = f"{base}{number}"
        self.used.add(name)
        self.names[id(schema)] = name
        self.todo.append((name, schema))
        return name

    def expression(self, schema: Any, path: str, *, alias: str | None) -> str:
        """The type of a schema. `alias` is the alias being declared, as long as nothing that holds
        members stands between it and this schema. Gives "" for what leads only to itself."""
        if not isinstance(schema, Mapping):
            return "never" if schema is False else "unknown"
        parts = [
            self.reference(schema[word], path, alias)
            for word in ("$ref", "$dynamicRef", "$recursiveRef")
            if isinstance(schema.get(word), str)
        ]
        own = self.own(schema, path)
        if own is not None:
            parts.append(own)
        for word, joined in (("allOf", _both), ("anyOf", _either), ("oneOf", _either)):
            branches = schema.get(word)
            if isinstance(branches, list) and branches:
                parts.append(self.branches(branches, path, alias, joined))
        known = [part for part in dict.fromkeys(parts) if part not in ("", "unknown")]
        if not known and parts and not any(parts):
            return ""
        text = _both(known) if known else "unknown"
        return _either([text, "null"]) if schema.get("nullable") is True else text

    def branches(
        self,
        branches: list[Any],
        path: str,
        alias: str | None,
        join: Callable[[Iterable[str]], str],
    ) -> str:
        found = []
        for number, branch in enumerate(branches, start=1):
            titled = branch.get("title") if isinstance(branch, Mapping) else None
            suffix = type_name(titled) if isinstance(titled, str) and titled else f"Option{number}"
            found.append(self.expression(branch, f"{path}{suffix}", alias=alias))
        if join is _both:
            found = [item for item in found if item != "unknown"] or ["unknown"]
        found = [item for item in found if item]  # itself adds nothing to a sum or to a whole
        return join(found) if found else ""

    def own(self, schema: Mapping[str, Any], path: str) -> str | None:
        """What a schema says itself, beside its references and combinations."""
        if "const" in schema:
            return _literal(schema["const"])
        if isinstance(schema.get("enum"), list):
            literals = _either([_literal(value) for value in schema["enum"]])
            return literals if schema["enum"] else "never"
        kinds = schema.get("type")
        if isinstance(kinds, str):
            kinds = [kinds]
        if not isinstance(kinds, list):
            kinds = [
                kind
                for kind, words in (("object", _OBJECT_WORDS), ("array", _ARRAY_WORDS))
                if any(word in schema for word in words)
            ]
            if len(kinds) != 1:
                return None
        return _either([self.of_kind(str(kind), schema, path) for kind in kinds])

    def of_kind(self, kind: str, schema: Mapping[str, Any], path: str) -> str:
        if kind == "object":
            return self.of_object(schema, path)
        if kind == "array":
            return self.of_array(schema, path)
        return _PLAIN.get(kind, "unknown")

    def of_object(self, schema: Mapping[str, Any], path: str) -> str:
        if _has_members(schema):
            if _is_plain_object(schema):
                return self.name_for(schema, path)
            return self.members(schema, path)
        return f"{{ [key: string]: {self.rest(schema, path)} }}"

    def members(self, schema: Mapping[str, Any], path: str) -> str:
        """The body of an interface, in the order of the schema."""
        properties = schema.get("properties")
        properties = properties if isinstance(properties, Mapping) else {}
        required = [name for name in _list(schema.get("required")) if isinstance(name, str)]
        lines = ["{"]
        for name, given in properties.items():
            sub = given if isinstance(given, Mapping) else {}
            mark = "" if name in required else "?"
            kind = self.member(given, f"{path}{type_name(str(name))}")
            lines.append(f"{_jsdoc(sub, '  ')}  {_key(str(name))}{mark}: {kind};")
        lines += [f"  {_key(name)}: unknown;" for name in dict.fromkeys(required)
                  if name not in properties]  # fmt: skip
        if schema.get("additionalProperties") not in (None, False) or _list_of(
            schema.get("patternProperties")
        ):
            # Members of other types stand beside it, so that nothing narrower would hold.
            lines.append("  [key: string]: unknown;")
        return "\n".join([*lines, "}"])

    def member(self, given: Any, path: str) -> str:
        """The type of a member; an enum gets a name of its own."""
        if (
            isinstance(given, Mapping)
            and len(_list(given.get("enum"))) > 1
            and not any(word in given for word in _COMBINING)
        ):
            return self.name_for(given, path)
        return self.expression(given, path, alias=None)

    def rest(self, schema: Mapping[str, Any], path: str) -> str:
        """The type of the members of an object that names none."""
        patterns = _list_of(schema.get("patternProperties"))
        extra = schema.get("additionalProperties")
        found = [self.expression(item, f"{path}Value", alias=None) for item in patterns]
        if extra is not None and extra is not False:
            found.append(self.expression(extra, f"{path}Value", alias=None))
        return _either(found) if found else ("never" if extra is False else "unknown")

    def of_array(self, schema: Mapping[str, Any], path: str) -> str:
        items = schema.get("items")
        first, others = schema.get("prefixItems"), items
        if isinstance(items, list):
            first, others = items, schema.get("additionalItems")
        if not isinstance(first, list):
            return _array(self.expression(items, f"{path}Item", alias=None))
        least = schema.get("minItems")
        least = least if isinstance(least, int) else 0
        parts = []
        for number, item in enumerate(first):
            kind = self.expression(item, f"{path}Item{number + 1}", alias=None)
            parts.append(kind if number < least else f"({kind})?")
        if others is not False:
            kind = self.expression(others, f"{path}Item", alias=None)
            parts.append(f"...{_array(kind)}")
        return f"[{', '.join(parts)}]"

    def reference(self, reference: str, path: str, alias: str | None) -> str:
        """A reference by its target's name; `unknown` where it leads nowhere, "" to itself."""
        target = target_of(self.document, reference)
        if not isinstance(target, Mapping):
            return "never" if target is False else "unknown"
        last = reference.rpartition("/")[2].lstrip("#") or path
        name = self.name_for(target, last.replace("~1", "/").replace("~0", "~"))
        if alias is not None and not _is_plain_object(target):
            if self.reaches(name, alias):
                return ""
            self.leads_to.setdefault(alias, set()).add(name)
        return name

    def reaches(self, start: str, goal: str) -> bool:
        """Whether an alias leads to another one without a member in between."""
        seen, todo = {start}, [start]
        while todo:
            name = todo.pop()
            self.steps += 1
            if name == goal or self.steps > MAX_STEPS:
                return True
            for following in self.leads_to.get(name, ()):
                if following not in seen:
                    seen.add(following)
                    todo.append(following)
        return False


def _is_plain_object(schema: Mapping[str, Any]) -> bool:
    """Whether a schema is one object with members and nothing else beside: an interface."""
    if any(word in schema for word in (*_COMBINING, "$ref", "$dynamicRef", "$recursiveRef",
                                       "enum", "const", "nullable")):  # fmt: skip
        return False
    return schema.get("type", "object") in ("object", ["object"]) and _has_members(schema)


def _has_members(schema: Mapping[str, Any]) -> bool:
    return bool(_list_of(schema.get("properties"))) or bool(_list(schema.get("required")))


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _list_of(value: Any) -> list[Any]:
    return list(value.values()) if isinstance(value, Mapping) else []


def _literal(value: Any) -> str:
    """A JSON value as the type that holds only it."""
    if isinstance(value, Mapping):
        inner = " ".join(f"{_key(str(key))}: {_literal(item)};" for key, item in value.items())
        return f"{{ {inner} }}" if inner else "{ [key: string]: never }"
    if isinstance(value, list):
        return f"[{', '.join(_literal(item) for item in value)}]"
    if isinstance(value, int | float) and not isinstance(value, bool):
        # A literal cannot hold an integer beyond 2^53 exactly.
        return json.dumps(value) if abs(value) < 2**53 else "number"
    return _quoted(value)


def _quoted(value: Any) -> str:
    """JSON is TypeScript but for two separators of lines, which are escaped."""
    return json.dumps(value, ensure_ascii=True)


def _key(name: str) -> str:
    return name if _IDENTIFIER.fullmatch(name) else _quoted(name)


def _either(types: Iterable[str]) -> str:
    """A union; `unknown` holds everything, `never` adds nothing."""
    found = list(dict.fromkeys(types))
    if "unknown" in found:
        return "unknown"
    left = [item for item in found if item != "never"]
    return " | ".join(_grouped(item, "&") if len(left) > 1 else item for item in left) or "never"


def _both(types: Iterable[str]) -> str:
    found = list(dict.fromkeys(types))
    return " & ".join(_grouped(item, "|") if len(found) > 1 else item for item in found)


def _grouped(text: str, sign: str) -> str:
    return f"({text})" if f" {sign} " in text and not _is_closed(text) else text


def _array(item: str) -> str:
    return (
        f"({item})[]" if (" | " in item or " & " in item) and not _is_closed(item) else f"{item}[]"
    )


def _is_closed(text: str) -> bool:
    """Whether a type stands in one pair of brackets, so that no sign around it can part it."""
    pairs = {"(": ")", "{": "}", "[": "]"}
    if not text or text[0] not in pairs or text[-1] != pairs[text[0]]:
        return False
    depth = 0
    quoted = False
    for place, char in enumerate(text):
        if char == '"' and text[place - 1] != "\\":
            quoted = not quoted
        elif not quoted:
            depth += (char in "({[") - (char in ")}]")
            if depth == 0 and place < len(text) - 1:
                return False
    return True


_TAGS: Final = ("format", "pattern", "minimum", "exclusiveMinimum", "maximum", "exclusiveMaximum",
                "multipleOf", "minLength", "maxLength", "minItems", "maxItems", "default")  # fmt: skip


def _jsdoc(schema: Mapping[str, Any], indent: str) -> str:
    """What people and editors read about a type: its meaning, then what types cannot say."""
    said = schema.get("description") or schema.get("title")
    lines = _clean(said).splitlines() if isinstance(said, str) else []
    lines = [line.rstrip() for line in lines if line.strip()]
    classification = schema.get("x-classification")
    if classification in ("personal", "sensitive"):
        lines.append(f"Holds {classification} data.")
    unit = schema.get("x-unit")
    if isinstance(unit, str) and unit:
        lines.append(f"Unit: {_clean(unit)}.")
    for word in _TAGS:
        if word in schema and isinstance(schema[word], str | int | float | bool):
            value = schema[word]
            lines.append(f"@{word} {_clean(value if word == 'format' else json.dumps(value))}")
    examples = schema.get("examples")
    if isinstance(examples, list) and examples and not isinstance(examples[0], dict | list):
        lines.append(f"@example {_clean(json.dumps(examples[0], ensure_ascii=False))}")
    if schema.get("deprecated") is True:
        sunset = schema.get("x-sunset")
        lines.append(f"@deprecated{f' Until {_clean(sunset)}.' if isinstance(sunset, str) else ''}")
    if not lines:
        return ""
    if len(lines) == 1:
        return f"{indent}/** {lines[0]} */\n"
    return "\n".join([f"{indent}/**", *(f"{indent} * {line}" for line in lines), f"{indent} */\n"])


def _clean(text: Any) -> str:
    """A text that cannot end its comment; the odd separators become plain ones."""
    words = str(text).replace("*/", "*\\/").replace("\u2028", "\n").replace("\u2029", "\n")
    return "".join(char for char in words if char in "\n\t" or ord(char) >= 32)[:2000]
