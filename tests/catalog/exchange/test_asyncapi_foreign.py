"""Documents of other tools, made up: every way to say the same, and every key means it still."""

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from catalog.exchange import asyncapi
from tests.catalog.exchange.sameness import assert_same, only_streams
from tests.catalog.exchange.strategies import OBJECTS, TEXTS
from tests.catalog.exchange.test_asyncapi import assert_valid, meaning

KEYS = ["one", "two", "three"]
WORDS = st.text("abc xyz", min_size=1, max_size=6).map(str.strip).filter(bool)


def maybe(**optional: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({}, optional=optional)


def refers(section: str) -> st.SearchStrategy[dict[str, Any]]:
    return st.sampled_from([{"$ref": f"#/components/{section}/{key}"} for key in KEYS])


EXTRAS = maybe(**{"x-eventcatalog-draft": st.booleans(), "x-note": OBJECTS})
DOCS = st.just({"url": "https://docs.example/a"})
TAGS = st.lists(
    st.fixed_dictionaries({"name": WORDS}, optional={"externalDocs": DOCS}) | refers("tags"),
    max_size=2,
    unique_by=lambda tag: json.dumps(tag, sort_keys=True),
)
SCHEMA = st.recursive(
    maybe(type=st.sampled_from(["string", "integer"]), description=WORDS, title=WORDS),
    lambda inner: (
        refers("schemas")
        | st.fixed_dictionaries(
            {
                "type": st.just("object"),
                "properties": st.dictionaries(st.sampled_from(["a", "b/c"]), inner),
            },
            optional={"required": st.just(["a"]), "allOf": st.lists(inner, min_size=1, max_size=2)},
        )
    ),
    max_leaves=4,
)
SOLID = SCHEMA.filter(lambda schema: "$ref" not in schema)
SAID = {"title": WORDS, "summary": WORDS, "description": WORDS, "tags": TAGS, "externalDocs": DOCS}
BINDINGS = st.just({"kafka": {"bindingVersion": "0.5.0"}}) | refers("messageBindings")
MESSAGE_PARTS: dict[str, st.SearchStrategy[Any]] = {
    **SAID,
    "name": WORDS,
    "contentType": st.just("application/json"),
    "headers": SOLID.map(lambda schema: {**schema, "type": "object"}),
    "correlationId": refers("correlationIds"),
    "bindings": BINDINGS,
    "examples": st.lists(
        st.fixed_dictionaries({"payload": OBJECTS}, optional={"name": TEXTS, "headers": OBJECTS}),
        max_size=2,
    ),
}
PAYLOADS = (
    SCHEMA
    | SCHEMA.map(lambda schema: {"schemaFormat": "application/schema+json;version=draft-07", "schema": schema})
    | SCHEMA.map(lambda schema: {"schemaFormat": "application/vnd.aai.asyncapi;version=3.0.0", "schema": schema})
)  # fmt: skip
MESSAGES = st.builds(
    lambda said, extras, payload, traits: {
        **said, **extras, "payload": payload, **({"traits": traits} if traits else {}),
    },
    maybe(**MESSAGE_PARTS),
    EXTRAS,
    PAYLOADS,
    st.lists(maybe(**MESSAGE_PARTS) | refers("messageTraits"), max_size=2),
)  # fmt: skip
SERVERS = st.fixed_dictionaries(
    {"host": WORDS.map(lambda word: word.replace(" ", "")), "protocol": st.just("kafka")},
    optional={"description": WORDS, "tags": TAGS, "security": st.just([{"type": "plain"}])},
)
CHANNELS = st.builds(
    lambda said, extras, address, servers, keys: {
        **said, **extras, **address, **servers,
        "messages": {f"m-{key}": {"$ref": f"#/components/messages/{key}"} for key in keys},
    },
    maybe(**SAID),
    EXTRAS,
    maybe(address=st.none() | WORDS),
    maybe(servers=st.just([{"$ref": "#/servers/two"}])),
    st.lists(st.sampled_from(KEYS), min_size=1, unique=True),
)  # fmt: skip


def by_key(values: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries(dict.fromkeys(KEYS, values))


@st.composite
def documents(draw: st.DrawFn) -> dict[str, Any]:
    """A document with three of each kind of component, used here and there or not at all."""
    channels = draw(
        st.dictionaries(st.sampled_from(["first", "se/cond", "third"]), CHANNELS, min_size=1)
    )
    operations: dict[str, Any] = {}
    for number, key in enumerate(draw(st.lists(st.sampled_from(sorted(channels)), max_size=3))):
        place = f"#/channels/{key.replace('/', '~1')}"
        named = draw(st.lists(st.sampled_from(sorted(channels[key]["messages"])), unique=True))
        operations[f"op{number}"] = {
            "action": draw(st.sampled_from(["send", "receive"])),
            "channel": {"$ref": place},
            **(
                {"messages": [{"$ref": f"{place}/messages/{one}"} for one in named]}
                if named
                else {}
            ),
            **draw(
                maybe(**SAID, traits=st.lists(refers("operationTraits"), min_size=1, max_size=1))
            ),
            **draw(EXTRAS),
        }
    return {
        "asyncapi": draw(st.sampled_from(["3.0.0", "3.1.0"])),
        "info": draw(
            st.fixed_dictionaries(
                {"title": WORDS, "version": st.just("1.2.3")},
                optional={"description": WORDS, "tags": TAGS, "contact": st.just({"name": "a"})},
            )
        )
        | draw(EXTRAS),
        **draw(maybe(defaultContentType=st.just("application/json"), servers=by_key(SERVERS))),
        "channels": channels,
        "operations": operations,
        "components": {
            "schemas": draw(by_key(SOLID)),
            "messages": draw(by_key(MESSAGES)),
            "messageTraits": draw(by_key(maybe(**MESSAGE_PARTS))),
            "operationTraits": draw(by_key(maybe(title=WORDS, tags=TAGS))),
            "correlationIds": draw(by_key(st.just({"location": "$message.header#/id"}))),
            "messageBindings": draw(by_key(st.just({"kafka": {"key": {"type": "string"}}}))),
            "tags": draw(by_key(st.fixed_dictionaries({"name": WORDS}))),
        },
    }


@settings(max_examples=40, deadline=None)
@given(documents())
def test_every_key_means_what_it_meant_after_the_way_through_the_catalog(
    document: dict[str, Any],
) -> None:
    document = with_servers(document)
    held = only_streams(asyncapi.read(document, where="x"))
    assert len(held) == sum(len(one["messages"]) for one in document["channels"].values())
    info = document["info"]
    written = asyncapi.write(held, title=info["title"], version=info["version"])
    if "se/cond" not in written["channels"]:  # the standard has no rule for keys, its model has
        assert_valid(written)
    written.setdefault("operations", {})
    assert meaning(written) == meaning(document)
    assert_same(asyncapi.read(written, where="y"), held)


def with_servers(document: dict[str, Any]) -> dict[str, Any]:
    """The document, whose channels name servers only where it has some."""
    if "servers" not in document:
        for channel in document["channels"].values():
            channel.pop("servers", None)
    return document
