"""Compiling JSON Schemas for validation: no network, no files, linear patterns, known drafts.

The draft follows from `$schema`, in its `http` and `https` spellings, with or without the empty
fragment; an unknown `$schema` is read as the default dialect, 2020-12. References resolve within
the document only.
"""

from typing import Any, Final

import jsonschema_rs

from portal.kernel.errors import InvalidError

DEFAULT_DRAFT: Final = "2020-12"
_DIALECTS: Final = {
    "json-schema.org/draft-04/schema": "4",
    "json-schema.org/draft-06/schema": "6",
    "json-schema.org/draft-07/schema": "7",
    "json-schema.org/draft/2019-09/schema": "2019-09",
    "json-schema.org/draft/2020-12/schema": "2020-12",
}
_VALIDATORS: Final = {
    "4": jsonschema_rs.Draft4Validator,
    "6": jsonschema_rs.Draft6Validator,
    "7": jsonschema_rs.Draft7Validator,
    "2019-09": jsonschema_rs.Draft201909Validator,
    "2020-12": jsonschema_rs.Draft202012Validator,
}
_PATTERNS: Final = jsonschema_rs.RegexOptions(size_limit=1024 * 1024)
MASK: Final = "the value"


def draft_of(document: Any) -> str:
    """The draft a document is read in: "4", "6", "7", "2019-09" or "2020-12"."""
    return _DIALECTS.get(_dialect(document) or "", DEFAULT_DRAFT)


def is_known_dialect(document: Any) -> bool:
    """False when `$schema` names a dialect that is not known, and the default is taken instead."""
    named = _dialect(document)
    return named is None or named in _DIALECTS


def _dialect(document: Any) -> str | None:
    named = document.get("$schema") if isinstance(document, dict) else None
    if not isinstance(named, str):
        return None
    return named.rstrip("#").removeprefix("https://").removeprefix("http://")


def _refuse(uri: str) -> Any:
    raise ValueError(f"References stay within the document; not {uri[:200]}")


def compile_schema(document: Any) -> jsonschema_rs.Validator:
    """A validator of a schema document. Formats are asserted. Raises InvalidError."""
    schema = document
    if isinstance(document, dict) and "$schema" in document:
        # The draft is chosen here; the document's own spelling of it may be unknown to the engine.
        schema = {key: value for key, value in document.items() if key != "$schema"}
    try:
        return _VALIDATORS[draft_of(document)](
            schema,
            validate_formats=True,
            ignore_unknown_formats=True,
            retriever=_refuse,
            mask=MASK,
            pattern_options=_PATTERNS,
        )
    except (jsonschema_rs.ValidationError, jsonschema_rs.ReferencingError, ValueError) as error:
        raise InvalidError(
            "The document is not a schema that can be compiled.", code="schema_invalid"
        ) from error


def listing_cost(document: Any) -> int:
    """How many subschemas a full list of errors may visit, references expanded; capped.

    Computed once per place by memoising, so that doubling references cost nothing to measure.
    A reference into a schema under computation counts as one: instances bound its depth.
    """
    cap = 10**9
    known: dict[int, int] = {}
    active: set[int] = set()

    def cost(schema: Any) -> int:
        if not isinstance(schema, dict | list) or id(schema) in active:
            return 1
        if id(schema) in known:
            return known[id(schema)]
        active.add(id(schema))
        total = 1
        if isinstance(schema, list):
            total += sum(cost(item) for item in schema if isinstance(item, dict | list))
        else:
            for word, part in schema.items():
                if word == "$ref" and isinstance(part, str):
                    total += cost(_local_target(document, part))
                elif word not in _NOT_APPLIED and isinstance(part, dict | list):
                    total += cost(part)
        active.discard(id(schema))
        known[id(schema)] = min(total, cap)
        return known[id(schema)]

    try:
        return cost(document)
    except RecursionError:
        return cap


_NOT_APPLIED: Final = frozenset(
    {"$defs", "definitions", "enum", "const", "default", "examples", "required", "type"}
)


def _local_target(document: Any, reference: str) -> Any:
    """What a reference within the document points to; None when it points elsewhere."""
    target = document
    for step in reference.removeprefix("#").split("/")[1:]:
        key = step.replace("~1", "/").replace("~0", "~")
        if not isinstance(target, dict) or key not in target:
            return None
        target = target[key]
    return target
