"""A schema document as read: its draft, its limits, and where its references lead.

References stay within the document: as pointers, anchors, and by the `$id`s it declares. Any other
is refused with its place; nothing is ever fetched or opened.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import unquote, urldefrag, urljoin

from catalog.compatibility import dialects
from portal.kernel.errors import FieldError, InvalidError
from portal.kernel.json_schema import compile_schema, draft_of
from portal.kernel.strict_json import pointer_part

MAX_DEPTH: Final = 250
MAX_PARTS: Final = 40_000


@dataclass(slots=True)
class Document:
    """A checked document. `place` is where it stands in the question, for messages."""

    root: Any
    draft: str
    place: str = ""
    resources: dict[str, str] = field(default_factory=dict)  # address -> pointer of its root
    anchors: dict[tuple[str, str], str] = field(default_factory=dict)  # (resource, name) -> pointer
    dynamic: dict[str, str] = field(default_factory=dict)  # outermost dynamic anchors
    has_references: bool = False
    owners: dict[str, str] = field(default_factory=dict)  # pointer of an embedded root -> address

    def at(self, pointer: str) -> Any:
        """The part of the document a pointer names; KeyError when there is none."""
        found = self.root
        for part in pointer.split("/")[1:]:
            step = part.replace("~1", "/").replace("~0", "~")
            if isinstance(found, list) and step.isdigit() and int(step) < len(found):
                found = found[int(step)]
            elif isinstance(found, dict):
                found = found[step]
            else:
                raise KeyError(step)
        return found

    def resource_of(self, pointer: str) -> str:
        """The address of the resource that a place belongs to."""
        while self.owners:
            if pointer in self.owners:
                return self.owners[pointer]
            if not pointer:
                break
            pointer = pointer.rpartition("/")[0]
        return self.owners.get("", "")

    def target(self, pointer: str, reference: str, keyword: str = "$ref") -> str:
        """The pointer of what a reference at a place leads to. Raises InvalidError."""
        base = self.resource_of(pointer)
        if reference.startswith("#"):
            address, fragment = base, reference[1:]
        else:
            address, fragment = urldefrag(urljoin(base, reference))
        fragment = unquote(fragment)
        root = self.resources.get(address)
        if root is None:
            raise self._refused(pointer, keyword, "remote_ref", "must stay within the document")
        if not fragment or fragment.startswith("/"):
            found: str | None = root + fragment
        else:
            found = self.anchors.get((address, fragment))
            if keyword == "$dynamicRef" and found is not None:
                found = self.dynamic.get(fragment, found)
        try:
            if found is None or not isinstance(self.at(found), dict | bool):
                raise KeyError(fragment)
        except KeyError:
            raise self._refused(
                pointer, keyword, "unresolved_ref", "leads to nothing in the document"
            ) from None
        return found

    def _refused(self, pointer: str, keyword: str, code: str, detail: str) -> InvalidError:
        where = f"{self.place}{pointer}/{pointer_part(keyword)}"
        return InvalidError(
            "The schema cannot be compared.",
            code="schema_invalid",
            errors=[FieldError(where, code, detail)],
        )


def read_document(root: Any, *, place: str = "") -> Document:
    """Check and open a document; `place` prefixes the pointers of faults. Raises InvalidError."""
    document = Document(root, draft_of(root), place)
    _check_size(document)
    _index(document)
    for pointer, schema in _schemas(root):
        for keyword in ("$ref", "$recursiveRef", "$dynamicRef"):
            reference = schema.get(keyword)
            if isinstance(reference, str) and keyword in dialects.KEYWORDS[document.draft]:
                document.target(pointer, reference, keyword)
                document.has_references = True
    try:
        compile_schema(root)
    except InvalidError as error:
        raise InvalidError(
            "The schema cannot be compared.",
            code="schema_invalid",
            errors=[FieldError(place, "invalid", "is not a valid JSON Schema of its draft")],
        ) from error
    return document


def _check_size(document: Document) -> None:
    count = 0
    todo: list[tuple[int, Any]] = [(1, document.root)]
    while todo:
        depth, node = todo.pop()
        count += 1
        if depth > MAX_DEPTH or count > MAX_PARTS:
            code, detail = (
                ("too_deep", f"nests more than {MAX_DEPTH} levels")
                if depth > MAX_DEPTH
                else ("too_many", f"has more than {MAX_PARTS} parts")
            )
            raise InvalidError(
                "The schema cannot be compared.",
                code="schema_invalid",
                errors=[FieldError(document.place, code, detail)],
            )
        parts = node.values() if isinstance(node, dict) else node if isinstance(node, list) else ()
        todo += [(depth + 1, part) for part in parts if isinstance(part, dict | list)]


def _index(document: Document) -> None:
    """Note the resources and anchors that the document declares."""
    word = dialects.ID_KEYWORD.get(document.draft, "$id")
    hides = document.draft in dialects.REF_HIDES_SIBLINGS
    found = [
        (pointer, schema)
        for pointer, schema in _schemas(document.root)
        if (word in schema and not (hides and "$ref" in schema))
        or "$anchor" in schema
        or "$dynamicAnchor" in schema
    ]
    document.resources[""] = document.owners[""] = ""
    for pointer, schema in sorted(found, key=lambda each: each[0].count("/")):
        name = schema.get(word)
        base = document.resource_of(pointer)
        if isinstance(name, str) and not (hides and "$ref" in schema):
            address, fragment = urldefrag(urljoin(base, name))
            if not name.startswith("#"):
                base = address
                document.resources[base] = pointer
                document.owners[pointer] = base
            if fragment and hides:
                document.anchors[base, fragment] = pointer
        if document.draft not in dialects.REF_HIDES_SIBLINGS:
            for keyword in ("$anchor", "$dynamicAnchor"):
                if isinstance(schema.get(keyword), str):
                    document.anchors[base, schema[keyword]] = pointer
            if isinstance(schema.get("$dynamicAnchor"), str):
                document.dynamic.setdefault(schema["$dynamicAnchor"], pointer)


def _schemas(root: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each schema object of a document with its pointer, outer ones first."""
    todo: list[tuple[str, Any]] = [("", root)]
    while todo:
        pointer, schema = todo.pop()
        if not isinstance(schema, dict):
            continue
        yield pointer, schema
        todo += [(f"{pointer}/{k}", schema[k]) for k in dialects.SCHEMA_SINGLES if k in schema]
        for keyword in dialects.SCHEMA_LISTS:
            part = schema.get(keyword)
            if isinstance(part, list):
                todo += [(f"{pointer}/{keyword}/{at}", one) for at, one in enumerate(part)]
        for keyword in dialects.SCHEMA_MAPS:
            part = schema.get(keyword)
            if isinstance(part, dict):
                todo += [(f"{pointer}/{keyword}/{pointer_part(k)}", v) for k, v in part.items()]
