"""Where events lie when their stream moves between the tracks: by their own time alone, for good."""

import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import IntegrityError, transaction
from hypothesis import given
from hypothesis import strategies as st

from catalog.models import Stream
from catalog.services import tracks as moving
from catalog.services.streams import change_stream
from catalog.services.tracks import move_stream, next_moment, promote_stream
from catalog.tracks import LEAD, moment_of_move, track_at
from catalog.types import Track
from governance import audit
from ingest.judging import admission
from ingest.log import partitions
from ingest.log.lives import Life
from ingest.selectors.events import stored_events
from ingest.selectors.own_times import latest_after
from ingest.services.retention import keep_retention
from ingest.times import us_of
from portal.kernel import clock
from portal.kernel.actor import SYSTEM
from tests.ingest.conftest import World
from tests.ingest.storing import ids, leaf_days, make_days, store
from tests.ingest.test_admission import entry
from tests.ingest.test_identity import Server, event, outcomes, send

HOUR = timedelta(hours=1)
MINUTE = timedelta(minutes=1)
SECOND = timedelta(seconds=1)
TIMES = st.datetimes(
    datetime(2026, 1, 1), datetime(2027, 1, 1), timezones=st.just(UTC)  # noqa: DTZ001 (given one)
)  # fmt: skip


@pytest.fixture(scope="module")
def key(world: World) -> str:
    return world.key(world.producer())


def sides(world: World, stream: Stream) -> dict[str, int]:
    """The track of each stored event of a stream."""
    rows = world.events(stream)
    found = {row["event_id"]: row["track"] for row in rows}
    assert len(found) == len(rows), "an event is stored once"
    return found


def back(stream: Stream) -> datetime:
    """Move a stream to the experimental track, as its approvers would."""
    with transaction.atomic():
        moment = move_stream(stream, Track.EXPERIMENTAL)
    assert moment is not None
    return moment


@given(st.lists(TIMES, unique=True, max_size=6), TIMES, st.sampled_from(Track))
def test_the_door_the_sweep_and_the_catalog_agree_where_an_event_lies(
    moments: list[datetime], at: datetime, track: Track
) -> None:
    moments.sort()
    wanted = track_at(track, moments, at)
    found = entry()
    found.track = 0 if track == Track.PRODUCTION else 1
    found.moments_us = tuple(us_of(moment) for moment in reversed(moments))
    found.moved_us = found.moments_us[0] if moments else admission.NEVER
    number = 0 if wanted == Track.PRODUCTION else 1
    assert found.track_of(us_of(at)) == number
    life = Life(1, "a.b", 30, track == Track.PRODUCTION, tuple(moments))
    assert life.may_lie_in(number, at.date())
    if not any(moment.date() == at.date() for moment in moments):
        assert not life.may_lie_in(1 - number, at.date()), "two tracks only on the day of a move"


@given(TIMES, st.integers(0, 86_400), st.none() | TIMES, st.none() | TIMES)
def test_a_moment_lies_beyond_whatever_may_have_been_let_in(
    now: datetime, ahead: int, newest: datetime | None, last: datetime | None
) -> None:
    found = moment_of_move(now, ahead=timedelta(seconds=ahead), newest=newest, last=last)
    assert found >= now + timedelta(seconds=ahead) + LEAD
    assert newest is None or found >= newest
    assert last is None or found > last
    assert (found.second, found.microsecond) == (0, 0)


def test_a_stream_goes_there_and_back_and_each_event_stays_one(world: World, key: str) -> None:
    now = clock.now()
    stream = world.stream(ahead_seconds=3600)

    def at(minutes: float) -> dict[str, Any]:
        return event(stream, time=(now - minutes * MINUTE).isoformat())

    oldest, old = at(400), at(302)
    assert send(key, oldest, old) == ["accepted"] * 2
    with clock.at(now - 300 * MINUTE):  # events up to an hour ahead were let in
        promote_stream(stream, actor=SYSTEM)
    (there,) = stream.track_moments
    assert now - 240 * MINUTE + LEAD <= there <= now - 238 * MINUTE
    admission.directory.forget_all()
    late, between = at(250), at(200)
    assert send(key, oldest, old, late, between) == ["duplicate"] * 2 + ["accepted"] * 2
    with clock.at(now - 230 * MINUTE):
        moment = back(stream)
    assert moment >= now - 200 * MINUTE, "what is stored in production is found there again"
    admission.directory.forget_all()
    later, fresh, late_again = at(201), at(5), at(390)
    assert send(key, later, fresh, late_again) == ["accepted"] * 3
    everything = [oldest, old, late, between, later, fresh, late_again]
    assert send(key, *everything) == ["duplicate"] * 7
    changed = [one | {"data": {"order": "another"}} for one in everything]
    assert send(key, *changed) == ["id_conflict"] * 7
    assert sides(world, stream) == {
        oldest["id"]: 1, old["id"]: 1, late["id"]: 1, late_again["id"]: 1,
        between["id"]: 0, later["id"]: 0, fresh["id"]: 1,
    }  # fmt: skip


def test_reads_and_positions_span_both_tracks(world: World, key: str) -> None:
    now = clock.now()
    stream = world.stream(ahead_seconds=60)
    before = event(stream, time=(now - 3 * HOUR).isoformat())
    assert send(key, before) == ["accepted"]
    with clock.at(now - 2 * HOUR):
        promote_stream(stream, actor=SYSTEM)
    admission.directory.forget_all()
    after = event(stream, time=(now - HOUR).isoformat())
    late = event(stream, time=(now - 150 * MINUTE).isoformat())
    assert send(key, after) == ["accepted"]
    assert send(key, late) == ["accepted"]
    assert sides(world, stream) == {before["id"]: 1, after["id"]: 0, late["id"]: 1}
    newest_first = [one.id for one in stored_events(SYSTEM, stream).items]
    assert newest_first == [after["id"], late["id"], before["id"]]
    paged = []
    cursor = None
    while True:
        page = stored_events(SYSTEM, stream, limit=1, cursor=cursor)
        paged += [one.id for one in page.items]
        if (cursor := page.next) is None:
            break
    assert paged == newest_first
    rows = sorted(world.events(stream), key=lambda row: (int(row["tx"]), row["seq"]))
    assert [row["event_id"] for row in rows] == [before["id"], after["id"], late["id"]], (
        "offsets go on in the order of commits"
    )


def test_events_that_came_ahead_of_their_time_stay_where_they_were_stored(
    world: World, key: str
) -> None:
    stream = world.stream(ahead_seconds=7200)
    soon = clock.now() + 100 * MINUTE
    make_days(soon)
    ahead = event(stream, time=soon.isoformat())
    assert send(key, ahead) == ["accepted"]
    assert latest_after(stream.pk, clock.now()) == soon
    assert latest_after(stream.pk, soon) is None
    Stream.objects.filter(pk=stream.pk).update(ahead_seconds=0)  # long ago: no audit row
    stream.refresh_from_db()
    promote_stream(stream, actor=SYSTEM)
    assert stream.track_moments[-1] >= soon
    Stream.objects.filter(pk=stream.pk).update(ahead_seconds=7200)
    admission.directory.forget_all()
    assert send(key, ahead) == ["duplicate"]


def test_a_window_that_was_narrowed_a_moment_ago_still_counts(world: World) -> None:
    stream = world.stream(ahead_seconds=3600)
    change_stream(stream, {"ahead_seconds": 0}, actor=SYSTEM)
    assert next_moment(stream) >= clock.now() + HOUR
    with clock.at(clock.now() + LEAD + SECOND):
        assert next_moment(stream) <= clock.now() + LEAD + MINUTE


def test_whoever_reads_much_meanwhile_hides_no_narrowed_window(world: World) -> None:
    stream = world.stream(ahead_seconds=3600)
    change_stream(stream, {"ahead_seconds": 0}, actor=SYSTEM)
    for _ in range(150):
        audit.record(SYSTEM, "event.personal_read", stream.ref, summary="looked at its events")
    change_stream(stream, {"title": "Orders"}, actor=SYSTEM)
    assert next_moment(stream) >= clock.now() + HOUR
    with clock.at(clock.now() + LEAD + SECOND):
        assert next_moment(stream) <= clock.now() + LEAD + MINUTE


def test_a_process_that_was_not_told_writes_where_the_others_look(world: World, key: str) -> None:
    stream = world.stream(ahead_seconds=600)
    assert send(key, event(stream)) == ["accepted"]  # the stream is known to this process now
    known = admission.directory.stream(stream.name)
    assert known is not None
    promote_stream(stream, actor=SYSTEM)
    admission.directory.forget()
    # As a process whose notice was lost would go on for some seconds, up to the edge of the window.
    admission.directory._streams[stream.name] = (known, time.monotonic() + 5)
    edge = event(stream, time=(clock.now() + 599 * SECOND).isoformat())
    assert send(key, edge) == ["accepted"]
    admission.directory.forget_all()
    assert send(key, edge) == ["duplicate"]
    assert sides(world, stream)[edge["id"]] == 1


@pytest.fixture
def servers(world: World) -> Iterator[list[Server]]:
    started = [Server(), Server()]
    try:
        for server in started:
            server.wait()
        yield started
    finally:
        for server in started:
            server.kill()


def test_two_processes_switch_at_the_same_own_time_while_events_flow(
    world: World, servers: list[Server], key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each event goes to both at once; the moment is three seconds ahead, and nobody waits for it."""
    stream = world.stream(ahead_seconds=0)
    for server in servers:
        server.send(key, event(stream))
    moments = []

    def soon(now: datetime, **_: Any) -> datetime:
        moments.append(now + 3 * SECOND)
        return moments[-1]

    monkeypatch.setattr(moving, "moment_of_move", soon)
    said: list[str] = []
    end = time.monotonic() + 6

    def sender(place: int) -> None:
        number = 0
        while time.monotonic() < end:
            number += 1
            batch = [event(stream, f"flow-{place}-{number}-{n}") for n in range(20)]
            pair = [threading.Thread(target=tell, args=(server, batch)) for server in servers]
            for thread in pair:
                thread.start()
            for thread in pair:
                thread.join()
            time.sleep(0.05)

    def tell(server: Server, batch: list[dict[str, Any]]) -> None:
        said.extend(outcomes(server.send(key, *batch).json))

    senders = [threading.Thread(target=sender, args=(place,)) for place in range(2)]
    for thread in senders:
        thread.start()
    promote_stream(stream, actor=SYSTEM)
    for thread in senders:
        thread.join()
    rows = [row for row in world.events(stream) if row["event_id"].startswith("flow-")]
    assert set(said) == {"accepted", "duplicate"}
    assert said.count("accepted") == said.count("duplicate") == len(rows)
    assert len({row["event_id"] for row in rows}) == len(rows)
    assert {row["track"] for row in rows} == {0, 1}
    (moment,) = moments
    assert all((row["occurred_at"] > moment) == (row["track"] == 0) for row in rows)


def test_the_day_of_a_move_is_let_go_on_both_tracks(world: World) -> None:
    Stream.objects.filter(domain=world.domain).update(retention_days=1)
    stream = world.stream(retention_days=3)
    noon = clock.now().replace(hour=12, minute=0, second=0, microsecond=0) - timedelta(days=20)
    make_days(noon)
    Stream.objects.filter(pk=stream.pk).update(
        track="production", production_since=noon, track_moments=[noon]
    )
    store(stream, noon - HOUR, "before", track=1)
    store(stream, noon + HOUR, "after", track=0)
    assert ids(stream) == ["after", "before"]
    keep_retention()
    assert ids(stream) == []
    for parent in partitions.EVENT_PARENTS.values():
        assert noon.date().isoformat() not in leaf_days(parent)


def test_the_database_keeps_moments_in_order(world: World) -> None:
    stream = world.stream()
    now = clock.now()
    for moments, since in (([now, now - HOUR], now - HOUR), ([now], now - HOUR)):
        with (
            pytest.raises(IntegrityError, match=r"stream_(moments|production)"),
            transaction.atomic(),
        ):
            Stream.objects.filter(pk=stream.pk).update(
                track="production", track_moments=moments, production_since=since
            )
