from typing import Any

import pytest

from catalog.classified import MASK, SENSITIVITY, is_personal, mask, sensitivity_of

PERSONAL = {"type": "string", "x-classification": "personal"}


def properties(**named: Any) -> dict[str, Any]:
    return {"type": "object", "properties": named}


@pytest.mark.parametrize(
    ("schema", "data", "masked", "places"),
    [
        (properties(email=PERSONAL), {"email": "a", "n": 1}, {"email": MASK, "n": 1}, ["email"]),
        (
            properties(who=properties(email=PERSONAL)),
            {"who": {"email": "a", "n": 1}},
            {"who": {"email": MASK, "n": 1}},
            ["who.email"],
        ),
        # A classified object is masked whole.
        (
            properties(who={"x-classification": "sensitive"}),
            {"who": {"a": [1]}},
            {"who": MASK},
            ["who"],
        ),
        # Values of arrays, of tuples, and maps keyed by anything: no fields, so in no index.
        (
            properties(mails={"type": "array", "items": PERSONAL}),
            {"mails": ["a", "b"]},
            {"mails": [MASK, MASK]},
            ["mails[]"],
        ),
        (
            properties(pair={"prefixItems": [{"type": "integer"}, PERSONAL]}),
            {"pair": [1, "a"]},
            {"pair": [1, MASK]},
            ["pair[]"],
        ),
        (
            {"additionalProperties": PERSONAL},
            {"ada@test.example": "a"},
            {"ada@test.example": MASK},
            ["*"],
        ),
        (
            {"patternProperties": {"^pii_": PERSONAL}},
            {"pii_name": "a", "other": "b"},
            {"pii_name": MASK, "other": "b"},
            ["*"],
        ),
        # Names that look like paths.
        (
            properties(**{"user.email": PERSONAL, "a[]": PERSONAL}),
            {"user.email": "a", "a[]": "b", "user": {"email": "c"}},
            {"user.email": MASK, "a[]": MASK, "user": {"email": "c"}},
            ["user.email", "a[]"],
        ),
        # References, combinations and conditions, whichever branch holds.
        (
            properties(a={"$ref": "#/$defs/mail"}) | {"$defs": {"mail": PERSONAL}},
            {"a": "x"},
            {"a": MASK},
            ["a"],
        ),
        (
            properties(a={"$ref": "#mail"}) | {"$defs": {"m": {"$anchor": "mail", **PERSONAL}}},
            {"a": "x"},
            {"a": MASK},
            ["a"],
        ),
        (
            {"oneOf": [properties(a={"x-classification": "internal"}), properties(a=PERSONAL)]},
            {"a": "x"},
            {"a": MASK},
            ["a"],
        ),
        ({"if": {}, "then": properties(a=PERSONAL)}, {"a": "x"}, {"a": MASK}, ["a"]),
        ({"allOf": [{"allOf": [properties(a=PERSONAL)]}]}, {"a": "x"}, {"a": MASK}, ["a"]),
        # A contract that contains itself, deeper than any index goes.
        (
            properties(name=PERSONAL, children={"type": "array", "items": {"$ref": "#"}}),
            {"children": [{"children": [{"name": "a"}]}]},
            {"children": [{"children": [{"name": MASK}]}]},
            ["children[].children[].name"],
        ),
        # Nothing to hide.
        (properties(email=PERSONAL), {"email": None}, {"email": None}, []),
        (properties(email={"x-classification": "internal"}), {"email": "a"}, {"email": "a"}, []),
        (properties(email={"x-classification": ["personal"]}), {"email": "a"}, {"email": "a"}, []),
        ({"enum": [{"x-classification": "personal"}]}, {"a": 1}, {"a": 1}, []),
        (True, {"a": 1}, {"a": 1}, []),
        ({"x-classification": "personal"}, "text", MASK, ["data"]),
    ],
)
def test_what_the_contract_calls_personal_is_masked_wherever_it_stands(
    schema: Any, data: Any, masked: Any, places: list[str]
) -> None:
    assert mask([schema], data) == (masked, places)


def test_several_contracts_hide_what_any_of_them_calls_personal() -> None:
    old, new = properties(a=PERSONAL, b={}), properties(a={}, b=PERSONAL)
    assert mask([old, None, new], {"a": 1, "b": 2, "c": 3})[0] == {"a": MASK, "b": MASK, "c": 3}


def test_the_original_is_not_touched() -> None:
    data = {"a": {"b": "x"}}
    mask([properties(a=properties(b=PERSONAL))], data)
    assert data == {"a": {"b": "x"}}


def test_a_pattern_that_backtracks_for_ever_elsewhere_is_matched_at_once() -> None:
    schema = {"patternProperties": {"^(a+)+$": PERSONAL}}
    assert mask([schema], {"a" * 60 + "!": 1})[1] == []


def test_the_most_sensitive_word_anywhere_decides() -> None:
    assert SENSITIVITY[sensitivity_of(properties(a={"items": PERSONAL}))] == "personal"
    assert SENSITIVITY[sensitivity_of({"$defs": {"a": {"x-classification": "sensitive"}}})] == (
        "sensitive"
    )
    assert not is_personal(properties(a={"examples": [PERSONAL], "default": PERSONAL}))
