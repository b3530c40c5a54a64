"""Erasures that nobody decides on, and receipts that are checked where they are shown."""

import json
from datetime import timedelta
from typing import Any

import pytest

from governance.models import AuditEntry, Erasure, Notice
from governance.services import erasures as services
from governance.services.escalation import escalate_erasures
from governance.types import Role
from portal.kernel import clock
from tests.support.canaries import search
from tests.support.erasing import MAIL, asked, run_to_the_end
from tests.support.factories import make_actor
from tests.support.signing_in import sign_in, with_password

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("ledger")]


def test_what_no_admin_decides_on_is_told_to_them_again_once() -> None:
    ada, ben = make_actor(Role.ADMIN), make_actor(Role.ADMIN)
    row, fresh = asked(ada), asked(ada)
    Erasure.objects.filter(pk=row.pk).update(created_at=clock.now() - timedelta(days=4))
    Notice.objects.all().delete()
    assert (escalate_erasures(), escalate_erasures()) == (1, 0)
    told = Notice.objects.order_by("user_id")
    assert [notice.user_id for notice in told] == [ada.id, ben.id]
    assert {notice.subject_key for notice in told} == {str(row.pk)}
    assert AuditEntry.objects.filter(action="erasure.escalated").count() == 1
    assert search([("notices", json.dumps(list(told.values()), default=str))], [MAIL]) == []
    fresh.refresh_from_db()
    assert fresh.escalated_at is None
    services.deny_erasure(row.pk, actor=ben, note="A legal hold.")
    assert escalate_erasures() == 0


def test_a_receipt_is_checked_on_its_page_and_an_altered_one_proves_nothing() -> None:
    ada, ben = make_actor(Role.ADMIN), make_actor(Role.ADMIN)
    row = services.approve_erasure(asked(ada).pk, actor=ben)
    run_to_the_end(row)
    row.refresh_from_db()
    browser = sign_in(with_password(Role.ADMIN))
    page = f"/privacy/erasures/{row.pk}/"
    assert "Verify here" in browser.get(page).content.decode()
    assert "It holds." not in browser.get(page).content.decode()
    assert "It holds." in browser.get(page, {"verify": "receipt"}).content.decode()
    receipt: dict[str, Any] = json.loads(json.dumps(row.receipt))
    receipt["receipt"]["identifiers"] += 1
    Erasure.objects.filter(pk=row.pk).update(receipt=receipt)
    said = browser.get(page, {"verify": "receipt"}).content.decode()
    assert "It proves nothing:</b> it is not what was signed." in said
    other = sign_in(with_password(Role.ANALYST))
    assert other.get(page, {"verify": "receipt"}).status_code == 403
