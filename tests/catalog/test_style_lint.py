"""The house rules: where they speak, what they offer, and that what they offer settles it."""

import re
import time
from typing import Any

import pytest
from hypothesis import given, reject, settings
from hypothesis import strategies as st

from catalog.field_index import fields_of
from catalog.fixes import apply_patch
from catalog.neighbours import FieldUse, Neighbours
from catalog.references import at
from catalog.style_lint import MAX_FINDINGS, RULES, SEVERITIES, Finding, lint
from portal.kernel.errors import InvalidError
from portal.kernel.json_schema import compile_schema
from tests.support.factories import ORDER_SCHEMA
from tests.support.live import ROOT

AROUND = Neighbours(
    fields={
        "customer_id": FieldUse("string", 7, "checkout.order_placed", "Who bought, as a token."),
        "total_minor": FieldUse("integer", 4, "checkout.order_placed"),
        "shipping_country": FieldUse("string", 3, "checkout.order_placed"),
        "address_line2": FieldUse("string", 3, "checkout.order_placed"),
    },
    streams={
        "growth.referral_sent": frozenset({"referral_id", "channel", "reward_minor", "country"}),
        "checkout.order_placed": frozenset({"order_id", "total_minor"}),
    },
)


def contract(properties: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"type": "object", "description": "It happened.", "properties": properties, **more}


def findings(document: dict[str, Any], **options: Any) -> dict[tuple[str, str], Finding]:
    rows = fields_of(document)
    return {(found.rule, found.path): found for found in lint(rows, document, **options)}


# One field that breaks each rule of fields, the place of it, and the label of its first fix.
BROKEN: list[tuple[str, dict[str, Any], str]] = [
    ("snake_case", {"userName": {"type": "string"}}, "Call it user_name"),
    ("abbreviation", {"cust_qty": {"type": "integer"}}, "Call it customer_quantity"),
    ("reserved_word", {"id": {"type": "string"}}, "Call it order_id"),
    ("boolean_prefix", {"gift": {"type": "boolean"}}, "Call it is_gift"),
    ("boolean_named", {"is_gift": {"type": "string"}}, ""),
    ("typed", {"anything": {}}, ""),
    ("one_type", {"note": {"type": ["string", "null"]}}, "Leave it out instead of null"),
    ("money_minor_units", {"price": {"type": "number"}}, "Send it in minor units"),
    ("money_currency", {"price_minor": {"type": "integer"}}, "Add currency"),
    ("unit", {"load_ms": {"type": "integer"}}, "Note the unit"),
    ("unit_missing", {"weight": {"type": "number"}}, "Grams"),
    ("time_format", {"placed_at": {"type": "string"}}, "Format date-time"),
    ("time_format", {"page_url": {"type": "string"}}, "Format uri"),
    ("time_format", {"placed_at": {"type": "integer"}}, ""),
    ("described", {"order_number": {"type": "string"}}, ""),
    ("described", {"order_number": {"type": "string", "description": "Order number"}}, ""),
    ("described", {"customer_id": {"type": "string"}}, "Take it from checkout.order_placed"),
    ("example_missing", {"sku": {"type": "string"}}, ""),
    ("example_invalid", {"sku": {"type": "string", "examples": [3]}}, "Drop the examples"),
    ("example_invalid", {"sku": {"type": "string", "examples": ["a", 3]}}, "Drop the example"),
    ("enum_large", {"code": {"type": "string", "enum": [f"v{n}" for n in range(31)]}},
     "Make it a text with examples"),
    ("enum_catch_all", {"kind": {"type": "string", "enum": ["a", "b", "c"]}}, "Add other"),
    ("enum_catch_all", {"kind": {"type": "string", "enum": ["A", "B", "C"]}}, "Add OTHER"),
    ("sunset", {"old": {"type": "string", "deprecated": True}}, ""),
    ("retention", {"sku": {"type": "string", "x-retention": "a month"}}, ""),
    ("personal_unlabelled", {"phone": {"type": "string"}}, "Tokenize"),
    ("personal_unlabelled", {"contact": {"type": "string", "format": "email"}}, "Tokenize"),
    ("same_name_other_type", {"total_minor": {"type": "string"}}, "Make it integer"),
    ("same_meaning_other_name", {"id_customer": {"type": "string"}}, "Call it customer_id"),
    ("same_meaning_other_name", {"shiping_country": {"type": "string"}},
     "Call it shipping_country"),
]  # fmt: skip


@pytest.mark.parametrize(("rule", "properties", "label"), BROKEN, ids=str)
def test_a_rule_says_where_why_and_its_fix_settles_it(
    rule: str, properties: dict[str, Any], label: str
) -> None:
    document = contract(properties, required=sorted(properties))
    path = next(iter(properties))
    options: dict[str, Any] = {"name": "shop.order_placed", "neighbours": AROUND}
    found = findings(document, **options)[(rule, path)]
    assert at(document, found.pointer) is not None
    assert found.severity == SEVERITIES[rule]
    assert found.message
    assert (found.fixes[0].label if found.fixes else "") == label
    for fix in found.fixes:
        changed = apply_patch(document, fix.patch)
        compile_schema(changed)
        assert set(changed["required"]) <= set(changed["properties"])
        assert not any(
            key == rule and where in (path, "") for key, where in findings(changed, **options)
        )


def test_rules_of_the_whole_document_speak_once() -> None:
    wide = {f"field_{number}": {"type": "string"} for number in range(101)}
    found = findings({"properties": wide, "examples": [3, {}]}, name="shop.gift")
    whole = {rule for rule, path in found if path == ""}
    assert whole == {"stream_described", "required_some", "wide", "event_name"}
    bad = {**contract({"a": {"type": "string"}}), "examples": [{"a": 3}, {"a": "x"}]}
    wrong = findings(bad)[("examples_invalid", "")]
    assert wrong.pointer == "/examples/0"
    assert apply_patch(bad, wrong.fixes[0].patch)["examples"] == [{"a": "x"}]
    assert ("has_fields", "") in findings({})


@pytest.mark.parametrize(
    ("name", "better"),
    [
        ("shop.order_placed", None),
        ("shop.invoice_sent", None),
        ("shop.user_logged_in", None),
        ("app.heartbeat", None),
        ("shop.order_place", "shop.order_placed"),
        ("shop.place_order", "shop.order_placed"),
        ("growth.referralAccepted", "growth.referral_accepted"),
        ("shop.gift_wrap", ""),
        ("shop.placed", ""),
    ],
)
def test_a_stream_is_named_by_what_happened(name: str, better: str | None) -> None:
    found = findings(contract({"a": {}}), name=name).get(("event_name", ""))
    assert (found is None) == (better is None)
    if found is not None:
        assert "".join(fix.name for fix in found.fixes) == better


def test_a_similar_stream_is_named_with_what_they_share() -> None:
    same = contract({name: {} for name in ("referral_id", "channel", "reward_minor", "country")})
    found = findings(same, name="growth.referral_accepted", neighbours=AROUND)
    said = found[("similar_stream", "")].message
    assert said == "growth.referral_sent has 4 of its 4 fields: is it the same event?"
    near = findings(contract({"a": {}}), name="growth.referrals_sent", neighbours=AROUND)
    assert "nearly the same name" in near[("similar_stream", "")].message
    itself = findings(same, name="growth.referral_sent", neighbours=AROUND)
    assert ("similar_stream", "") not in itself


def test_names_that_only_count_on_are_not_the_same() -> None:
    found = findings(contract({"address_line1": {"type": "string"}}), neighbours=AROUND)
    assert ("same_meaning_other_name", "address_line1") not in found


def test_a_field_behind_a_shared_definition_is_written_to_only_where_drafts_allow_it() -> None:
    document = contract({"load_ms": {"$ref": "#/$defs/n"}}, **{"$defs": {"n": {"type": "integer"}}})
    new = findings(document)[("unit", "load_ms")]
    assert apply_patch(document, new.fixes[0].patch)["properties"]["load_ms"]["x-unit"]
    old = {**document, "$schema": "http://json-schema.org/draft-07/schema#"}
    assert findings(old)[("unit", "load_ms")].fixes == ()


def test_fields_in_lists_and_combinations_have_their_place() -> None:
    document = contract(
        {"lines": {"type": "array", "items": {"properties": {"skuCode": {"type": "string"}}}}},
        allOf=[{"properties": {"giftNote": {"type": "string"}}}],
    )
    found = findings(document)
    line = found[("snake_case", "lines[].skuCode")]
    assert line.pointer == "/properties/lines/items/properties/skuCode"
    changed = apply_patch(document, line.fixes[0].patch)
    assert "sku_code" in changed["properties"]["lines"]["items"]["properties"]
    assert found[("snake_case", "giftNote")].pointer == "/allOf/0/properties/giftNote"


def test_a_policy_may_change_severities_and_silence_rules() -> None:
    document = contract({"userName": {"type": "string"}, "gift": {"type": "boolean"}})
    found = findings(document, severities={"snake_case": "error", "boolean_prefix": "off"})
    assert found[("snake_case", "userName")].severity == "error"
    assert ("boolean_prefix", "gift") not in found


def test_good_contracts_are_left_in_peace() -> None:
    good = contract(
        {
            "order_id": {"type": "string", "description": "Its number.", "examples": ["A-1"]},
            "total_minor": {"type": "integer", "description": "Paid, taxes included.",
                            "x-unit": "minor units", "examples": [4990]},
            "currency": {"type": "string", "description": "ISO 4217.", "examples": ["EUR"]},
            "is_gift": {"type": "boolean", "description": "Somebody else receives it."},
            "email": {"type": "string", "description": "Where the receipt went.",
                      "format": "email", "x-classification": "personal"},
            "channel": {"enum": ["web", "app", "other"], "description": "Where it was placed."},
        },
        required=["order_id"],
    )  # fmt: skip
    assert lint(fields_of(good), good, name="checkout.order_placed") == []


def test_the_old_way_to_call_it_still_answers() -> None:
    assert lint(fields_of(ORDER_SCHEMA))
    assert {found.path for found in lint(fields_of(ORDER_SCHEMA), ORDER_SCHEMA)} >= {"order_id"}
    assert lint([]) == [] or lint([], {})


@pytest.mark.alone
def test_a_contract_of_two_thousand_fields_is_judged_in_time() -> None:
    fields = {f"custField{n}": {"type": "number", "examples": ["x"]} for n in range(2_000)}
    document = contract(fields)
    around = Neighbours(
        fields={f"customer_field_{n}": FieldUse("number", 3, "a.b") for n in range(3_000)}
    )
    started = time.thread_time()  # its own work, whoever else uses the machine
    found = lint(fields_of(document), document, neighbours=around)
    assert len(found) == MAX_FINDINGS
    assert time.thread_time() - started < 2


_parts = st.recursive(
    st.sampled_from([{}, {"type": "string"}, {"$ref": "#"}, {"$ref": "#/$defs/d"}, True, False,
                     {"type": ["null", "integer"]}, {"enum": ["a", "b", "c"]}, {"enum": []},
                     {"type": "string", "examples": [1, "a"]}, {"$ref": "#/nowhere"}]),
    lambda inner: st.one_of(
        st.builds(
            lambda fields, required: {"properties": fields, "required": required},
            st.dictionaries(
                st.sampled_from(["userName", "email", "price", "load_ms", "a.b", "", "x/y", "qty",
                                 "is_x", "sent_at", "~", "$", "größe"]),
                inner,
                max_size=4,
            ),
            st.lists(st.sampled_from(["userName", "email", "price"]), max_size=2, unique=True),
        ),
        st.builds(lambda part: {"type": "array", "items": part}, inner),
        st.builds(lambda parts: {"anyOf": parts}, st.lists(inner, min_size=1, max_size=2)),
    ),
    max_leaves=10,
)  # fmt: skip


@settings(max_examples=200, deadline=None)
@given(_parts, _parts)
def test_every_fix_of_any_contract_can_be_applied_and_leaves_a_contract(
    root: Any, definition: Any
) -> None:
    document = {**(root if isinstance(root, dict) else {}), "$defs": {"d": definition}}
    try:
        compile_schema(document)
    except InvalidError:
        reject()
    for found in lint(fields_of(document), document, name="shop.order", neighbours=AROUND):
        assert found.pointer == "" or at(document, found.pointer) is not None
        for fix in found.fixes:
            compile_schema(apply_patch(document, fix.patch))


def test_the_page_of_rules_lists_the_rules_of_the_code() -> None:
    page = (ROOT / "docs/contracts-style.md").read_text()
    listed = re.findall(r"^\| `(\w+)` \| (\w+) \| (.+?) \| (.*?) \|$", page, re.MULTILINE)
    assert listed == [(rule.name, rule.severity, rule.asks, rule.fix or "—") for rule in RULES]
