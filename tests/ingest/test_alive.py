"""What has lived its time is read by nobody, though it is still on the disk."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection

from governance.models import User
from governance.selectors.people import actor_of
from governance.types import Permission, Role
from ingest.log.alive import ALWAYS, FieldLives, sample_at
from ingest.models import PrivacyScan, PrivacySuggestion
from ingest.selectors import events
from ingest.services import replays
from ingest.services.suspects import suspect
from portal.kernel import clock
from portal.kernel.errors import NotFoundError
from tests.ingest.conftest import World
from tests.ingest.storing import ids, make_days, store
from tests.support.factories import make_grant, make_person

SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "n": {"type": "integer"},
        "mail": {"type": "string", "x-retention": "P1D"},
        "born": {"type": "string", "x-retention": "P2D", "x-privacy": "truncate"},
    },
    "required": ["n"],
}
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


@pytest.fixture(scope="module", autouse=True)
def people(transactional_db: None) -> Iterator[None]:
    """Made before the world, and taken away after it with the grants they hold."""
    yield
    User.objects.all().delete()


@pytest.fixture(autouse=True)
def _clean(world: World) -> Iterator[None]:
    make_days(*(clock.now() - DAY * days for days in range(5)))
    yield
    PrivacySuggestion.objects.all().delete()
    PrivacyScan.objects.all().delete()
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM ingest_event")


def test_expired_events_and_fields_are_in_no_answer_before_the_sweep_takes_them(
    world: World,
) -> None:
    now = clock.now()
    stream = world.stream(SCHEMA, retention_days=3)
    data = {"n": 1, "mail": "ann@example.org", "born": "1981-03-17"}
    for name, age in (("dead", DAY * 3 + HOUR), ("old", DAY * 2 + HOUR), ("new", HOUR)):
        store(stream, now - age, name, data)
    person = make_person(Role.ENGINEER)
    make_grant(stream, person, Permission.READ_PAYLOAD)
    make_grant(stream, person, Permission.READ_PERSONAL)
    reader = actor_of(person)
    assert ids(stream) == ["dead", "new", "old"]
    page = events.stored_events(reader, stream).items
    assert [(one.id, one.data) for one in page] == [
        ("new", data),
        ("old", {"n": 1, "born": "1981-03-01"}),
    ]
    for find in (events.stored_event, events.event_to_reveal):
        assert find(reader, stream, "new").data == data
        assert "mail" not in find(reader, stream, "old").data
        with pytest.raises(NotFoundError):
            find(reader, stream, "dead")


def test_checks_over_stored_events_and_the_detector_see_what_a_reader_sees(world: World) -> None:
    now = clock.now()
    stream = world.stream(SCHEMA, retention_days=3)
    for name, age in (("dead", DAY * 3 + HOUR), ("old", DAY * 2 + HOUR), ("new", HOUR)):
        store(stream, now - age, name, {"n": 1, "mail": "ann@example.org"})
    stricter = {"type": "object", "properties": {"mail": {"maxLength": 3}}}
    sampled = replays.replay_sample(stream, stricter, budget_seconds=5)
    assert (sampled["checked"], sampled["refused"]) == (2, 1)
    step = replays.replay_step(stream, stricter, cursor={}, tally={}, budget_seconds=5)
    assert step.total == 2
    exact = replays.replay_step(
        stream, stricter, cursor=step.cursor, tally=step.tally, budget_seconds=5
    )
    assert (exact.tally["checked"], exact.tally["refused"]) == (2, 1)
    assert suspect(stream) == 2
    (found,) = PrivacySuggestion.objects.filter(stream=stream)
    assert (found.path, found.hits) == ("mail", 1)


def test_a_value_s_life_is_the_shortest_that_any_contract_gives_it(world: World) -> None:
    stream = world.stream({"type": "object", "properties": {"paid": {"x-retention": 30}}})
    world.version(stream, 2, {"properties": {"paid": {"x-retention": 9}}}, state="retired")
    with clock.at(clock.now()):
        found = FieldLives.of(stream)
        assert found.since(sample_at(["paid"])) == clock.now() - DAY * 9
        assert found.since({"paid": 3, "other": 1}) == clock.now() - DAY * 9
        assert found.since(sample_at(["other"])) == ALWAYS
        assert found.since(None) == ALWAYS
