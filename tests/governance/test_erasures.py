"""Erasing a person: asked by one admin, decided by another, walked through every store, proved."""

import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from django.db import connection, connections, transaction

from governance import erasing, erasure_ledger, receipts, tombstones
from governance.chain import signing
from governance.erasing import Swept, mark_of
from governance.errors import NotOwnRequestError
from governance.models import (
    AuditEntry,
    Erasure,
    ErasureState,
    Job,
    Notice,
    PrivacyKey,
    PrivacyToken,
    SavedView,
    Tombstone,
    User,
)
from governance.privacy import vault, whom
from governance.receipts import ReceiptError
from governance.selectors import erasures as selectors
from governance.selectors.people import actor_of
from governance.services import erasures as services
from governance.services.erasure_replay import replay_ledger
from governance.services.jobs import run_due_jobs, stop_job
from governance.types import Role
from portal.kernel.actor import SYSTEM, Actor
from portal.kernel.errors import (
    InvalidError,
    InvalidStateError,
    NotFoundError,
    NotPermittedError,
    PreconditionFailedError,
)
from tests.support.canaries import database, search
from tests.support.erasing import Guestbook, guestbook, run_to_the_end
from tests.support.factories import make_actor, make_person

pytestmark = pytest.mark.django_db(transaction=True)
MAIL = "Ada.Canary@zebra.example"
NUMBER = "4711000815"
WHY = "She wrote to us and asked for it."


@pytest.fixture(autouse=True)
def ledger(settings: Any, tmp_path: Path) -> Iterator[Path]:
    settings.ERASURE_LEDGER = tmp_path / "ledger" / "erasures.jsonl"
    settings.AUDIT_ANCHORS = tmp_path / "anchors.jsonl"
    vault.forget()
    yield settings.ERASURE_LEDGER
    vault.forget()


@pytest.fixture
def book(ledger: Path) -> Iterator[Guestbook]:
    with guestbook() as made:
        yield made


@pytest.fixture
def ada() -> Actor:
    return make_actor(Role.ADMIN)


@pytest.fixture
def ben() -> Actor:
    return make_actor(Role.ADMIN)


def asked(actor: Actor, *identifiers: str) -> Erasure:
    return services.request_erasure(
        identifiers or (MAIL, NUMBER), actor=actor, basis="objection", reason=WHY
    )


def approved(ada: Actor, ben: Actor, *identifiers: str) -> Erasure:
    return services.approve_erasure(asked(ada, *identifiers).pk, actor=ben)


def token_for(purpose: str, value: Any) -> str:
    text = orjson.dumps(value)
    ref = vault.value_ref(purpose, text)
    return vault.tokens_for({ref: (purpose, text)})[ref]


# --- Asking and deciding ---------------------------------------------------------------------------


def test_nobody_but_admins_asks_or_knows_of_it(ada: Actor) -> None:
    row = asked(ada)
    for role in (Role.ENGINEER, Role.ANALYST, Role.ON_CALL, Role.PRODUCT_MANAGER):
        cy = make_actor(role)
        with pytest.raises(NotPermittedError):
            asked(cy)
        with pytest.raises(NotPermittedError):
            services.approve_erasure(row.pk, actor=cy)
        with pytest.raises(NotFoundError):
            selectors.get_erasure(cy, row.pk)
    assert selectors.waiting(ada).count() == 1


def test_nobody_decides_on_what_they_asked_for_themselves(ada: Actor, ben: Actor) -> None:
    row = asked(ada)
    for act in (services.approve_erasure, services.deny_erasure):
        with pytest.raises(NotOwnRequestError):
            act(row.pk, actor=ada, note="I know it is right.")
    with pytest.raises(NotOwnRequestError):
        services.withdraw_erasure(row.pk, actor=ben)
    assert not Tombstone.objects.exists()
    assert services.approve_erasure(row.pk, actor=ben).state == ErasureState.RUNNING


def test_the_database_refuses_a_decision_of_ones_own(ada: Actor) -> None:
    row = asked(ada)
    with pytest.raises(Exception, match="erasure_not_own"), transaction.atomic():
        Erasure.objects.filter(pk=row.pk).update(state="denied", sealed="", decided_by_user=ada.id)


def test_of_two_decisions_the_second_finds_it_decided(ada: Actor, ben: Actor) -> None:
    row = asked(ada)
    with pytest.raises(PreconditionFailedError):
        services.approve_erasure(row.pk, actor=ben, revision=row.revision + 1)
    services.deny_erasure(row.pk, actor=ben, note="A legal hold.", revision=row.revision)
    for act in (services.approve_erasure, services.deny_erasure):
        with pytest.raises(InvalidStateError):
            act(row.pk, actor=make_actor(Role.ADMIN), note="Or not.")
    assert not Job.objects.filter(kind="erasure").exists()


def test_two_admins_who_approve_at_once_start_one_job(ada: Actor) -> None:
    row = asked(ada)
    outcomes: list[str] = []

    def approve(actor: Actor) -> None:
        try:
            services.approve_erasure(row.pk, actor=actor)
            outcomes.append("approved")
        except InvalidStateError:
            outcomes.append("late")
        finally:
            connections["default"].close()

    threads = [threading.Thread(target=approve, args=(make_actor(Role.ADMIN),)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["approved", "late", "late", "late"]
    assert Job.objects.filter(kind="erasure").count() == 1


@pytest.mark.parametrize(
    ("identifiers", "pointer", "code"),
    [
        ([], "/identifiers", "required"),
        (["ab"], "/identifiers/0", "too_short"),
        (["fine@zebra.example", "  "], "/identifiers/1", "too_short"),
        (["x" * 513], "/identifiers/0", "too_long"),
        (["nul\0byte"], "/identifiers/0", "value"),
        ([f"person-{n}" for n in range(101)], "/identifiers", "too_many"),
    ],
)
def test_an_odd_identifier_is_refused_at_its_place_and_not_repeated(
    ada: Actor, identifiers: list[str], pointer: str, code: str
) -> None:
    with pytest.raises(InvalidError) as refused:
        services.request_erasure(identifiers, actor=ada, basis="objection", reason=WHY)
    found = [(one.pointer, one.code) for one in refused.value.errors]
    assert (pointer, code) in found
    assert not any(
        text.strip() in str(refused.value.errors) for text in identifiers if text.strip()
    )


def test_what_is_said_of_it_must_not_name_the_person(ada: Actor, ben: Actor) -> None:
    with pytest.raises(InvalidError) as refused:
        services.request_erasure(
            [MAIL], actor=ada, basis="objection", reason=f"{MAIL.lower()} asked for it"
        )
    assert [(one.pointer, one.code) for one in refused.value.errors] == [
        ("/reason", "names_person")
    ]
    row = asked(ada, MAIL)
    with pytest.raises(InvalidError):
        services.deny_erasure(row.pk, actor=ben, note=f"{MAIL} is our customer")
    with pytest.raises(InvalidError):
        services.deny_erasure(row.pk, actor=ben, note=" ")


def test_what_is_taken_back_or_declined_knows_nobody_any_more(ada: Actor, ben: Actor) -> None:
    mine, declined = asked(ada), asked(ada)
    assert Erasure.objects.get(pk=mine.pk).sealed.startswith("enc_")
    services.withdraw_erasure(mine.pk, actor=ada)
    services.deny_erasure(declined.pk, actor=ben, note="A legal hold.")
    assert list(Erasure.objects.values_list("sealed", flat=True)) == ["", ""]
    refs = [whom.sealing_ref(row.pk) for row in (mine, declined)]
    assert not PrivacyKey.objects.filter(ref__in=refs).exists()


def test_other_admins_are_told_that_it_waits_and_who_asked_how_it_ended(
    ada: Actor, ben: Actor, book: Guestbook
) -> None:
    row = asked(ada)
    assert list(Notice.objects.values_list("user_id", flat=True)) == [ben.id]
    run_to_the_end(services.approve_erasure(row.pk, actor=ben))
    titles = list(Notice.objects.filter(user_id=ada.id).values_list("title", flat=True))
    assert len(titles) == 2
    assert (
        search([("notices", json.dumps(list(Notice.objects.values()), default=str))], [MAIL]) == []
    )


# --- What is done -----------------------------------------------------------------------------------


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


# --- The receipt -------------------------------------------------------------------------------------


def test_a_receipt_verifies_and_a_changed_one_does_not(
    ada: Actor, ben: Actor, book: Guestbook
) -> None:
    row = approved(ada, ben)
    run_to_the_end(row)
    document = selectors.get_receipt(ada, row.pk)
    keys = signing.known_keys()
    assert receipts.check(json.loads(json.dumps(document)), keys)["erasure"] == str(row.pk)
    changed = {**document, "receipt": {**document["receipt"], "identifiers": 3}}
    with pytest.raises(ReceiptError, match="not what was signed"):
        receipts.check(changed, keys)
    with pytest.raises(ReceiptError, match="not trusted"):
        receipts.check(document, {})
    odds: list[Any] = [None, [], {}, {"receipt": 1, "signature": {"key_id": "", "value": "ü"}}]
    for odd in odds:
        with pytest.raises(ReceiptError, match="no receipt"):
            receipts.check(odd, keys)
    with pytest.raises(NotFoundError):
        selectors.get_receipt(make_actor(Role.ANALYST), row.pk)


def test_a_signature_of_an_anchor_is_none_of_a_receipt() -> None:
    signature = signing.sign(b"{}")
    keys = signing.known_keys()
    assert signing.holds(signature, b"{}", keys)
    assert not signing.holds(signature, b"{}", keys, context=receipts._CONTEXT)


# --- The ledger's replay ------------------------------------------------------------------------------


def restored(book: Guestbook, *guests: str) -> None:
    """As if the database came from a backup that is older than the erasure."""
    Tombstone.objects.all().delete()
    Erasure.objects.all().delete()
    book.write(*guests)
    tombstones.forget()


def test_what_the_ledger_knows_is_erased_again_in_a_restored_database(
    ada: Actor, ben: Actor, book: Guestbook
) -> None:
    token = token_for("mail", MAIL)
    kept = PrivacyToken.objects.get()
    book.write(MAIL, token, "dave")
    row = approved(ada, ben)
    run_to_the_end(row)
    restored(book, MAIL, token)
    kept.save(force_insert=True)
    PrivacyToken.objects.update(created_at=row.created_at)
    assert selectors.unreplayed() == [row.pk]
    told: list[str] = []
    done = replay_ledger(whole=False, tell=told.append)
    assert (done.erasures, done.walks) == (1, 2)
    assert book.guests() == ["dave"]
    assert not PrivacyToken.objects.exists()
    assert tombstones.erased_until(mark_of(MAIL)) == row.at
    assert selectors.unreplayed() == []
    again = Erasure.objects.get(pk=row.pk)
    assert (again.state, again.sealed) == (ErasureState.DONE, "")
    receipt = receipts.check(again.receipt, signing.known_keys())
    assert receipt["replayed_at"]
    assert receipt["requested_by"] == "ledger"
    assert any("Guest book" in line for line in told)
    assert replay_ledger(whole=False, tell=told.append).erasures == 0


def test_a_whole_replay_erases_what_came_back_by_itself(
    ada: Actor, ben: Actor, book: Guestbook
) -> None:
    """Archives that were restored alone: the database knows the erasure."""
    row = approved(ada, ben)
    run_to_the_end(row)
    row.refresh_from_db()
    book.write(MAIL)
    assert replay_ledger(whole=False, tell=lambda _: None).erasures == 0
    assert replay_ledger(whole=True, tell=lambda _: None).erasures == 1
    assert book.guests() == []
    assert Erasure.objects.get(pk=row.pk).receipt == row.receipt


def test_a_request_that_waited_in_the_backup_is_done_by_the_replay(
    ada: Actor, ben: Actor, book: Guestbook
) -> None:
    row = asked(ada)
    before = Erasure.objects.values().get(pk=row.pk)
    run_to_the_end(services.approve_erasure(row.pk, actor=ben))
    Tombstone.objects.all().delete()
    Erasure.objects.all().delete()
    Erasure.objects.create(**before)
    book.write(MAIL)
    replay_ledger(whole=False, tell=lambda _: None)
    again = Erasure.objects.get(pk=row.pk)
    assert (again.state, again.sealed) == (ErasureState.DONE, "")
    assert book.guests() == []
    with pytest.raises(InvalidStateError):
        services.approve_erasure(row.pk, actor=ben)


def test_the_machines_own_command_asks_and_decides_at_once(book: Guestbook) -> None:
    book.write(MAIL)
    row = asked(SYSTEM, MAIL)
    run_to_the_end(services.approve_erasure(row.pk, actor=SYSTEM))
    assert book.guests() == []
    assert actor_of(make_person(Role.ADMIN)).is_admin
    assert User.objects.count() == 1


def test_the_vault_is_the_last_of_all_stores() -> None:
    with guestbook():
        assert [store.key for store in erasing.stores()][-1] == "vault"
