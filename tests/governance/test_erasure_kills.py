"""An erasure whose worker is killed at each of its steps goes on where it was."""

import multiprocessing
import signal
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest
from django.db import connection

from governance import erasure_ledger, receipts
from governance.chain import signing
from governance.models import AuditEntry, Erasure, Job, PrivacyToken
from governance.privacy import vault
from governance.privacy.whom import SETTLE
from governance.services import erasures as services
from governance.types import Role
from portal.kernel import clock
from tests.support.erasing import guestbook, run_to_the_end
from tests.support.erasing_worker import work
from tests.support.factories import make_actor

pytestmark = pytest.mark.django_db(transaction=True)
MAIL = "ada.canary@zebra.example"
# In the order in which they are passed; the number is that of the pass in its process.
KILLS = (
    "erasure.before_ledger=kill", "erasure.after_ledger=kill", "erasure.in_store=kill",
    "erasure.in_store=kill@2", "erasure.in_store=kill@3", "erasure.in_store=kill@4",
    "erasure.before_done=kill", "erasure.after_done=kill",
)  # fmt: skip


@pytest.fixture
def places(settings: Any, tmp_path: Path) -> Iterator[dict[str, str]]:
    found = {
        "ERASURE_LEDGER": str(tmp_path / "erasures.jsonl"),
        "AUDIT_ANCHORS": str(tmp_path / "anchors.jsonl"),
        "DATA_DIR": str(tmp_path),
    }
    for name, place in found.items():
        setattr(settings, name, Path(place))
    vault.forget()
    yield found
    vault.forget()


def killed_at(row: Erasure, failpoint: str, places: dict[str, str]) -> None:
    """Have a worker do what is due, and see that it dies of the failpoint."""
    assert row.at is not None
    context = multiprocessing.get_context("forkserver")
    database = str(connection.settings_dict["NAME"])
    worker = context.Process(target=work, args=(database, places, failpoint, row.at + SETTLE))
    worker.start()
    worker.join(60)
    assert worker.exitcode == -signal.SIGKILL, failpoint
    # Its lease would have the next one wait for a minute.
    Job.objects.filter(kind="erasure", state="running").update(
        lease_until=clock.now() - timedelta(seconds=1)
    )


def test_an_erasure_that_is_killed_at_every_step_is_done_once_and_wholly(
    places: dict[str, str],
) -> None:
    text = orjson.dumps(MAIL)
    ref = vault.value_ref("mail", text)
    token = vault.tokens_for({ref: ("mail", text)})[ref]
    with guestbook() as book:
        book.write("carol", MAIL, "dave", token, "erin", MAIL, "frank")
        row = services.request_erasure(
            [MAIL], actor=make_actor(Role.ADMIN), basis="objection", reason="She asked."
        )
        row = services.approve_erasure(row.pk, actor=make_actor(Role.ADMIN))
        for failpoint in KILLS:
            killed_at(row, failpoint, places)
            assert Erasure.objects.get(pk=row.pk).state == "running", failpoint
        vault.forget()
        assert run_to_the_end(row).state == "done"
        assert book.guests() == ["carol", "dave", "erin", "frank"]
    row.refresh_from_db()
    assert row.stores["guestbook"]["erased"] == 3, "what was undone is not counted"
    assert [line.kind for line in erasure_ledger.lines()] == ["begun", "done"]
    receipt = receipts.check(row.receipt, signing.known_keys())
    assert receipt["ledger"] == list(erasure_ledger.lines())[-1].hash
    assert AuditEntry.objects.filter(action="erasure.done").count() == 1
    assert not PrivacyToken.objects.exists()
