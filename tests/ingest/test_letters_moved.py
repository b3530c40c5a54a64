"""A replay that goes on while its stream moves to production: each event lies where its time says."""

from collections.abc import Iterator
from datetime import datetime, timedelta

import pytest
from django.db import connection

from catalog.models import Stream
from catalog.services.tracks import promote_stream
from governance.services import jobs
from ingest.judging.admission import directory
from ingest.log.store import close_writer
from ingest.models import RepairState
from ingest.services import letter_jobs, letters
from portal.kernel import clock
from portal.kernel.actor import SYSTEM
from tests.ingest.shop import CAST, Shop, run

pytestmark = pytest.mark.django_db(transaction=True)
PRODUCTION, EXPERIMENTAL = 0, 1


@pytest.fixture
def shop() -> Iterator[Shop]:
    directory.forget_all()
    yield Shop()
    close_writer()
    directory.forget_all()


def tracks(shop: Shop) -> dict[str, int]:
    """The track of each stored event, which is stored once."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT event_id, track FROM ingest_event WHERE stream_id = %s", [shop.stream.pk]
        )
        rows = cursor.fetchall()
    found = dict(rows)
    assert len(found) == len(rows), "stored on both tracks"
    return found


def test_a_letter_that_is_replayed_over_a_move_lies_where_its_own_time_says_once(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = clock.now()
    early, late = now - timedelta(minutes=20), now - timedelta(minutes=2)
    Stream.objects.filter(pk=shop.stream.pk).update(ahead_seconds=0)
    directory.forget_all()

    def sent(at: datetime, first: int, *numbers: object) -> dict[str, int]:
        answer = shop.send(*({"n": one} for one in numbers), start=first, time=at.isoformat())
        return {word: answer[word] for word in ("accepted", "duplicate", "dead_lettered")}

    assert sent(early, 0, "0", "1", "2")["dead_lettered"] == 3
    assert sent(late, 3, "3", "4")["dead_lettered"] == 2
    assert sent(early, 2, 2)["accepted"] == 1  # its producer was faster than the repair
    repair = letters.declare_repair(shop.group(), CAST, actor=shop.ada)
    letters.start_dry_run(repair, actor=shop.ada)
    run()
    repair.refresh_from_db()
    letters.approve_repair(repair, actor=shop.ben)
    letters.apply_repair(repair, actor=shop.ada)
    monkeypatch.setattr(letter_jobs, "MAX_BATCH", 1)
    while len(tracks(shop)) < 2:  # letters of one request have no order among themselves
        jobs.run_due_jobs(budget_seconds=0.001)
    before = tracks(shop)
    assert before in ({"e2": EXPERIMENTAL, one: EXPERIMENTAL} for one in ("e0", "e1"))
    with clock.at(now - timedelta(minutes=10)):
        promote_stream(shop.stream, actor=SYSTEM)
    (moment,) = shop.stream.track_moments
    assert early < moment < late
    directory.forget_all()
    assert sent(late, 4, 4)["accepted"] == 1  # and again, after the move
    run()
    assert tracks(shop) == {
        "e0": EXPERIMENTAL, "e1": EXPERIMENTAL, "e2": EXPERIMENTAL,
        "e3": PRODUCTION, "e4": PRODUCTION,
    }  # fmt: skip
    repair.refresh_from_db()
    assert repair.state == RepairState.APPLIED
    assert {word: repair.outcome[word] for word in ("accepted", "duplicate", "refused")} == {
        "accepted": 3, "duplicate": 2, "refused": 0,
    }  # fmt: skip
    again = sent(early, 0, 0, 1, 2)["duplicate"] + sent(late, 3, 3, 4)["duplicate"]
    assert again == 5, "each is found where it lies"
    assert len(tracks(shop)) == 5
