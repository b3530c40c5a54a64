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


def test_a_refused_event_that_is_sent_again_keeps_the_dead_letter_it_has(world: World) -> None:
    stream = world.stream()
    key, other = world.key(world.producer()), world.key(world.producer())
    event = {"specversion": "1.0", "id": "1", "source": "/s", "type": stream.name, "data": {}}
    batch = json.dumps([event, event | {"id": "2"}, event]).encode()
    headers = {"content-type": "application/cloudevents-batch+json"}

    def letters(who: str) -> list[str]:
        answer = post(batch, headers | {"authorization": f"Bearer {who}"}).json
        assert answer["dead_lettered"] == answer["received"] == 3
        return [result["dead_letter"] for result in answer["results"]]

    first = letters(key)
    assert first[0] == first[2] != first[1]
    assert letters(key) == first
    assert {str(row["id"]) for row in world.dead_letters(stream)} == set(first)
    assert set(letters(other)).isdisjoint(first)
    assert len(world.dead_letters(stream)) == 4
