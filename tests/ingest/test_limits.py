"""Quotas: shared through Redis, fair between keys and streams, and local when Redis is away."""

import asyncio
import json
import os
import re
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from django.conf import settings as django_settings
from django.db import connection

from catalog.models import KeyStreamQuota, Stream
from governance.keys import PATTERN
from governance.models import KeyMinute, RefusalTotal
from governance.selectors.key_uses import uses_of_keys
from governance.services.key_uses import forget_old_uses
from ingest.doors import asgi, limits, settling, shared_buckets
from ingest.doors.limits import Quotas, quotas
from ingest.doors.settling import Settler
from ingest.doors.shared_buckets import LOAD, PREFIX, SharedBuckets
from ingest.doors.uses import Uses, uses
from ingest.judging.admission import Publisher, directory
from ingest.log import store
from portal.kernel.errors import RateLimitedError
from portal.launcher import redis as launcher
from portal.launcher.instance import free_port
from tests.ingest.conftest import Answer, World, post

MANY = "application/cloudevents-batch+json"


def publisher(key_id: str, per_second: int) -> Publisher:
    return Publisher(
        1, "sender", None, key_id, frozenset({1}), (), re.compile(".*"), frozenset(), set(),
        per_second, frozenset(),
    )  # fmt: skip


def is_let_in(quotas: Quotas, sender: Publisher) -> bool:
    try:
        quotas.admit(sender)
    except RateLimitedError:
        return False
    return True


def send_for(quotas: Quotas, sender: Publisher, seconds: float, *, each: float) -> int:
    """How many requests of one event were let in, one being sent each so many seconds."""
    return sum(tries_for(quotas, sender, seconds, each=each))


def tries_for(quotas: Quotas, sender: Publisher, seconds: float, *, each: float) -> list[bool]:
    """Whether each of them was let in."""
    found, until = [], time.monotonic() + seconds
    while time.monotonic() < until:
        found.append(is_let_in(quotas, sender))
        time.sleep(each)
    return found


@pytest.fixture
def url() -> Iterator[str]:
    """The tests' Redis, without our buckets."""
    with redis.Redis.from_url(django_settings.REDIS_URL) as client:
        for name in client.scan_iter(f"{PREFIX}*"):
            client.delete(name)
        yield django_settings.REDIS_URL


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A Redis that is slow counts as gone; here that is not what is tested."""
    monkeypatch.setattr(shared_buckets, "SECONDS", 30.0)


@pytest.fixture
def own_redis(tmp_path: Path) -> Iterator[tuple[str, int]]:
    """A Redis that a test may stop: its address and process."""
    server = launcher.Server(tmp_path / "redis", free_port(), "secret", tmp_path / "redis.conf")
    child = launcher.child(server, tmp_path / "redis.log", tmp_path / "redis.pid")
    child.start()
    launcher.wait_ready(server, child)
    pid = int((tmp_path / "redis.pid").read_text().split()[0])
    yield server.url, pid
    os.kill(pid, signal.SIGCONT)
    child.stop()


class Process:
    """What a web process has: an estimate of its own, and a thread that settles it."""

    def __init__(self, url: str) -> None:
        self.quotas = Quotas(Uses())
        self.settler = Settler(self.quotas, Uses(), SharedBuckets(url))


@pytest.mark.alone
def test_two_processes_keep_one_quota(url: str) -> None:
    """The best of three: tokens that come while the machine leaves a process out for long are lost."""
    found = []
    for number in range(3):
        taken = _taken_by_two(url, f"twotwo{number}")
        # Half a second's worth was there at the start; each could be a round ahead of the other.
        if 3.0 * 400 <= sum(taken) <= 3.6 * 400 * 1.1 and min(taken) > 0.2 * sum(taken):
            return
        found.append(taken)
    raise AssertionError(f"{found}: one quota for both, and each process has its part")


def _taken_by_two(url: str, name: str) -> list[int]:
    one, two = Process(url), Process(url)
    sender = publisher(name, 400)
    taken: list[int] = []
    threads = [
        threading.Thread(
            target=lambda quotas: taken.append(send_for(quotas, sender, 3.0, each=0.0005)),
            args=(process.quotas,),
        )
        for process in (one, two)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    one.settler.close()
    two.settler.close()
    return taken


@pytest.mark.usefixtures("patient")
def test_a_new_process_learns_of_a_debt(url: str) -> None:
    one, two = Process(url), Process(url)
    sender = publisher("debtdebt", 50)
    assert is_let_in(one.quotas, sender)
    one.quotas.charge(sender, [None] * 5_000, ())  # type: ignore[list-item]  # only counted
    one.quotas.used.set()
    debts = two.quotas._keys

    def has_learned() -> bool:
        is_let_in(two.quotas, sender)
        return debts["debtdebt"].bucket.tokens < -1000

    wait_until(has_learned, 60.0)
    with pytest.raises(RateLimitedError) as refused:
        two.quotas.admit(sender)
    assert refused.value.headers["Retry-After"] == "60"
    one.settler.close()
    two.settler.close()


def wait_until(is_so: Any, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.mark.alone
def test_a_redis_that_stops_costs_no_request_anything(own_redis: tuple[str, int]) -> None:
    url, pid = own_redis
    process = Process(url)
    sender = publisher("stopstop", 200)
    send_for(process.quotas, sender, 0.2, each=0.002)
    wait_until(lambda: is_let_in(process.quotas, sender) and keys_in(url), 60.0)
    found = []
    for _ in range(3):  # the best of three: the machine itself may hold one up
        os.kill(pid, signal.SIGSTOP)
        longest, taken, began = 0.0, 0, time.monotonic()
        while process.settler.is_shared or time.monotonic() - began < 1.0:
            before = time.perf_counter()
            taken += is_let_in(process.quotas, sender)
            longest = max(longest, time.perf_counter() - before)
            time.sleep(0.001)
            assert time.monotonic() - began < 5, "it never noticed"
        lasted = time.monotonic() - began
        os.kill(pid, signal.SIGCONT)
        wait_until(lambda: is_let_in(process.quotas, sender) and process.settler.is_shared, 4.0)
        found.append((longest, 0.7 * 200 * lasted, taken, 200 * (lasted + 1.1)))
        if longest < 0.05 and found[-1][1] <= taken <= found[-1][3]:
            break  # its own bucket held meanwhile
    else:
        raise AssertionError(found)
    process.settler.close()


def keys_in(url: str) -> list[Any]:
    with redis.Redis.from_url(url) as client:
        return list(client.scan_iter(f"{PREFIX}*"))


@pytest.mark.usefixtures("patient")
def test_a_flushed_redis_keeps_nobody_out(own_redis: tuple[str, int]) -> None:
    url, _ = own_redis
    process = Process(url)
    sender = publisher("flushall", 100)
    send_for(process.quotas, sender, 0.3, each=0.001)
    with redis.Redis.from_url(url) as client:
        client.flushall()
        client.script_flush()
    # Within a window of a second it is let in again, and its bucket is there again.
    wait_until(lambda: is_let_in(process.quotas, sender), 1.0)
    wait_until(lambda: is_let_in(process.quotas, sender) or keys_in(url), 1.0)
    wait_until(lambda: (is_let_in(process.quotas, sender), keys_in(url))[1], 60.0)
    wait_until(lambda: (is_let_in(process.quotas, sender), process.settler.is_shared)[1], 60.0)
    process.settler.close()


def test_a_full_redis_is_as_good_as_none(own_redis: tuple[str, int]) -> None:
    url, _ = own_redis
    with redis.Redis.from_url(url) as client:
        client.config_set("maxmemory", "1mb")
    process = Process(url)
    sender = publisher("fullfull", 1000)
    assert all(tries_for(process.quotas, sender, 0.3, each=0.005))
    wait_until(lambda: not process.settler.is_shared or keys_in(url) == [], 2.0)
    assert is_let_in(process.quotas, sender)
    process.settler.close()


# --- at the door ---


class Sender:
    def __init__(self, world: World, **key: Any) -> None:
        self.key = world.key(world.producer(), **key)
        match = PATTERN.fullmatch(self.key)
        assert match is not None
        self.key_id = match[2]
        self.number = 0

    def send(self, *streams: Stream) -> Answer:
        """One event to each stream that is named, in one request."""
        events = []
        for stream in streams:
            self.number += 1
            events.append(
                {"specversion": "1.0", "id": f"{self.key_id}-{self.number}", "source": "/limits",
                 "type": stream.name, "data": {"order": "a"}}
            )  # fmt: skip
        headers = {"content-type": MANY, "authorization": f"Bearer {self.key}"}
        return post(json.dumps(events).encode(), headers)


def test_a_stream_that_is_used_up_refuses_who_sends_only_there(world: World) -> None:
    small, other = world.stream(events_per_second=20), world.stream()
    one, both = Sender(world), Sender(world)
    assert one.send(*[small] * 40).status == 202
    refused = one.send(*[small] * 40)
    for _ in range(9):  # it is in debt for a second, and the machine may take that long
        if refused.status == 202:
            refused = one.send(*[small] * 40)
    assert (refused.status, refused.json["code"]) == (429, "rate_limited")
    assert refused.json["stream"] == small.name
    assert f'"{small.name}";q=20;w=1' in refused.headers["ratelimit-policy"]
    assert '"events";q=100000;w=1' in refused.headers["ratelimit-policy"]
    assert f'"{small.name}";r=0;t=' in refused.headers["ratelimit"]
    assert 1 <= int(refused.headers["retry-after"]) <= 60
    # Who sends elsewhere too is not kept from that.
    assert both.send(small, other).status == 202
    assert both.send(small).status == 202
    assert both.send(other).status == 202


def test_what_mixed_keys_send_keeps_others_out_for_a_second_at_most(world: World) -> None:
    small, other = world.stream(events_per_second=100), world.stream()
    both = Sender(world)
    found = []
    for _ in range(10):  # a second is soon over where the machine has other work
        assert both.send(other, *[small] * 400).status == 202
        found.append(quotas._streams[small.pk].tokens)
    assert min(found) >= -101, found
    assert any(tokens <= 0 for tokens in found[2:]), found


@pytest.mark.usefixtures("patient")
def test_settling_takes_nothing_from_a_bucket_that_nobody_spent() -> None:
    """However long Redis hears nothing of it, and however long it takes to answer."""
    mine, shared = Quotas(Uses()), SharedBuckets(django_settings.REDIS_URL)
    sender = publisher(f"slow-{time.monotonic_ns()}", 1000)
    answering = 0.0
    for spent in (300, 20):
        for _ in range(spent):
            mine.admit(sender)
        time.sleep(0.05)
        told = mine.take_unsettled()
        ((bucket, count),) = told
        assert count == spent
        asked_at = time.monotonic()
        (left,) = shared.settle(told, asked_at)
        answering += time.monotonic() - asked_at
        time.sleep(0.05)
        looked_at = time.monotonic()
        before = min(bucket.rate, bucket.tokens + (looked_at - bucket.at) * bucket.rate)
        mine.settle(bucket, left, asked_at=asked_at)
        after = min(bucket.rate, before + (time.monotonic() - looked_at) * bucket.rate)
        # When in its answering Redis looked at its clock is all that is not known.
        apart = answering * bucket.rate + 5
        assert before - apart < bucket.tokens < after + apart
    shared.close()


def test_a_key_has_a_quota_for_a_stream(world: World) -> None:
    narrow, other = world.stream(), world.stream()
    mine, neighbour = Sender(world), Sender(world)
    KeyStreamQuota.objects.create(key_id=mine.key_id, stream=narrow, events_per_second=5)
    assert mine.send(other, *[narrow] * 30).status == 202
    refused = mine.send(other)
    assert (refused.status, refused.json["stream"]) == (429, narrow.name)
    assert "this key" in refused.json["detail"]
    assert neighbour.send(*[narrow] * 30).status == 202


def test_a_changed_quota_holds_at_once(world: World, settings: Any) -> None:
    stream = world.stream()
    mine = Sender(world)
    assert mine.send(*[stream] * 30).status == 202
    settings.INGEST_EVENTS_PER_SECOND = 1
    assert mine.send(*[stream] * 30).status == 202, "what is left is cut to the new quota"
    assert mine.send(stream).status == 429
    settings.INGEST_EVENTS_PER_SECOND = 1_000_000
    assert mine.send(stream).status in {202, 429}
    wait_until(lambda: mine.send(stream).status == 202, 2.0)


@pytest.mark.parametrize(
    ("changes", "status"),
    [({"authorization": "Bearer nobody"}, 401), ({"content-type": "text/html"}, 415), ({}, 429)],
)
def test_refusals_come_in_their_order_and_before_the_body(
    world: World, changes: dict[str, str], status: int
) -> None:
    stream = world.stream()
    mine = Sender(world, events_per_second=1)
    assert mine.send(*[stream] * 100).status == 202
    headers = {"content-type": MANY, "authorization": f"Bearer {mine.key}"} | changes
    sent: list[Any] = []

    async def receive() -> Any:
        raise AssertionError("the body was asked for")

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {
        "type": "http", "method": "POST", "path": "/v1/events", "query_string": b"",
        "headers": [(n.encode(), v.encode()) for n, v in headers.items()]
        + [(b"content-length", b"1000")],
    }  # fmt: skip
    asyncio.run(asgi.handle(scope, receive, send))
    assert sent[0]["status"] == status


def test_what_keys_send_and_are_refused_is_kept_by_minute(world: World) -> None:
    settling.stop_settling()  # what other tests counted is written
    stream = world.stream()
    mine = Sender(world, events_per_second=10)
    before = dict(RefusalTotal.objects.values_list("reason", "requests"))
    assert mine.send(*[stream] * 60).status == 202
    assert [mine.send(stream).status for _ in range(3)] == [429] * 3
    settling.stop_settling()
    day = uses_of_keys([mine.key_id])[mine.key_id]["day"]
    assert (day.events, dict(day.refused)) == (60, {"quota_key": 3, "quota_stream": 0, "busy": 0})
    assert day.refused_at is not None
    after = dict(RefusalTotal.objects.values_list("reason", "requests"))
    assert after["quota_key"] - before.get("quota_key", 0) == 3
    with connection.cursor() as cursor:
        cursor.execute("UPDATE governance_keyminute SET minute = minute - interval '4 days'")
    assert forget_old_uses() >= 1
    assert not KeyMinute.objects.filter(key_id=mine.key_id).exists()


def test_counts_wait_for_a_database_that_is_away(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    settling.stop_settling()
    stream = world.stream()
    mine = Sender(world)
    mine.send(stream)
    settling.stop_settling()
    uses.add(mine.key_id, 5)
    with monkeypatch.context() as patched:
        import psycopg

        def away(**_: Any) -> Any:
            raise psycopg.OperationalError("away")

        patched.setattr(settling, "connect", away)
        settler = Settler(quotas, uses, SharedBuckets(django_settings.REDIS_URL))
        settler.close()
    assert not uses.is_empty
    settling.start_settling()
    settling.stop_settling()
    assert uses_of_keys([mine.key_id])[mine.key_id]["day"].events == 6


def test_who_reports_a_load_starts_no_writer(world: World) -> None:
    """Or one that was ended comes back between two lines of whoever ended it."""
    settling.stop_settling()
    store.close_writer()
    settler = Settler(quotas, uses, SharedBuckets(django_settings.REDIS_URL))
    quotas.used.set()
    wait_until(lambda: settler._report_at > 0, 5.0)
    settler.close()
    assert os.getpid() not in store._writers


def test_idle_buckets_are_forgotten_and_debts_are_not(monkeypatch: pytest.MonkeyPatch) -> None:
    mine = Quotas(Uses())
    good, owing = publisher("goodgood", 10), publisher("owesowes", 10)
    mine.admit(good)
    mine.admit(owing)
    mine.charge(owing, [None] * 10_000, ())  # type: ignore[list-item]  # only counted
    monkeypatch.setattr(limits, "_IDLE_SECONDS", -1.0)
    mine.forget_idle()
    assert set(mine._keys) == {"owesowes"}


def test_processes_that_fell_silent_are_forgotten(own_redis: tuple[str, int]) -> None:
    url, _ = own_redis
    with redis.Redis.from_url(url) as client:
        client.hset(LOAD, "gone:1", f"{time.time() - 3600:.0f} 5 5 64 9")
        SharedBuckets(url).report("here:2", f"{time.time():.0f} 3 3 64 1")
        assert list(client.hgetall(LOAD)) == [b"here:2"]


def test_a_flooded_experimental_stream_costs_a_production_one_nothing(
    world: World, settings: Any
) -> None:
    settings.INGEST_EXPERIMENTAL_EVENTS_PER_SECOND = 50
    trial, core = world.stream(), world.stream(track="production")
    loud, quiet = Sender(world), Sender(world)
    answers = []
    for _ in range(30):
        answers.append(loud.send(*[trial] * 400))
        assert quiet.send(*[core] * 20).status == 202
    refused = [answer for answer in answers if answer.status == 429]
    assert len(refused) >= 25, "a second of the machine pays for 50 of 400"
    assert {answer.json["stream"] for answer in refused} == {trial.name}
    assert len(world.events(core)) == 600
    assert quotas.is_on_trial(loud.key_id)
    assert not quotas.is_on_trial(quiet.key_id)
    Stream.objects.filter(pk=trial.pk).update(track="production")
    directory.forget()
    assert loud.send(trial).status in {202, 429}
    wait_until(lambda: loud.send(*[trial] * 400).status == 202, 30.0)
    assert loud.send(*[trial] * 400).status == 202, "in production its key's quota alone counts"
    assert not quotas.is_on_trial(loud.key_id)


def test_an_experimental_stream_with_a_quota_of_its_own_has_no_other(
    world: World, settings: Any
) -> None:
    settings.INGEST_EXPERIMENTAL_EVENTS_PER_SECOND = 1
    stream = world.stream(events_per_second=100_000)
    sender = Sender(world)
    assert [sender.send(*[stream] * 50).status for _ in range(5)] == [202] * 5
