"""The audit log taken out: by the page's question and by the API's, as lines and as a table."""

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.test import Client

from governance import audit
from governance.models import AuditEntry, AuditVerification
from governance.selectors import audit_exports
from governance.types import ResourceRef, Role
from portal.kernel.actor import SYSTEM
from tests.support.factories import make_person, token_of

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def anchors_of_its_own(tmp_path: Path, settings: Any) -> None:
    """An export signs what is not signed yet, here of a chain that is rolled back."""
    settings.AUDIT_ANCHORS = tmp_path / "anchors.jsonl"


@pytest.fixture
def admin(client: Client) -> Client:
    client.force_login(make_person(Role.ADMIN))
    return client


def write_rows(count: int) -> None:
    for number in range(count):
        audit.record(
            SYSTEM,
            "stream.changed" if number % 2 else "access.granted",
            ResourceRef("stream", "shop.order_placed"),
            summary='=HYPERLINK("http://evil.example")' if number == 1 else f"change {number}",
            after={"number": number},
        )


def whole(answer: Any) -> bytes:
    """A streamed body, read in this thread as its rows are in the test's transaction."""

    async def read() -> bytes:
        return b"".join([part async for part in answer.streaming_content])

    found: bytes = async_to_sync(read)()
    return found


def body(client: Client, path: str) -> bytes:
    answer = client.get(path)
    assert answer.status_code == 200
    return whole(answer)


def test_the_page_takes_out_what_its_question_finds(
    admin: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit_exports, "ROWS", 3)  # several pages
    write_rows(10)
    page = admin.get("/audit/?verb=changed&period=7+days").content.decode()
    path = "/audit/export/?verb=changed&amp;period=7+days&amp;form="
    assert f'href="{path}lines" download' in page
    assert f'href="{path}table" download' in page
    lines = [
        json.loads(line) for line in body(admin, f"{path}lines".replace("&amp;", "&")).splitlines()
    ]
    rows, behind = lines[:-2], lines[-2:]
    assert [list(line) for line in behind] == [["proof"], ["seal"]]
    assert behind[-1]["seal"]["statement"]["asked"]["verb"] == "changed"
    assert [row["action"] for row in rows] == ["stream.changed"] * 5
    assert [row["seq"] for row in rows] == sorted(row["seq"] for row in rows)
    text = body(admin, f"{path}table".replace("&amp;", "&")).decode()
    head, *table = csv.reader(io.StringIO(text, newline=""))
    assert tuple(head) == audit_exports.COLUMNS
    assert [row[0] for row in table] == [str(row["seq"]) for row in rows]
    assert table[0][head.index("summary")] == '\'=HYPERLINK("http://evil.example")'
    assert json.loads(table[0][head.index("detail")]) == rows[0]["detail"]


def test_the_api_gives_the_same_table() -> None:
    person = make_person(Role.ADMIN)
    write_rows(4)
    client = Client(headers={"Authorization": f"Bearer {token_of(person)}"})
    answer = client.get("/api/v1/audit/export.csv?action=access.granted")
    assert answer["Content-Type"] == "text/csv; charset=utf-8"
    assert answer["Content-Disposition"] == 'attachment; filename="audit.csv"'
    _, *table = csv.reader(io.StringIO(whole(answer).decode(), newline=""))
    assert {row[5] for row in table} == {"access.granted"}
    assert len(table) == AuditEntry.objects.filter(action="access.granted").count()
    accepting = client.get("/api/v1/audit/export.csv", headers={"Accept": "text/csv"})
    assert accepting.status_code == 200


@pytest.mark.parametrize("role", [None, Role.ENGINEER, Role.ANALYST, Role.ON_CALL])
def test_nobody_else_takes_it_out(client: Client, role: Role | None) -> None:
    if role is not None:
        client.force_login(make_person(role))
    for path in ("/audit/export/", "/audit/export/?form=table"):
        answer = client.get(path)
        assert answer.status_code in {302, 403, 404}
        assert not answer.streaming


def test_an_unknown_form_is_told_what_is_known(admin: Client) -> None:
    answer = admin.get("/audit/export/?form=xls", headers={"Accept": "application/json"})
    assert answer.status_code == 400
    assert answer.json()["errors"][0]["pointer"] == "/form"


def test_a_chain_that_does_not_hold_is_not_taken_out_of_the_page(admin: Client) -> None:
    write_rows(2)
    AuditVerification.objects.create(rows=1, first_bad=1, head_hash="00", seconds=0.1)
    page = admin.get("/audit/").content.decode()
    assert "nothing is taken out of it here" in page
    assert "/audit/export/" not in page
    assert admin.get("/audit/export/").status_code == 409
