"""The counts of dead letters agree with the letters, whatever changes them."""

import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection

from ingest.log import partitions
from ingest.log.connection import connect
from ingest.models import LetterCount, LetterTotal
from ingest.services.retention import keep_retention
from portal.kernel import clock
from tests.ingest.conftest import World, post

COUNTED = """
SELECT group_key, state, coalesce(stream_id, 0), (received_at AT TIME ZONE 'UTC')::date, count(*)
FROM ingest_dead_letter GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3, 4
"""
TOTALLED = """
SELECT group_key, state, coalesce(stream_id, 0), count(*), min(received_at), max(received_at)
FROM ingest_dead_letter GROUP BY 1, 2, 3 ORDER BY 1, 2, 3
"""


@pytest.fixture(autouse=True)
def _clean(world: World) -> Iterator[None]:
    days = [(clock.now() - timedelta(days=age)).date() for age in range(3)]
    with connect(autocommit=True) as link:
        partitions.make_days(link, [partitions.DEAD_LETTERS], days)
    yield
    run("DELETE FROM ingest_dead_letter")


def run(statement: str, *values: Any) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(statement, values)
        return list(cursor.fetchall()) if cursor.description else []


def assert_true() -> int:
    """Both tables say what the letters say; gives how many letters there are."""
    counts = LetterCount.objects.exclude(letters=0).order_by(
        "group_key", "state", "stream_id", "day"
    )
    said = list(counts.values_list("group_key", "state", "stream_id", "day", "letters"))
    assert said == run(COUNTED)
    totals = LetterTotal.objects.exclude(letters=0).order_by("group_key", "state", "stream_id")
    names = ("group_key", "state", "stream_id", "letters", "first_at", "last_at")
    found = list(totals.values_list(*names))
    assert [row[:4] for row in found] == [row[:4] for row in run(TOTALLED)]
    return sum(row[3] for row in found)


def test_counts_follow_every_way_in_which_letters_change(world: World) -> None:
    stream, key = world.stream(), world.key(world.producer())
    events = [
        {
            "specversion": "1.0", "id": f"e{n}", "source": "/t", "time": clock.now().isoformat(),
            "type": stream.name if n % 3 else "nobody.knows_it", "data": {"order": n},
        }
        for n in range(12)
    ]  # fmt: skip
    answer = post(
        json.dumps(events).encode(),
        {"authorization": f"Bearer {key}", "content-type": "application/cloudevents-batch+json"},
    )
    assert answer.json["dead_lettered"] == 12
    assert assert_true() == 12
    assert {row[2] for row in run(COUNTED)} == {stream.pk, 0}
    # Some are settled, all are noted, some lie on another day, some go.
    run("UPDATE ingest_dead_letter SET state = 'replayed' WHERE event_id IN ('e1', 'e2', 'e3')")
    assert assert_true() == 12
    run("UPDATE ingest_dead_letter SET tried = '{}'")
    run("UPDATE ingest_dead_letter SET received_at = received_at - interval '1 day'"
        " WHERE event_id IN ('e3', 'e4')")  # fmt: skip
    assert assert_true() == 12
    run("DELETE FROM ingest_dead_letter WHERE event_id IN ('e1', 'e4', 'e5')")
    assert assert_true() == 9
    # A statement that is undone counts nothing.
    run("DO $$ BEGIN DELETE FROM ingest_dead_letter; RAISE division_by_zero;"
        " EXCEPTION WHEN division_by_zero THEN END $$")  # fmt: skip
    assert assert_true() == 9


def test_a_day_that_is_over_leaves_the_counts_with_the_sweep(world: World) -> None:
    key = world.key(world.producer())
    for name in ("old", "new"):
        event = {"specversion": "1.0", "id": name, "source": "/t", "type": "nobody.knows_it"}
        headers = {"authorization": f"Bearer {key}", "content-type": "application/cloudevents+json"}
        post(json.dumps(event).encode(), headers)
    run("UPDATE ingest_dead_letter SET received_at = received_at - interval '2 days'"
        " WHERE event_id = 'old'")  # fmt: skip
    assert assert_true() == 2
    with clock.at(clock.now() + timedelta(days=29)):
        keep_retention()
    assert assert_true() == 1
    assert run("SELECT event_id FROM ingest_dead_letter") == [("new",)]
