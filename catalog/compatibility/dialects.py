"""What each draft of JSON Schema knows, as data. A keyword unknown to a draft is ignored in it.

The lists say what the portal's validator asserts (a test asks it), which for `dependencies`,
`content…` and formats is more or less than the drafts' own texts.
"""

from typing import Final

_DRAFT_4: Final = frozenset(
    [
        "type",
        "enum",
        "multipleOf",
        "maximum",
        "exclusiveMaximum",
        "minimum",
        "exclusiveMinimum",
        "maxLength",
        "minLength",
        "pattern",
        "items",
        "additionalItems",
        "maxItems",
        "minItems",
        "uniqueItems",
        "maxProperties",
        "minProperties",
        "required",
        "properties",
        "patternProperties",
        "additionalProperties",
        "dependencies",
        "allOf",
        "anyOf",
        "oneOf",
        "not",
        "format",
        "$ref",
    ]
)
_DRAFT_6: Final = _DRAFT_4 | {
    "const", "contains", "propertyNames", "contentEncoding", "contentMediaType",
}  # fmt: skip
_DRAFT_7: Final = _DRAFT_6 | {"if", "then", "else"}
_DRAFT_2019: Final = (_DRAFT_7 - {"contentEncoding", "contentMediaType"}) | {
    "dependentRequired", "dependentSchemas", "minContains", "maxContains",
    "unevaluatedProperties", "unevaluatedItems", "$recursiveRef",
}  # fmt: skip
_DRAFT_2020: Final = (_DRAFT_2019 - {"additionalItems", "$recursiveRef"}) | {
    "prefixItems", "$dynamicRef",
}  # fmt: skip

KEYWORDS: Final = {
    "4": _DRAFT_4,
    "6": _DRAFT_6,
    "7": _DRAFT_7,
    "2019-09": _DRAFT_2019,
    "2020-12": _DRAFT_2020,
}

_FORMATS_4: Final = frozenset(
    ["date-time", "date", "time", "email", "idn-email", "hostname", "ipv4", "ipv6", "uri", "regex"]
)
_FORMATS_6: Final = _FORMATS_4 | {"uri-reference", "uri-template", "json-pointer"}
_FORMATS_7: Final = _FORMATS_6 | {
    "idn-hostname", "iri", "iri-reference", "relative-json-pointer",
}  # fmt: skip
_FORMATS_2019: Final = _FORMATS_7 | {"duration", "uuid"}

FORMATS: Final = {
    "4": _FORMATS_4,
    "6": _FORMATS_6,
    "7": _FORMATS_7,
    "2019-09": _FORMATS_2019,
    "2020-12": _FORMATS_2019,
}

REF_HIDES_SIBLINGS: Final = frozenset({"4", "6", "7"})
ID_KEYWORD: Final = {"4": "id"}
BOOLEAN_EXCLUSIVE: Final = frozenset({"4"})
POSITIONAL_ITEMS: Final = frozenset({"4", "6", "7", "2019-09"})

# Where schemas stand in a schema, over all drafts.
SCHEMA_MAPS: Final = (
    "properties", "patternProperties", "$defs", "definitions", "dependentSchemas", "dependencies",
)  # fmt: skip
SCHEMA_LISTS: Final = ("allOf", "anyOf", "oneOf", "prefixItems", "items")
SCHEMA_SINGLES: Final = (
    "not", "if", "then", "else", "items", "additionalItems", "additionalProperties", "contains",
    "propertyNames", "unevaluatedItems", "unevaluatedProperties", "contentSchema",
)  # fmt: skip
