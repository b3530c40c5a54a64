"""The portal's own YAML: read strictly, written so that it is read as the same."""

import re
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from catalog.exchange import portal_yaml
from catalog.exchange.portal_yaml import (
    ConsumerEntry,
    DomainEntry,
    MappingEntry,
    PortalFile,
    ProducerEntry,
    TeamEntry,
)
from catalog.types import (
    Classification,
    CompatibilityMode,
    CompatibilityPolicy,
    Tier,
    Track,
)
from tests.catalog.exchange.sameness import FILES, assert_same
from tests.catalog.exchange.strategies import NAMES, TEXTS, streams

SHOP = (FILES / "portal.yaml").read_bytes()


def without_where(declared: PortalFile) -> PortalFile:
    return replace(
        declared,
        **{
            section: tuple(replace(one, where="") for one in getattr(declared, section))
            for section in portal_yaml.SECTIONS
        },
    )


def test_a_file_of_several_documents_is_read_whole() -> None:
    declared = portal_yaml.read(SHOP, where="shop.yaml")
    assert declared.unreadable == ()
    assert declared.teams == (TeamEntry("checkout", "Checkout", where="shop.yaml[1]#/teams/0"),)
    (domain,) = declared.domains
    assert domain.description == "Everything that sells.\nIn two lines.\n"
    (stream,) = declared.streams
    assert (stream.tier, stream.track, stream.retention_days) == ("T1", "production", 90)
    assert (stream.producers, stream.consumers) == (("web",), ("billing",))
    (producer,) = declared.producers
    assert producer.where == "shop.yaml[2]#"
    assert (producer.globs, producer.is_test) == (("shop.*",), False)
    (consumer,) = declared.consumers
    assert consumer.where == "shop.yaml[3]#/0/consumers/0"
    assert consumer.mappings == (MappingEntry("shop.order_placed", ("order_id",), 1, "Invoices."),)


def test_dates_stay_text_and_anchors_and_merges_are_written_out() -> None:
    (stream,) = portal_yaml.read(SHOP, where="x").streams
    first, second = stream.versions
    assert first.examples == ({"order_id": "a-1", "placed_on": "2026-01-01"},)
    assert first.document["properties"]["placed_on"]["examples"] == ["2026-01-01"]
    assert set(second.document["properties"]) == {"order_id", "placed_on", "gift"}
    assert second.document["required"] == ["order_id"]


def test_what_was_written_is_read_as_the_same() -> None:
    declared = portal_yaml.read(SHOP, where="x")
    again = portal_yaml.read(portal_yaml.write(declared), where="y")
    assert without_where(again) == without_where(declared)


REFUSED = {
    "an unknown key": ("streams: [{name: a.b, teir: T1}]", "/streams/0/teir", "allowed are name, title"),
    "an unknown section": ("stream: []", "/stream", "allowed are teams, domains, streams"),
    "an unknown word": ("streams: [{name: a.b, tier: T9}]", "/streams/0/tier", "T1, T2, T3"),
    "a number for text": (
        "streams: [{name: a.b, versions: [{label: 1.10, schema: {}}]}]",
        "/streams/0/versions/0/label",
        "needs quotes",
    ),
    "text for a list": ("streams: [{name: a.b, tags: one}]", "/streams/0/tags", "list of texts"),
    "text for a number": (
        'streams: [{name: a.b, retention_days: "9"}]',
        "/streams/0/retention_days",
        "whole number",
    ),
    "a flag for a number": (
        "streams: [{name: a.b, retention_days: true}]",
        "/streams/0/retention_days",
        "whole number",
    ),
    "no name": ("streams: [{title: x}]", "/streams/0", "needs name"),
    "no schema": ("streams: [{name: a.b, versions: [{label: x}]}]", "/streams/0/versions/0", "needs schema"),
    "a schema that is a list": (
        "streams: [{name: a.b, versions: [{schema: []}]}]",
        "/streams/0/versions/0/schema",
        "JSON Schema",
    ),
    "an entry that is text": ("teams: [checkout]", "/teams/0", "must be a mapping of slug, name"),
    "a section that is a mapping": ("teams: {slug: a}", "/teams", "must be a list"),
    "a name that is no slug": ("teams: [{slug: Check Out}]", "/teams/0/slug", "lower case"),
    "the same twice": ("teams: [{slug: a}, {slug: a}]", "/teams/1", "a second time"),
    "an unknown kind": ("kind: Topic", "/kind", "must be one of Team, Domain"),
    "nothing": ("{}", "", "declares nothing"),
    "a mapping without a stream": (
        "consumers: [{name: a, mappings: [{fields: [x]}]}]",
        "/consumers/0/mappings/0",
        "needs stream",
    ),
    "version 0": (
        "consumers: [{name: a, mappings: [{stream: a.b, version: 0}]}]",
        "/consumers/0/mappings/0/version",
        "1 or more",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("body", "at", "why"), REFUSED.values(), ids=list(REFUSED))
def test_a_fault_is_refused_where_it_stands_with_what_is_allowed(
    body: str, at: str, why: str
) -> None:
    text = "apiVersion: portal/v1\n" + ("" if body == "{}" else body)
    declared = portal_yaml.read(text, where="x")
    (fault,) = declared.unreadable
    assert fault.where == f"x#{at}"
    assert why in fault.why
    if body != REFUSED["the same twice"][0]:
        assert replace(declared, unreadable=()) == PortalFile()


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("streams: []", "must be portal/v1"),
        ("apiVersion: portal/v2\nstreams: []", "must be portal/v1"),
        ("just text", "must be a mapping"),
        ("", "is empty"),
        ("a: [", r"is not YAML: .* \(line \d\)"),
        ("a: 1\na: 2", r"the key 'a' twice \(line 2\)"),
        (b"\xff\xfe", "is not text in UTF-8"),
        ("x: " + "y" * (20 * 1024 * 1024), "is larger than 20 MiB"),
    ],
)
def test_a_text_that_declares_nothing_readable_is_refused(text: str | bytes, why: str) -> None:
    (fault,) = portal_yaml.read(text, where="x").unreadable
    assert re.search(why, fault.why)


def test_every_fault_of_a_file_is_named_at_once() -> None:
    text = "apiVersion: portal/v1\nteams: [{slug: A}, {slug: b}, {nope: 1}]\ndomains: [3]"
    declared = portal_yaml.read(text, where="x")
    assert len(declared.unreadable) == 4
    assert [team.slug for team in declared.teams] == ["b"]


SLUGS = st.from_regex(r"[a-z0-9]{1,6}(-[a-z0-9]{1,3})?", fullmatch=True)
OPTIONAL = st.none() | TEXTS
TUPLES = st.none() | st.lists(TEXTS, max_size=2).map(tuple)
FILES_DECLARED = st.builds(
    PortalFile,
    domains=st.lists(
        st.builds(DomainEntry, SLUGS, OPTIONAL, OPTIONAL, st.none() | SLUGS),
        max_size=2,
        unique_by=lambda one: one.slug,
    ).map(tuple),
    teams=st.lists(
        st.builds(TeamEntry, SLUGS, OPTIONAL, OPTIONAL), max_size=2, unique_by=lambda one: one.slug
    ).map(tuple),
    streams=st.lists(
        streams(
            name=NAMES,
            domain=st.just("") | SLUGS,
            owner=st.just("") | SLUGS,
            tier=st.sampled_from(["", *Tier.values]),
            track=st.sampled_from(["", *Track.values]),
            classification=st.sampled_from(["", *Classification.values]),
            compatibility_mode=st.sampled_from(["", *CompatibilityMode.values]),
            compatibility_policy=st.sampled_from(["", *CompatibilityPolicy.values]),
        ),
        max_size=2,
        unique_by=lambda one: one.name,
    ).map(tuple),
    producers=st.lists(
        st.builds(
            ProducerEntry, SLUGS, OPTIONAL, OPTIONAL, st.none() | SLUGS, st.none() | SLUGS,
            st.none() | st.booleans(), TUPLES, TUPLES, TUPLES,
        ),
        max_size=2,
        unique_by=lambda one: one.name,
    ).map(tuple),
    consumers=st.lists(
        st.builds(
            ConsumerEntry, SLUGS, OPTIONAL, OPTIONAL, st.none() | st.just("model"),
            st.none() | SLUGS,
            st.none()
            | st.lists(
                st.builds(
                    MappingEntry, NAMES, st.lists(TEXTS, max_size=2).map(tuple),
                    st.none() | st.integers(1, 9), TEXTS,
                ),
                max_size=2,
            ).map(tuple),
        ),
        max_size=2,
        unique_by=lambda one: one.name,
    ).map(tuple),
)  # fmt: skip


@settings(max_examples=100, deadline=None)
@given(FILES_DECLARED)
def test_whatever_is_declared_is_read_as_it_was_written(declared: PortalFile) -> None:
    again = portal_yaml.read(portal_yaml.write(declared), where="x")
    if not any(getattr(declared, section) for section in portal_yaml.SECTIONS):
        assert "declares nothing" in again.unreadable[0].why
        return
    assert again.unreadable == ()
    assert without_where(again) == without_where(declared)
    assert_same(again.streams, list(declared.streams))


def test_the_example_of_the_docs_is_read() -> None:
    text = (FILES.parents[2] / "docs" / "formats.md").read_text()
    (example,) = re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)
    declared = portal_yaml.read(example, where="docs")
    assert declared.unreadable == ()
    assert [len(getattr(declared, section)) for section in portal_yaml.SECTIONS] == [
        0, 0, 1, 1, 1, 1,
    ]  # fmt: skip
