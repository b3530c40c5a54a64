"""ODCS: contracts as teams write them, there and back, valid under the standard's own schema."""

import json
from collections.abc import Mapping
from dataclasses import replace
from importlib.resources import files
from typing import Any

import jsonschema
from hypothesis import given, settings

from catalog.exchange import odcs
from catalog.exchange.documents import OutsideStream, OutsideVersion
from catalog.exchange.loading import dump_yaml, read_bytes
from portal.kernel.json_schema import compile_schema
from tests.catalog.exchange.sameness import assert_same, document_in, only_streams
from tests.catalog.exchange.strategies import streams

STANDARD = jsonschema.Draft201909Validator(
    json.loads(files("open_data_contract_standard").joinpath("schema.json").read_text())
)


def assert_valid(contract: Mapping[str, Any]) -> None:
    STANDARD.validate(json.loads(json.dumps(contract)))


def foreign() -> OutsideStream:
    (stream,) = only_streams(odcs.read(document_in("contract.yaml"), where="contract.yaml"))
    return stream


def test_a_contract_becomes_a_stream_with_its_facts() -> None:
    stream = foreign()
    assert stream.name == "Order Events/order_placed"
    assert stream.where == "contract.yaml#/schema/0"
    assert stream.title == "Order placed"
    assert stream.description == "Orders as they are placed, for analytics and finance."
    assert (stream.domain, stream.owner) == ("order-management", "checkout-team")
    assert stream.tags == ("orders", "events")
    assert stream.retention_days == 730
    assert stream.versions[0].label == "1.1.0"


def test_properties_become_a_schema() -> None:
    document = foreign().versions[0].document
    assert document["required"] == ["order_id", "placed_at"]
    properties = document["properties"]
    assert properties["order_id"]["format"] == "uuid"
    assert properties["placed_at"] == {"type": "string", "format": "date-time"}
    assert properties["placed_on"] == {"type": "string", "format": "date"}
    assert properties["status"] == {"type": "string", "enum": ["placed", "paid"]}
    assert properties["total"] == {
        "type": "number",
        "minimum": 0,
        "exclusiveMaximum": 1000000,
        "x-classification": "internal",
    }
    assert properties["customer"]["properties"]["email"]["x-classification"] == "personal"
    assert properties["lines"]["items"]["required"] == ["sku"]
    validator = compile_schema(document)
    order = {
        "order_id": "5d0c2f1e-7b1a-4b8e-9c26-3f7c0f2a1b11",
        "placed_at": "2026-01-01T00:00:00Z",
    }
    assert validator.is_valid({**order, "lines": [{"sku": "a", "gift": True}]})
    assert not validator.is_valid({**order, "lines": [{"gift": True}]})


def test_a_foreign_contract_keeps_every_key() -> None:
    original = document_in("contract.yaml")
    written = odcs.write(foreign())
    assert_valid(written)
    ours = {"portalStream", "portalVersion", "portalVersions", "jsonSchema"}
    for holder in (written, *written["schema"]):
        holder["customProperties"] = [
            one for one in holder["customProperties"] if one["property"] not in ours
        ]
    assert written == original


def test_a_contract_that_was_written_is_read_as_the_same() -> None:
    stream = foreign()
    assert_same(odcs.read(odcs.write(stream), where="x"), [stream])
    assert_same(read_bytes(dump_yaml(odcs.write(stream)).encode(), name="a.yaml"), [stream])


def test_what_changed_here_changes_in_a_foreign_contract_and_quality_stays() -> None:
    stream = foreign()
    document = json.loads(json.dumps(stream.versions[0].document))
    document["properties"]["total"]["maximum"] = 10
    document["properties"]["gift_note"] = {"type": "string", "maxLength": 80}
    grown = replace(
        stream,
        description="Said anew.",
        owner="payments",
        retention_days=30,
        tags=("money",),
        versions=(*stream.versions, replace(stream.versions[0], label="1.2.0", document=document)),
    )
    written = odcs.write(grown)
    assert_valid(written)
    assert written["version"] == "1.2.0"
    assert written["description"]["purpose"] == "Said anew."
    assert written["description"]["limitations"] == "No orders before 2024."
    assert written["team"]["name"] == "payments"
    assert written["team"]["members"][0]["username"] == "ada@example.org"
    assert {"property": "retention", "value": 30, "unit": "d"} in written["slaProperties"]
    assert any(one["property"] == "latency" for one in written["slaProperties"])
    by_name = {one["name"]: one for one in written["schema"][0]["properties"]}
    assert by_name["total"]["logicalTypeOptions"]["maximum"] == 10
    assert by_name["total"]["quality"][0]["type"] == "sql"
    assert by_name["order_id"]["primaryKey"] is True
    assert by_name["customer"]["properties"][0]["encryptedName"] == "email_encrypted"
    assert by_name["gift_note"]["logicalTypeOptions"] == {"maxLength": 80}
    assert_same(odcs.read(written, where="x"), [grown])


def test_a_stream_of_ours_says_what_the_standard_has_keys_for() -> None:
    document = {
        "title": "Order placed",
        "type": "object",
        "required": ["id"],
        "properties": {
            "id": {"type": "string", "pattern": "^o-", "description": "The order."},
            "at": {"type": "string", "format": "date-time"},
            "mail": {"type": ["string", "null"], "x-classification": "personal"},
            "lines": {"type": "array", "maxItems": 9, "items": {"$ref": "#/$defs/line"}},
            "parent": {"$ref": "#"},
            "any": {},
        },
        "$defs": {"line": {"type": "object", "properties": {"sku": {"type": "string"}}}},
    }
    stream = OutsideStream(
        name="checkout.order_placed",
        title="Orders",
        description="A customer placed an order.",
        domain="checkout",
        owner="payments",
        retention_days=90,
        tags=("orders",),
        versions=(
            OutsideVersion("1", {"type": "object"}, note="first"),
            OutsideVersion("2", document, examples=({"id": "o-1"},)),
        ),
    )
    contract = odcs.write(stream, status="draft")
    assert_valid(contract)
    assert (contract["apiVersion"], contract["kind"]) == ("v3.1.0", "DataContract")
    assert (contract["id"], contract["version"]) == ("checkout.order_placed", "2")
    assert (contract["status"], contract["domain"]) == ("draft", "checkout")
    assert contract["team"] == {"name": "payments"}
    assert contract["slaProperties"] == [{"property": "retention", "value": 90, "unit": "d"}]
    (element,) = contract["schema"]
    by_name = {one["name"]: one for one in element["properties"]}
    assert by_name["id"] == {
        "name": "id",
        "description": "The order.",
        "logicalType": "string",
        "logicalTypeOptions": {"pattern": "^o-"},
        "required": True,
    }
    assert by_name["at"]["logicalType"] == "timestamp"
    assert by_name["mail"]["classification"] == "personal"
    assert by_name["lines"]["items"]["properties"] == [{"name": "sku", "logicalType": "string"}]
    assert by_name["parent"]["logicalType"] == "object"
    assert "properties" not in by_name["parent"]
    assert by_name["any"] == {"name": "any"}
    assert element["customProperties"] == [{"property": "jsonSchema", "value": document}]
    assert_same(odcs.read(contract, where="x"), [stream])


def test_what_a_person_changes_in_an_exported_contract_is_read() -> None:
    stream = OutsideStream(
        name="a.b",
        versions=(
            OutsideVersion("1", {"type": "object", "properties": {"id": {"type": "string"}}}),
        ),
    )
    contract = odcs.write(stream)
    contract["schema"][0]["properties"].append({"name": "n", "logicalType": "integer"})
    contract["tags"] = ["new"]
    contract["roles"] = [{"role": "reader"}]
    (changed,) = only_streams(odcs.read(contract, where="x"))
    assert changed.versions[0].document["properties"]["n"] == {"type": "integer"}
    assert changed.tags == ("new",)
    assert changed.extensions["odcs"]["contract"]["roles"] == [{"role": "reader"}]
    assert_same(odcs.read(odcs.write(changed), where="x"), [changed])


def test_every_object_of_a_contract_is_a_stream() -> None:
    contract = document_in("contract.yaml")
    contract["schema"].append({"name": "order_shipped", "properties": []})
    found = only_streams(odcs.read(contract, where="x"))
    assert [one.name for one in found] == [
        "Order Events/order_placed",
        "Order Events/order_shipped",
    ]
    for one in found:
        assert_valid(odcs.write(one))


@settings(max_examples=60, deadline=None)
@given(streams())
def test_whatever_a_stream_holds_its_contract_is_valid(held: OutsideStream) -> None:
    plain = replace(held, extensions={}, versions=tuple(
        replace(version, extensions={}) for version in held.versions
    ))  # fmt: skip
    assert_valid(odcs.write(plain))
