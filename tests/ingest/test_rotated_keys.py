"""The door and a rotated key: the old one is refused when its grace is over, and not a moment before."""

import time
from datetime import timedelta

import pytest

from catalog.models import Stream
from catalog.services.keys import rotate_key
from governance.rotation import Rotation
from portal.kernel.actor import SYSTEM
from tests.ingest.conftest import World
from tests.ingest.test_endpoint import Sender


@pytest.fixture(scope="module")
def stream(world: World) -> Stream:
    return world.stream()


def status(sender: Sender) -> int:
    return sender.send(sender.event()).status


def test_the_door_takes_both_secrets_until_the_grace_is_over(world: World, stream: Stream) -> None:
    old = Sender(stream, world.key(world.producer()))
    assert status(old) == 202
    grace = timedelta(seconds=1.5)
    began = time.monotonic()
    rotated = rotate_key(old.key.split("_")[2], actor=SYSTEM, rotation=Rotation(grace))
    asked_at = time.monotonic()
    assert status(old) == 202
    assert asked_at - began < 1.5
    new = Sender(stream, rotated.text)
    assert status(new) == 202
    ended = asked_at + 1.5
    while status(old) == 202:
        assert time.monotonic() < ended + 1.0
        time.sleep(0.02)
    assert time.monotonic() - began >= 1.5, "not a moment before"
    assert status(old) == 401
    assert status(new) == 202


def test_without_a_grace_the_door_refuses_the_old_secret_at_once(
    world: World, stream: Stream
) -> None:
    old = Sender(stream, world.key(world.producer()))
    assert status(old) == 202
    rotated = rotate_key(old.key.split("_")[2], actor=SYSTEM, rotation=Rotation(timedelta(0)))
    told_by = time.monotonic() + 1.0  # the database tells; what was cached would live 5 s
    while status(old) == 202:
        assert time.monotonic() < told_by
        time.sleep(0.02)
    assert status(old) == 401
    assert status(Sender(stream, rotated.text)) == 202
