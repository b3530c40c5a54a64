"""What we write is read as the same again, whatever a stream holds."""

import json
from typing import Literal

from hypothesis import given, settings
from hypothesis import strategies as st

from catalog.exchange import asyncapi, odcs
from catalog.exchange.documents import OutsideStream
from catalog.exchange.loading import Loaded, dump_json, dump_yaml, load
from tests.catalog.exchange.sameness import as_json, assert_same
from tests.catalog.exchange.strategies import VALUES, streams

SOME = settings(max_examples=100, deadline=None)
ROLES: list[Literal["catalog", "producer", "consumer"]] = ["catalog", "producer", "consumer"]


@SOME
@given(
    st.lists(streams(), min_size=1, max_size=3, unique_by=lambda stream: stream.name),
    st.sampled_from(ROLES),
    st.booleans(),
)
def test_asyncapi_gives_back_what_was_written(
    held: list[OutsideStream],
    role: Literal["catalog", "producer", "consumer"],
    with_party: bool,
) -> None:
    party = "billing" if with_party else ""
    document = asyncapi.write(held, title="The shop", role=role, party=party)
    assert_same(asyncapi.read(document, where="x"), held)
    again = json.loads(json.dumps(document))
    assert_same(asyncapi.read(again, where="x"), held)


@SOME
@given(streams())
def test_odcs_gives_back_what_was_written(held: OutsideStream) -> None:
    document = json.loads(json.dumps(odcs.write(held)))
    assert_same(odcs.read(document, where="x"), [held])


@SOME
@given(VALUES)
def test_yaml_and_json_hold_every_value(value: object) -> None:
    for text, name in ((dump_yaml(value).encode(), "a.yaml"), (dump_json(value), "a.json")):
        loaded = load(text, name=name)
        assert isinstance(loaded, Loaded), loaded
        assert as_json(loaded.documents) == as_json([value])
