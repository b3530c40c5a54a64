"""Who was erased does not come back: at no door, in no replay, from no archive; and what is kept of it."""

import json
import logging
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from itertools import count
from typing import Any
from uuid import UUID

import psycopg
import pytest
from django.db import connection, transaction

from catalog.models import Stream
from governance import tombstones
from governance.erasing import mark_of
from governance.models import Erasure, ErasureState, Job, Tombstone
from governance.privacy import aside, vault
from governance.services.jobs import run_due_jobs
from ingest.judging import admission, erased
from ingest.log.connection import connect
from ingest.models import ArchivedPart, LetterGroup, Repair, Restore, RestoredEvent, StorageRun
from ingest.selectors import dead_letters
from ingest.services.archives import start_restore
from ingest.services.letters import replay_group
from ingest.services.retention import keep_retention
from portal.kernel import clock
from portal.kernel.actor import SYSTEM
from portal.kernel.errors import UnavailableError
from portal.kernel.identifiers import uuid7
from tests.ingest.conftest import Answer, World, post
from tests.ingest.desk import open_desk
from tests.ingest.storing import ids, make_days, store
from tests.support import canaries
from tests.support.live import wait_until

ADA = "ada.lovelace@shop.example"
ONE = "application/cloudevents+json"
MANY = "application/cloudevents-batch+json"
LINES = "application/x-ndjson"
ERASED = {
    "pointer": "/subject",
    "code": "erased",
    "detail": "is about somebody who was erased",
}


@pytest.fixture(autouse=True)
def _clean(world: World) -> Iterator[None]:
    yield
    Job.objects.all().delete()
    with connection.cursor() as cursor:
        cursor.execute(
            "DELETE FROM governance_tombstone; DELETE FROM governance_erasure;"
            "DELETE FROM ingest_event; DELETE FROM ingest_dead_letter;"
            "DELETE FROM ingest_repair; DELETE FROM ingest_event_ledger"
        )
    for model in (ArchivedPart, Restore, RestoredEvent, StorageRun, LetterGroup, Repair):
        model.objects.all().delete()
    admission.stop_listening()
    tombstones.forget()


def erase(*texts: str, at: datetime | None = None, is_done: bool = True) -> UUID:
    """What an erasure leaves behind at once; committed, and known to this process."""
    with transaction.atomic():
        row = Erasure.objects.create(
            pk=uuid7(), state=ErasureState.RUNNING, basis="objection", reason="asked",
            identifiers=len(texts), at=at or clock.now(), requested_by="dot",
        )  # fmt: skip
        tombstones.put([mark_of(text) for text in texts], row.pk, at or clock.now())
    if is_done:
        finish(row.pk)
    tombstones.load()
    return row.pk


def finish(erasure: UUID) -> None:
    Erasure.objects.filter(pk=erasure).update(
        state=ErasureState.DONE, sealed="", finished_at=clock.now(), receipt={}
    )
    tombstones.load()


def event_of(stream: Stream, name: str = "e1", **members: Any) -> dict[str, Any]:
    return {
        "specversion": "1.0", "id": name, "source": "/shop", "type": stream.name,
        "time": clock.now().isoformat(), "data": {"order": f"secret of {ADA}"},
    } | members  # fmt: skip


def send(key: str, body: Any, kind: str = ONE, **more: Any) -> Answer:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return post(raw, {"content-type": kind, "authorization": f"Bearer {key}"}, **more)


def kept(world: World) -> list[dict[str, Any]]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT * FROM ingest_dead_letter ORDER BY event_id")
        names = [column[0] for column in cursor.description or ()]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def as_json(value: Any) -> Any:
    return json.loads(value) if isinstance(value, str) else value


def nothing_of(*texts: str) -> None:
    """None of the texts stands anywhere in the database."""
    with connection.cursor() as cursor:
        assert canaries.search(canaries.database(cursor), texts) == []


@pytest.mark.parametrize("member", ["subject", "anonymousid", "previousid", "partitionkey"])
@pytest.mark.parametrize("privacy", ["none", "tokenize", "drop"])
def test_an_event_about_the_erased_is_a_dead_letter_without_anything_of_them(
    world: World, member: str, privacy: str
) -> None:
    stream = world.stream(subject_privacy=privacy)
    erase(ADA)
    key = world.key(world.producer())
    answer = send(key, event_of(stream, **{member: ADA.upper()}))
    assert answer.status == 422
    (result,) = answer.json["results"]
    assert (result["reason"], result["errors"]) == ("privacy_refused", [ERASED])
    (letter,) = kept(world)
    assert (bytes(letter["body"]), letter["source"]) == (b"", "")
    assert (letter["event_id"], letter["type"]) == ("e1", stream.name)
    assert letter["stream_id"] == stream.pk
    assert letter["occurred_at"] is not None
    assert as_json(letter["errors"]) == [ERASED]
    nothing_of(ADA, "secret of")
    again = send(key, event_of(stream, "e2", subject="ben"))
    assert (again.status, ids(stream)) == (202, ["e2"])


def test_a_repeat_is_told_the_letter_it_has_and_others_get_their_own(world: World) -> None:
    stream = world.stream()
    erase(ADA)
    key = world.key(world.producer())
    event = event_of(stream, subject=ADA)
    letters = {send(key, event).json["results"][0]["dead_letter"] for _ in range(2)}
    assert len(letters) == 1
    assert send(key, event | {"id": "e2"}).json["results"][0]["dead_letter"] not in letters
    assert len(kept(world)) == 2


def test_an_id_or_a_type_that_names_them_is_not_kept_either(world: World) -> None:
    stream = world.stream()
    erase(ADA)
    key = world.key(world.producer())
    send(key, event_of(stream, ADA, subject=ADA))
    send(key, event_of(stream, "e2", subject=ADA, type=ADA))
    assert {(letter["event_id"], letter["type"]) for letter in kept(world)} == {
        ("", stream.name), ("e2", ""),
    }  # fmt: skip
    nothing_of(ADA)


@pytest.mark.parametrize("kind", [MANY, LINES])
def test_in_a_batch_they_alone_are_refused_on_the_short_way_too(world: World, kind: str) -> None:
    stream = world.stream()
    key = world.key(world.producer(sources=("/shop",)))

    def batch(first: int) -> bytes:
        events = [event_of(stream, f"e{first + n}", subject="ben") for n in range(3)]
        events[1]["subject"] = ADA
        if kind == MANY:
            return json.dumps(events).encode()
        return b"\n".join(json.dumps(event).encode() for event in events)

    assert send(key, batch(0), kind).json["accepted"] == 3
    assert send(key, batch(10), kind).json["accepted"] == 3, "its head is known by now"
    erase(ADA)
    admission.directory.forget()
    for first in (20, 30, 40):
        answer = send(key, batch(first), kind).json
        assert (answer["accepted"], answer["dead_lettered"]) == (2, 1)
        (result,) = answer["results"]
        assert (result["index"], result["errors"]) == (1, [ERASED])
    assert len(ids(stream)) == 12
    assert all(bytes(letter["body"]) == b"" for letter in kept(world))


def test_on_the_short_road_a_known_event_about_them_is_refused_alone_and_together(
    world: World,
) -> None:
    with open_desk(world) as desk:
        desk.refresh()
        for number in range(3):  # its head, its route and its stream are known by then
            desk.send(ONE, json.dumps(desk.event(number, subject=ADA)).encode())
        assert len(desk.taken) >= 3
        erase(ADA)
        desk.refresh()
        with ThreadPoolExecutor(8) as pool:
            answers = list(
                pool.map(
                    lambda n: desk.send(
                        ONE, json.dumps(desk.event(f"x{n}", subject=(ADA, "ben")[n % 2])).encode()
                    ),
                    range(16),
                )
            )
        assert [status for status, _, _ in answers] == [422, 202] * 8
        assert all(body["results"][0]["errors"] == [ERASED] for _, _, body in answers[::2])
        stored = [name for name in ids(desk.stream) if name.startswith("e-x")]
        assert sorted(stored) == sorted(f"e-x{n}" for n in range(1, 16, 2))
    assert all(bytes(letter["body"]) == b"" for letter in kept(world))


def test_binary_mode_knows_them_too(world: World) -> None:
    stream = world.stream()
    erase(ADA)
    key = world.key(world.producer())
    answer = post(
        b'{"order": "1"}',
        {
            "content-type": "application/json", "authorization": f"Bearer {key}", "ce-id": "e1",
            "ce-source": "/shop", "ce-type": stream.name, "ce-specversion": "1.0",
            "ce-subject": ADA.replace("@", "%40"),
        },
    )  # fmt: skip
    assert answer.status == 422
    nothing_of(ADA)


@pytest.mark.parametrize("call", [
    {"userId": ADA}, {"anonymousId": ADA}, {"userId": "ben", "anonymousId": ADA},
    {"userId": "ben", "previousId": ADA},
])  # fmt: skip
def test_segment_calls_about_them_are_answered_and_nothing_is_kept(
    world: World, call: dict[str, Any]
) -> None:
    stream = world.stream()
    erase(ADA)
    key = world.key(world.producer(default_domain=stream.name.partition(".")[0]))
    body = {
        "type": "track", "event": stream.name, "messageId": "m1",
        "properties": {"order": f"secret of {ADA}"}, "context": {"traits": {"email": ADA}},
        "writeKey": key,
    } | call  # fmt: skip
    answer = post(json.dumps(body).encode(), {}, path="/v1/track")
    assert (answer.status, answer.json) == (200, {"success": True})
    (letter,) = kept(world)
    assert (bytes(letter["body"]), letter["reason"]) == (b"", "privacy_refused")
    nothing_of(ADA)


def test_what_cannot_be_read_or_breaks_a_rule_keeps_no_payload_when_it_is_about_them(
    world: World,
) -> None:
    stream = world.stream()
    erase(ADA)
    key = world.key(world.producer())
    send(key, f'{{"subject": "{ADA}", "data": '.encode())
    send(key, event_of(stream, "bad time", subject=ADA, time="yesterday"))
    send(key, event_of(stream, "large", subject=ADA, data={"order": "x" * 270_000}))
    send(key, event_of(stream, "wrong", subject=ADA, data={"amount": "much"}))
    found = {(letter["event_id"], letter["reason"]) for letter in kept(world)}
    assert ("", "unparsable") in found
    assert ("wrong", "privacy_refused") in found
    assert all(bytes(letter["body"]) == b"" for letter in kept(world))
    nothing_of(ADA)


def test_who_may_not_publish_learns_nothing_of_an_erasure(world: World) -> None:
    stream = world.stream()
    erase(ADA)
    key = world.key(world.producer(globs=("elsewhere.*",)))
    for subject in (ADA, "ben"):
        event = event_of(stream, subject=subject, data={"order": f"secret of {subject}"})
        (result,) = send(key, event).json["results"]
        assert result["reason"] == "not_permitted"
        (result,) = send(key, event | {"type": "who.knows"}).json["results"]
        assert result["reason"] == "unknown_stream"
    assert [bytes(letter["body"]) for letter in kept(world) if letter["source"] == ""] == [b"", b""]
    nothing_of(ADA)


def test_a_stream_may_let_them_begin_afresh_after_the_erasure_and_never_before(
    world: World,
) -> None:
    stream = world.stream(erased_subjects="fresh", subject_privacy="tokenize")
    before = clock.now()
    erasure = erase(ADA, at=before + timedelta(milliseconds=1), is_done=False)
    key = world.key(world.producer())
    later = (before + timedelta(seconds=2)).isoformat()
    assert send(key, event_of(stream, "too soon", subject=ADA, time=later)).status == 422
    finish(erasure)
    assert send(key, event_of(stream, "late", subject=ADA, time=before.isoformat())).status == 422
    assert send(key, event_of(stream, "fresh", subject=ADA, time=later)).status == 202
    assert send(key, event_of(stream, "no time", subject=ADA, time=None)).status == 202
    assert ids(stream) == ["fresh", "no time"]


def test_afresh_they_have_another_token_and_another_key(world: World) -> None:
    schema = {
        "type": "object",
        "properties": {"iban": {"type": "string", "x-classification": "sensitive", "x-privacy": "encrypt"}},
    }  # fmt: skip
    stream = world.stream(schema, erased_subjects="fresh", subject_privacy="tokenize")
    key = world.key(world.producer())

    def sent(name: str) -> tuple[str, str]:
        answer = send(key, event_of(stream, name, subject=ADA, data={"iban": "DE1"}))
        assert answer.status == 202, answer.body
        (row,) = [one for one in world.events(stream) if one["event_id"] == name]
        return row["subject"], as_json(row["data"])["iban"]

    token, cipher = sent("e1")
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM governance_privacytoken; DELETE FROM governance_privacykey")
    vault.forget()
    erase(ADA, token)
    fresh_token, fresh_cipher = sent("e2")
    assert vault.is_token(fresh_token)
    assert fresh_token != token
    assert fresh_cipher != cipher
    assert vault.meanings([fresh_token]) == {fresh_token: ADA}
    assert send(key, event_of(stream, "e3", subject=token)).status == 202, "it happened later"
    stream_that_refuses = world.stream()
    assert send(key, event_of(stream_that_refuses, "e4", subject=token)).status == 422


def test_letters_of_before_stay_refused_when_they_are_replayed(world: World) -> None:
    stream = world.stream({"type": "object", "properties": {"n": {"type": "number"}}})
    key = world.key(world.producer())
    for name, subject in (("e1", ADA), ("e2", "ben")):
        send(key, event_of(stream, name, subject=subject, data={"n": "1"}))
    Stream.objects.filter(pk=stream.pk).update(enforcement="observe", erased_subjects="fresh")
    erase(ADA)
    (found,) = dead_letters.groups(SYSTEM)
    replay_group(found, actor=SYSTEM)
    run_due_jobs()
    assert ids(stream) == ["e2"]
    (letter,) = [one for one in kept(world) if one["state"] == "open"]
    assert (letter["event_id"], as_json(letter["tried"])["errors"]) == ("e1", [ERASED])


def test_an_archive_comes_back_without_them(world: World, settings: Any, tmp_path: Any) -> None:
    settings.ARCHIVE_DIR = tmp_path
    stream = world.stream(retention_days=3, archive=True)
    at = clock.now() - timedelta(days=20)
    make_days(at)
    for name, subject in (("e1", ADA), ("e2", "ben"), ("e3", None)):
        store(stream, at, name, {"order": "1"}, subject=subject)
    store(stream, at, "e4", {}, attributes={"anonymousid": ADA})
    keep_retention()
    assert ids(stream) == []
    erase(ADA)
    restore = start_restore(stream, since=at.date(), until=at.date(), actor=SYSTEM)
    run_due_jobs()
    restore.refresh_from_db()
    found = RestoredEvent.objects.filter(restore_id=restore.pk).values_list("event_id", flat=True)
    assert (restore.state, restore.events, sorted(found)) == ("ready", 2, ["e2", "e3"])


def unheard(*texts: str) -> None:
    """An erasure of which nobody tells, as when the notice went into a dead connection."""
    row = Erasure.objects.create(
        state=ErasureState.RUNNING, basis="objection", reason="asked", identifiers=len(texts),
        at=clock.now(), requested_by="dot",
    )  # fmt: skip
    for text in texts:
        Tombstone.objects.create(mark=mark_of(text), erasure=row, erased_at=clock.now())


def listened() -> None:
    admission.start_listening()
    wait_until(lambda: tombstones._until == float("inf"), "the process listens")


def test_a_notice_that_is_lost_costs_six_seconds_at_most(world: World) -> None:
    stream = world.stream()
    key = world.key(world.producer())
    listened()
    assert send(key, event_of(stream, "before", subject=ADA)).status == 202
    unheard(ADA)
    began = time.monotonic()
    numbers = count()

    def is_refused() -> bool:
        return send(key, event_of(stream, f"e{next(numbers)}", subject=ADA)).status == 422

    wait_until(is_refused, "it has read again", seconds=6)
    assert time.monotonic() - began < 6


def test_a_process_that_cannot_listen_reads_like_any_other(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    listened()

    def away(**_: Any) -> Any:
        raise psycopg.OperationalError("away")

    monkeypatch.setattr(admission, "connect", away)
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            " AND query = 'LISTEN portal_catalog'"
        )
    unheard(ADA)
    wait_until(tombstones.any_erased, "it has read again", seconds=3)


def test_while_nobody_can_say_who_was_erased_nothing_is_taken(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream = world.stream()
    key = world.key(world.producer())
    assert send(key, event_of(stream, "before")).status == 202

    def away(*_: Any) -> Any:
        raise UnavailableError("The database does not answer just now.", retry_after_seconds=1)

    with monkeypatch.context() as patch:
        patch.setattr(aside, "run", away)
        tombstones.doubt()
        for body, kind in (
            (event_of(stream, "e1"), ONE),
            ([event_of(stream, "e2"), event_of(stream, "e3")], MANY),
        ):
            answer = send(key, body, kind)
            assert (answer.status, answer.headers["retry-after"]) == (503, "1")
    assert send(key, event_of(stream, "after")).status == 202
    assert ids(stream) == ["after", "before"]


def test_a_connection_says_when_its_server_is_gone() -> None:
    with connect() as link:
        said = link.info.get_parameters()
    assert {name: said[name] for name in (
        "keepalives_idle", "keepalives_interval", "keepalives_count", "tcp_user_timeout"
    )} == {
        "keepalives_idle": "5", "keepalives_interval": "2", "keepalives_count": "3",
        "tcp_user_timeout": "10000",
    }  # fmt: skip


def test_while_nobody_was_erased_no_mark_is_made(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def asked(*args: object) -> None:
        raise AssertionError("a mark costs two microseconds")

    monkeypatch.setattr(erased, "until", asked)
    monkeypatch.setattr(erased, "until_of", asked)
    stream = world.stream()
    key = world.key(world.producer(sources=("/shop",)))
    for number in range(3):
        body = [event_of(stream, f"e{number}-{n}", subject=ADA) for n in range(2)]
        assert send(key, body, MANY).json["accepted"] == 2


def test_no_log_line_says_whom_a_refusal_was_about(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    stream = world.stream()
    erase(ADA)
    with caplog.at_level(logging.DEBUG):
        send(world.key(world.producer()), event_of(stream, subject=ADA))
    assert canaries.search([("log", caplog.text)], [ADA]) == []
