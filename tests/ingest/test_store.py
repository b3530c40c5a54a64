"""Tests of the writer against a real PostgreSQL."""

import json

from tests.ingest.conftest import World, post


def test_the_same_event_three_times_is_accepted_once_and_twice_a_duplicate(world: World) -> None:
    stream = world.stream()
    key = world.key(world.producer())
    event = {"specversion": "1.0", "id": "1", "source": "/s", "type": stream.name}
    body = json.dumps(event | {"data": {"order": "a"}}).encode()
    headers = {"content-type": "application/cloudevents+json", "authorization": f"Bearer {key}"}
    answers = [json.loads(post(body, headers).body) for _ in range(3)]
    assert [answer["accepted"] for answer in answers] == [1, 0, 0]
    assert [answer["duplicate"] for answer in answers] == [0, 1, 1]
    assert len(world.events(stream)) == 1
    assert world.dead_letters(stream) == []
