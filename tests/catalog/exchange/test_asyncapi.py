"""AsyncAPI: documents as teams write them, there and back. Broken ones are in test_refusals."""

import warnings
from collections.abc import Mapping
from copy import deepcopy
from typing import Any

import pytest

from catalog.exchange import asyncapi
from catalog.exchange.documents import OutsideStream, OutsideVersion, Unreadable
from catalog.exchange.loading import dump_json, dump_yaml, read_bytes
from catalog.exchange.schema_references import tokens_of
from portal.kernel.json_schema import compile_schema, draft_of
from tests.catalog.exchange.sameness import (
    assert_same,
    document_in,
    only_streams,
    without_where,
)

with warnings.catch_warnings():  # its models have fields called `schema`, and pydantic minds
    warnings.simplefilter("ignore", UserWarning)
    from asyncapi3.models.asyncapi import AsyncAPI3


def streams_in(name: str) -> list[OutsideStream]:
    found = asyncapi.read(document_in(name), where=name)
    return [one for one in found if isinstance(one, OutsideStream)]


def at(document: Any, reference: str) -> Any:
    found = document
    for token in tokens_of(reference) or ():
        found = found[int(token)] if isinstance(found, list) else found[token]
    return found


def meaning(document: Mapping[str, Any]) -> Any:
    """A document without our words and without the names of its components: each reference to one
    is replaced by what stands there, circles by how far up they lead."""

    def unfolded(value: Any, above: tuple[int, ...]) -> Any:
        if isinstance(value, list):
            return [unfolded(one, above) for one in value]
        if not isinstance(value, Mapping):
            return value
        reference = value.get("$ref")
        if isinstance(reference, str) and reference.startswith(("#/components/", "#/$defs/")):
            others = {key: one for key, one in value.items() if key != "$ref"}
            found = unfolded(at(document, reference), above)
            return {**found, **unfolded(others, above)} if others else found
        if id(value) in above:
            return {"circle": len(above) - above.index(id(value))}
        return {
            key: unfolded(one, (*above, id(value)))
            for key, one in value.items()
            if not key.startswith("x-portal-")
            and key not in ("$defs", "definitions", "$schema")  # the format says the draft
        }

    whole = {key: one for key, one in document.items() if key not in ("asyncapi", "components")}
    found = unfolded(whole, ())
    for operation in found["operations"].values():
        channel = operation["channel"]["$ref"]
        every = [f"{channel}/messages/{key}" for key in at(document, channel)["messages"]]
        named = operation.get("messages")  # none named means all, in no order
        operation["messages"] = sorted(every if named is None else [one["$ref"] for one in named])
    return found


def assert_valid(document: Mapping[str, Any]) -> None:
    AsyncAPI3.model_validate(document)


def test_channels_messages_and_traits_become_streams() -> None:
    measured, turned = streams_in("lamps.yaml")
    assert (measured.name, measured.title) == ("town/lamps/{lampId}/measured", "Light measured")
    assert measured.description == "How much light a lamp sees."
    assert measured.tags == ("measuring", "headed")
    assert (measured.producers, measured.consumers) == ((), ("town-lamps-api",))
    assert measured.where == "lamps.yaml#/channels/lightMeasured/messages/lightMeasured"
    version = measured.versions[0]
    assert version.label == "1.4.0"
    assert version.examples == ({"lumens": 1200, "sentAt": "2026-01-01T12:00:00Z"}, {"lumens": 3})
    assert (turned.tags, turned.producers) == (("switching",), ("town-lamps-api",))


def test_references_are_followed_and_circles_stay_circles() -> None:
    measured, turned = streams_in("lamps.yaml")
    document = measured.versions[0].document
    assert document["properties"]["sentAt"] == {"$ref": "#/$defs/sentAt"}
    assert document["$defs"]["sentAt"] == {"$ref": "#/$defs/a~1moment"}
    assert document["$defs"]["a/moment"]["format"] == "date-time"
    assert "unused" not in document["$defs"]
    group = turned.versions[0].document["$defs"]["group"]
    assert group["properties"]["parts"]["items"] == {"$ref": "#/$defs/group"}
    validator = compile_schema(turned.versions[0].document)
    assert validator.is_valid({"group": {"parts": [{"name": "a", "parts": []}]}})
    assert not validator.is_valid({"group": {"parts": [{"name": 1}]}})


def test_all_that_no_field_holds_is_kept() -> None:
    measured, turned = streams_in("lamps.yaml")
    kept = measured.extensions["asyncapi"]
    assert kept["document"]["info"]["contact"]["email"] == "lamps@example.org"
    assert kept["document"]["id"] == "urn:example:lamps"
    assert kept["channel"]["bindings"] == {"kafka": {"topic": "lamps.measured"}}
    assert kept["servers"]["main"]["protocol"] == "mqtt"
    assert kept["components"]["correlationIds"]["measurement"]["location"]
    assert kept["components"]["securitySchemes"]["password"] == {"type": "userPassword"}
    message = measured.versions[0].extensions["asyncapi"]["message"]
    assert message["traits"] == [{"$ref": "#/components/messageTraits/commonHeaders"}]
    assert message["examples"][0]["headers"] == {"my-app-header": 7}
    assert "correlationIds" not in turned.extensions["asyncapi"]["components"]
    assert turned.extensions["asyncapi"]["operations"]["turnLamp"]["reply"]["address"]


def test_several_messages_of_a_channel_are_several_streams() -> None:
    found = asyncapi.read(document_in("orders.yaml"), where="orders.yaml")
    assert [one.name for one in found if isinstance(one, OutsideStream)] == [
        "shop.orders/OrderPlaced",
        "shop.orders/OrderShipped",
        "shop.orders/PlaceOrder",
        "heartbeat",
    ]
    assert [one for one in found if isinstance(one, Unreadable)] == [
        Unreadable(
            "orders.yaml#/channels/orders/messages/Legacy/payload",
            "has a schema in Avro (application/vnd.apache.avro;version=1.9.0); the catalog holds "
            "JSON Schema alone",
        )
    ]
    placed, shipped, command, beat = streams_in("orders.yaml")
    assert (placed.producers, placed.consumers) == (("order-service",), ())
    assert (command.producers, command.consumers) == ((), ("order-service",))
    assert beat.versions[0].document is True
    assert shipped.description == "Everything that happens to an order."


def test_formats_of_schemas_say_their_draft() -> None:
    placed, shipped, command, _ = streams_in("orders.yaml")
    assert draft_of(shipped.versions[0].document) == "7"
    assert shipped.versions[0].extensions["asyncapi"]["schemaFormat"].endswith("draft-07")
    assert "$schema" not in placed.versions[0].document
    assert command.versions[0].document["properties"]["credit"] == {
        "$ref": "#/$defs/Money/properties/value"
    }
    validator = compile_schema(placed.versions[0].document)
    order = {"order_id": "5d0c2f1e-7b1a-4b8e-9c26-3f7c0f2a1b11", "lines": []}
    assert validator.is_valid(order)
    assert not validator.is_valid({**order, "customer": {"credit": "much"}})


def test_tuples_of_draft_7_stay_tuples() -> None:
    document = document_in("orders.yaml")
    payload = document["channels"]["orders"]["messages"]["OrderShipped"]["payload"]["schema"]
    document["channels"]["orders"]["messages"]["OrderShipped"]["payload"] = payload
    shipped = only_streams(
        one
        for one in asyncapi.read(document, where="x")
        if isinstance(one, OutsideStream) and one.name.endswith("OrderShipped")
    )[0]
    validator = compile_schema(shipped.versions[0].document)
    assert validator.is_valid({"boxes": ["a", 1]})
    assert not validator.is_valid({"boxes": [1, "a"]})


def test_keys_of_eventcatalog_are_kept_and_label_versions() -> None:
    placed, shipped, _, _ = streams_in("orders.yaml")
    assert [placed.versions[0].label, shipped.versions[0].label] == ["1.2.0", "2.0.0"]
    message = placed.versions[0].extensions["asyncapi"]["message"]
    assert message["x-eventcatalog-message-type"] == "event"
    assert message["x-eventcatalog-draft"] is False
    channel = placed.extensions["asyncapi"]["channel"]
    assert channel["x-eventcatalog-channel-version"] == "3.0.0"
    document = asyncapi.write([placed], title="Export")
    assert document["info"]["x-eventcatalog-domain"] == "orders"
    written = document["channels"]["orders"]
    assert written["x-eventcatalog-draft"] is True
    assert written["messages"]["OrderPlaced"]["x-eventcatalog-message-version"] == "1.2.0"
    assert document["operations"]["publishOrders"]["x-eventcatalog-note"] == "ours"


@pytest.mark.parametrize("name", ["lamps.yaml", "orders.yaml"])
def test_a_foreign_document_keeps_the_meaning_of_every_key(name: str) -> None:
    original = document_in(name)
    if name == "orders.yaml":  # what cannot be read cannot be written; a test above says so
        del original["channels"]["orders"]["messages"]["Legacy"]
        original["channels"]["heartbeat"]["messages"]["beat"]["payload"] = {}
    held = only_streams(asyncapi.read(original, where=name))
    info = original["info"]
    written = asyncapi.write(held, title=info["title"], version=info["version"])
    assert meaning(written) == meaning(original)
    assert_valid(written)
    assert_same(asyncapi.read(written, where="again"), held)
    twice = asyncapi.write(
        only_streams(asyncapi.read(written, where="again")),
        title=info["title"],
        version=info["version"],
    )
    assert twice == written


def test_json_and_yaml_say_the_same() -> None:
    held = streams_in("lamps.yaml")
    document = asyncapi.write(held, title="Export")
    assert_same(read_bytes(dump_yaml(document).encode(), name="a.yaml"), held)
    assert_same(read_bytes(dump_json(document), name="a.json"), held)


def test_documents_laid_over_one_another_keep_apart_what_they_call_the_same() -> None:
    first = document_in("lamps.yaml")
    second = deepcopy(first)
    second["info"]["title"] = "Country Lamps API"
    second["servers"]["main"]["host"] = "country.example"
    second["components"]["correlationIds"]["measurement"]["location"] = "$message.header#/other"
    held = only_streams(
        [*asyncapi.read(first, where="first"), *asyncapi.read(second, where="second")]
    )
    written = asyncapi.write(held, title="All lamps")
    assert_valid(written)
    assert set(written["servers"]) == {"main", "main-2"}
    assert written["servers"]["main-2"]["host"] == "country.example"
    second_channel = written["channels"]["lightMeasured-2"]
    assert second_channel["servers"] == [{"$ref": "#/servers/main-2"}]
    message = second_channel["messages"]["lightMeasured"]
    location = at(written, message["correlationId"]["$ref"])["location"]
    assert location == "$message.header#/other"
    assert "id" not in written  # two documents, two identities
    again = sorted(only_streams(asyncapi.read(written, where="x")), key=_title_and_name)
    assert without_where(again) == without_where(sorted(held, key=_title_and_name))


def _title_and_name(stream: OutsideStream) -> tuple[str, str]:
    return stream.extensions["asyncapi"]["document"]["info"]["title"], stream.name


ORDER = OutsideStream(
    name="checkout.order_placed",
    title="Order placed",
    description="A customer placed an order.",
    domain="checkout",
    owner="payments",
    tier="T1",
    retention_days=90,
    tags=("orders",),
    producers=("web", "app"),
    consumers=("billing",),
    versions=(
        OutsideVersion("1", {"type": "object", "properties": {"id": {"type": "string"}}}),
        OutsideVersion(
            "2",
            {
                "type": "object",
                "properties": {"id": {"$ref": "#/$defs/id"}},
                "$defs": {"id": {"type": "string"}},
            },
            examples=({"id": "a"},),
            note="ids are shared",
        ),
    ),
)


def test_a_stream_of_ours_says_what_asyncapi_has_keys_for() -> None:
    document = asyncapi.write([ORDER], title="Shop", version="7.0.0", description="All of it.")
    assert_valid(document)
    assert document["asyncapi"] == "3.1.0"
    assert document["info"] == {"title": "Shop", "version": "7.0.0", "description": "All of it."}
    channel = document["channels"]["checkout_order_placed"]
    assert channel["address"] == "checkout.order_placed"
    assert (channel["title"], channel["tags"]) == ("Order placed", [{"name": "orders"}])
    assert list(channel["messages"]) == ["v1", "v2"]
    assert channel["messages"]["v2"]["examples"] == [{"payload": {"id": "a"}}]
    payload = at(document, channel["messages"]["v2"]["payload"]["$ref"])
    assert at(document, payload["properties"]["id"]["$ref"]) == {"type": "string"}
    (entry,) = channel["x-portal-streams"]
    assert entry == {
        "name": "checkout.order_placed",
        "messages": ["v1", "v2"],
        "domain": "checkout",
        "owner": "payments",
        "tier": "T1",
        "retention_days": 90,
    }
    sides = {
        (one["action"], one["x-portal-operation"]["party"])
        for one in document["operations"].values()
    }
    assert sides == {("send", "web"), ("send", "app"), ("receive", "billing")}
    assert_same(asyncapi.read(document, where="x"), [ORDER])


@pytest.mark.parametrize(
    ("role", "party", "action"), [("producer", "web", "send"), ("consumer", "billing", "receive")]
)
def test_a_party_has_a_document_of_its_own_side(role: Any, party: str, action: str) -> None:
    document = asyncapi.write([ORDER], title="Side", role=role, party=party)
    assert_valid(document)
    (operation,) = document["operations"].values()
    assert operation["action"] == action
    assert operation["x-portal-operation"]["party"] == party
    assert len(operation["messages"]) == 2
    assert_same(asyncapi.read(document, where="x"), [ORDER])


def test_what_a_person_changes_in_an_exported_file_is_read() -> None:
    document = asyncapi.write([ORDER], title="Shop")
    channel = document["channels"]["checkout_order_placed"]
    channel["description"] = "Now with gifts."
    channel["bindings"] = {"kafka": {"topic": "orders"}}
    message = channel["messages"]["v1"]
    message["payload"]["properties"]["gift"] = {"type": "boolean"}
    (changed,) = only_streams(asyncapi.read(document, where="x"))
    assert changed.description == "Now with gifts."
    assert changed.extensions["asyncapi"]["channel"]["bindings"] == {"kafka": {"topic": "orders"}}
    assert changed.versions[0].document["properties"]["gift"] == {"type": "boolean"}
    assert_same(asyncapi.read(asyncapi.write([changed], title="Shop"), where="x"), [changed])


def test_a_new_version_of_a_foreign_stream_stands_beside_the_first() -> None:
    measured = streams_in("lamps.yaml")[0]
    grown = OutsideStream(
        **{
            **{name: getattr(measured, name) for name in ("name", "title", "extensions")},
            "description": "Said anew.",
            "versions": (*measured.versions, OutsideVersion("2.0.0", {"type": "object"})),
        }
    )
    document = asyncapi.write([grown], title="Lamps")
    assert_valid(document)
    assert list(document["channels"]["lightMeasured"]["messages"]) == ["lightMeasured", "v2"]
    assert document["channels"]["lightMeasured"]["messages"]["v2"]["description"] == "Said anew."
    assert_same(asyncapi.read(document, where="x"), [grown])


def test_a_reply_on_a_channel_that_is_left_out_waits_beside_the_operation() -> None:
    turned = streams_in("lamps.yaml")[1]
    document = asyncapi.write([turned], title="Lamps")
    operation = document["operations"]["turnLamp"]
    assert "reply" not in operation
    assert operation["x-portal-operation"]["reply"]["channel"] == {
        "$ref": "#/channels/lightMeasured"
    }
    assert_valid(document)
    assert_same(asyncapi.read(document, where="x"), [turned])


def test_newer_drafts_are_named_by_their_format() -> None:
    document = {"type": "array", "prefixItems": [{"type": "string"}]}
    stream = OutsideStream(name="a.b", versions=(OutsideVersion("1", document),))
    written = asyncapi.write([stream], title="x")
    payload = written["channels"]["a_b"]["messages"]["v1"]["payload"]
    assert payload["schemaFormat"] == "application/schema+json;version=draft-2020-12"
    assert_valid(written)
    assert_same(asyncapi.read(written, where="x"), [stream])


def test_keys_given_for_the_root_stand_there() -> None:
    written = asyncapi.write([ORDER], title="x", extensions={"x-owner": "ada", "info": "no"})
    assert written["x-owner"] == "ada"
    assert written["info"]["title"] == "x"
