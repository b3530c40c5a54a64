"""What a grant about some fields shows of stored events and dead letters, and when it ended."""

import os
import threading
from datetime import datetime
from typing import Any

import pytest
from django.db import connection, connections
from django.test import Client

from catalog.classified import MASK
from catalog.models import Stream
from governance.models import AuditEntry, User
from governance.selectors.people import actor_of
from governance.selectors.requests import live_grants
from governance.services.grants import end_grant, grant_access
from governance.types import Permission
from ingest.log import partitions
from ingest.selectors.dead_letters import may_read_body, may_reveal, visible_dead_letters
from ingest.selectors.events import stored_events
from ingest.selectors.synthetic import learn
from portal.kernel import clock
from portal.kernel.actor import SYSTEM
from portal.kernel.errors import PortalError
from tests.governance.test_grants_of_fields import PURPOSE, SCHEMA, soon
from tests.ingest.test_reading import now, seen, store
from tests.support.factories import make_person, make_stream, make_team, token_of

__all__ = ["now"]  # a fixture
DATA: dict[str, Any] = {
    "order_id": "o1", "amount": 5, "email": "ida@test.example", "phone": "+49 30 1",
    "ship_to": {"city": "Ulm", "street": "Hof 1"},
}  # fmt: skip
# 1,000 take minutes: `PORTAL_TEST_ROUNDS=1000`.
ROUNDS = int(os.environ.get("PORTAL_TEST_ROUNDS", "100"))


def grant(stream: Stream, person: User, permission: Permission, *fields: str) -> str:
    return grant_access(
        stream.ref, actor=SYSTEM, permission=permission, holder=person, purpose=PURPOSE,
        until=soon(), fields=fields,
    ).id  # fmt: skip


@pytest.mark.django_db
def test_only_granted_fields_are_shown_and_personal_ones_of_them_in_clear_by_name(
    now: datetime,
) -> None:
    stream, ida = make_stream(team=make_team(), schema=SCHEMA), make_person()
    store(stream, now, DATA, extra={"/data/unknown": "x"}, attributes={"context": "{}"})
    shown = ("order_id", "email", "phone", "ship_to.city")
    grant(stream, ida, Permission.READ_PAYLOAD, *shown)
    event = seen(stream, actor_of(ida))
    assert event.data == {
        "order_id": "o1", "email": MASK, "phone": MASK, "ship_to": {"city": "Ulm"}
    }  # fmt: skip
    assert set(event.left_out) == {"amount", "ship_to.street"}
    assert event.extra is None
    assert not AuditEntry.objects.filter(action="event.personal_read").exists()
    grant(stream, ida, Permission.READ_PERSONAL, "email")
    event = seen(stream, actor_of(ida))
    assert event.data["email"] == "ida@test.example"
    assert event.data["phone"] == MASK
    assert event.attributes == {"context": MASK}
    row = AuditEntry.objects.get(action="event.personal_read")
    assert row.detail["after"] == {"fields": ["email"], "events": 1}
    assert b"ida@test.example" not in str(row.detail).encode()


@pytest.mark.django_db
def test_over_rest_what_is_left_out_is_named_and_never_sent(now: datetime) -> None:
    stream, ida = make_stream(team=make_team(), schema=SCHEMA), make_person()
    store(stream, now, DATA)
    grant(stream, ida, Permission.READ_PAYLOAD, "order_id")
    answer = Client().get(
        f"/api/v1/streams/{stream.name}/events",
        headers={"Authorization": f"Bearer {token_of(ida)}"},
    )
    (item,) = answer.json()["items"]
    assert item["data"] == {"order_id": "o1"}
    assert "amount" in item["portal"]["left_out"]
    for value in ("ida@test.example", "Ulm", "+49 30 1"):
        assert value.encode() not in answer.content


@pytest.mark.django_db
def test_data_that_is_no_object_is_left_out_whole(now: datetime) -> None:
    stream, ida = make_stream(team=make_team(), schema=SCHEMA), make_person()
    store(stream, now, ["o1", "ida@test.example"])
    grant(stream, ida, Permission.READ_PAYLOAD, "order_id")
    event = seen(stream, actor_of(ida))
    assert (event.data, event.left_out) == (None, ("data",))


@pytest.mark.django_db
def test_when_a_grant_was_last_used_is_kept(now: datetime) -> None:
    stream, ida = make_stream(team=make_team(), schema=SCHEMA), make_person()
    store(stream, now, DATA)
    grant(stream, ida, Permission.READ_PAYLOAD)
    (held,) = live_grants(actor_of(ida), mine=True)
    assert held.last_used_at is None
    seen(stream, actor_of(ida))
    (held,) = live_grants(actor_of(ida), mine=True)
    assert held.last_used_at is not None


@pytest.mark.django_db
def test_a_grant_to_some_fields_opens_neither_bodies_nor_distributions(now: datetime) -> None:
    stream, ida = make_stream(team=make_team(), schema=SCHEMA), make_person()
    for number in range(60):
        store(stream, now, DATA | {"amount": number}, id=f"e{number}")
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO ingest_dead_letter (id, received_at, stream_id, producer_id, type, event_id,"
            " source, reason, errors, body, content_type, body_sha256, group_key)"
            " VALUES (gen_random_uuid(), %s, %s, 1, %s, 'e', '/t', 'schema_violation', '[]',"
            " 'ida@test.example', '', '', 'g')",
            [now, stream.pk, stream.name],
        )
    letter = visible_dead_letters(SYSTEM).get(stream_id=stream.pk)
    grant(stream, ida, Permission.READ_PERSONAL, "email")
    assert not may_read_body(actor_of(ida), letter)
    assert not may_reveal(actor_of(ida), letter)
    assert learn(actor_of(ida), stream, SCHEMA)[0] == {}
    grant(stream, ida, Permission.READ_PERSONAL)
    assert may_read_body(actor_of(ida), letter)
    assert may_reveal(actor_of(ida), letter)
    assert learn(actor_of(ida), stream, SCHEMA)[0] != {}


@pytest.mark.django_db(transaction=True)
def test_no_read_that_begins_after_a_revocation_was_committed_shows_anything() -> None:
    """One reads without pause, the other revokes at any moment."""
    connection.ensure_connection()
    at = clock.now()
    partitions.make_days(connection.connection, partitions.PARENTS, [at.date()])
    stream, ida = make_stream(team=make_team(), schema=SCHEMA), make_person()
    store(stream, at, DATA)
    actor = actor_of(ida)
    revoked, begin, stop = threading.Event(), threading.Event(), threading.Event()
    leaked: list[int] = []
    shown_before = 0

    def read() -> None:
        nonlocal shown_before
        try:
            while not stop.is_set():
                if not begin.wait(0.01):
                    continue
                is_after = revoked.is_set()
                try:
                    found = bool(stored_events(actor, stream).items)
                except PortalError:
                    found = False
                if found and is_after:
                    leaked.append(1)
                shown_before += found and not is_after
                if is_after:
                    begin.clear()
        finally:
            connections.close_all()

    reader = threading.Thread(target=read)
    reader.start()
    try:
        for _ in range(ROUNDS):
            held = grant(stream, ida, Permission.READ_PAYLOAD)
            revoked.clear()
            begin.set()
            end_grant(held, actor=SYSTEM)  # committed when it returns
            revoked.set()
            while begin.is_set():
                stop.wait(0.0005)
    finally:
        stop.set()
        reader.join()
    assert leaked == []
    assert shown_before > ROUNDS / 20, "the reader was never in time to see anything"
