"""Stored events and dead letters as their readers see them."""

import json
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from django.db import connection

from catalog.classified import MASK
from catalog.models import Stream
from catalog.services.changes import publish_schema
from governance.models import AuditEntry
from governance.selectors.people import actor_of
from governance.services.grants import grant_access
from governance.types import Permission, Role
from ingest.log import partitions
from ingest.selectors.dead_letters import get_dead_letter, readable_body, visible_dead_letters
from ingest.selectors.events import StoredEvent, stored_events
from portal.kernel import clock
from portal.kernel.actor import SYSTEM, Actor
from tests.support.factories import (
    ORDER_SCHEMA,
    make_actor,
    make_grant,
    make_person,
    make_stream,
    make_team,
)

pytestmark = pytest.mark.django_db
_EVENT = """
INSERT INTO ingest_event (stream_id, track, occurred_at, event_id, received_at, producer_id,
    version, subject, source, attributes, data, data_base64, extra, content_hash, marks, tx, seq)
VALUES (%s, 1, %s, %s, %s, 1, %s, %s, '/t', %s, %s, %s, %s, '', 0, '7', 1)
"""
_LETTER = """
INSERT INTO ingest_dead_letter (id, received_at, stream_id, producer_id, type, event_id, source,
    reason, errors, body, content_type, body_sha256, group_key)
VALUES (%s, %s, %s, 1, %s, 'e', '/t', %s, '[]', 'who@test.example', '', '', 'g')
"""


@pytest.fixture
def now() -> datetime:
    connection.ensure_connection()
    assert isinstance(connection.connection, psycopg.Connection)
    at = clock.now()
    partitions.make_days(connection.connection, partitions.PARENTS, [at.date()])
    return at


def store(stream: Stream, at: datetime, data: Any = None, **fields: Any) -> None:
    values: dict[str, Any] = {
        "id": "e1", "version": 1, "subject": None, "attributes": {}, "binary": None, "extra": None,
    } | fields  # fmt: skip
    with connection.cursor() as cursor:
        cursor.execute(
            _EVENT,
            [
                stream.pk, at, values["id"], at, values["version"], values["subject"],
                json.dumps(values["attributes"]), None if data is None else json.dumps(data),
                values["binary"], json.dumps(values["extra"]) if values["extra"] else None,
            ],
        )  # fmt: skip


def seen(stream: Stream, actor: Actor) -> StoredEvent:
    return stored_events(actor, stream).items[0]


def reader(stream: Stream, permission: Permission = Permission.READ_PAYLOAD) -> Actor:
    person = make_person()
    make_grant(stream, person, permission)
    return actor_of(person)


def test_a_reader_of_the_payload_sees_personal_values_masked_and_leaves_no_row(
    now: datetime,
) -> None:
    stream = make_stream(team=make_team())
    store(stream, now, {"order_id": "A", "email": "who@test.example"})
    actor, rows = reader(stream), AuditEntry.objects.count()
    event = seen(stream, actor)
    assert event.data == {"order_id": "A", "email": MASK}
    assert event.masked == ("email",)
    assert AuditEntry.objects.count() == rows


def test_a_reader_of_personal_values_sees_them_and_leaves_one_row_that_names_places_only(
    now: datetime,
) -> None:
    stream = make_stream(team=make_team())
    for name in ("e1", "e2"):
        store(stream, now, {"email": "who@test.example"}, id=name)
    actor = reader(stream, Permission.READ_PERSONAL)
    assert [row.data["email"] for row in stored_events(actor, stream).items] == [
        "who@test.example"
    ] * 2
    (row,) = AuditEntry.objects.filter(action="event.personal_read", object_key=stream.name)
    assert row.detail["after"] == {"fields": ["email"], "events": 2}
    assert "who@" not in json.dumps(row.detail) + row.summary


def test_what_a_segment_sdk_knew_of_a_person_is_masked_with_them(now: datetime) -> None:
    known = {"context": '{"ip":"203.0.113.9"}', "anonymousid": "anon-7", "event": "Order"}
    about_people = make_stream(team=make_team())
    plain = make_stream(team=make_team(), schema={"type": "object"})
    hidden = make_stream(team=make_team(), schema={"type": "object"})
    Stream.objects.filter(pk=hidden.pk).update(subject_classification="personal")
    for stream in (about_people, plain, hidden):
        store(stream, now, {"order_id": "A"}, subject="user-1", attributes=known)
        stream.refresh_from_db()
    masked = known | {"context": MASK, "anonymousid": MASK}
    for stream, expected in ((about_people, masked), (hidden, masked), (plain, known)):
        event = seen(stream, reader(stream))
        assert event.attributes == expected
        assert {"context", "anonymousid"} <= set(event.masked) or expected is known
    actor = reader(about_people, Permission.READ_PERSONAL)
    assert seen(about_people, actor).attributes == known
    (row,) = AuditEntry.objects.filter(action="event.personal_read", object_key=about_people.name)
    assert {"context", "anonymousid"} <= set(row.detail["after"]["fields"])


def test_what_is_personal_today_is_masked_in_events_of_before(now: datetime) -> None:
    plain = {"type": "object", "properties": {"nick": {"type": "string"}}}
    stream = make_stream(team=make_team(), schema=plain)
    store(stream, now, {"nick": "ada"})
    actor = reader(stream)
    assert seen(stream, actor).data == {"nick": "ada"}
    classified = {"type": "object", "properties": {"nick": {"x-classification": "personal"}}}
    publish_schema(stream, classified, actor=SYSTEM)
    assert seen(stream, actor).data == {"nick": MASK}


def test_a_personal_subject_is_masked_with_every_attribute_that_repeats_it(now: datetime) -> None:
    stream = make_stream(
        team=make_team(), schema={"type": "object"}, subject_classification="personal"
    )
    attributes = {"partitionkey": "who", "environment": "live"}
    store(stream, now, {"a": 1}, subject="who", attributes=attributes)
    event = seen(stream, reader(stream))
    assert (event.subject, event.masked) == (MASK, ("subject",))
    assert event.attributes == {"partitionkey": MASK, "environment": "live"}
    assert seen(stream, reader(stream, Permission.READ_PERSONAL)).subject == "who"


def test_what_no_contract_speaks_of_is_held_back_in_a_personal_stream(now: datetime) -> None:
    stream = make_stream(team=make_team())
    store(stream, now, binary=b"who", extra={"/mail": "who@test.example"})
    event = seen(stream, reader(stream))
    assert (event.binary, event.extra) == (None, None)
    clear = seen(stream, reader(stream, Permission.READ_PERSONAL))
    assert clear.extra == {"/mail": "who@test.example"}
    assert clear.as_cloudevent()["data_base64"] == "d2hv"
    assert "data" not in clear.as_cloudevent()
    open_stream = make_stream(team=make_team(), schema={"type": "object"})
    store(open_stream, now, {"a": 1}, extra={"/b": 2})
    assert seen(open_stream, reader(open_stream)).extra == {"/b": 2}


def letter(stream_id: int, at: datetime, type_: str, reason: str = "schema_violation") -> UUID:
    made = uuid4()
    with connection.cursor() as cursor:
        cursor.execute(_LETTER, [made, at, stream_id, type_, reason])
    return made


def shown(letter_id: UUID, actor: Actor) -> str | None:
    return readable_body(actor, get_dead_letter(actor, letter_id))


def test_a_dead_letter_of_a_stream_with_a_personal_subject_needs_the_grant_to_personal_fields(
    now: datetime,
) -> None:
    team = make_team()
    stream = make_stream(team=team, schema={"type": "object"}, subject_classification="personal")
    found = letter(stream.pk, now, stream.name)
    person = make_person(team=team)
    assert shown(found, actor_of(person)) is None
    make_grant(stream, person, Permission.READ_PERSONAL)
    assert shown(found, actor_of(person)) == "who@test.example"
    assert AuditEntry.objects.filter(action="dead_letter.personal_read").count() == 1


def test_a_body_refused_as_unknown_is_guarded_like_the_stream_it_names(now: datetime) -> None:
    """Its producer may not know of the stream; what it sent is no less personal for that."""
    stream = make_stream(team=make_team(), schema=ORDER_SCHEMA, extra={"restricted": True})
    found = letter(0, now, stream.name, "unknown_stream")
    assert shown(found, make_actor(Role.ON_CALL)) is None


def test_a_body_of_no_stream_needs_a_grant_to_personal_fields_whatever_the_role(
    now: datetime,
) -> None:
    stream = make_stream("neverland.seen", team=make_team())
    found = letter(0, now, "neverland.registered", "unknown_stream")
    person = make_person(Role.ON_CALL)
    for actor in (actor_of(person), make_actor(Role.ADMIN)):
        assert shown(found, actor) is None
    make_grant(stream, person, Permission.READ_PERSONAL)
    assert shown(found, actor_of(person)) is None, "its domain's fields are more than a stream's"
    grant_access(
        stream.domain.ref, actor=SYSTEM, permission=Permission.READ_PERSONAL, holder=person,
        purpose="To find who sends what.", until=clock.now() + timedelta(days=1),
    )  # fmt: skip
    assert shown(found, actor_of(person)) == "who@test.example"
    assert AuditEntry.objects.filter(action="dead_letter.personal_read").count() == 1


def test_a_reading_token_of_the_owner_team_sees_its_dead_letters(now: datetime) -> None:
    team = make_team()
    stream, person = make_stream(team=team), make_person(team=team)
    letter(stream.pk, now, stream.name)
    narrow = actor_of(person, scopes=frozenset({"read"}))
    assert visible_dead_letters(narrow).count() == 1
    assert visible_dead_letters(actor_of(person, scopes=frozenset({"write"}))).count() == 0
