"""Schema documents are input from outside: bounded, self-contained and compilable before kept.

Refused: anything but an object, too large, too deep, too many subschemas, references that leave the
document, and what no validator compiles. Patterns need no check of their own: the validator's
engine matches in linear time.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

from portal.kernel.errors import FieldError, InvalidError
from portal.kernel.json_schema import compile_schema, draft_of
from portal.kernel.strict_json import pointer_part

MAX_BYTES: Final = 1024 * 1024
MAX_DEPTH: Final = 60
MAX_NODES: Final = 20_000
_NOT_SCHEMAS: Final = frozenset({"enum", "const", "default", "examples", "example"})


def check_schema(document: object, *, pointer: str = "/schema") -> str:
    """Refuse an unsafe or unusable document; gives its draft ("2020-12", "7", …) otherwise."""
    if not isinstance(document, Mapping):
        raise _refused([FieldError(pointer, "type", "must be a JSON Schema as an object")])
    if len(canonical(document)) > MAX_BYTES:
        raise _refused([FieldError(pointer, "too_large", "may have 1 MiB at most")])
    faults: list[FieldError] = []
    for count, (where, depth, node) in enumerate(_walk(document, pointer), start=1):
        if depth > MAX_DEPTH:
            faults.append(FieldError(pointer, "too_deep", f"nests more than {MAX_DEPTH} levels"))
        if count > MAX_NODES:
            faults.append(FieldError(pointer, "too_many", f"has more than {MAX_NODES} parts"))
        if faults:
            break
        reference = node.get("$ref") if isinstance(node, Mapping) else None
        if isinstance(reference, str) and not reference.startswith("#"):
            faults.append(
                FieldError(
                    f"{where}/$ref", "remote_ref", "must stay within the document (start with #)"
                )
            )
    if faults:
        raise _refused(faults)
    try:
        compile_schema(document)
    except InvalidError as error:
        raise _refused(
            [FieldError(pointer, "invalid", "is not a valid JSON Schema of its draft")]
        ) from error
    return draft_of(document)


def canonical(document: object) -> bytes:
    """The bytes that identify a document: keys sorted, no white space."""
    return json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode(
        "utf-8", "surrogatepass"
    )


def fingerprint(document: object) -> bytes:
    """SHA-256 of the canonical document: the same schema has one everywhere."""
    return hashlib.sha256(canonical(document)).digest()


def _walk(document: object, pointer: str) -> Iterator[tuple[str, int, Any]]:
    todo: list[tuple[str, int, Any]] = [(pointer, 1, document)]
    while todo:
        where, depth, node = todo.pop()
        yield where, depth, node
        if isinstance(node, Mapping):
            todo += [
                (f"{where}/{pointer_part(str(key))}", depth + 1, value)
                for key, value in node.items()
                if isinstance(value, Mapping | list) and key not in _NOT_SCHEMAS
            ]
        elif isinstance(node, list):
            todo += [
                (f"{where}/{index}", depth + 1, value)
                for index, value in enumerate(node)
                if isinstance(value, Mapping | list)
            ]


def _refused(faults: list[FieldError]) -> InvalidError:
    return InvalidError("The schema cannot be taken.", code="schema_invalid", errors=faults)
