"""What a consumer's key is given is counted by field; what others read is counted for nobody."""

import logging
import threading
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import connection, connections
from django.test import Client

from catalog.models import Consumer, ObservedRead, Stream
from catalog.services.changes import publish_schema
from catalog.services.consumers import create_consumer
from catalog.services.observed_reads import MAX_PATHS, note_read, shown_paths
from governance.projection import MASKED, NOTHING, Projection
from governance.services.grants import end_grant
from governance.types import Permission, Role
from ingest.log import partitions
from ingest.selectors.events import stored_events
from ingest.tasks import forget_uses
from portal.kernel import clock
from portal.kernel.actor import SYSTEM, Actor
from tests.governance.test_grants_of_fields import SCHEMA
from tests.governance.test_grants_of_keys import actor_with, key_of
from tests.ingest.test_field_grants import DATA
from tests.ingest.test_grants_of_consumers import grant, read
from tests.ingest.test_reading import now, store
from tests.support.factories import make_actor, make_grant, make_person, make_stream, make_team
from tests.support.factories import token_of as token

__all__ = ["now"]  # a fixture
FIELDS = ["amount", "email", "order_id", "phone", "ship_to", "ship_to.city", "ship_to.street"]
THREADS, ROUNDS = 6, 8


def counted(stream: Stream) -> dict[str, int]:
    return dict(ObservedRead.objects.filter(stream=stream).values_list("path", "events"))


def warehouse(stream: Stream, *fields: str) -> tuple[Consumer, str]:
    consumer = create_consumer("warehouse", actor=SYSTEM)
    grant(stream, consumer, Permission.READ_PAYLOAD, *fields)
    return consumer, key_of(consumer)


@pytest.mark.django_db
def test_events_count_under_each_field_of_the_contract_where_all_was_granted(now: datetime) -> None:
    stream = make_stream(team=make_team(), schema=SCHEMA)
    for name in ("e1", "e2"):
        store(stream, now, DATA, id=name)
    consumer, key = warehouse(stream)
    before = clock.now()
    assert len(read(stream, key).json()["items"]) == 2
    assert counted(stream) == dict.fromkeys(["", *FIELDS], 2)
    assert read(stream, key, "/events/e1").status_code == 200
    assert len(read(stream, key, "/events?limit=1").json()["items"]) == 1
    assert counted(stream) == dict.fromkeys(["", *FIELDS], 4)
    rows = ObservedRead.objects.filter(stream=stream)
    assert {row.consumer_id for row in rows} == {consumer.pk}
    assert {row.day for row in rows} == {clock.now().date()}
    assert all(before <= row.last_at <= clock.now() for row in rows)


@pytest.mark.django_db
def test_a_narrower_grant_counts_only_what_it_shows(now: datetime) -> None:
    stream = make_stream(team=make_team(), schema=SCHEMA)
    store(stream, now, DATA)
    _, key = warehouse(stream, "order_id", "email", "ship_to.city")
    assert read(stream, key).status_code == 200
    shown = ["email", "order_id", "ship_to.city"]
    assert counted(stream) == dict.fromkeys(["", *shown], 1), "a masked field is one it is given"


@pytest.mark.django_db
def test_what_gave_no_event_counts_nothing(now: datetime) -> None:
    stream, other = (make_stream(team=make_team(), schema=SCHEMA) for _ in range(2))
    store(stream, now, DATA)
    consumer, key = warehouse(other)
    assert read(other, key).json()["items"] == []
    assert read(other, key, "/events/e1").status_code == 404
    assert read(stream, key).status_code == 403
    held = grant(stream, consumer, Permission.READ_PAYLOAD)
    end_grant(held, actor=SYSTEM)
    assert read(stream, key).status_code == 403
    assert not ObservedRead.objects.exists()


@pytest.mark.django_db
def test_reads_of_people_count_for_nobody(now: datetime) -> None:
    team = make_team()
    stream, ida = make_stream(team=team, schema=SCHEMA), make_person()
    store(stream, now, DATA)
    create_consumer("warehouse", actor=SYSTEM)
    make_grant(stream, ida, Permission.READ_PERSONAL)
    assert read(stream, token(ida)).status_code == 200
    browser = Client()
    browser.force_login(make_person(Role.ADMIN))
    assert b"e1" in browser.get(f"/streams/{stream.name}/samples/").content
    for actor in (make_actor(Role.ENGINEER, team=team), SYSTEM):
        assert len(stored_events(actor, stream).items) == 1
    assert not ObservedRead.objects.exists()


def actor_for(stream: Stream) -> Actor:
    return actor_with(warehouse(stream)[1])


@pytest.mark.django_db
def test_a_revocation_between_the_read_and_what_it_shows_counts_nothing() -> None:
    stream = make_stream(schema=SCHEMA)
    note_read(actor_for(stream), stream, NOTHING, 5)
    assert not ObservedRead.objects.exists()


@pytest.mark.django_db
def test_a_granted_field_that_the_newest_contract_lost_is_still_counted() -> None:
    stream = make_stream(schema=SCHEMA)
    left = {name: rule for name, rule in SCHEMA["properties"].items() if name != "amount"}
    publish_schema(stream, {**SCHEMA, "properties": left}, actor=SYSTEM)
    seen = Projection(frozenset({"amount", "ship_to"}), frozenset())
    note_read(actor_for(stream), stream, seen, 3)
    shown = ["amount", "ship_to", "ship_to.city", "ship_to.street"]
    assert counted(stream) == dict.fromkeys(["", *shown], 3)


def many(n_objects: int, n_fields: int) -> dict[str, Any]:
    inner = {f"f{number}": {"type": "integer"} for number in range(n_fields)}
    return {
        "type": "object",
        "properties": {
            f"o{number}": {"type": "array", "items": {"type": "object", "properties": inner}}
            for number in range(n_objects)
        },
    }


@pytest.mark.django_db
def test_many_fields_are_counted_by_what_holds_them_and_too_many_not_at_all() -> None:
    some, wide = make_stream(schema=many(20, 30)), make_stream(schema=many(MAX_PATHS + 1, 1))
    assert list(shown_paths(some, MASKED)) == [f"o{number}" for number in range(20)]
    assert shown_paths(wide, MASKED) == ()
    note_read(actor_for(wide), wide, MASKED, 2)
    assert counted(wide) == {"": 2}


@pytest.mark.django_db
def test_a_count_that_the_database_refuses_is_logged_and_the_events_are_given(
    now: datetime, caplog: pytest.LogCaptureFixture
) -> None:
    stream = make_stream(team=make_team(), schema=SCHEMA)
    store(stream, now, DATA)
    consumer, key = warehouse(stream)
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE catalog_observedread RENAME TO catalog_away")
    with caplog.at_level(logging.ERROR, "catalog.services.observed_reads"):
        answer = read(stream, key)
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE catalog_away RENAME TO catalog_observedread")
    assert answer.json()["items"][0]["data"]["order_id"] == "o1"
    assert caplog.messages == [
        f"not counted: consumer {consumer.pk} was given 1 events of stream {stream.pk}"
    ]
    assert counted(stream) == {}


@pytest.mark.django_db
def test_counts_of_days_older_than_400_are_let_go() -> None:
    stream = make_stream(schema=SCHEMA)
    actor = actor_for(stream)
    for days in (402, 399):
        with clock.at(clock.now() - timedelta(days=days)):
            note_read(actor, stream, Projection(frozenset({"amount"}), frozenset()), 1)
    forget_uses()
    kept = (clock.now() - timedelta(days=399)).date()
    rows = ObservedRead.objects.order_by("path").values_list("path", "day")
    assert list(rows) == [("", kept), ("amount", kept)]


@pytest.mark.django_db(transaction=True)
def test_of_many_who_read_at_once_each_read_is_counted() -> None:
    connection.ensure_connection()
    at = clock.now()
    partitions.make_days(connection.connection, partitions.PARENTS, [at.date()])
    stream = make_stream(team=make_team(), schema=SCHEMA)
    for name in ("e1", "e2"):
        store(stream, at, DATA, id=name)
    _, key = warehouse(stream)
    together = threading.Barrier(THREADS)
    statuses: list[int] = []

    def read_on() -> None:
        try:
            together.wait()
            statuses.extend(read(stream, key).status_code for _ in range(ROUNDS))
        finally:
            connections.close_all()

    readers = [threading.Thread(target=read_on) for _ in range(THREADS)]
    for one in readers:
        one.start()
    for one in readers:
        one.join()
    assert statuses == [200] * (THREADS * ROUNDS)
    rows = ObservedRead.objects.filter(stream=stream, path="order_id")
    assert sum(row.events for row in rows) == 2 * THREADS * ROUNDS
