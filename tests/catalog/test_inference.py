"""From samples to a contract: it holds for every sample, and claims no more than was seen."""

import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from catalog.fixes import apply_patch
from catalog.inference import MAX_SAMPLES, accept_all, infer
from portal.kernel.errors import BadRequestError, InvalidError
from portal.kernel.json_schema import compile_schema

_texts = st.text(max_size=12) | st.sampled_from(
    ["2026-01-31T12:00:00Z", "2026-01-31", "12:00:00Z", "PT5M", "P1D", "a@b.example", "203.0.113.9",
     "2001:db8::1", "8f14e45f-ceea-4672-a1b0-3c1d2e4f5a6b", "https://a.example/b", "www.a.example",
     "2026-02-30T12:00:00Z", "DE89370400440532013000", "4111111111111111", "+4930123456", "a", "b"]
)  # fmt: skip
_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | _texts,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=4)
    ),
    max_leaves=10,
)
_events = st.dictionaries(
    st.sampled_from(["email", "duration", "price", "kind", "host", "ip", "a.b", "", "x/y", "~"]),
    _values,
    max_size=5,
)


@settings(max_examples=150, deadline=None)
@given(st.lists(_events, min_size=1, max_size=25), st.integers(1, 3))
def test_every_sample_is_valid_under_the_schema_inferred_from_all(
    events: list[dict[str, Any]], times: int
) -> None:
    found = infer(events * times)
    for document in (found.document, accept_all(found.document, found.evidence)):
        validator = compile_schema(document)
        assert all(validator.is_valid(event) for event in events)


def field(events: list[Any], name: str = "a") -> dict[str, Any]:
    found: dict[str, Any] = infer([{"a": value} for value in events]).document["properties"][name]
    return found


@pytest.mark.parametrize(
    ("values", "claimed"),
    [
        (["2026-01-31T12:00:00Z", "2026-02-01T00:00:00+02:00"], "date-time"),
        (["2026-01-31T12:00:00Z", "soon"], None),
        (["2026-01-31"], "date"),
        (["2026-02-30"], None),
        (["12:00:00Z"], "time"),
        (["PT5M", "P1DT2H"], "duration"),
        (["8f14e45f-ceea-4672-a1b0-3c1d2e4f5a6b"], "uuid"),
        (["https://a.example/b?c=d", "app://open"], "uri"),
        (["a:b"], None),
        (["203.0.113.9", "8.8.8.8"], "ipv4"),
        (["999.1.1.1"], None),
        (["2001:db8::1"], "ipv6"),
        (["www.a.example"], None),
        (["jo@a.example", None], "email"),
        (["jo@a.example", 3], None),
    ],
)
def test_a_format_is_claimed_only_when_all_values_have_it(
    values: list[Any], claimed: str | None
) -> None:
    assert field(values).get("format") == claimed


def test_a_host_is_claimed_only_where_the_name_asks_for_it() -> None:
    found = infer([{"host": "www.a.example", "file": "notes.text"}]).document["properties"]
    assert (found["host"]["format"], found["file"].get("format")) == ("hostname", None)


def test_few_values_seen_often_become_an_enum_and_others_do_not() -> None:
    assert field(["web", "ios"] * 10)["enum"] == ["ios", "web"]
    assert field(["web", "ios", None] * 10) == {
        "type": ["null", "string"], "enum": ["ios", "web", None],
    }  # fmt: skip
    assert "enum" not in field(["web", "ios"] * 9)  # too few samples
    assert "enum" not in field(["web"] * 30)  # one value is no list
    assert "enum" not in field(["web"] * 30 + ["tv"])  # seen once
    assert "enum" not in field([f"v{n}" for n in range(9)] * 5)  # too many
    assert "enum" not in field(["x" * 50, "y" * 50] * 20)  # sentences, not values


def test_numbers_keep_their_kind_and_get_no_range() -> None:
    assert field([1, 5]) == {"type": "integer", "examples": [1, 5]}
    assert field([1, 2.5]) == {"type": "number", "examples": [1, 2.5]}
    assert field([1, "x"])["type"] == ["integer", "string"]
    assert field([True, 1])["type"] == ["boolean", "integer"]


def test_requiredness_says_in_how_many_samples_it_was_seen() -> None:
    found = infer([{"a": 1, "b": 2}] * 48 + [{"a": 1}] * 2)
    facts = {fact.path: fact for fact in found.facts}
    assert found.document["required"] == ["a"]
    assert facts["a"].note == "in 50 of 50 samples; at most 6 % may lack it"
    assert (facts["b"].note, facts["b"].required) == ("in 48 of 50 samples", False)
    assert facts["a"].confidence == "medium"
    assert infer([{"a": 1}]).facts[0].confidence == "low"
    assert infer([{"a": None}, {"a": 1}]).facts[0].nulls == 1


def test_nested_objects_and_lists_are_described() -> None:
    found = infer(
        [{"items": [{"sku": "a", "size": 1}, {"sku": "b"}], "to": {"city": "x"}}, {"items": []}]
    )
    items = found.document["properties"]["items"]
    assert items["type"] == "array"
    assert items["items"]["required"] == ["sku"]
    assert found.document["properties"]["to"]["properties"]["city"]["type"] == "string"
    notes = {fact.path: fact.note for fact in found.facts}
    assert notes["items[].size"] == "in 1 of 2 places"
    assert notes["to.city"] == "in 1 of 1 sample"


def test_keys_that_are_data_become_a_map() -> None:
    events = [{"scores": {f"user{n}": n, f"other{n}": 2.5}} for n in range(40)]
    scores = infer(events).document["properties"]["scores"]
    assert scores == {"type": "object", "additionalProperties": {"type": "number"}}


@pytest.mark.parametrize(
    ("name", "values", "kind"),
    [
        ("contact", ["jo@a.example"], "an e-mail address"),
        ("contact", ["+49 30 1234567"], "a phone number"),
        ("origin", ["203.0.113.24"], "an IP address"),
        ("account", ["DE89 3704 0044 0532 0130 00"], "a bank account (IBAN)"),
        ("reference", ["4111111111111111", "5500005555555559", "340000000000009"],
         "a payment card's number"),
        ("first_name", ["Jo"], "a person's name"),
        ("customerEmail", [None], "an e-mail address"),
    ],
)  # fmt: skip
def test_what_looks_personal_is_suggested_with_its_reason_and_never_an_example(
    name: str, values: list[Any], kind: str
) -> None:
    found = infer([{name: value} for value in values])
    (suggestion,) = [s for s in found.suggestions if s.rule == "personal_unlabelled"]
    assert suggestion.path == name
    assert suggestion.message.startswith(f"Looks like {kind}: ")
    assert 1 <= len(suggestion.fixes) <= 3
    assert "examples" not in found.document["properties"][name]
    applied = apply_patch(found.document, suggestion.fixes[0].patch)["properties"][name]
    assert applied["x-classification"] in ("personal", "sensitive")
    assert applied["x-privacy"] in ("tokenize", "truncate", "drop")


def test_personal_values_inside_texts_are_suspected_and_never_an_example() -> None:
    notes = ["all fine", "call +49 30 1234567 or write to jo@a.example", "mail ann@b.example"]
    found = infer([{"note": note} for note in notes])
    (suggestion,) = [s for s in found.suggestions if s.rule == "personal_unlabelled"]
    assert suggestion.message == "Its texts hold an e-mail address: in 2 of 3 values."
    assert [fix.label for fix in suggestion.fixes] == ["Drop", "Keep"]
    assert "examples" not in found.document["properties"]["note"]
    assert [fact.personal for fact in found.facts] == ["email in text"]
    # What may be chance does not hide what is not.
    orders = ["order 4111111111111111", "order 5500005555555559", "from jo@a.example today"]
    assert infer([{"note": order} for order in orders]).evidence == {
        "note": "email in text:in 1 of 3 values"
    }


@pytest.mark.parametrize(
    "values",
    [["DE88370400440532013000"], ["4111111111111112"] * 3, ["4111111111111111"], [1700000000000],
     ["order 4111111111111111"], ["1.2.3"], ["12:30"], ["8f14e45f-ceea-4672-a1b0-3c1d2e4f5a6b"], ["A Title"]],
)  # fmt: skip
def test_what_only_resembles_a_personal_value_is_left_alone(values: list[Any]) -> None:
    found = infer([{"reference": value} for value in values])
    assert [s for s in found.suggestions if s.rule == "personal_unlabelled"] == []


def test_units_and_money_are_suggested() -> None:
    found = infer([{"load_ms": 3, "duration": 4, "total_minor": 4990}])
    said = {(s.rule, s.path): [fix.label for fix in s.fixes] for s in found.suggestions}
    assert said == {
        ("unit", "load_ms"): ["Note the unit"],
        ("unit_missing", "duration"): ["Milliseconds", "Seconds", "Minutes"],
        ("unit", "total_minor"): ["Note the unit"],
        ("money_currency", "total_minor"): ["Add currency"],
    }
    accepted = accept_all(found.document, found.evidence)["properties"]
    assert accepted["load_ms"]["x-unit"] == "milliseconds"
    assert accepted["total_minor"]["x-unit"] == "minor units"
    assert accepted["currency"]["pattern"] == "^[A-Z]{3}$"
    assert "x-unit" not in found.document["properties"]["load_ms"]  # the first stays as it was


def test_too_many_samples_none_and_others_than_objects_are_refused() -> None:
    with pytest.raises(BadRequestError):
        infer([{}] * (MAX_SAMPLES + 1))
    with pytest.raises(InvalidError):
        infer([])
    with pytest.raises(InvalidError) as caught:
        infer([{"a": 1}, 3])
    assert caught.value.errors[0].pointer == "/events/1"


def test_a_sample_as_wide_as_an_event_may_be_ends_in_time() -> None:
    wide = {f"key_{n}": {f"inner_{m}": m for m in range(30)} for n in range(900)}
    found = infer([wide, wide])
    assert compile_schema(found.document).is_valid(wide)
    assert len(found.facts) <= 2_001 + 900
    assert math.isfinite(len(found.suggestions))
