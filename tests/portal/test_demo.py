"""The demo shop's history: what a newcomer sees in the first minute must be true and calm."""

from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from django.db import connection

from catalog.selectors.reviews import due_streams
from governance.models import Review
from governance.selectors.reviews import OPEN
from ingest.models import IngestMinute
from portal.demo import loader, reviews, traffic, workspace
from portal.kernel import clock
from quality.services.evaluation import run_checks, sole_judge
from tests.support.factories import make_stream

NOW = datetime(2026, 11, 25, 7, 57, 54, tzinfo=UTC)
NOON = NOW.replace(hour=12, minute=0, second=0)


def test_the_past_is_sent_by_the_hour_and_the_last_hours_by_the_minute() -> None:
    start = NOW.replace(hour=2, minute=0, second=0, microsecond=0)
    slices = list(loader._slices(start, NOW))
    assert slices[0] == (start, start + traffic.HOUR)
    assert [end for _, end in slices[:-1]] == [begin for begin, _ in slices[1:]], "no gap"
    assert slices[-1][1] == NOW
    assert all(end - begin <= loader.MINUTE for begin, end in slices if begin >= NOW - traffic.HOUR)


def test_an_hour_that_was_begun_by_the_minute_is_finished_by_the_minute() -> None:
    start = NOW - timedelta(hours=5, minutes=7)
    slices = list(loader._slices(start, NOW))
    assert slices[0] == (start, start + loader.MINUTE)
    assert slices[-1][1] == NOW


def _is_free(other: "psycopg.Connection[Any]", key: int) -> bool:
    row = other.execute("SELECT pg_try_advisory_xact_lock(%s)", (key,)).fetchone()
    assert row is not None
    return bool(row[0])


@pytest.mark.django_db(transaction=True)
def test_no_other_process_judges_while_a_history_is_taken_in() -> None:
    settings: dict[str, Any] = connection.get_connection_params()
    words = {name: settings[name] for name in ("host", "port", "dbname", "user", "password")}
    with psycopg.connect(**words) as other:
        keys = (7_301_001, 7_301_002)  # of each track
        with sole_judge():
            assert [_is_free(other, key) for key in keys] == [False, False]
            stream = make_stream()
            IngestMinute.objects.create(
                stream_id=stream.pk, minute=NOON - timedelta(minutes=5), producer_id=1,
                received=60, accepted=60,
            )  # fmt: skip
            assert run_checks(NOON) == 1, "who holds it may"
        assert [_is_free(other, key) for key in keys] == [True, True], "given back"
        assert run_checks(NOON + timedelta(minutes=5)) == 0, "while another holds it"


@pytest.mark.django_db(transaction=True)
def test_the_shops_owners_look_at_their_streams_again_but_for_one_who_is_late() -> None:
    now = clock.now()
    workspace.build(now)
    workspace.build(now)  # a run that was cut goes on
    assert {row.resource_key: row.is_overdue for row in Review.objects.filter(OPEN)} == {
        reviews.LATE: True, reviews.WAITING: False,
    }  # fmt: skip
    (answered,) = Review.objects.exclude(completed_at=None)
    assert (answered.resource_key, answered.completed_label) == (
        reviews.ANSWERED, "mara@shop.example",
    )  # fmt: skip
    late = [one.name for one in due_streams(now)]
    assert late == [reviews.LATE]
