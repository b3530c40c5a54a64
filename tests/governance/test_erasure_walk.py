"""What an erasure does: every store walked until nothing is found, tokens and keys with it, no trace."""

import json
import threading
from pathlib import Path
from typing import Any

import pytest
from django.db import connection, connections, transaction

from governance import erasure_ledger, receipts, tombstones
from governance.chain import signing
from governance.erasing import Swept, mark_of
from governance.models import (
    AuditEntry,
    ErasureState,
    Job,
    PrivacyToken,
    SavedView,
)
from governance.privacy import vault
from governance.services import erasures as services
from governance.services.jobs import run_due_jobs, stop_job
from governance.types import Role
from portal.kernel.actor import Actor
from portal.kernel.errors import (
    InvalidStateError,
    NotPermittedError,
)
from tests.support.canaries import database, search
from tests.support.erasing import (
    MAIL,
    NUMBER,
    Guestbook,
    approved,
    asked,
    run_to_the_end,
    token_for,
)
from tests.support.factories import make_actor

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("ledger"),
]


def test_a_person_is_erased_in_every_store_and_the_receipt_says_so(
    ada: Actor, ben: Actor, book: Guestbook
) -> None:
    book.write("carol", MAIL.upper(), "dave", NUMBER, "erin", "frank")
    row = approved(ada, ben)
    job = run_to_the_end(row)
    assert (job.state, job.said) == ("done", "Done: nothing is found any more.")
    assert book.guests() == ["carol", "dave", "erin", "frank"]
    row.refresh_from_db()
    assert (row.state, row.sealed) == (ErasureState.DONE, "")
    receipt = receipts.check(row.receipt, signing.known_keys())
    by_store = {store["key"]: store for store in receipt["stores"]}
    assert by_store["guestbook"]["erased"] == 2
    assert by_store["guestbook"]["passes"] == 2
    assert list(by_store)[-1] == "vault", "what others are found by goes last"
    assert (receipt["identifiers"], receipt["basis"]) == (2, "objection")
    assert receipt["ledger"] == list(erasure_ledger.lines())[-1].hash
    assert (receipt["requested_by"], receipt["decided_by"]) == (ada.label, ben.label)


def test_nothing_of_the_person_is_left_in_the_database_the_log_or_the_ledger(
    ada: Actor, ben: Actor, book: Guestbook, ledger: Path, caplog: pytest.LogCaptureFixture
) -> None:
    book.write(MAIL, NUMBER)
    token_for("mail", MAIL)
    token_for("account", int(NUMBER))
    SavedView.objects.create(
        owner_id=ada.id, kind="audit", name="hers", asked={"object": MAIL, "actor": "x"}
    )
    row = approved(ada, ben)
    run_to_the_end(row)
    assert SavedView.objects.get().asked == {"object": "erased", "actor": "x"}
    assert not PrivacyToken.objects.exists()
    places = [*database(), ("ledger", ledger.read_text()), ("log", caplog.text)]
    assert search(places, [MAIL, NUMBER]) == []


def test_audit_rows_tell_of_it_and_hold_no_identifier(
    ada: Actor, ben: Actor, book: Guestbook
) -> None:
    row = approved(ada, ben)
    run_to_the_end(row)
    rows = AuditEntry.objects.filter(object_kind="erasure", object_key=str(row.pk))
    actions = list(rows.order_by("seq").values_list("action", flat=True))
    assert actions == ["erasure.requested", "erasure.approved", "erasure.done"]
    said = json.dumps(list(rows.values("summary", "detail", "actor")))
    assert search([("audit", said)], [MAIL, NUMBER]) == []


def test_tokens_of_the_person_count_as_the_person_in_whatever_spelling_they_were_made(
    ada: Actor, ben: Actor, book: Guestbook
) -> None:
    tokens = [
        token_for(vault.SUBJECTS, MAIL), token_for("mail", MAIL.lower()),
        token_for("account", int(NUMBER)), token_for("account", NUMBER),
    ]  # fmt: skip
    other = token_for("mail", "dave@zebra.example")
    book.write(*tokens, other)
    run_to_the_end(approved(ada, ben))
    assert book.guests() == [other]
    assert list(PrivacyToken.objects.values_list("token", flat=True)) == [other]
    assert vault.meanings([*tokens, other]) == {other: "dave@zebra.example"}
    assert tombstones.erased_until(mark_of(tokens[0])) is not None


def test_whoever_is_named_by_a_token_is_erased_by_what_it_stands_for(
    ada: Actor, ben: Actor, book: Guestbook
) -> None:
    token = token_for(vault.SUBJECTS, "carol@zebra.example")
    book.write("carol@zebra.example", token)
    run_to_the_end(approved(ada, ben, token))
    assert book.guests() == []


def test_keys_of_the_person_are_gone_and_later_ones_are_fresh(
    ada: Actor, ben: Actor, book: Guestbook
) -> None:
    ref, other = vault.subject_ref(NUMBER), vault.subject_ref("dave")
    before = vault.data_keys([ref, other])
    run_to_the_end(approved(ada, ben))
    assert vault.keys_by_id([before[ref].id]) == {}
    assert vault.keys_by_id([before[other].id]) != {}
    assert vault.data_keys([ref])[ref].id != before[ref].id


def test_keys_go_too_where_the_vault_knows_the_person_in_another_spelling(
    ada: Actor, ben: Actor, book: Guestbook
) -> None:
    token = token_for(vault.SUBJECTS, MAIL.upper())
    refs = [vault.subject_ref(MAIL.upper()), vault.subject_ref(token)]
    ids = {key.id for key in vault.data_keys(refs).values()}
    run_to_the_end(approved(ada, ben, MAIL))
    assert vault.keys_by_id(ids) == {}


def test_tokens_that_are_made_all_the_while_leave_none_behind(
    ada: Actor, ben: Actor, book: Guestbook
) -> None:
    """As at the doors: whoever has not heard of the erasure yet goes on making its token."""
    made: list[str] = []
    began = threading.Event()

    def send_events() -> None:
        while tombstones.erased_until(mark_of(MAIL)) is None:
            made.append(token_for(f"purpose {len(made)}", MAIL))
            began.set()

    row = asked(ada)
    sender = threading.Thread(target=send_events)
    sender.start()
    assert began.wait(10)
    row = services.approve_erasure(row.pk, actor=ben)
    sender.join(10)
    book.write(*made)
    run_to_the_end(row)
    assert (len(made) > 0, book.guests(), PrivacyToken.objects.count()) == (True, [], 0)


def test_every_process_knows_who_was_erased_from_the_approval_on(ada: Actor, ben: Actor) -> None:
    assert not tombstones.any_erased()
    row = asked(ada)
    assert not tombstones.any_erased()
    row = services.approve_erasure(row.pk, actor=ben)
    assert tombstones.erased_until(mark_of(f" {MAIL.upper()} ")) == row.at
    assert tombstones.erased_until(mark_of("dave")) is None


def test_a_token_made_while_the_erasure_begins_is_found_all_the_same(
    ada: Actor, ben: Actor, book: Guestbook
) -> None:
    """A request that was received before the moment makes its token only after it."""
    row = approved(ada, ben)
    late = token_for("mail", MAIL)
    book.write(late)
    run_to_the_end(row)
    assert book.guests() == []
    assert vault.meanings([late]) == {}
    assert not PrivacyToken.objects.exists()


def test_it_waits_for_transactions_that_were_open_when_it_was_approved(
    ada: Actor, ben: Actor, book: Guestbook
) -> None:
    is_open, may_end = threading.Event(), threading.Event()

    def write_late() -> None:
        with transaction.atomic():
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_current_xact_id()")
            is_open.set()
            may_end.wait(30)
            book.write(MAIL)
        connections["default"].close()

    writer = threading.Thread(target=write_late)
    writer.start()
    assert is_open.wait(10)
    row = approved(ada, ben)
    with pytest.raises(AssertionError, match="Waits until everything"):
        run_to_the_end(row)
    may_end.set()
    writer.join()
    run_to_the_end(row)
    assert book.guests() == []


def test_it_waits_until_what_was_received_before_is_stored(ada: Actor, ben: Actor) -> None:
    row = approved(ada, ben)
    run_due_jobs()
    job = Job.objects.get(kind="erasure", object_key=str(row.pk))
    assert (job.state, job.cursor["phase"]) == ("waiting", "settle")
    assert list(erasure_ledger.lines()) == []


def test_a_walk_that_finds_something_is_followed_by_another(
    ada: Actor, ben: Actor, book: Guestbook, monkeypatch: pytest.MonkeyPatch
) -> None:
    book.write(MAIL)
    back = iter([True, True, False])
    erase = Guestbook.erase

    def comes_back(self: Guestbook, sought: Any, cursor: Any) -> Swept:
        swept = erase(self, sought, cursor)
        if swept.erased and next(back):
            self.write(MAIL)
        return swept

    monkeypatch.setattr(Guestbook, "erase", comes_back)
    row = approved(ada, ben)
    run_to_the_end(row)
    row.refresh_from_db()
    assert row.stores["guestbook"]["passes"] >= 3
    assert row.stores["guestbook"]["erased"] == 3
    assert book.guests() == []


def test_what_never_ends_fails_after_five_walks_and_can_go_on(
    ada: Actor, ben: Actor, book: Guestbook, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Guestbook, "erase", lambda *_: Swept(None, looked_at=1, erased=1))
    row = approved(ada, ben)
    job = run_to_the_end(row)
    assert job.state == "failed"
    assert "After 5 walks 1 values were still found" in job.said
    row.refresh_from_db()
    assert (row.state, row.receipt) == (ErasureState.RUNNING, None)
    monkeypatch.undo()
    services.go_on(row.pk, actor=ben)
    assert run_to_the_end(row).state == "done"


def test_a_stopped_erasure_goes_on_where_it_was(ada: Actor, ben: Actor, book: Guestbook) -> None:
    book.write(MAIL)
    row = approved(ada, ben)
    assert row.job is not None
    stop_job(row.job, actor=ben)
    with pytest.raises(NotPermittedError):
        services.go_on(row.pk, actor=make_actor(Role.ENGINEER))
    row = services.go_on(row.pk, actor=ada)
    with pytest.raises(InvalidStateError):
        services.go_on(row.pk, actor=ada)
    assert run_to_the_end(row).state == "done"
    assert book.guests() == []
