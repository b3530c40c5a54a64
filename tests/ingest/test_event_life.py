"""One event's life by the times of commits that the server keeps, and where an id is found."""

import re
from collections.abc import Iterator
from datetime import timedelta
from html import unescape
from typing import Any

import pytest
from django.core.cache import cache
from django.db import connection
from django.test import Client

from catalog.services.changes import publish_schema
from governance.types import Permission
from ingest.judging.admission import directory, publisher_of
from ingest.judging.pipeline import accept_events
from ingest.log.connection import connect
from ingest.log.latencies import latencies
from ingest.log.store import close_writer
from ingest.models import DeadLetter
from ingest.selectors import events, finder
from ingest.selectors.event_life import Life, Step, life_of
from ingest.services import letters
from portal.kernel import clock
from portal.kernel.actor import SYSTEM
from portal.kernel.identifiers import uuid7
from tests.ingest.shop import CAST, SCHEMA, Shop, run
from tests.support.factories import make_actor, make_grant, make_person, token_of

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def shop() -> Iterator[Shop]:
    directory.forget_all()
    yield Shop()
    close_writer()
    directory.forget_all()


def life(shop: Shop, event_id: str) -> Life:
    return life_of(shop.stream, events.stored_event(SYSTEM, shop.stream, event_id))


def test_an_event_is_followed_from_its_sender_to_its_readers(shop: Shop) -> None:
    before = clock.now()
    shop.send({"n": 1})
    took = (clock.now() - before).total_seconds()
    found = life(shop, "e0")
    assert [stage.step for stage in found.stages] == [
        Step.HAPPENED, Step.RECEIVED, Step.JUDGED, Step.COMMITTED, Step.READABLE, Step.DELIVERED,
    ]  # fmt: skip
    happened, received, judged, committed, readable, delivered = found.stages
    assert received.seconds is not None
    assert 300 <= received.seconds <= 300 + took
    assert happened.at is not None
    assert received.at is not None
    assert committed.at is not None
    assert readable.at is not None
    assert before <= received.at <= committed.at <= readable.at <= clock.now()
    assert committed.seconds == (committed.at - received.at).total_seconds()
    assert found.readable_seconds == (readable.at - happened.at).total_seconds()
    assert (judged.at, judged.seconds, delivered.at, delivered.says) == (None, None, None, "Not measured")  # fmt: skip
    assert found.is_readable
    assert found.position is not None
    assert found.position[0] > 0


def test_history_that_was_taken_in_later_is_measured_against_no_budget(shop: Shop) -> None:
    received = clock.now() - timedelta(hours=2)
    event = {
        "specversion": "1.0", "id": "old", "source": "/app", "type": shop.stream.name,
        "time": (received - timedelta(seconds=1)).isoformat(), "data": {"n": 1},
    }  # fmt: skip
    said = accept_events(
        [event], publisher=publisher_of(shop.producer), is_import=True, received_at=received
    )
    assert said["accepted"] == 1
    most = (clock.now() - received).total_seconds()
    committed = life(shop, "old").stage(Step.COMMITTED)
    assert committed is not None
    assert committed.seconds is not None
    assert 7200 <= committed.seconds <= most
    assert (committed.budget_seconds, committed.is_late) == (None, False)
    assert committed.says == "Taken in later, as history"


def test_it_is_readable_when_every_earlier_writer_has_ended(shop: Shop) -> None:
    with connect() as earlier:
        earlier.execute("SELECT pg_current_xact_id()")
        shop.send({"n": 1})
        waiting = life(shop, "e0")
        stage = waiting.stage(Step.READABLE)
        assert stage is not None
        assert (waiting.is_readable, stage.at) == (False, None)
        assert stage.says.startswith("Not yet")
    found = life(shop, "e0")
    committed, readable = found.stage(Step.COMMITTED), found.stage(Step.READABLE)
    assert committed is not None
    assert readable is not None
    assert committed.at is not None
    assert readable.at is not None
    assert committed.at < readable.at, "the earlier one committed later"


def test_a_transaction_of_another_epoch_is_not_taken_for_one_of_this(shop: Shop) -> None:
    shop.send({"n": 1})
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE ingest_event SET tx = (tx::text::bigint + 4294967296)::text::xid8"
            " WHERE stream_id = %s", [shop.stream.pk],
        )  # fmt: skip
    stage = life(shop, "e0").stage(Step.COMMITTED)
    assert stage is not None
    assert (stage.at, stage.says) == (None, "The database keeps no times of commits (track_commit_timestamp)")  # fmt: skip


def repaired(shop: Shop) -> DeadLetter:
    shop.send({"n": "1"})
    repair = letters.declare_repair(shop.group(), CAST, actor=shop.ada)
    letters.start_dry_run(repair, actor=shop.ada)
    run()
    repair.refresh_from_db()
    letters.approve_repair(repair, actor=shop.ben)
    letters.apply_repair(repair, actor=shop.ada)
    run()
    letter = DeadLetter.objects.get(stream_id=shop.stream.pk)
    assert letter.state == "replayed"
    return letter


def test_of_a_dead_letter_it_tells_its_refusal_repair_and_replay(shop: Shop) -> None:
    letter = repaired(shop)
    found = life(shop, "e0")
    assert [stage.step for stage in found.stages] == [
        Step.HAPPENED, Step.RECEIVED, Step.REFUSED, Step.REPAIRED, Step.REPLAYED, Step.JUDGED,
        Step.COMMITTED, Step.READABLE, Step.DELIVERED,
    ]  # fmt: skip
    times = [stage.at for stage in found.stages if stage.at is not None]
    assert times[1:5] == sorted(times[1:5])
    assert found.letter is not None
    assert found.letter.id == letter.id
    client = Client(headers={"Authorization": f"Bearer {_token(shop)}"})
    body = client.get(f"/api/v1/dead-letters/{letter.id}").json()
    assert [stage["step"] for stage in body["life"]] == [
        "happened", "received", "refused", "repaired", "replayed",
    ]  # fmt: skip
    answer = client.get(f"/api/v1/streams/{shop.stream.name}/events/e0").json()["portal"]
    assert answer["readable"] is True
    assert [stage["step"] for stage in answer["life"]][2:5] == ["refused", "repaired", "replayed"]
    client.force_login(_owner(shop))
    page = client.get(f"/streams/{shop.stream.name}/events/e0/").content.decode()
    assert "Refused" in page
    assert "It breaks the contract" in page
    assert "not measured" in page


VIEWS = ("", "?life=trace", "?view=fields", "?view=raw", "?view=fields&life=trace")


def test_each_view_of_an_event_holds_back_what_its_reader_may_not_see(shop: Shop) -> None:
    private = {**SCHEMA, "properties": {**SCHEMA["properties"], "note": {
        "type": "string", "x-classification": "personal", "x-privacy": "truncate"}}}  # fmt: skip
    publish_schema(shop.stream, private, actor=SYSTEM)
    directory.forget_all()
    trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    shop.send({"n": 1, "note": "anna of the canary", "odd": "canary too"},
              {"n": 2, "note": "ben"}, traceparent=f"00-{trace}-00f067aa0ba902b7-01")  # fmt: skip
    place = f"/streams/{shop.stream.name}/events/e0/"
    reader, boss, stranger = Client(), Client(), Client()
    reader.force_login(_owner(shop))
    person = _owner(shop)
    make_grant(shop.stream, person, Permission.READ_PERSONAL)
    boss.force_login(person)
    stranger.force_login(make_person())
    for view in VIEWS:
        page = reader.get(place + view).content.decode()
        assert "canary" not in page, view
        assert "kept beside the event, for who may see personal fields" in page, view
        assert stranger.get(place + view).status_code == 403, view
    fields = boss.get(f"{place}?view=fields").content.decode()
    assert "Not in the contract" in fields
    assert "canary too" in fields
    assert "You see one personal field in clear" in fields
    assert trace in boss.get(f"{place}?life=trace").content.decode()
    assert boss.get(f"{place}?view=sideways").status_code == 400
    follows = re.search(r'<a class="btn" href="([^"]+)" data-key="j"', fields)
    assert follows is not None
    assert "/events/e1/" in follows[1]
    last = boss.get(unescape(follows[1])).content.decode()
    assert 'data-key="j"' not in last


def _owner(shop: Shop) -> Any:
    person = make_person(team=shop.team)
    make_grant(shop.stream, person, Permission.READ_PAYLOAD)
    return person


def _token(shop: Shop) -> str:
    return token_of(_owner(shop), "read")


def test_an_id_is_found_by_who_may_read_it_and_by_nobody_else(shop: Shop) -> None:
    name = str(uuid7())
    shop.send({"n": 1}, id=name)
    shop.send({"n": "x"}, start=5)
    letter = DeadLetter.objects.get(stream_id=shop.stream.pk)
    found = finder.find(SYSTEM, "e5")
    assert found.is_complete
    (hit,) = finder.find(SYSTEM, name).hits
    assert (hit.kind, hit.stream, hit.id) == ("event", shop.stream.name, name)
    (by_time,) = finder.find(SYSTEM, name, stream=shop.stream, at=hit.at).hits
    assert by_time == hit
    for seconds, ends in ((-1, 1), (1, 0)):
        moment = hit.at + timedelta(days=shop.stream.retention_days, seconds=seconds)
        with clock.at(moment):
            left = finder.find(SYSTEM, name).hits
        assert len([one for one in left if one.kind == "event"]) == ends, "it lives its days"
    (refused,) = finder.find(SYSTEM, str(letter.id)).hits
    assert (refused.kind, refused.letter) == ("dead_letter", letter.id)
    outsider = make_actor()
    assert finder.find(outsider, name).hits == ()
    assert finder.find(outsider, str(letter.id)).hits == ()
    client = Client(headers={"Authorization": f"Bearer {_token(shop)}"})
    body = client.get("/api/v1/ingest/find", {"id": name}).json()
    assert [(item["kind"], item["id"]) for item in body["items"]] == [("event", name)]
    assert client.get("/api/v1/ingest/find").json()["items"] == []
    stranger = Client(headers={"Authorization": f"Bearer {token_of(make_person(), 'read')}"})
    assert stranger.get("/api/v1/ingest/find", {"id": name}).json()["items"] == []


def test_an_event_without_a_time_is_found_by_the_ledger(shop: Shop) -> None:
    shop.send({"n": 1}, time=None)
    long_after = clock.now() + timedelta(days=3)
    with clock.at(long_after):
        found = finder.find(SYSTEM, "e0")
    assert [hit.kind for hit in found.hits] == ["event"]
    assert found.since > clock.now(), "its own time lies outside of where events are looked for"


def test_the_finder_leads_to_an_event_and_shows_the_life_of_a_letter(shop: Shop) -> None:
    name = str(uuid7())
    shop.send({"n": 1}, id=name)
    shop.send({"n": "x"}, start=5)
    letter = DeadLetter.objects.get(stream_id=shop.stream.pk)
    client = Client()
    client.force_login(_owner(shop))
    answer = client.get("/ingest/find/", {"id": name})
    assert answer.status_code == 302
    assert f"/streams/{shop.stream.name}/events/{name}/?time=" in answer["Location"]
    assert client.get(answer["Location"]).status_code == 200
    page = client.get("/ingest/find/", {"id": str(letter.id)}).content.decode()
    assert "Waits in the dead letters" in page
    assert "Nothing you may see has this id." in client.get("/ingest/find/?id=no").content.decode()
    stranger = Client()
    stranger.force_login(make_person())
    assert "Nothing you may see" in stranger.get("/ingest/find/", {"id": name}).content.decode()


def test_the_pages_show_the_funnel_and_the_latencies(shop: Shop) -> None:
    shop.send({"n": 1}, {"n": "x"})
    latencies().flush()
    client = Client()
    client.force_login(_owner(shop))
    page = client.get(f"/streams/{shop.stream.name}/").content.decode()
    assert "Adds up: 1 accepted + 0 duplicate + 1 refused = 2." in page
    assert "Refused: it breaks the contract" in page
    assert "not measured" in page
    assert "Received → committed" in page
    cache.clear()
    page = client.get("/ingest/").content.decode()
    assert "Happened to readable, p95" in page
    assert "Readable, p95" in page
