"""The audit sentence: what each verb finds, by an index, over all time or the last days."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.db.models import QuerySet
from django.test import Client

from governance import audit
from governance.models import AuditAnchor, AuditEntry, SavedView
from governance.selectors import audit_log, audit_verbs
from governance.services.anchoring import anchor_chain
from governance.types import ResourceRef, Role
from portal.kernel import clock
from portal.kernel.actor import SYSTEM
from tests.support.factories import make_person

pytestmark = pytest.mark.django_db

ROWS = {
    "event.personal_read": "saw",
    "dead_letter.exported": "exported",
    "access.break_glass": "granted",
    "access.refused": "was refused",
    "schema.rejected": "changed",
    "review.completed": "changed",
}


@pytest.fixture(autouse=True)
def place(tmp_path: Path, settings: Any) -> None:
    settings.DATA_DIR = tmp_path
    settings.AUDIT_KEY = ""
    settings.AUDIT_ANCHORS = tmp_path / "anchors.jsonl"


@pytest.fixture
def admin(client: Client) -> Client:
    client.force_login(make_person(Role.ADMIN))
    return client


def write_rows() -> None:
    for action in ROWS:
        audit.record(SYSTEM, action, ResourceRef("stream", "shop.paid"), summary=f"did {action}")


@pytest.mark.parametrize("verb", audit_verbs.VERBS)
def test_each_verb_finds_its_rows_and_no_other(admin: Client, verb: str) -> None:
    write_rows()
    text = admin.get("/audit/", {"verb": verb, "object": "shop.paid"}).content.decode()
    shown = {action for action in ROWS if f"did {action}" in text}
    assert shown == {action for action, its in ROWS.items() if verb in (its, "touched")}


def test_what_older_portals_called_a_verb_is_still_asked(admin: Client) -> None:
    write_rows()
    for old, new in audit_verbs.RENAMED.items():
        page = admin.get("/audit/", {"verb": old, "object": "shop.paid"})
        assert page.status_code == 200
        assert f"<option selected>{new}</option>" in page.content.decode()
    answer = admin.get("/audit/", {"verb": "stole"}, headers={"Accept": "application/json"})
    assert answer.status_code == 400
    admin.post("/audit/questions/", {"name": "Anything", "verb": "did anything to"})
    assert SavedView.objects.get().asked == {"verb": "touched"}


def test_a_long_past_is_asked_with_a_word(admin: Client) -> None:
    write_rows()
    with clock.at(clock.now() + timedelta(days=200)):
        page = admin.get("/audit/?object=shop.paid").content.decode()
        assert "Nothing in this period fits the question." in page
        assert "?object=shop.paid&amp;period=all+time" in page
        assert "did schema.rejected" in admin.get("/audit/?period=all+time").content.decode()
    nothing = admin.get("/audit/?period=all+time&object=nobody").content.decode()
    assert "Nothing that ever happened fits the question." in nothing


# --- bounded ---


@pytest.fixture
def busy() -> None:
    """Twenty thousand looks in a row, one row of another kind in a thousand."""
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO governance_audit (seq, at, actor_kind, actor_id, actor, action, object_kind,"
            " object_key, summary, detail, request_id, prev_hash, hash, format)"
            " SELECT n, now() - (20000 - n) * interval '10 minutes', 'user', n % 50, 'p' || n % 50,"
            " CASE n % 1000 WHEN 1 THEN 'schema.rejected' WHEN 2 THEN 'access.refused'"
            " WHEN 3 THEN 'access.granted' WHEN 4 THEN 'dead_letter.exported'"
            " ELSE 'event.personal_read' END, 'stream', 's' || n % 400, '', '{}', '', '', '', 2"
            " FROM generate_series(1000001, 1020000) AS n"
        )
        cursor.execute("ANALYZE governance_audit")


def plan_of(rows: QuerySet[Any]) -> str:
    return rows.explain(analyze=True, timing=False, buffers=False)


def rows_read(plan: str) -> int:
    """Rows that were read and thrown away."""
    words = plan.replace("Rows Removed by Filter: ", "Rows Removed by Filter:").split()
    return sum(int(word[7:]) for word in words if word.startswith("Filter:") and word[7:].isdigit())


@pytest.mark.usefixtures("busy")
@pytest.mark.parametrize("verb", [verb for verb in audit_verbs.VERBS if verb != "touched"])
def test_a_verb_is_read_by_its_index(verb: str) -> None:
    plan = plan_of(audit_log.entries(verb=verb).order_by("-seq")[:51])
    assert rows_read(plan) < 100, plan
    if verb != "saw":  # what most rows are may be read as they come
        assert "governance_audit_verb" in plan, plan


@pytest.mark.usefixtures("busy")
@pytest.mark.parametrize(
    ("asked", "index"),
    [
        ({"object_key": "s7"}, "governance_audit_thing"),
        ({"actor": "p7"}, "governance_audit_actor"),
        ({"action": "access.refused"}, "governance_audit_verb"),
    ],
)
def test_things_people_and_actions_are_read_by_theirs(asked: dict[str, str], index: str) -> None:
    plan = plan_of(audit_log.entries(**asked).order_by("-seq")[:11])  # type: ignore[arg-type]
    assert index in plan, plan


@pytest.mark.usefixtures("busy")
def test_looks_are_read_by_theirs() -> None:
    rows = audit_log.looks(since=clock.now() + timedelta(days=1))[:10]
    assert "governance_audit_looked" in plan_of(rows)


def test_a_period_goes_back_no_further_than_what_was_anchored_before_it() -> None:
    write_rows()
    with clock.at(clock.now() - timedelta(days=40)):
        anchor_chain()
    old = AuditAnchor.objects.get().upto_seq
    write_rows()
    since, until = clock.now() - timedelta(days=30), clock.now() + timedelta(days=1)
    found = audit_log.entries(since=since, until=until)
    assert f'"seq" > {old}' in str(found.query)
    # A row is asked for by its own time: what was anchored long ago by its clock is left out.
    assert set(found.values_list("seq", flat=True)) == set(range(old + 1, old + len(ROWS) + 1))
    assert audit_log.entries(since=since - timedelta(days=11)).count() == 2 * len(ROWS)
    assert AuditEntry.objects.count() == 2 * len(ROWS)
