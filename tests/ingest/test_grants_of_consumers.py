"""A consumer's key reads events by grant, as far and as long as it says."""

import threading
from datetime import datetime
from typing import Any

import pytest
from django.db import connection, connections
from django.test import Client

from catalog.classified import MASK
from catalog.models import Consumer, Stream, StreamConsumerPermission
from catalog.services.consumers import create_consumer
from governance.models import AuditEntry
from governance.services.grants import end_grant, grant_access
from governance.types import Permission
from ingest.log import partitions
from portal.kernel import clock
from portal.kernel.actor import SYSTEM
from tests.governance.test_grants_of_fields import PURPOSE, SCHEMA, soon
from tests.governance.test_grants_of_keys import key_of
from tests.ingest.test_field_grants import DATA
from tests.ingest.test_reading import now, store
from tests.support.factories import make_stream, make_team

__all__ = ["now"]  # a fixture
ROUNDS = 12


def grant(stream: Stream, holder: Consumer, permission: Permission, *fields: str) -> str:
    return grant_access(
        stream.ref, actor=SYSTEM, permission=permission, holder=holder, purpose=PURPOSE,
        until=soon(), fields=fields,
    ).id  # fmt: skip


def read(stream: Stream, key: str, rest: str = "/events") -> Any:
    return Client(raise_request_exception=False).get(
        f"/api/v1/streams/{stream.name}{rest}", headers={"Authorization": f"Bearer {key}"}
    )


@pytest.mark.django_db
def test_a_consumers_key_reads_the_fields_of_its_grant_and_its_use_is_noted(now: datetime) -> None:
    stream = make_stream(team=make_team(), schema=SCHEMA, extra={"restricted": True})
    store(stream, now, DATA)
    consumer = create_consumer("warehouse", actor=SYSTEM)
    key = key_of(consumer)
    nothing = read(make_stream(), key, "/events/e1").status_code
    assert nothing == 403, "an open stream may be known of"
    for rest in ("/events", "/events/e1", "/schemas", ""):
        assert read(stream, key, rest).status_code == 404

    grant(stream, consumer, Permission.READ_PAYLOAD, "order_id", "email")
    unused = StreamConsumerPermission.objects.filter(last_used_at=None)
    assert unused.count() == 1
    answer = read(stream, key)
    (item,) = answer.json()["items"]
    assert item["data"] == {"order_id": "o1", "email": MASK}
    for value in ("ida@test.example", "Ulm", "+49 30 1"):
        assert value.encode() not in answer.content
    assert read(stream, key, "/events/e1").json()["data"] == item["data"]
    assert read(stream, key, "/schemas").json()["items"][0]["version"] == 1
    assert not unused.exists()
    assert not AuditEntry.objects.filter(action="event.personal_read").exists()

    grant(stream, consumer, Permission.READ_PERSONAL, "email")
    (item,) = read(stream, key).json()["items"]
    assert item["data"] == {"order_id": "o1", "email": "ida@test.example"}
    told = AuditEntry.objects.get(action="event.personal_read")
    assert (told.actor_kind, told.actor_id) == ("consumer", consumer.pk)
    assert told.detail["after"] == {"fields": ["email"], "events": 1}


@pytest.mark.django_db
def test_what_people_do_stays_closed_to_keys_with_a_grant(now: datetime) -> None:
    stream = make_stream(team=make_team(), schema=SCHEMA)
    store(stream, now, DATA)
    consumer = create_consumer("warehouse", actor=SYSTEM)
    grant(stream, consumer, Permission.READ_PERSONAL)
    key = key_of(consumer)
    assert read(stream, key).status_code == 200
    answer = read(stream, key, "/events/e1/reveal")
    assert (answer.status_code, answer.json()["code"]) == (403, "not_for_keys")
    for path in ("/api/v1/grants", "/api/v1/access-requests", "/api/v1/dead-letters"):
        answer = Client().get(path, headers={"Authorization": f"Bearer {key}"})
        assert (answer.status_code, answer.json()["code"]) == (403, "not_for_keys")


@pytest.mark.django_db(transaction=True)
def test_no_read_of_a_key_that_begins_after_a_revocation_was_committed_shows_anything() -> None:
    """One reads without pause, the other revokes at any moment."""
    connection.ensure_connection()
    at = clock.now()
    partitions.make_days(connection.connection, partitions.PARENTS, [at.date()])
    stream = make_stream(team=make_team(), schema=SCHEMA)
    store(stream, at, DATA)
    consumer = create_consumer("warehouse", actor=SYSTEM)
    key = key_of(consumer)
    revoked, begin, stop = threading.Event(), threading.Event(), threading.Event()
    leaked: list[int] = []
    answers: list[tuple[bool, int]] = []

    def read_on() -> None:
        try:
            while not stop.is_set():
                if not begin.wait(0.01):
                    continue
                is_after = revoked.is_set()
                answer = read(stream, key)
                answers.append((is_after, answer.status_code))
                if is_after:
                    if b"o1" in answer.content:
                        leaked.append(1)
                    begin.clear()
        finally:
            connections.close_all()

    reader = threading.Thread(target=read_on)
    reader.start()
    try:
        for _ in range(ROUNDS):
            held = grant(stream, consumer, Permission.READ_PAYLOAD)
            revoked.clear()
            begin.set()
            stop.wait(0.05)
            end_grant(held, actor=SYSTEM)  # committed when it returns
            revoked.set()
            while begin.is_set():
                stop.wait(0.0005)
    finally:
        stop.set()
        reader.join()
    assert leaked == []
    assert {status for is_after, status in answers if is_after} == {403}
    assert (False, 200) in answers, "the reader was never in time to see anything"
