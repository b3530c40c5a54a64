"""Who was erased, as each process knows it: told at once where it listens, read anew where it does not."""

import time
from collections.abc import Iterator
from datetime import timedelta

import pytest
from django.db import connection

from governance import tombstones
from governance.erasing import mark_of
from governance.models import Erasure, Tombstone
from governance.privacy import aside
from ingest.judging import admission
from portal.kernel import clock
from tests.support.live import wait_until

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def row() -> Erasure:
    return Erasure.objects.create(
        state="running", basis="objection", reason="She asked.", identifiers=1,
        requested_by="portal", at=clock.now(),
    )  # fmt: skip


@pytest.fixture
def _listening() -> Iterator[None]:
    admission.start_listening()
    wait_until(lambda: tombstones._until == float("inf"), "the process listens")
    yield
    admission.stop_listening()


@pytest.mark.usefixtures("_listening")
def test_a_process_that_listens_is_told_and_never_asks(
    row: Erasure, monkeypatch: pytest.MonkeyPatch
) -> None:
    Tombstone.objects.create(mark=mark_of("ada"), erasure=row, erased_at=row.at or clock.now())
    time.sleep(tombstones.LIFETIME_SECONDS)
    assert not tombstones.any_erased(), "nobody has told"
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_notify('portal_catalog', %s)", [tombstones.NOTICE])
    wait_until(tombstones.any_erased, "the notice is heard")
    monkeypatch.setattr(aside, "run", lambda *_: pytest.fail("it asked the database"))
    assert tombstones.erased_until(mark_of("ada")) == row.at
    assert tombstones.erased_until(mark_of("ben")) is None


def test_a_process_that_does_not_listen_knows_after_a_second(row: Erasure) -> None:
    assert not tombstones.any_erased()
    Tombstone.objects.create(mark=mark_of("ada"), erasure=row, erased_at=clock.now())
    wait_until(tombstones.any_erased, "it has read again", seconds=5)


def test_of_two_erasures_of_one_person_the_later_counts(row: Erasure) -> None:
    now, marks = clock.now(), [mark_of("ada"), mark_of("ben")]
    tombstones.put(marks, row.pk, now)
    tombstones.put(marks[:1], row.pk, now - timedelta(days=1))
    tombstones.load()
    assert tombstones.erased_until(mark_of("ada")) == now
    tombstones.put(marks[:1], row.pk, now + timedelta(days=1))
    tombstones.load()
    assert tombstones.erased_until(mark_of("ada")) == now + timedelta(days=1)
    assert tombstones.erased_until(mark_of("ben")) == now


def test_the_form_of_an_identifier_does_not_matter() -> None:
    assert mark_of(" Ada@Example.COM ") == mark_of("ada@example.com")
    assert mark_of("Zoe\u0308") == mark_of("Zo\u00eb")
    assert mark_of("CUS_1") != mark_of("cus_1"), "only of addresses the case does not matter"
