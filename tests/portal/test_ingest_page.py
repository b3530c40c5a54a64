"""Ingest health, dead letters and alarms as pages: what they say, and to whom."""

import re
from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from catalog.models import Stream
from catalog.services.producers import create_producer
from governance.models import AuditEntry
from governance.types import Role
from portal.kernel import clock
from portal.kernel.actor import SYSTEM
from tests.portal.conftest import account, alarm, client_of, refuse
from tests.support.factories import make_stream, make_team

pytestmark = pytest.mark.django_db
PLAIN = {"type": "object", "properties": {"n": {"type": "integer", "description": "A number."}}}


def test_a_stranger_reads_no_name_of_a_restricted_stream() -> None:
    hidden = make_stream("secret.deal_signed", team=make_team(), extra={"restricted": True})
    account(hidden, accepted=500, refused=100)
    refuse(hidden)
    alarm(hidden)
    html = client_of(Role.ENGINEER).get("/ingest/").content.decode()
    assert "deal" not in html
    assert "secret.<wbr>" not in html
    assert "deal_" in client_of(Role.ADMIN).get("/ingest/").content.decode()


def test_the_verdict_names_who_breaks_what() -> None:
    producer = create_producer("android-app", actor=SYSTEM, team=make_team())
    stream = make_stream("play.heartbeat", team=make_team(), schema=PLAIN)
    account(stream, producer, accepted=97, refused=3)
    refuse(stream, producer_id=producer.pk)
    html = client_of(Role.ADMIN).get("/ingest/").content.decode()
    assert "android-app breaks n of play.heartbeat. Nothing is lost." in html
    assert '<mark><bdi class="s">&quot;x&quot;</bdi></mark>' in html


def test_each_source_has_its_day_and_its_hour() -> None:
    producer = create_producer("web-shop", actor=SYSTEM, team=make_team())
    stream = make_stream()
    account(stream, producer, accepted=50, minutes_ago=5)
    account(stream, producer, accepted=5, refused=5, minutes_ago=600)
    html = client_of().get("/ingest/").content.decode()
    assert "web-shop, last 24 hours: refused beyond the goal in 1 of 24 hours." in html
    assert re.search(r"100\s%</td><td class=\"r hide-s\">50</td>", html)


def test_who_sees_only_their_teams_letters_is_told_so() -> None:
    stream = make_stream(team=make_team())
    account(stream, accepted=1, refused=9)
    refuse(stream)
    html = client_of(Role.ANALYST).get("/ingest/").content.decode()
    assert "None of your teams’ streams." in html
    assert "Every event that arrived was taken." not in html


@pytest.mark.parametrize("path", ["/ingest/", "/dead-letters/"])
def test_a_list_never_reads_what_its_reading_logs(path: str) -> None:
    team = make_team()
    stream = make_stream(team=team)
    Stream.objects.filter(pk=stream.pk).update(classification="personal")
    refuse(stream, body=b'{"data":{"n":"jo@mail.example"}}')
    refuse(None, body=b'{"data":{"n":"jo@mail.example"}}')
    client, before = client_of(Role.ON_CALL), AuditEntry.objects.count()
    html = client.get(path).content.decode()
    assert "jo@mail.example" not in html
    assert "goes into the log" in html
    assert AuditEntry.objects.count() == before


def test_the_page_of_a_group_shows_the_fault_inside_the_event() -> None:
    stream = make_stream(team=make_team(), schema=PLAIN)
    refuse(stream)
    client = client_of(Role.ADMIN)
    (group,) = set(
        re.findall(r'/dead-letters/[^"?]+/', client.get("/dead-letters/").content.decode())
    )
    html = client.get(group).content.decode()
    assert "<code>n</code> must be of type integer" in html
    assert '<mark><bdi class="s">&quot;x&quot;</bdi></mark>' in html


def test_an_alarms_page_draws_the_crossing_and_names_the_first_bad_event() -> None:
    stream = make_stream(team=make_team())
    opened = alarm(stream, said_now="It still breaks.")
    for minutes in range(10, 400, 10):
        bad = 5 if minutes < 150 else 0
        account(stream, accepted=95, refused=bad, minutes_ago=minutes)
    refuse(stream, at=clock.now() - timedelta(minutes=145))
    refuse(stream)
    html = client_of(Role.ADMIN).get(f"/quality/alarms/{opened.pk}/").content.decode()
    assert 'class="chart wide"' in html
    assert "First event refused for this cause" in html
    assert "It still breaks." in html
    assert "n must be of type integer." in html
    assert "goes into the log" in html  # its stream holds personal fields
    assert html.index("First event refused") < html.index("Alarm opened")


def test_an_alarms_page_tells_a_reader_no_more_than_the_rule_that_was_broken() -> None:
    stream = make_stream(team=make_team())
    opened = alarm(stream)
    refuse(stream, body=b'{"data":{"n":"a value"}}')
    html = client_of(Role.ANALYST).get(f"/quality/alarms/{opened.pk}/").content.decode()
    assert "must be of type integer" in html
    assert "a value" not in html
    assert "/dead-letters/c" not in html


def test_the_number_of_queries_does_not_grow() -> None:
    team, counts = make_team(), []
    client = client_of(Role.ON_CALL)
    for many in (1, 6):
        for _ in range(many):
            stream = make_stream(team=team)
            producer = create_producer(f"p-{stream.pk}", actor=SYSTEM, team=team)
            account(stream, producer, accepted=9, refused=1)
            refuse(stream)
            alarm(stream)
        found = []
        for path in ("/ingest/", "/dead-letters/", "/quality/"):
            client.get(path)
            with CaptureQueriesContext(connection) as queries:
                client.get(path)
            found.append(len(queries))
        counts.append(found)
    assert counts[0] == counts[1]
