"""Streams as no catalog would hold them: odd names, schemas that refer to themselves, odd extras."""

from typing import Any

from hypothesis import strategies as st

from catalog.exchange.documents import OutsideStream, OutsideVersion

TEXTS = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12
) | st.sampled_from(
    ["", "yes", "on", "1.0", "0x1f", "2026-01-01", "~", "null", ".inf", "<<", "a: b", "- a", "# c",
     " a ", "a\nb", "a\n", "\n a\n", "'", '"', "{", "a/b~c", "é✓", "1e3", "1_000", "0o7", "=", "!x"]
)  # fmt: skip
NUMBERS = (
    st.integers(-(2**64), 2**64)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.sampled_from([0, 1, -1, 10**20, 0.1, 1e300, 5e-324])
)
VALUES = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=6,
)
OBJECTS = st.dictionaries(TEXTS, VALUES, max_size=3)

_REFERENCES = st.sampled_from(
    ["#", "#/$defs/one", "#/$defs/two~1odd", "#/definitions/old", "#/properties/a", "#name",
     "#/$defs/none%20such", "#/components/schemas/one"]
)  # fmt: skip
_LEAVES = st.fixed_dictionaries(
    {},
    optional={
        "type": st.sampled_from(["string", "integer", "number", "boolean", ["string", "null"]]),
        "format": st.sampled_from(["date", "date-time", "time", "uuid"]),
        "description": TEXTS,
        "title": TEXTS,
        "minLength": st.integers(0, 5),
        "maximum": NUMBERS,
        "multipleOf": st.integers(-2, 3),
        "enum": st.lists(VALUES, min_size=1, max_size=2),
        "const": st.just({"$ref": "#/properties/a"}),
        "examples": st.lists(VALUES, max_size=2),
        "x-classification": st.sampled_from(["personal", "public", "odd"]),
        "x-unit": TEXTS,
    },
)


def _wider(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    names = st.sampled_from(["a", "b/c", "enum", "$ref", "schema", "items", "properties"])
    return (
        st.fixed_dictionaries({"$ref": _REFERENCES}, optional={"description": TEXTS})
        | st.fixed_dictionaries(
            {"type": st.just("object"), "properties": st.dictionaries(names, inner, max_size=3)},
            optional={
                "required": st.lists(names, unique=True, max_size=2),
                "additionalProperties": inner | st.booleans(),
                "dependencies": st.just({"a": ["b"]}),
                "unevaluatedProperties": st.just(False),
                "$id": st.just("https://schemas.example/inner"),
                "allOf": st.lists(inner, min_size=1, max_size=2),
            },
        )
        | st.fixed_dictionaries(
            {"type": st.just("array"), "items": inner | st.lists(inner, max_size=2)},
            optional={"prefixItems": st.lists(inner, max_size=2), "uniqueItems": st.booleans()},
        )
    )


PARTS = st.recursive(_LEAVES, _wider, max_leaves=6)
SCHEMAS = (
    st.builds(
        lambda part, more: {**part, **more},
        PARTS,
        st.fixed_dictionaries(
            {},
            optional={
                "$schema": st.sampled_from(
                    [
                        "http://json-schema.org/draft-04/schema#",
                        "http://json-schema.org/draft-07/schema#",
                        "https://json-schema.org/draft/2019-09/schema",
                        "https://json-schema.org/draft/2020-12/schema",
                    ]
                ),
                "$defs": st.fixed_dictionaries({"one": PARTS, "two/odd": PARTS}),
                "definitions": st.fixed_dictionaries({"old": PARTS}),
                "$id": st.just("https://schemas.example/outer"),
                "schema": VALUES,
            },
        ),
    )
    | st.booleans()
)

VERSIONS = st.builds(
    OutsideVersion,
    label=TEXTS,
    document=SCHEMAS,
    examples=st.lists(VALUES, max_size=2).map(tuple),
    note=TEXTS,
    extensions=st.dictionaries(
        st.sampled_from(["asyncapi", "odcs", "segment", "other"]), VALUES, max_size=2
    ).map(lambda held: {key: value for key, value in held.items() if value is not None}),
)
NAMES = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=20).filter(
    lambda text: bool(text.strip())
)
_LISTS = st.lists(TEXTS, max_size=3).map(tuple)


def streams(**fixed: st.SearchStrategy[Any]) -> st.SearchStrategy[OutsideStream]:
    """Streams with any facts; `fixed` replaces the strategy of a field."""
    fields: dict[str, st.SearchStrategy[Any]] = {
        "name": NAMES,
        "title": TEXTS,
        "description": TEXTS,
        "domain": TEXTS,
        "owner": TEXTS,
        "tier": TEXTS,
        "track": TEXTS,
        "classification": TEXTS,
        "compatibility_mode": TEXTS,
        "compatibility_policy": TEXTS,
        "retention_days": st.none() | st.integers(0, 4000),
        "tags": _LISTS,
        "aliases": _LISTS,
        "producers": _LISTS,
        "consumers": _LISTS,
        "versions": st.lists(VERSIONS, max_size=3).map(tuple),
        "extensions": VERSIONS.map(lambda version: version.extensions),
    }
    return st.builds(OutsideStream, **{**fields, **fixed})
