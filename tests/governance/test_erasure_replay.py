"""Receipts of erasures, and erasing again in a restored database what the ledger knows."""

import json
from pathlib import Path
from typing import Any

import pytest

from governance import erasing, receipts, tombstones
from governance.chain import signing
from governance.erasing import mark_of
from governance.models import (
    Erasure,
    ErasureState,
    Notice,
    PrivacyToken,
    Tombstone,
)
from governance.receipts import ReceiptError
from governance.selectors import erasures as selectors
from governance.services import erasures as services
from governance.services.erasure_replay import replay_ledger
from governance.services.subject_exports import request_export
from governance.types import Role
from portal.kernel.actor import SYSTEM, Actor
from portal.kernel.errors import (
    InvalidStateError,
    NotFoundError,
)
from tests.support.erasing import (
    MAIL,
    Guestbook,
    approved,
    asked,
    guestbook,
    run_to_the_end,
    token_for,
)
from tests.support.factories import make_actor

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("ledger"),
]


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


def test_a_replay_removes_exports_for_what_came_back_may_stand_in_them(
    ada: Actor, ben: Actor, book: Guestbook, settings: Any, tmp_path: Path
) -> None:
    settings.SUBJECT_EXPORT_DIR = tmp_path / "exports"
    run_to_the_end(approved(ada, ben))
    restored(book, MAIL)
    export = request_export(["carol"], reason="Case 17: asked by mail.", actor=ada)
    replay_ledger(whole=False, tell=lambda _: None)
    export.refresh_from_db()
    assert (export.state, export.ended) == ("gone", "erased")


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


def test_the_machines_own_command_asks_and_decides_at_once_and_bothers_no_admin(
    ada: Actor, book: Guestbook
) -> None:
    book.write(MAIL)
    row = asked(SYSTEM, MAIL)
    run_to_the_end(services.approve_erasure(row.pk, actor=SYSTEM))
    assert book.guests() == []
    assert not Notice.objects.exists()


def test_the_vault_is_the_last_of_all_stores() -> None:
    with guestbook():
        assert [store.key for store in erasing.stores()][-1] == "vault"
