"""The compliance report and the record of processing activities: what is in them, and for whom."""

import csv
import io
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from catalog.models import Domain, Stream
from catalog.selectors.compliance import domain_totals, processing, reported, standings
from catalog.services.consumers import create_consumer, map_consumer
from governance.models import User
from governance.selectors.people import actor_of
from governance.types import Permission, Role
from portal.kernel import clock
from portal.kernel.actor import SYSTEM, Actor
from tests.support.factories import (
    make_actor,
    make_grant,
    make_person,
    make_stream,
    make_team,
    token_of,
)

pytestmark = pytest.mark.django_db
PLAIN: dict[str, Any] = {"type": "object", "properties": {"code": {"type": "string"}}}
BARE: dict[str, Any] = {
    "type": "object",
    "properties": {"phone": {"type": "string", "x-classification": "personal"}},
}


def signed_in(actor: Actor) -> Client:
    client = Client()
    client.force_login(User.objects.get(pk=actor.id))
    return client


def table(client: Client, path: str) -> list[dict[str, str]]:
    answer: Any = client.get(path)
    assert answer["Content-Type"] == "text/csv; charset=utf-8"
    text = b"".join(answer.streaming_content).decode()
    return list(csv.DictReader(io.StringIO(text)))


@pytest.fixture
def ada() -> Actor:
    return make_actor(Role.ENGINEER, team=make_team())


def test_a_domain_is_counted_by_what_is_not_in_order(ada: Actor) -> None:
    make_stream("shop.one", schema=PLAIN)
    late = make_stream("shop.two", schema=BARE, classification="personal")
    gone = make_stream("shop.three", schema=BARE)
    Stream.objects.filter(pk=late.pk).update(reviewed_at=clock.now() - timedelta(days=200))
    Stream.objects.filter(pk=gone.pk).update(lifecycle="retired")
    (row,) = [one for one in domain_totals(ada) if one["domain__slug"] == "shop"]
    assert (row["streams"], row["overdue"], row["ownerless"]) == (2, 1, 2)
    assert (row["found"], row["untreated"]) == (2, 1)  # nobody owns either
    Domain.objects.filter(slug="shop").update(owner_team=make_team())
    (row,) = [one for one in domain_totals(ada) if one["domain__slug"] == "shop"]
    assert row["ownerless"] == 0


def test_programs_read_the_numbers_of_each_domain_page_by_page(ada: Actor) -> None:
    late = make_stream("shop.paid", schema=BARE, classification="personal")
    make_stream("shop.zebra_seen", schema=BARE, team=make_team(), extra={"restricted": True})
    keepers = make_team()
    make_person(Role.ENGINEER, team=keepers)
    told = {"type": "object", "properties": {"code": {"type": "string", "description": "Which."}}}
    make_stream("yard.swept", team=keepers, schema=told, description="The yard was swept.")
    Stream.objects.filter(pk=late.pk).update(reviewed_at=clock.now() - timedelta(days=200))
    token = token_of(User.objects.get(pk=ada.id))
    client = Client(headers={"Authorization": f"Bearer {token}"})
    first = client.get("/api/v1/reviews/compliance?limit=1").json()
    assert first["items"] == [
        {
            "domain": "shop", "name": "Shop", "streams": 1, "reviews_overdue": 1,
            "without_owner": 1, "with_findings": 1, "with_untreated_fields": 1,
        }
    ]  # fmt: skip
    second = client.get(f"/api/v1/reviews/compliance?limit=1&cursor={first['next']}").json()
    assert second["next"] is None
    assert second["items"] == [
        {
            "domain": "yard", "name": "Yard", "streams": 1, "reviews_overdue": 0,
            "without_owner": 0, "with_findings": 0, "with_untreated_fields": 0,
        }
    ]  # fmt: skip
    assert Client().get("/api/v1/reviews/compliance").status_code == 401


def test_the_head_counts_the_reviews_of_all_domains_not_of_the_page(ada: Actor) -> None:
    for name in ("shop.paid", "yard.swept"):
        late = make_stream(name)
        Stream.objects.filter(pk=late.pk).update(reviewed_at=clock.now() - timedelta(days=500))
    page = signed_in(ada).get("/policies/compliance/?limit=1").content.decode()
    assert "<h1>Two reviews are overdue.</h1>" in page


def test_what_may_not_be_known_of_is_in_no_count_page_or_file(ada: Actor) -> None:
    make_stream("shop.open", schema=BARE)
    make_stream("shop.zebra_seen", schema=BARE, team=make_team(), extra={"restricted": True})
    client = signed_in(ada)
    (row,) = [one for one in domain_totals(ada) if one["domain__slug"] == "shop"]
    assert row["streams"] == 1
    for path in ("/policies/compliance/?domain=shop", "/policies/compliance/processing/"):
        page = client.get(path)
        assert page.status_code == 200
        assert "zebra" not in page.content.decode()
    for path in ("/policies/compliance/export/", "/policies/compliance/processing/export/"):
        assert [one["stream"] for one in table(client, f"{path}?domain=shop")] == ["shop.open"]
    assert (
        signed_in(make_actor(Role.ADMIN))
        .get("/policies/compliance/?domain=shop")
        .content.count(b"zebra")
    )


def test_the_record_says_what_why_where_how_long_and_who(ada: Actor) -> None:
    team = make_team()
    owner = actor_of(make_person(Role.ENGINEER, team=team))
    stream = make_stream("shop.paid", team=team)
    make_stream("shop.counted", schema=PLAIN)
    consumer = create_consumer("billing", actor=SYSTEM)
    map_consumer(consumer, stream, actor=SYSTEM, purpose="To write bills.")
    cy = make_person(Role.ANALYST)
    make_grant(stream, cy, Permission.READ_PAYLOAD)
    make_grant(stream.domain, make_team(), Permission.READ_PAYLOAD)
    (row,) = table(signed_in(owner), "/policies/compliance/processing/export/?domain=shop")
    assert row["personal data"] == "email (personal)"
    assert row["purposes"].startswith("billing: To write bills.")
    assert f"{cy.email}: To test that grants hold." in row["purposes"]
    assert (row["kept days"], row["read by"], row["grants to read"]) == ("30", "billing", "2")
    assert row["treatment"] == "email: tokenize; subject: none"
    (seen,) = table(signed_in(ada), "/policies/compliance/processing/export/?domain=shop")
    assert cy.email not in seen["purposes"]
    assert seen["grants to read"] == "2"
    page = signed_in(ada).get("/policies/compliance/processing/?domain=shop").content.decode()
    assert "To write bills." in page
    assert cy.email not in page


def test_retired_streams_stay_in_the_record_and_leave_the_report(ada: Actor) -> None:
    stream = make_stream("shop.old")
    Stream.objects.filter(pk=stream.pk).update(lifecycle="retired")
    assert not reported(ada, domain="shop").exists()
    assert [one.name for one in processing(ada, domain="shop")] == ["shop.old"]


def test_no_cell_is_a_formula(ada: Actor) -> None:
    stream = make_stream("shop.sum", description="=SUM(A1)")
    consumer = create_consumer("billing", actor=SYSTEM)
    map_consumer(consumer, stream, actor=SYSTEM, purpose="@SUM(A1)")
    (row,) = table(signed_in(ada), "/policies/compliance/processing/export/?domain=shop")
    assert row["what"] == "'=SUM(A1)"


def test_more_streams_ask_the_database_no_more(ada: Actor) -> None:
    counts = []
    for number in (2, 20):
        for _ in range(number):
            make_grant(make_stream(schema=BARE), make_person(), Permission.READ_PAYLOAD)
        streams = list(reported(ada))
        with CaptureQueriesContext(connection) as asked:
            found = standings(ada, streams)
        assert len(found) == len(streams)
        assert all(one.untreated == 1 and one.grants_count == 1 for one in found)
        counts.append(len(asked))
    assert counts[0] == counts[1]


def test_pages_are_paged_and_a_domain_that_is_not_there_is_not_found(ada: Actor) -> None:
    for number in range(3):
        make_stream(f"shop.paid_{number}")
    client = signed_in(ada)
    first = client.get("/policies/compliance/?domain=shop&limit=2").content.decode()
    assert 'rel="next"' in first
    assert client.get("/policies/compliance/?domain=nowhere").status_code == 404
    assert client.get("/policies/compliance/export/?domain=nowhere").status_code == 404
    assert client.get("/policies/compliance/?colour=red").status_code == 400
    assert client.get("/policies/compliance/").status_code == 200
