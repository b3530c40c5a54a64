"""Tests of the writer against a real PostgreSQL."""

from tests.ingest.conftest import World, post
import json


def test_smoke(world: World) -> None:
    stream = world.stream()
    key = world.key(world.producer())
    ev = {
        "specversion": "1.0",
        "id": "1",
        "source": "/s",
        "type": stream.name,
        "data": {"order": "a", "x": 1},
    }
    for _ in range(3):
        a = post(
            json.dumps(ev).encode(),
            {"content-type": "application/cloudevents+json", "authorization": f"Bearer {key}"},
        )
        print(a)
    print(world.events(stream), world.dead_letters(stream))
    assert 0
