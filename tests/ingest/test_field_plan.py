"""What a contract's plan treats, and what the treatments that make values coarser do."""

import copy
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from catalog.classified import MASK, mask
from ingest.judging.contract import Contract
from ingest.privacy import field_plan, treatments
from ingest.privacy.field_plan import GONE, Treatment
from ingest.privacy.treating import is_made, place_of
from ingest.privacy.treatments import InapplicableError

TOKENIZE = {"x-privacy": "tokenize"}


def marked(schema: Any, data: Any) -> Any:
    """The data with `word@pointer` at each treated place, and what was misplaced as `?`."""
    plan = field_plan.plan_of(schema)
    assert plan is not None

    def act(treatment: Treatment | None, value: Any, pointer: str) -> Any:
        if treatment is None:
            return "?"
        return GONE if treatment.word == "drop" else f"{treatment.word}@{pointer}"

    return plan.walk(copy.deepcopy(data), act)


@pytest.mark.parametrize(
    ("schema", "data", "expected"),
    [
        ({"properties": {"a": TOKENIZE}}, {"a": 1, "b": 2}, {"a": "tokenize@/data/a", "b": 2}),
        ({"properties": {"a": {"properties": {"b/c": TOKENIZE}}}}, {"a": {"b/c": 1}},
         {"a": {"b/c": "tokenize@/data/a/b~1c"}}),
        ({"properties": {"a": {"x-privacy": "drop"}}}, {"a": None, "b": 1}, {"b": 1}),
        ({"properties": {"a": TOKENIZE}}, {"a": None}, {"a": None}),
        ({"properties": {"a": {"items": TOKENIZE}}}, {"a": [1, None]},
         {"a": ["tokenize@/data/a/0", None]}),
        ({"properties": {"a": {"prefixItems": [{}, {"x-privacy": "drop"}], "items": TOKENIZE}}},
         {"a": [1, 2, 3]}, {"a": ["tokenize@/data/a/0", "tokenize@/data/a/2"]}),
        ({"properties": {"a": {"$ref": "#/$defs/p"}}, "$defs": {"p": TOKENIZE}}, {"a": 1},
         {"a": "tokenize@/data/a"}),
        ({"$id": "https://x.example/s", "properties": {"a": {"$ref": "p"}},
          "$defs": {"p": {"$id": "p", **TOKENIZE}}}, {"a": 1}, {"a": "tokenize@/data/a"}),
        ({"properties": {"a": {"$ref": "#named"}}, "$defs": {"p": {"$anchor": "named", **TOKENIZE}}},
         {"a": 1}, {"a": "tokenize@/data/a"}),
        ({"allOf": [{"properties": {"a": {"x-privacy": "truncate"}}},
                    {"anyOf": [{"properties": {"a": {"x-privacy": "encrypt"}}}, {}]}]},
         {"a": 1}, {"a": "encrypt@/data/a"}),
        ({"if": {"required": ["b"]}, "then": {"properties": {"a": TOKENIZE}}}, {"a": 1},
         {"a": "tokenize@/data/a"}),
        ({"patternProperties": {"^m_": TOKENIZE}}, {"m_1": 1, "n": 2},
         {"m_1": "tokenize@/data/m_1", "n": 2}),
        ({"properties": {"b": {}}, "additionalProperties": TOKENIZE}, {"ada": 1, "b": 2},
         {"ada": "tokenize@/data/ada", "b": 2}),
        ({"properties": {"name": TOKENIZE, "kids": {"items": {"$ref": "#"}}}},
         {"name": 1, "kids": [{"name": 2, "kids": [{"name": 3}]}]},
         {"name": "tokenize@/data/name", "kids": [
             {"name": "tokenize@/data/kids/0/name",
              "kids": [{"name": "tokenize@/data/kids/0/kids/0/name"}]}]}),
        ({"x-privacy": "encrypt"}, {"a": 1}, "encrypt@/data"),
        ({"properties": {"a": {"x-privacy": "encrypt", "properties": {"b": TOKENIZE}}}},
         {"a": {"b": 1}}, {"a": "encrypt@/data/a"}),
        ({"properties": {"a": {"properties": {"b": TOKENIZE}}}}, {"a": "ada"}, {"a": "?"}),
        ({"properties": {"a": {"properties": {"b": TOKENIZE}}}}, {"a": ["ada"]}, {"a": "?"}),
        ({"properties": {"a": {"items": TOKENIZE}}}, {"a": {"x": "ada"}}, {"a": "?"}),
        ({"properties": {"a": TOKENIZE}}, "ada", "?"),
        ({"properties": {"a": TOKENIZE}}, ["ada"], "?"),
    ],
)  # fmt: skip
def test_every_part_that_may_apply_counts_and_the_strictest_wins(
    schema: Any, data: Any, expected: Any
) -> None:
    assert marked(schema, data) == expected


@pytest.mark.parametrize(
    "schema",
    [True, {}, {"properties": {"x-privacy": {"type": "string"}}}, {"x-privacy": "shred"},
     {"examples": [{"x-privacy": "drop"}]}, {"$defs": {"unused": TOKENIZE}}],
)  # fmt: skip
def test_what_treats_nothing_has_no_plan_or_one_that_changes_nothing(schema: Any) -> None:
    plan = field_plan.plan_of(schema)
    data = {"a": [1, {"b": 2}]}
    if plan is not None:
        assert plan.walk(copy.deepcopy(data), lambda t, v, p: v if t is None else 0) == data


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=6),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["a", "b", "c"]), inner, max_size=3)
    ),
    max_leaves=12,
)
SCHEMAS = st.recursive(
    st.sampled_from([{}, TOKENIZE, {"x-privacy": "drop"}, {"x-privacy": "encrypt"}, True]),
    lambda inner: st.one_of(
        st.fixed_dictionaries(
            {"properties": st.dictionaries(st.sampled_from(["a", "b"]), inner, max_size=2)}
        ),
        st.fixed_dictionaries({"items": inner}),
        st.fixed_dictionaries({"additionalProperties": inner}),
        st.fixed_dictionaries({"allOf": st.lists(inner, min_size=1, max_size=2)}),
    ),
    max_leaves=6,
)


@given(SCHEMAS, JSON)
def test_nothing_a_contract_calls_private_is_left(schema: Any, data: Any) -> None:
    """As the masking for readers sees it: once treated, masking finds only what was made."""
    labelled = json.loads(
        json.dumps(schema).replace(
            '"x-privacy"', '"x-privacy": "drop", "x-classification": "personal", "_"'
        )
    )
    plan = field_plan.plan_of(labelled)
    seen = mask([labelled], data)[0]
    left = copy.deepcopy(data)
    if plan is not None:
        left = plan.walk(left, lambda t, v, p: v if t is None else GONE)
    again = mask([labelled], None if left is GONE else left)[0]
    assert MASK not in json.dumps(again, ensure_ascii=False)
    if MASK in json.dumps(seen, ensure_ascii=False):
        assert left != data


@pytest.mark.parametrize(
    ("value", "options", "expected"),
    [
        ("1984-05-17", {}, "1984-05-01"),
        ("1984-05-17", {"to": "year"}, "1984-01-01"),
        ("2024-05-17T13:45:12.123456+02:00", {"to": "hour"}, "2024-05-17T13:00:00Z"),
        ("2024-05-17T13:45:12Z", {"to": "day"}, "2024-05-17T00:00:00Z"),
        ("13:45:12", {}, "13:00:00"),
        ("192.168.17.34", {}, "192.168.17.0"),
        ("192.168.17.34", {"bits": 16}, "192.168.0.0"),
        ("::ffff:192.168.17.34", {}, "192.168.17.0"),
        ("2001:db8:abcd:1234::1", {}, "2001:db8:abcd::"),
        (52.520008, {}, 52.5), (52.520008, {"decimals": 3}, 52.52), (-0.58, {"decimals": 2}, -0.58),
        (1987, {}, 1980), (-1987, {"decimals": -2}, -1900), (7, {"decimals": 3}, 7),
        ("12 Main Street", {}, "12 …"), ("Bo", {}, "B…"), ("", {}, "…"), ("10115", {"keep": 2}, "10…"),
        ("12 Main Street", {"keep": "all"}, "12 …"),
    ],
)  # fmt: skip
def test_truncate_takes_the_fine_part_away(value: Any, options: Any, expected: Any) -> None:
    made = treatments.truncate(value, options)
    assert (made, type(made)) == (expected, type(expected))


@pytest.mark.parametrize(
    ("value", "options", "expected"),
    [
        (37, {}, "30..40"), (-3, {}, "-10..0"), (30, {}, "30..40"), (29.99, {"width": 2.5}, "27.5..30"),
        (17, {"bounds": [18, 25, 65]}, "..18"), (18, {"bounds": [18, 25, 65]}, "18..25"),
        (80, {"bounds": [18, 25, 65]}, "65.."), (5, {"width": 0}, "0..10"),
        ("1984-05-17", {}, "1984"), ("1984-05-17", {"to": "quarter"}, "1984-Q2"),
        ("1984-05-17T10:00:00Z", {"to": "month"}, "1984-05"),
    ],
)  # fmt: skip
def test_bucket_names_where_a_value_lies(value: Any, options: Any, expected: str) -> None:
    assert treatments.bucket(value, options) == expected


OPTIONS = st.fixed_dictionaries(
    {},
    optional={
        "decimals": st.integers(-6, 6), "keep": st.integers(0, 8), "bits": st.integers(0, 32),
        "to": st.sampled_from(["year", "month", "day", "hour"]), "width": st.integers(1, 50),
        "bounds": st.lists(st.integers(-50, 50), max_size=4),
    },
)  # fmt: skip
VALUES = (
    st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=30)
    | st.dates().map(str)
    | st.datetimes().map(lambda moment: f"{moment.isoformat()}Z")
    | st.ip_addresses().map(str)
)


@given(VALUES, OPTIONS)
def test_what_was_made_coarser_is_left_as_it_is_the_second_time(value: Any, options: Any) -> None:
    made = treatments.truncate(value, options)
    assert treatments.truncate(made, options) == made
    if isinstance(value, int | float):
        assert abs(made) <= abs(value)
        assert treatments.bucket(treatments.bucket(value, options), options) == treatments.bucket(
            value, options
        )


@pytest.mark.parametrize("value", [True, {"a": 1}, ["x"]])
def test_what_is_no_text_or_number_cannot_be_made_coarser(value: Any) -> None:
    for treat in (treatments.truncate, treatments.bucket):
        with pytest.raises(InapplicableError):
            treat(value, {})
    with pytest.raises(InapplicableError):
        treatments.bucket("ada", {})


def test_stored_events_fulfil_the_stored_form_of_their_contract() -> None:
    schema = {
        "type": "object",
        "properties": {
            "mail": {"type": "string", "format": "email", **TOKENIZE},
            "age": {"type": "integer", "x-privacy": "bucket"},
            "ssn": {"$ref": "#/$defs/gone"},
            "n": {"type": "integer"},
        },
        "required": ["mail", "ssn", "n"],
        "$defs": {"gone": {"type": "string", "x-privacy": "drop"}},
    }
    contract = Contract(schema, version=1, sets_aside=False)
    stored = {"mail": "tok_x", "age": "30..40", "n": 1}
    assert contract.check_data(stored)
    assert not contract.of_stored().check_data(stored)
    assert contract.of_stored().check_data(stored | {"n": "x"})
    plain = Contract({"type": "object"}, version=1, sets_aside=False)
    assert plain.of_stored() is plain


def test_items_of_one_array_share_a_place() -> None:
    assert place_of(1, "/data/kin/0/mail", "e") == place_of(1, "/data/kin/7/mail", "e")
    assert not is_made({"a": "tok_short"}, "/data/a")
    assert is_made({"a": ["tok_" + "x" * 22]}, "/data/a/0")
    assert not is_made({"a": 1}, "/data/b/0")
