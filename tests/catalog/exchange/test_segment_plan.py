"""Segment tracking plans: rules of the Public API and of the older Config API."""

from typing import Any

from catalog import naming
from catalog.exchange import segment_plan
from catalog.exchange.documents import Unreadable
from portal.kernel.json_schema import compile_schema
from tests.catalog.exchange.sameness import document_in, only_streams


def test_rules_of_the_public_api_become_streams() -> None:
    found = only_streams(segment_plan.read(document_in("tracking_plan.json"), where="plan.json"))
    assert [one.name for one in found] == ["Order Placed", "identify", "group", "page Pricing"]
    placed = found[0]
    assert placed.where == "plan.json#/data/rules/0"
    assert placed.description == "A customer placed an order."
    assert naming.from_outside(placed.name, domain="shop") == "shop.order_placed"
    assert placed.extensions["segment"]["plan"]["name"] == "Shop"


def test_the_contract_is_that_of_the_properties_and_versions_are_in_order() -> None:
    placed = only_streams(segment_plan.read(document_in("tracking_plan.json"), where="x"))[0]
    assert [version.label for version in placed.versions] == ["1", "2"]
    document = placed.versions[1].document
    assert document["additionalProperties"] is False
    validator = compile_schema(document)
    assert validator.is_valid({"order_id": "a", "app_version": "1", "total": 3})
    assert not validator.is_valid({"order_id": "a", "app_version": "1", "total": -3})
    assert not validator.is_valid({"order_id": "a"}), "the common rule asks for app_version"
    kept = placed.versions[1].extensions["segment"]
    assert kept["type"] == "TRACK"
    assert kept["createdAt"] == "2024-01-01T00:00:00.000Z"
    assert kept["around"]["properties"]["context"]["properties"] == {"locale": {"type": "string"}}
    assert kept["around"]["required"] == ["properties"]


def test_traits_are_the_contract_of_identify_and_group() -> None:
    found = only_streams(segment_plan.read(document_in("tracking_plan.json"), where="x"))
    identify, group = found[1], found[2]
    assert list(identify.versions[0].document["properties"]) == ["email"]
    assert list(group.versions[0].document["properties"]) == ["plan"]
    assert "app_version" not in identify.versions[0].document["properties"]


def test_the_older_plan_is_read_too() -> None:
    found = only_streams(segment_plan.read(document_in("tracking_plan_old.json"), where="old"))
    assert [one.name for one in found] == ["Product Viewed", "Cart Emptied", "identify", "group"]
    viewed, emptied, identify, group = found
    assert viewed.tags == ("area: browse", "core")
    assert viewed.versions[0].label == "1"
    assert viewed.versions[0].document["required"] == ["product_id"]
    assert list(emptied.versions[0].document["properties"]) == ["reason"]
    assert list(identify.versions[0].document["properties"]) == ["email"]
    assert list(group.versions[0].document["properties"]) == ["seats"]
    assert viewed.extensions["segment"]["plan"]["display_name"] == "Shop"


def rule(**overrides: Any) -> dict[str, Any]:
    own: dict[str, Any] = {"properties": {"properties": {"type": "object"}}}
    return {"type": "TRACK", "key": "Paid", "version": 1, "jsonSchema": own, **overrides}


def test_a_common_field_that_an_event_defines_itself_holds_as_both_say() -> None:
    own = {"properties": {"properties": {"properties": {"n": {"maximum": 5}}}}}
    common = {"properties": {"properties": {"properties": {"n": {"minimum": 1}}}}}
    plan = {"rules": [rule(jsonSchema=own), rule(type="COMMON", key="", jsonSchema=common)]}
    (paid,) = only_streams(segment_plan.read(plan, where="x"))
    validator = compile_schema(paid.versions[0].document)
    assert [validator.is_valid({"n": n}) for n in (0, 3, 6)] == [False, True, False]


def test_a_broken_rule_is_named_and_the_others_are_read() -> None:
    pointing = {
        "properties": {"properties": {"properties": {"a": {"$ref": "#/properties/traits"}}}}
    }
    plan = {
        "rules": [
            rule(),
            rule(type="CLICK", key="a"),
            rule(key="  "),
            rule(key="b", jsonSchema="{}"),
            "no rule",
            rule(key="c", jsonSchema=pointing),
            rule(key="d", jsonSchema={"properties": []}),
        ]
    }
    found = segment_plan.read(plan, where="x")
    bad = {one.where: one.why for one in found if isinstance(one, Unreadable)}
    assert len(found) - len(bad) == 1
    assert bad["x#/rules/1/type"].startswith("must be one of COMMON, GROUP")
    assert bad["x#/rules/2/key"] == "must be the event's name"
    assert bad["x#/rules/3/jsonSchema"] == "must be a JSON Schema as an object"
    assert bad["x#/rules/4"] == "must be an object"
    assert "only definitions can be referred to" in bad["x#/rules/5"]
    assert bad["x#/rules/6/properties"] == "must be an object of schemas"
