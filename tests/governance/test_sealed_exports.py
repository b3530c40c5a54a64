"""What an export proves by itself, and what is said of one that somebody touched."""

import json
import random
from collections.abc import Callable
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.core.management import call_command
from django.db import connection
from django.test import Client

from benchmarks.tampering import TABLES
from governance import audit
from governance.chain import signing, walking
from governance.chain.rows import digest
from governance.models import AuditAnchor, AuditEntry
from governance.selectors import audit_exports, audit_proofs
from governance.selectors.audit_log import as_dict, entry_of
from governance.services import anchoring
from governance.services.anchoring import anchor_chain
from governance.types import ResourceRef, Role
from portal.http.rendering import dump
from portal.kernel.actor import SYSTEM
from tests.support.factories import make_person, token_of

pytestmark = pytest.mark.django_db

COUNT = 60
Lines = list[bytes]


@pytest.fixture(autouse=True)
def key(tmp_path: Path, settings: Any) -> None:
    settings.DATA_DIR = tmp_path
    settings.AUDIT_KEY = ""
    settings.AUDIT_ANCHORS = tmp_path / "audit" / "anchors.jsonl"


@pytest.fixture
def admin(client: Client) -> Client:
    client.force_login(make_person(Role.ADMIN))
    return client


def write_rows(count: int = COUNT) -> None:
    for number in range(count):
        audit.record(
            SYSTEM,
            "access.granted" if number % 9 == 0 else "stream.changed",
            ResourceRef("stream", "shop.order_placed"),
            summary=f"change {number}: Größe",
            after={"number": number},
        )


@pytest.fixture
def chain() -> None:
    """Sixty rows under three anchors, one row in nine of them a grant."""
    for _ in range(3):
        write_rows(COUNT // 3)
        anchor_chain()


def taken(client: Client, path: str) -> Lines:
    """An export as its lines."""
    answer: Any = client.get(path)
    assert answer.status_code == 200, answer.content

    async def read() -> bytes:
        return b"".join([part async for part in answer.streaming_content])

    return async_to_sync(read)().splitlines(keepends=True)


def rows_of(lines: Lines) -> list[dict[str, Any]]:
    return [row for row in map(json.loads, lines) if "seq" in row]


def verified(
    lines: Lines, tmp_path: Path, *words: str, how: tuple[str, ...] = ("--sealed",)
) -> dict[str, Any]:
    """What `audit verify` says of a file, with its exit code and its sentence."""
    file = tmp_path / "audit.jsonl"
    file.write_bytes(b"".join(lines))
    texts, code = [], 0
    for options in ([], ["--json"]):
        out = StringIO()
        try:
            call_command("audit", "verify", str(file), *how, *words, *options, stdout=out)
        except SystemExit as stop:
            code = int(stop.code or 0)
        texts.append(out.getvalue())
    return {**json.loads(texts[1]), "said": texts[0], "code": code}


# --- what is given out holds ---


@pytest.mark.usefixtures("chain")
@pytest.mark.parametrize("period", ["24+hours", "30+days", "all+time"])
def test_what_the_page_gives_out_is_proved_row_by_row(
    admin: Client, tmp_path: Path, period: str
) -> None:
    found = verified(taken(admin, f"/audit/export/?verb=granted&period={period}"), tmp_path)
    count = AuditEntry.objects.filter(action="access.granted").count()
    assert (found["code"], found["holds"], found["whole"]) == (0, True, False)
    assert (found["rows"], found["proved"]) == (count, count)
    assert found["said"].startswith(f"A part: {count} rows, each proved. Asked: ")
    assert "verb granted. Sealed at 2" in found["said"]


@pytest.mark.usefixtures("chain")
def test_the_pages_period_alone_is_a_part_too(admin: Client, tmp_path: Path) -> None:
    found = verified(taken(admin, "/audit/export/"), tmp_path)
    count = AuditEntry.objects.count()
    assert (found["code"], found["rows"], found["proved"]) == (0, count, count)
    assert found["said"].startswith(f"A part: {count} rows, each proved. Asked: from 2")


@pytest.mark.usefixtures("chain")
def test_without_a_question_it_is_the_whole_chain(admin: Client, tmp_path: Path) -> None:
    count = AuditEntry.objects.count()
    token = token_of(make_person(Role.ADMIN))
    api = Client(headers={"Authorization": f"Bearer {token}"})
    newest = AuditEntry.objects.count()
    for client, path, rows in (
        (admin, "/audit/export/?verb=touched&period=all+time", newest),
        (api, "/api/v1/audit/export?sealed=true", newest),
    ):
        found = verified(taken(client, path), tmp_path)
        assert (found["code"], found["whole"], found["rows"]) == (0, True, rows)
        assert found["said"].startswith(f"{rows} rows, unbroken. Signed up to row {rows}, at ")
        assert found["anchored_upto"] >= count


@pytest.mark.usefixtures("chain")
def test_nobody_else_needs_more_than_the_public_key(
    admin: Client, tmp_path: Path, settings: Any
) -> None:
    lines = taken(admin, "/audit/export/?verb=granted")
    (raw,) = signing.known_keys().values()
    copy = settings.AUDIT_ANCHORS
    settings.DATA_DIR = tmp_path / "elsewhere"
    text = signing.spell_key(raw)
    assert verified(lines, tmp_path, "--public-key", text)["code"] == 0
    assert verified(lines, tmp_path, "--public-key", text, "--anchors", str(copy))["code"] == 0
    other = verified(lines, tmp_path, "--public-key", signing.spell_key(bytes(32)))
    assert (other["code"], other["proved"], other["first_bad"]) == (1, 0, None)
    assert "was not signed by a key that is known here" in other["said"]


def test_an_answer_of_no_row_is_sealed_all_the_same(admin: Client, tmp_path: Path) -> None:
    found = verified(taken(admin, "/audit/export/?verb=exported"), tmp_path)
    assert (found["code"], found["rows"]) == (0, 0)
    assert found["said"].startswith("A part: 0 rows, each proved. Asked: from 2")


def test_rows_of_the_last_moment_are_vouched_for_by_the_seal(
    admin: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_rows(10)
    anchor_chain()
    write_rows(10)
    monkeypatch.setattr(anchoring, "_anchor_once", lambda: 0)  # another process is at it
    lines = taken(admin, "/audit/export/?verb=granted")
    found = verified(lines, tmp_path)
    assert (found["code"], found["rows"], found["proved"]) == (0, 4, 2)
    assert "for 2 that were too new the seal alone vouches" in found["said"]
    del lines[3]
    assert verified(lines, tmp_path)["said"] == "Broken: row 20 is missing.\n"


def test_a_long_export_takes_few_questions(
    admin: Client, django_assert_max_num_queries: Any, tmp_path: Path
) -> None:
    write_rows(400)
    anchor_chain()
    with django_assert_max_num_queries(20):
        lines = taken(admin, "/audit/export/?verb=granted")
    assert verified(lines, tmp_path)["proved"] == 45
    short = next(line for line in lines if line.startswith(b'{"proof":'))
    assert b'"hashes"' in short  # 45 paths of nine hashes are longer than 400 hashes
    few = taken(admin, "/audit/export/?verb=granted&actor=nobody")
    assert len(few) == 1


def test_few_rows_of_many_come_with_paths(tmp_path: Path) -> None:
    write_rows(200)
    anchor_chain()
    (proof,) = audit_proofs.proofs_of([3, 77, 200])
    assert [len(path) for path in proof.paths] == [8, 8, 5]
    assert not proof.hashes


# --- what somebody touched does not ---


def first(lines: Lines, place: int) -> int:
    return int(json.loads(lines[place])["seq"])


def edited(lines: Lines, place: int) -> tuple[Lines, int]:
    row = json.loads(lines[place]) | {"summary": "nothing at all"}
    return [*lines[:place], dump(row) + b"\n", *lines[place + 1 :]], row["seq"]


def hashed_anew(lines: Lines, place: int) -> tuple[Lines, int]:
    row = json.loads(lines[place]) | {"summary": "nothing at all"}
    entry = entry_of(row)
    row["hash"] = digest(bytes(entry.prev_hash), entry).hex()
    return [*lines[:place], dump(row) + b"\n", *lines[place + 1 :]], row["seq"]


def taken_out(lines: Lines, place: int) -> tuple[Lines, int]:
    return [*lines[:place], *lines[place + 1 :]], first(lines, place)


def put_in(lines: Lines, place: int) -> tuple[Lines, int]:
    """A genuine row of the chain that does not answer the question."""
    strangers = AuditEntry.objects.filter(action="stream.changed", seq__gt=first(lines, place))
    row = strangers.order_by("seq")[0]
    return [*lines[: place + 1], dump(as_dict(row)) + b"\n", *lines[place + 1 :]], row.seq


def doubled(lines: Lines, place: int) -> tuple[Lines, int]:
    return [*lines[: place + 1], lines[place], *lines[place + 1 :]], first(lines, place)


def swapped(lines: Lines, place: int) -> tuple[Lines, int]:
    one, two = lines[place], lines[place + 1]
    return [*lines[:place], two, one, *lines[place + 2 :]], first(lines, place)


def numbered_otherwise(lines: Lines, place: int) -> tuple[Lines, int]:
    row = json.loads(lines[place])
    changed = dump(row | {"seq": 10**6}) + b"\n"
    return [*lines[:place], changed, *lines[place + 1 :]], row["seq"]


def tail_of_rows_cut(lines: Lines, place: int) -> tuple[Lines, int]:
    end = len(rows_of(lines))
    return [*lines[:place], *lines[end:]], first(lines, place)


ATTACKS = [
    edited, hashed_anew, taken_out, doubled, swapped, numbered_otherwise, tail_of_rows_cut,
]  # fmt: skip
PARTS = ["/audit/export/?verb=granted", "/audit/export/", "/audit/export/?period=all+time"]


@pytest.mark.usefixtures("chain")
@pytest.mark.parametrize("path", PARTS)
@pytest.mark.parametrize("attack", ATTACKS)
def test_the_first_row_that_was_touched_is_named(
    attack: Callable[[Lines, int], tuple[Lines, int]], path: str, admin: Client, tmp_path: Path
) -> None:
    whole = taken(admin, path)
    count = len(rows_of(whole))
    chosen = {0, count - 2, random.Random(7).randrange(1, count - 2)}
    for place in sorted(chosen):
        lines, bad = attack(whole, place)
        found = verified(lines, tmp_path)
        assert (found["code"], found["first_bad"]) == (1, bad), (place, found["said"])
        assert found["said"].startswith(f"Broken: row {bad} ")


@pytest.mark.usefixtures("chain")
def test_a_genuine_row_that_was_not_asked_for_is_named(admin: Client, tmp_path: Path) -> None:
    lines, bad = put_in(taken(admin, "/audit/export/?verb=granted"), 2)
    found = verified(lines, tmp_path)
    assert (found["code"], found["first_bad"]) == (1, bad)
    assert "was put in: nothing vouches for it" in found["said"]


@pytest.mark.usefixtures("chain")
@pytest.mark.parametrize("path", PARTS)
def test_no_end_can_be_cut_off(path: str, admin: Client, tmp_path: Path) -> None:
    lines = taken(admin, path)
    count = len(rows_of(lines))
    for end in (*range(count, len(lines)), count - 1, 1, 0):
        found = verified(lines[:end], tmp_path)
        assert found["code"] == 1, end
        assert "there is no seal at its end" in found["fault"], end
    copy = tmp_path / "audit" / "anchors.jsonl"
    if "all" in path:  # rows alone, beside the copy of the anchors: the missing one is known
        found = verified(lines[: count - 1], tmp_path, "--anchors", str(copy), how=())
        assert (found["code"], found["first_bad"]) == (1, count)


@pytest.mark.usefixtures("chain")
def test_nothing_is_put_behind_the_end(admin: Client, tmp_path: Path) -> None:
    lines = taken(admin, "/audit/export/?verb=granted")
    found = verified([*lines, lines[0]], tmp_path)
    assert (found["code"], found["fault"]) == (1, "something was put behind its seal")
    beside = json.dumps(json.loads(lines[-1]) | {"summary": "nothing happened"}).encode()
    found = verified([*lines[:-1], beside], tmp_path)
    assert (found["code"], found["fault"]) == (1, "a line at its end cannot be read")
    row = lines.pop(3)
    found = verified([*lines[:-1], row, lines[-1]], tmp_path)
    assert (found["code"], found["first_bad"]) == (1, first([row], 0))


@pytest.mark.usefixtures("chain")
def test_what_vouches_is_not_changed_along_with_a_row(admin: Client, tmp_path: Path) -> None:
    """A row and its place in the proofs taken out together, and a seal that states fewer rows."""
    lines = taken(admin, "/audit/export/?verb=granted")
    gone = json.loads(lines.pop(1))["seq"]
    place = len(rows_of(lines))
    proof = json.loads(lines[place])
    del proof["proof"]["paths"][proof["proof"]["rows"].index(gone)]
    proof["proof"]["rows"].remove(gone)
    lines[place] = dump(proof) + b"\n"
    found = verified(lines, tmp_path)
    assert (found["code"], found["fault"]) == (1, "what it says of its rows is not what was sealed")
    seal = json.loads(lines[-1])
    seal["seal"]["statement"]["rows"] -= 1
    lines[-1] = dump(seal) + b"\n"
    found = verified(lines, tmp_path)
    assert (found["code"], found["fault"]) == (
        1, "its seal was not signed by a key that is known here",
    )  # fmt: skip


@pytest.mark.usefixtures("chain")
def test_a_seal_of_another_question_does_not_fit(admin: Client, tmp_path: Path) -> None:
    lines = taken(admin, "/audit/export/?verb=granted")
    other = taken(admin, "/audit/export/?verb=granted&actor=nobody")
    assert verified([*lines[:-1], other[-1]], tmp_path)["code"] == 1


@pytest.mark.usefixtures("chain")
def test_who_owns_the_database_proves_nothing_that_was_not_signed(
    admin: Client, tmp_path: Path
) -> None:
    """A row that was hashed anew in the table itself, before it was taken out."""
    row = AuditEntry.objects.filter(action="access.granted").order_by("seq")[2]
    row.summary = "nothing at all"
    with connection.cursor() as cursor:
        for table in TABLES:
            cursor.execute(f"ALTER TABLE {table} DISABLE TRIGGER USER")
        cursor.execute(
            "UPDATE governance_audit SET summary = %s, hash = %s WHERE seq = %s",
            [row.summary, digest(bytes(row.prev_hash), row), row.seq],
        )
        for table in TABLES:
            cursor.execute(f"ALTER TABLE {table} ENABLE TRIGGER USER")
    found = verified(taken(admin, "/audit/export/?verb=granted"), tmp_path)
    assert (found["code"], found["holds"]) == (1, False)
    anchor = AuditAnchor.objects.get(first_seq__lte=row.seq, upto_seq__gte=row.seq)
    assert anchor.first_seq <= found["first_bad"] <= row.seq
    assert f"anchor {anchor.number} was signed for" in found["fault"]


def test_no_file_is_given_out_that_could_not_be_sealed(admin: Client, settings: Any) -> None:
    settings.AUDIT_KEY = "no key"
    answer = admin.get("/audit/export/", headers={"Accept": "application/json"})
    assert answer.status_code == 503
    assert admin.get("/audit/export/?form=table").status_code == 200


def test_what_comes_while_it_is_read_is_left_out(
    admin: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit_exports, "ROWS", 7)
    write_rows(20)
    answer: Any = admin.get("/audit/export/?period=all+time")
    write_rows(5)

    async def read() -> bytes:
        return b"".join([part async for part in answer.streaming_content])

    found = verified(async_to_sync(read)().splitlines(keepends=True), tmp_path)
    assert (found["code"], found["whole"], found["rows"]) == (0, True, 20)


# --- the command and the address of one row ---


def test_long_work_says_how_far_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, admin: Client
) -> None:
    monkeypatch.setattr(walking, "TOLD_EACH", 10)
    monkeypatch.setattr(anchoring, "TOLD_EACH", 10)
    monkeypatch.setattr(anchoring, "MOST_ROWS", 4)
    write_rows(25)
    told: dict[str, list[str]] = {}
    file = tmp_path / "audit.jsonl"
    for step in (["anchor"], ["verify"], ["verify", str(file)]):
        if len(step) == 2:
            file.write_bytes(b"".join(taken(admin, "/audit/export/?period=all+time")))
        out, progress = StringIO(), StringIO()
        call_command("audit", *step, "--json", stdout=out, stderr=progress)
        assert len(json.loads(out.getvalue())) > 0, "standard output holds the result alone"
        told[" ".join(step[:1]) + str(len(step))] = progress.getvalue().split("\n")
    assert told["anchor1"] == ["12 looked at", "20 looked at", ""]
    assert told["verify1"] == ["10 looked at", "20 looked at", ""]
    assert told["verify2"] == ["10 looked at", "20 looked at", "30 looked at", ""], "proofs too"


def test_one_row_is_read_by_its_number() -> None:
    write_rows(3)
    api = Client(headers={"Authorization": f"Bearer {token_of(make_person(Role.ADMIN))}"})
    (second,) = (row for row in api.get("/api/v1/audit").json()["items"] if row["seq"] == 2)
    assert api.get("/api/v1/audit/2").json() == second
    assert api.get("/api/v1/audit/999999").status_code == 404
    assert api.get(f"/api/v1/audit/{10**30}").status_code == 404
    outsider = Client(headers={"Authorization": f"Bearer {token_of(make_person(Role.ENGINEER))}"})
    assert outsider.get("/api/v1/audit/2").status_code == 403
    assert Client().get("/api/v1/audit/2").status_code == 401
