"""Declared and observed readers side by side: on the pages, over the API, in the report of a change."""

from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from catalog.change_verdict import change_verdict
from catalog.models import Consumer, Stream
from catalog.services.changes import Proposal, propose_change
from catalog.services.consumers import create_consumer, map_consumer
from catalog.services.observed_reads import note_read
from catalog.services.reports import static_report
from catalog.views_changes import reader_matrix
from governance.models import Team
from governance.projection import MASKED, Projection
from governance.services.jobs import run_due_jobs
from governance.types import Role
from portal.kernel.actor import SYSTEM, Actor, ActorKind
from tests.catalog.test_changes_api import Caller
from tests.support.factories import make_person, make_stream, make_team

pytestmark = pytest.mark.django_db
NAME = "shop.order_paid"
SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "order_id": {"type": "string"},
        "amount": {"type": "integer"},
        "ship_to": {"type": "object", "properties": {"city": {"type": "string"}}},
    },
}
BREAKING = {
    **SCHEMA, "properties": {**SCHEMA["properties"], "order_id": {"type": "integer"}},
}  # fmt: skip


@pytest.fixture
def team() -> Team:
    return make_team("Shop")


@pytest.fixture
def stream(team: Team) -> Stream:
    return make_stream(NAME, team=team, schema=SCHEMA, extra={"restricted": True})


@pytest.fixture
def ada(team: Team) -> Caller:
    return Caller(Role.ENGINEER, team=team)


def consumer(name: str, stream: Stream, *fields: str, declares: bool = True) -> Consumer:
    made = create_consumer(name, actor=SYSTEM, title=name.title())
    if declares:
        map_consumer(made, stream, actor=SYSTEM, fields=list(fields), purpose=f"For {name}.")
    return made


def given(who: Consumer, stream: Stream, n_events: int, *fields: str) -> None:
    """Its key was given events, all of them or some fields; how it comes to this is tested where
    events are read (tests/ingest/test_observed_reads.py)."""
    key = Actor(kind=ActorKind.CONSUMER, id=who.pk, label=who.name)
    note_read(
        key, stream, Projection(frozenset(fields), frozenset()) if fields else MASKED, n_events
    )


@pytest.fixture
def readers(stream: Stream) -> dict[str, Consumer]:
    """One that reads what it declared and more, one that never read, one that declared nothing."""
    found = {
        "billing": consumer("billing", stream, "amount", "ship_to.city"),
        "archive": consumer("archive", stream, "order_id"),
        "mystery": consumer("mystery", stream, declares=False),
    }
    given(found["billing"], stream, 7, "amount")
    given(found["billing"], stream, 2, "amount", "order_id")
    given(found["mystery"], stream, 5)
    return found


def page_of(browser: Client, address: str) -> str:
    """A page as text, with plain spaces where numbers hold on to their nouns."""
    return browser.get(address).content.decode().replace("\N{NO-BREAK SPACE}", " ")


def test_each_reader_is_told_with_what_it_declared_and_what_it_read(
    readers: dict[str, Consumer], ada: Caller
) -> None:
    found = {row["consumer"]: row for row in ada.get(f"/streams/{NAME}/consumers")["items"]}
    assert list(found) == ["archive", "billing", "mystery"]
    assert found["archive"]["observed"] is None
    assert found["archive"]["declared"]["fields"] == ["order_id"]
    assert found["mystery"]["declared"] is None
    assert [(one["field"], one["events_30_days"]) for one in found["mystery"]["observed"]["fields"]] == [
        ("amount", 5), ("order_id", 5), ("ship_to", 5), ("ship_to.city", 5)
    ]  # fmt: skip
    billing = found["billing"]
    assert billing["observed"]["events_30_days"] == 9
    assert [(one["field"], one["events_30_days"]) for one in billing["observed"]["fields"]] == [
        ("amount", 9), ("order_id", 2)
    ]  # fmt: skip
    assert (billing["undeclared_fields"], billing["unread_fields"]) == (
        ["order_id"], ["ship_to.city"]
    )  # fmt: skip
    (row,) = ada.get("/consumers/mystery")["reads"]
    assert row == found["mystery"]
    assert ada.get("/consumers/mystery")["mappings"] == []


def test_the_pages_mark_who_reads_undeclared_and_who_never_reads(
    readers: dict[str, Consumer], team: Team
) -> None:
    browser = Client()
    browser.force_login(make_person(Role.ENGINEER, team=team))
    page = page_of(browser, f"/streams/{NAME}/consumers/")
    assert page.count("read but not declared") == page.count("declared, never read") == 1
    assert "9 events in 30 days" in page
    assert "2 fields read, 1 not declared" in page
    assert page.index("Archive") < page.index("declared, never read") < page.index("Billing")
    assert page.index("Mystery") < page.index("read but not declared")
    mine = page_of(browser, "/consumers/mystery/")
    assert NAME in mine
    assert "read but not declared" in mine
    assert "5 events in 30 days" in mine
    assert "declared, never read" in page_of(browser, "/consumers/archive/")


def test_who_may_not_know_of_the_stream_sees_no_reader_of_it(
    readers: dict[str, Consumer], team: Team
) -> None:
    cy = Caller(Role.ENGINEER, team=make_team())
    cy.get(f"/streams/{NAME}/consumers", 404)
    browser = Client()
    browser.force_login(make_person(Role.ENGINEER, team=make_team()))
    assert browser.get(f"/streams/{NAME}/consumers/").status_code == 404
    for name in readers:
        assert cy.get(f"/consumers/{name}")["reads"] == []
        page = page_of(browser, f"/consumers/{name}/")
        assert NAME not in page
        assert "in 30 days" not in page


def test_a_report_says_of_readers_what_they_were_seen_to_read(
    readers: dict[str, Consumer], stream: Stream
) -> None:
    report = static_report(stream, BREAKING)
    declared = {row["consumer"]: row["effect"] for row in report["consumers"]}
    assert declared == {"archive": "breaks", "billing": "safe"}
    observed = {row["consumer"]: row for row in report["observed"]}
    assert {
        name: (row["declared"], row["effect"], row["events_30_days"])
        for name, row in observed.items()
    } == {"billing": (True, "breaks", 2), "mystery": (False, "breaks", 5)}
    rows = {row["consumer"]: row for row in reader_matrix(report)}
    assert list(rows) == ["archive", "billing", "mystery"]
    assert [(row["observed"] is not None, row["is_worse"]) for row in rows.values()] == [
        (False, False), (True, True), (True, False)
    ]  # fmt: skip
    said = change_verdict(report, {}, version=2, opens_group=True)
    assert said.say == "1 of 3 consumers is safe. 2 would break on the first event."
    assert "Mystery" in said.because


def test_a_reader_whose_fields_could_not_be_counted_has_to_look(stream: Stream) -> None:
    wide = {f"f{number}": {"type": "string"} for number in range(501)}
    found = make_stream("shop.wide", schema={"type": "object", "properties": wide})
    given(consumer("mystery", found, declares=False), found, 3)
    candidate = {"type": "object", "properties": {**wide, "f1": {"type": "integer"}}}
    (row,) = static_report(found, candidate)["observed"]
    assert (row["fields"], row["effect"], row["events_30_days"]) == ([], "unknown", 3)


def test_the_page_of_a_change_names_the_undeclared_reader(
    readers: dict[str, Consumer], stream: Stream, team: Team
) -> None:
    change = propose_change(stream, Proposal(BREAKING), actor=SYSTEM)
    run_due_jobs()
    browser = Client()
    browser.force_login(make_person(Role.ENGINEER, team=team))
    page = page_of(browser, f"/changes/{change.pk}/")
    assert "read but not declared" in page
    assert "5 events in 30 days" in page
    assert "breaks what it was seen to read" in page
    assert "never seen to read it" in page
    change.refresh_from_db()
    del change.report["observed"]  # as reports of before were
    change.save(update_fields=["report"])
    page = page_of(browser, f"/changes/{change.pk}/")
    assert "was not measured then" in page
    assert "never seen to read it" not in page


def test_the_list_costs_the_same_however_many_read(stream: Stream, ada: Caller) -> None:
    def queries() -> int:
        with CaptureQueriesContext(connection) as seen:
            ada.get(f"/streams/{NAME}/consumers")
        return len(seen)

    for number in range(2):
        given(consumer(f"reader-{number}", stream, "amount"), stream, 1)
    few = queries()
    for number in range(2, 20):
        given(consumer(f"reader-{number}", stream, "amount"), stream, 1)
    assert queries() == few
    assert len(ada.get(f"/streams/{NAME}/consumers")["items"]) == 20
