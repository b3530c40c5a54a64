"""Publishing by grant: where, until when, and what a process that has it at hand goes by."""

import json
import time
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Permission as PermissionRow
from django.db.models import F
from django.db.models.functions import Now

from catalog.models import (
    Domain,
    DomainProducerPermission,
    Producer,
    Stream,
    StreamProducerPermission,
)
from governance.types import Permission
from ingest.judging.admission import Directory, directory
from portal.kernel import clock
from tests.ingest.conftest import Answer, World, post
from tests.ingest.test_deprecations import listening
from tests.ingest.test_events_door import event, send
from tests.ingest.test_segment import basic
from tests.support.live import wait_until


def give(
    producer: Producer, thing: Stream | Domain, permission: Permission, *, seconds: float = 3600
) -> Any:
    """A row as granting writes it, whose end lies some seconds ahead by the database's clock."""
    table: Any = StreamProducerPermission if isinstance(thing, Stream) else DomainProducerPermission
    code = f"{permission}_{thing.ref.kind}"
    row = table.objects.create(
        producer=producer, content_object=thing, permission=PermissionRow.objects.get(codename=code),
        valid_until=clock.now() + timedelta(days=1),
    )  # fmt: skip
    table.objects.filter(pk=row.pk).update(
        valid_from=Now() - timedelta(seconds=1), valid_until=Now() + timedelta(seconds=seconds)
    )
    directory.forget()
    return row


def accepted(answer: Answer) -> bool:
    return answer.status == 202 and bool(answer.json["accepted"])


def test_a_producer_without_a_mapping_publishes_by_grant_and_no_longer_than_it_lasts(
    world: World,
) -> None:
    producer = world.producer(globs=())
    key, stream = world.key(producer), world.stream()
    assert send(key, event(stream)).status == 403, "it may publish to nothing at all"
    give(producer, stream, Permission.PUBLISH, seconds=1.5)
    ended_at = time.monotonic() + 1.5
    assert accepted(send(key, event(stream)))
    while accepted(send(key, event(stream))):
        # Nothing tells of an end: each answer is by what this process has at hand.
        assert time.monotonic() < ended_at + 0.5
    assert send(key, event(stream)).status == 403
    assert world.totals(stream.pk, producer)["dead_lettered"] == 0


def test_what_is_at_hand_is_good_until_the_first_end_and_not_a_moment_longer(world: World) -> None:
    producer, lasting = world.producer(globs=()), world.stream()
    key, stream = world.key(producer), world.stream()
    give(producer, lasting, Permission.PUBLISH)
    give(producer, stream, Permission.PUBLISH, seconds=1)
    own = Directory()
    began = time.monotonic()
    found = own.load_publisher(key)
    assert found is not None
    assert found.stream_ids == {lasting.pk, stream.pk}
    while found.stream_ids != {lasting.pk}:  # so says the database's clock when it is over
        assert time.monotonic() < began + 1.2
        while own.publisher(key) is not None:
            assert time.monotonic() < began + 1.05
        found = own.load_publisher(key)
        assert found is not None


def test_a_grant_that_begins_later_is_taken_up_when_it_does(world: World) -> None:
    producer, stream = world.producer(globs=()), world.stream()
    key = world.key(producer)
    row = give(producer, stream, Permission.PUBLISH)
    type(row).objects.filter(pk=row.pk).update(valid_from=Now() + timedelta(seconds=1))
    own = Directory()
    found = own.load_publisher(key)
    assert found is not None
    assert not found.may_publish_anything
    wait_until(lambda: own.publisher(key) is None, "the beginning", seconds=2)
    found = own.load_publisher(key)
    assert found is not None
    assert found.stream_ids == {stream.pk}


def test_other_processes_learn_of_a_grant_and_of_its_revocation(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    producer, stream = world.producer(globs=()), world.stream()
    key = world.key(producer)
    other, listener = listening(monkeypatch)

    def may() -> bool:
        found = other.publisher(key) or other.load_publisher(key)
        return found is not None and stream.pk in found.stream_ids

    try:
        assert not may()
        row = give(producer, stream, Permission.PUBLISH)
        wait_until(may, "a grant", seconds=5)
        type(row).objects.filter(pk=row.pk).update(revoked_at=clock.now())
        wait_until(lambda: not may(), "a revocation", seconds=5)
        # A note of when it was used tells nobody: it changes nothing.
        before = other._generation
        type(row).objects.filter(pk=row.pk).update(last_used_at=clock.now())
        time.sleep(0.7)
        assert other._generation == before
    finally:
        listener.close()


def test_a_grant_on_a_domain_reaches_its_streams_and_those_to_come(world: World) -> None:
    elsewhere = Domain.objects.create(slug=f"{world.domain.slug}b", name="Elsewhere")
    producer = world.producer(globs=())
    key, other = world.key(producer), world.stream(domain=elsewhere, name=f"{elsewhere.slug}.done")
    give(producer, world.domain, Permission.PUBLISH)
    assert accepted(send(key, event(world.stream())))
    assert not accepted(send(key, event(other)))
    Stream.objects.filter(pk=other.pk).update(domain=world.domain)
    directory.forget()
    assert accepted(send(key, event(other)))


def test_the_glob_of_a_key_narrows_a_grant(world: World) -> None:
    producer, stream, other = world.producer(globs=()), world.stream(), world.stream()
    give(producer, world.domain, Permission.PUBLISH)
    key = world.key(producer, streams_glob=stream.name)
    assert accepted(send(key, event(stream)))
    assert send(key, event(other)).json["results"][0]["reason"] == "not_permitted"


def test_a_hidden_stream_is_known_by_grant_alone_and_not_sent_to_by_it(world: World) -> None:
    hidden = world.stream(restricted=True)
    producer = world.producer(globs=("elsewhere.*",))
    key = world.key(producer)
    assert send(key, event(hidden)).json["results"][0]["reason"] == "unknown_stream"
    row = give(producer, hidden, Permission.DISCOVER)
    assert send(key, event(hidden)).json["results"][0]["reason"] == "not_permitted"
    narrow = world.key(producer, streams_glob="elsewhere.*")
    assert send(narrow, event(hidden)).json["results"][0]["reason"] == "unknown_stream"
    row.delete()
    give(producer, hidden, Permission.PUBLISH)
    assert accepted(send(key, event(hidden)))


def test_segments_door_finds_a_hidden_stream_by_its_alias_where_a_grant_says_so(
    world: World,
) -> None:
    hidden = world.stream(True, aliases=("Whispered Deal",), restricted=True)
    producer = world.producer(globs=("elsewhere.*",))
    key = world.key(producer)

    def track(number: int) -> int:
        call = {"type": "track", "event": "Whispered Deal", "userId": "u", "messageId": f"m{number}",
                "properties": {"order": "a"}, "timestamp": clock.now().isoformat()}  # fmt: skip
        answer = post(
            json.dumps(call).encode(),
            {"authorization": basic(key), "content-type": "application/json"}, path="/v1/track",
        )  # fmt: skip
        assert answer.status == 200
        return len(world.events(hidden))

    assert track(1) == 0
    give(producer, hidden, Permission.PUBLISH)
    assert track(2) == 1
    StreamProducerPermission.objects.filter(producer=producer).update(
        valid_until=F("valid_from") + timedelta(milliseconds=1)
    )
    directory.forget()
    assert track(3) == 1
