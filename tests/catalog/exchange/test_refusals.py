"""Documents broken in one way each: refused where they are broken, never raised, never slow."""

import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from copy import deepcopy
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from catalog.exchange import asyncapi, odcs, segment_plan
from catalog.exchange.documents import OutsideStream, Unreadable
from catalog.exchange.loading import read_document
from tests.catalog.exchange.sameness import assert_same, document_in
from tests.catalog.exchange.strategies import VALUES

Change = Callable[[dict[str, Any]], object]


def set_in(*path: str, value: Any) -> Change:
    """A change of a document: the value at a path, which is made where it is not."""

    def change(document: dict[str, Any]) -> None:
        holder: Any = document
        for step in path[:-1]:
            holder = holder[int(step)] if isinstance(holder, list) else holder.setdefault(step, {})
        if isinstance(holder, list):
            holder[int(path[-1])] = value
        else:
            holder[path[-1]] = value

    return change


PAYLOAD = ("components", "schemas", "lightMeasuredPayload")
ON_CHANNEL = ("channels", "lightMeasured")
MESSAGE = ("components", "messages", "lightMeasured")
ASYNCAPI: dict[str, tuple[Change, str, str]] = {
    "version 2": (set_in("asyncapi", value="2.6.0"), "", "is AsyncAPI 2.6.0"),
    "no version": (set_in("asyncapi", value=3.0), "", "of no version"),
    "no channels": (set_in("channels", value={}), "", "has no channels"),
    "channels as a list": (set_in("channels", value=[1]), "", "has no channels"),
    "components as text": (set_in("components", value="x"), "#/components", "must be an object"),
    "a channel as text": (set_in(*ON_CHANNEL, value="x"), "#/channels/lightMeasured", "no channel"),
    "an address as a number": (
        set_in(*ON_CHANNEL, "address", value=1),
        "#/channels/lightMeasured/address",
        "must be text or null",
    ),
    "messages as a list": (
        set_in(*ON_CHANNEL, "messages", value=[]),
        "#/channels/lightMeasured/messages",
        "must be an object",
    ),
    "no messages": (
        set_in(*ON_CHANNEL, "messages", value={}),
        "#/channels/lightMeasured",
        "has no messages",
    ),
    "a message that is nowhere": (
        set_in(*ON_CHANNEL, "messages", "lightMeasured", "$ref", value="#/components/messages/no"),
        "#/channels/lightMeasured/messages/lightMeasured",
        "there is nothing",
    ),
    "a message of a file": (
        set_in(*ON_CHANNEL, "messages", "lightMeasured", "$ref", value="./messages.yaml#/a"),
        "#/channels/lightMeasured/messages/lightMeasured",
        "nothing is fetched",
    ),
    "a message of the network": (
        set_in(*ON_CHANNEL, "messages", "lightMeasured", "$ref", value="https://evil.example/a"),
        "#/channels/lightMeasured/messages/lightMeasured",
        "outside of this document",
    ),
    "a message that is its own": (
        set_in(
            *ON_CHANNEL, "messages", "lightMeasured", "$ref",
            value="#/channels/lightMeasured/messages/lightMeasured",
        ),
        "#/channels/lightMeasured/messages/lightMeasured",
        "circle",
    ),
    "no payload": (
        lambda document: document["components"]["messages"]["lightMeasured"].pop("payload"),
        "#/components/messages/lightMeasured",
        "has no payload",
    ),
    "a payload as a list": (
        set_in(*MESSAGE, "payload", value=[]),
        "#/components/messages/lightMeasured/payload",
        "no JSON Schema",
    ),
    "a payload of a file": (
        set_in(*MESSAGE, "payload", value={"$ref": "file:///etc/passwd"}),
        "#/components/messages/lightMeasured/payload",
        "no disk",
    ),
    "a field of the network": (
        set_in(*PAYLOAD, "properties", "lumens", value={"$ref": "http://evil.example/x"}),
        "#/components/schemas/lightMeasuredPayload",
        "outside of this document",
    ),
    "a field that is nowhere": (
        set_in(*PAYLOAD, "properties", "lumens", value={"$ref": "#/components/schemas/no"}),
        "#/components/schemas/lightMeasuredPayload",
        "there is nothing",
    ),
    "references in a circle": (
        set_in("components", "schemas", "sentAt", "$ref", value="#/components/schemas/sentAt"),
        "#/components/schemas/lightMeasuredPayload",
        "never arrives",
    ),
    "an unknown format": (
        set_in(*MESSAGE, "payload", value={"schemaFormat": "text/xsd", "schema": {}}),
        "#/components/messages/lightMeasured/payload",
        "of the format text/xsd",
    ),
    "protobuf": (
        set_in(
            *MESSAGE, "payload",
            value={"schemaFormat": "application/vnd.google.protobuf;version=3", "schema": "x"},
        ),
        "#/components/messages/lightMeasured/payload",
        "in Protocol Buffers",
    ),
    "a format as a number": (
        set_in(*MESSAGE, "payload", value={"schemaFormat": 1, "schema": {}}),
        "#/components/messages/lightMeasured/payload/schemaFormat",
        "must be text",
    ),
    "traits as an object": (
        set_in(*MESSAGE, "traits", value={}),
        "#/components/messages/lightMeasured/traits",
        "must be a list",
    ),
    "a trait as text": (
        set_in(*MESSAGE, "traits", value=["x"]),
        "#/components/messages/lightMeasured/traits/0",
        "is no trait",
    ),
    "a trait of a file": (
        set_in(*MESSAGE, "traits", value=[{"$ref": "traits.yaml"}]),
        "#/components/messages/lightMeasured/traits/0",
        "outside of this document",
    ),
    "examples as an object": (
        set_in(*MESSAGE, "examples", value={}),
        "#/components/messages/lightMeasured/examples",
        "must be a list",
    ),
    "tags as text": (
        set_in(*ON_CHANNEL, "tags", value="x"),
        "#/channels/lightMeasured/tags",
        "list of tags",
    ),
    "an unknown action": (
        set_in("operations", "turnLamp", "action", value="publish"),
        "#/operations/turnLamp/action",
        "send or receive",
    ),
    "an operation on nothing": (
        set_in("operations", "turnLamp", "channel", value="lampTurned"),
        "#/operations/turnLamp/channel",
        "reference to a channel",
    ),
    "our own key as text": (
        set_in(*ON_CHANNEL, "x-portal-streams", value="x"),
        "#/channels/lightMeasured/x-portal-streams",
        "must be a list",
    ),
    "our own entry without a name": (
        set_in(*ON_CHANNEL, "x-portal-streams", value=[{}]),
        "#/channels/lightMeasured/x-portal-streams/0",
        "must have a name",
    ),
    "our own entry with a message that is not there": (
        set_in(*ON_CHANNEL, "x-portal-streams", value=[{"name": "a", "messages": ["b"]}]),
        "#/channels/lightMeasured/x-portal-streams/0",
        "the channel lacks",
    ),
    "our own fact as a number": (
        set_in(
            *ON_CHANNEL, "x-portal-streams",
            value=[{"name": "a", "messages": ["lightMeasured"], "tier": 1}],
        ),
        "#/channels/lightMeasured/x-portal-streams/0/tier",
        "must be text",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("change", "at", "why"), ASYNCAPI.values(), ids=list(ASYNCAPI))
def test_a_broken_asyncapi_document_is_refused_where_it_is_broken(
    change: Change, at: str, why: str
) -> None:
    document = deepcopy(document_in("lamps.yaml"))
    change(document)
    faults = [one for one in asyncapi.read(document, where="x") if isinstance(one, Unreadable)]
    assert (f"x{at}", True) in [(fault.where, why in fault.why) for fault in faults], faults


def test_one_broken_message_leaves_the_others_readable() -> None:
    document = document_in("lamps.yaml")
    del document["components"]["messages"]["lightMeasured"]["payload"]
    found = asyncapi.read(document, where="x")
    assert [one.name for one in found if isinstance(one, OutsideStream)] == [
        "town/lamps/{lampId}/turned"
    ]


CONTRACT: dict[str, tuple[Change, str, str]] = {
    "version 2": (set_in("apiVersion", value="v2.2.2"), "#/apiVersion", "from v3.0 to v3.2"),
    "the other standard": (
        set_in("dataContractSpecification", value="1.1.0"), "", "Data Contract Specification",
    ),
    "no id": (set_in("id", value=None), "#/id", "must be text"),
    "schema as an object": (set_in("schema", value={}), "#/schema", "list of objects"),
    "no objects": (set_in("schema", value=[]), "#/schema", "has no objects"),
    "an object without a name": (set_in("schema", "0", "name", value=1), "#/schema/0", "a name"),
    "properties as an object": (
        set_in("schema", "0", "properties", value={}), "#/schema/0/properties", "must be a list",
    ),
    "a property without a name": (
        set_in("schema", "0", "properties", "1", value={"logicalType": "string"}),
        "#/schema/0/properties/1",
        "property with a name",
    ),
    "a property twice": (
        set_in("schema", "0", "properties", "1", "name", value="order_id"),
        "#/schema/0/properties/1",
        "a property before it",
    ),
    "an unknown type": (
        set_in("schema", "0", "properties", "0", "logicalType", value="uuid"),
        "#/schema/0/properties/0/logicalType",
        "no type that ODCS knows: uuid",
    ),
    "items as a list": (
        set_in("schema", "0", "properties", "6", "items", value=[]),
        "#/schema/0/properties/6/items",
        "must be an object",
    ),
    "tags as text": (set_in("tags", value="x"), "#/tags", "must be a list"),
    "our own facts as text": (
        set_in("customProperties", value=[{"property": "portalStream", "value": {"tier": 1}}]),
        "#/customProperties/portalStream/tier",
        "must be text",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("change", "at", "why"), CONTRACT.values(), ids=list(CONTRACT))
def test_a_broken_contract_is_refused_where_it_is_broken(change: Change, at: str, why: str) -> None:
    document = deepcopy(document_in("contract.yaml"))
    change(document)
    (fault,) = odcs.read(document, where="x")
    assert isinstance(fault, Unreadable)
    assert fault.where == f"x{at}"
    assert why in fault.why


def test_what_is_deeper_than_allowed_is_refused() -> None:
    deep: Any = {}
    for _ in range(150):
        deep = {"properties": {"a": deep}}
    documents: list[dict[str, Any]] = [
        {"asyncapi": "3.0.0", "channels": {"a": {"messages": {"b": {"payload": deep}}}}},
        {"kind": "DataContract", "apiVersion": "v3.1.0", "id": "a", "schema": [deep]},
        {"rules": [{"type": "TRACK", "key": "a", "jsonSchema": deep}]},
    ]
    for document in documents:
        (fault,) = read_document(document, where="x")
        assert isinstance(fault, Unreadable)
        assert "nested deeper" in fault.why


def test_what_grows_without_end_by_its_references_is_refused_soon() -> None:
    schemas: dict[str, Any] = {
        "big": {"properties": {f"p{number}": {"type": "string"} for number in range(20_000)}}
    }
    messages = {
        f"m{number}": {"payload": {"allOf": [{"$ref": "#/components/schemas/big"}]}}
        for number in range(4_000)
    }
    document = {
        "asyncapi": "3.0.0",
        "info": {"title": "a", "version": "1"},
        "channels": {"a": {"messages": messages}},
        "components": {"schemas": schemas},
    }
    began = time.thread_time()
    found = asyncapi.read(document, where="x")
    assert time.thread_time() - began < 30
    assert any(isinstance(one, Unreadable) and "too large" in one.why for one in found)


def test_references_that_double_at_each_step_stay_small() -> None:
    schemas: dict[str, Any] = {
        f"s{step}": {"allOf": [{"$ref": f"#/components/schemas/s{step + 1}"}] * 2}
        for step in range(60)
    }
    schemas["s60"] = {"type": "object"}
    document = {
        "asyncapi": "3.0.0",
        "channels": {"a": {"messages": {"b": {"payload": {"$ref": "#/components/schemas/s0"}}}}},
        "components": {"schemas": schemas},
    }
    (stream,) = asyncapi.read(document, where="x")
    assert isinstance(stream, OutsideStream)
    assert len(stream.versions[0].document["$defs"]) == 60


def test_components_that_every_message_needs_are_bounded() -> None:
    document = {
        "asyncapi": "3.0.0",
        "channels": {
            "a": {
                "messages": {
                    "b": {"payload": {}, "correlationId": {"$ref": "#/components/correlationIds/c"}}
                }
            }
        },
        "components": {"correlationIds": {"c": {"x": list(range(60_000))}}},
    }
    (fault,) = asyncapi.read(document, where="x")
    assert isinstance(fault, Unreadable)
    assert "more of the document's components than can be kept" in fault.why


def places(value: Any, above: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    """Every place inside a document."""
    inside: list[tuple[str, Any]] = []
    if isinstance(value, Mapping):
        inside = list(value.items())
    elif isinstance(value, list):
        inside = [(str(number), one) for number, one in enumerate(value)]
    return [above, *(place for key, one in inside for place in places(one, (*above, key)))]


FOREIGN = {
    name: (document_in(name), places(document_in(name))[1:])
    for name in (
        "lamps.yaml", "orders.yaml", "contract.yaml", "tracking_plan.json",
        "tracking_plan_old.json",
    )
}  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(sorted(FOREIGN)), st.data())
def test_no_change_of_a_document_breaks_its_reader_or_the_way_back(
    name: str, data: st.DataObject
) -> None:
    original, all_places = FOREIGN[name]
    document = deepcopy(original)
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.sampled_from(all_places))
        odd: st.SearchStrategy[Any] = st.just({"$ref": "#/channels"}) | st.just([{}]) | VALUES
        value = data.draw(odd)
        # An earlier change may have taken the place away.
        with suppress(TypeError, ValueError, IndexError, KeyError, AttributeError):
            set_in(*place, value=value)(document)
    reader = {"lamps": asyncapi.read, "orders": asyncapi.read, "contract": odcs.read}.get(
        name.partition(".")[0], segment_plan.read
    )
    found = reader(document, where="x")
    assert found
    held = [one for one in found if isinstance(one, OutsideStream)]
    if held and reader is not odcs.read:
        written = asyncapi.write(held, title="again")
        by_name = sorted(
            asyncapi.read(written, where="y"), key=lambda one: getattr(one, "name", "")
        )
        assert_same(by_name, sorted(held, key=lambda one: one.name))
    for one in held:
        assert_same(odcs.read(odcs.write(one), where="y"), [one])
