"""The anchors of the audit chain: signed in turn, kept in two places, and what they find."""

import dataclasses
import json
import random
from datetime import UTC, datetime
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import DatabaseError, connection, transaction
from django.test import Client

from benchmarks.tampering import KINDS, TABLES, tamper
from governance import audit
from governance.chain import anchors, merkle, second_place, signing
from governance.chain.anchors import Anchor, AnchorError
from governance.chain.rows import GENESIS, canonical_row
from governance.models import AuditAnchor, AuditEntry, AuditVerification
from governance.selectors.audit_log import as_dict
from governance.selectors.audit_proofs import ProofError, check_proof, proof_of
from governance.services.anchoring import (
    BrokenChainError,
    anchor_chain,
    anchor_or_say_why,
)
from governance.services.verification import verify_chain, walk_chain
from governance.types import ResourceRef, Role
from portal.http.rendering import dump
from portal.kernel.actor import SYSTEM
from portal.kernel.errors import InvalidStateError, NotFoundError
from tests.support.factories import make_person

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def copy(tmp_path: Path, settings: Any) -> Path:
    """The copy outside the database, and a key of its own."""
    settings.DATA_DIR = tmp_path
    settings.AUDIT_ANCHORS = tmp_path / "audit" / "anchors.jsonl"
    settings.AUDIT_KEY = ""
    found: Path = settings.AUDIT_ANCHORS
    return found


def write_rows(count: int) -> None:
    for number in range(count):
        audit.record(
            SYSTEM,
            "stream.changed",
            ResourceRef("stream", f"shop.stream_{number % 7}"),
            summary=f"change {number}: Größe",
            before={"share": 0.25, "count": number},
            after={"share": 1e16, "count": 2**60 + number},
        )


def lines(copy: Path) -> list[Anchor]:
    return list(second_place.anchors_in(copy))


def owner(statement: str, parameters: list[Any] | None = None) -> None:
    """Run something as the owner of the database, past the triggers."""
    with connection.cursor() as cursor:
        for table in TABLES:
            cursor.execute(f"ALTER TABLE {table} DISABLE TRIGGER USER")
        cursor.execute(statement, parameters)
        for table in TABLES:
            cursor.execute(f"ALTER TABLE {table} ENABLE TRIGGER USER")


# --- what is hashed and signed ---


def test_a_row_is_hashed_as_one_json_object_whatever_its_texts_hold() -> None:
    audit.record(
        SYSTEM, "a.b", ResourceRef("stream", 'quote " and \\ and \x1f and \u2028 and 😀'),
        summary="tab\tline\nbell\x07", after={"ä": [1.0, 1e-7, 1e21, True, None], "z": {"b": 1, "a": 2}},
    )  # fmt: skip
    entry = AuditEntry.objects.get()
    assert entry.format == 2
    document = json.loads(canonical_row(entry))
    assert document["object_key"] == 'quote " and \\ and \x1f and \u2028 and 😀'
    assert document["detail"]["after"] == {"ä": [1, 1e-7, 1e21, True, None], "z": {"a": 2, "b": 1}}
    assert walk_chain().holds, "the database spells it the same"


def test_rows_of_older_portals_stay_as_they_were_hashed() -> None:
    write_rows(2)
    owner(
        "UPDATE governance_audit SET format = 1, hash = sha256(prev_hash || convert_to(concat_ws("
        "chr(31), seq, (extract(epoch FROM at) * 1000000)::bigint, actor_kind, actor_id, actor,"
        " action, object_kind, object_key, summary, request_id,"
        " encode(sha256(convert_to('{}', 'UTF8')), 'hex')), 'UTF8')), detail = '{}' WHERE seq = 1"
    )
    owner(
        "UPDATE governance_audit SET prev_hash = (SELECT hash FROM governance_audit WHERE seq = 1) WHERE seq = 2"
    )
    found = walk_chain()
    assert found.first_bad == 2, "the first fits; the second was hashed behind another"
    assert found.fault == "is not what was hashed"


# What the tests of Certificate Transparency expect of these eight leaves.
LEAVES = [
    bytes.fromhex(text)
    for text in (
        "", "00", "10", "2021", "3031", "40414243", "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    )
]  # fmt: skip
ROOTS = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]


def test_trees_are_those_of_rfc_6962() -> None:
    for size, expected in enumerate(ROOTS, start=1):
        assert merkle.root(LEAVES[:size]).hex() == expected
    with pytest.raises(ValueError, match="has a leaf"):
        merkle.root([])


def test_a_path_leads_from_its_leaf_alone_to_the_root() -> None:
    leaves = [bytes([number]) * 32 for number in range(37)]
    for size in range(1, 38):
        root = merkle.root(leaves[:size])
        for place in range(size):
            path = merkle.path(leaves[:size], place)
            assert merkle.root_by_path(leaves[place], place, size, path) == root
            other = (place + 1) % size
            if other != place:
                assert merkle.root_by_path(leaves[other], place, size, path) != root
            with pytest.raises(ValueError, match="too long"):
                merkle.root_by_path(leaves[place], place, size, [*path, root])
            if path:
                with pytest.raises(ValueError, match="too short"):
                    merkle.root_by_path(leaves[place], place, size, path[:-1])


def test_anchors_follow_each_other_in_both_places(copy: Path) -> None:
    assert anchor_chain() == 0, "there is nothing to sign"
    write_rows(5)
    assert anchor_chain() == 1
    write_rows(3)
    assert (anchor_chain(), anchor_chain()) == (1, 0)
    first, second = lines(copy)
    assert (first.first, first.upto, second.first, second.upto) == (1, 5, 6, 8)
    assert (first.previous, second.previous) == (GENESIS, first.digest())
    hashes = [
        bytes(each) for each in AuditEntry.objects.order_by("seq").values_list("hash", flat=True)
    ]
    assert [*first.hashes, *second.hashes] == hashes
    assert [bytes(row.signature) for row in AuditAnchor.objects.order_by("number")] == [
        first.signature.value, second.signature.value,
    ]  # fmt: skip
    found = walk_chain()
    assert (found.holds, found.rows, found.anchored_upto) == (True, 8, 8)
    write_rows(1)
    kept = verify_chain()
    assert (kept.holds, kept.rows, kept.anchored_upto) == (True, 9, 8)
    assert kept.anchored_at == second.at


def test_an_anchor_has_a_thousand_rows_at_most(monkeypatch: pytest.MonkeyPatch, copy: Path) -> None:
    monkeypatch.setattr("governance.services.anchoring.MOST_ROWS", 4)
    write_rows(9)
    assert anchor_chain() == 3
    assert [anchor.upto for anchor in lines(copy)] == [4, 8, 9]
    assert walk_chain().anchored_upto == 9


def test_each_thousandth_row_asks_for_an_anchor(
    monkeypatch: pytest.MonkeyPatch, django_capture_on_commit_callbacks: Any
) -> None:
    asked: list[str] = []
    monkeypatch.setattr("portal.kernel.jobs._send", lambda task, *_, **__: asked.append(task))
    monkeypatch.setattr("governance.audit.MOST_ROWS", 3)
    with django_capture_on_commit_callbacks(execute=True):
        write_rows(7)
    assert asked == ["governance.anchor_audit"] * 2


def test_the_key_is_made_once_and_nobody_else_reads_it(tmp_path: Path, settings: Any) -> None:
    write_rows(1)
    assert signing.known_keys() == {}
    anchor_chain()
    place = tmp_path / "secrets" / "audit_key"
    assert place.stat().st_mode & 0o777 == 0o600
    before = place.read_text()
    write_rows(1)
    anchor_chain()
    assert place.read_text() == before
    assert [each.name for each in place.parent.iterdir()] == ["audit_key"]
    settings.AUDIT_KEY = f"{signing.spell_key(bytes(range(32)))}\n{before}"
    write_rows(1)
    anchor_chain()
    assert len({row.key_id for row in AuditAnchor.objects.all()}) == 2
    assert walk_chain().anchored_upto == 3, "an older key still vouches for what it signed"
    settings.AUDIT_KEY = signing.spell_key(bytes(32))
    found = walk_chain()
    assert (found.first_bad, found.fault) == (
        1, "anchor 1 was not signed by a key that is known here",
    )  # fmt: skip


# --- two places ---


def test_what_a_crash_left_in_one_place_is_brought_to_the_other(copy: Path) -> None:
    write_rows(4)
    anchor_chain()
    write_rows(2)
    anchor_chain()
    owner("DELETE FROM governance_audit_anchor WHERE number = 2")
    with copy.open("ab") as file:
        file.write(b'{"statement":{"anchor":3')  # of a third, half
    write_rows(1)
    assert anchor_chain() == 1
    assert [row.number for row in AuditAnchor.objects.order_by("number")] == [1, 2, 3]
    assert [anchor.number for anchor in lines(copy)] == [1, 2, 3]
    copy.unlink()
    write_rows(1)
    assert anchor_chain() == 1
    assert [anchor.number for anchor in lines(copy)] == [1, 2, 3, 4]
    found = walk_chain()
    assert (found.holds, found.anchored_upto) == (True, 8)


def test_a_copy_of_another_chain_is_taken_for_none(copy: Path) -> None:
    write_rows(3)
    anchor_chain()
    kept = copy.read_bytes()
    owner("DELETE FROM governance_audit_anchor")
    owner("DELETE FROM governance_audit")
    owner("UPDATE governance_audit_head SET seq = 0, hash = decode(repeat('00', 32), 'hex')")
    copy.unlink()
    write_rows(3)
    anchor_chain()
    copy.write_bytes(kept)
    with pytest.raises(AnchorError, match="anchor 1 is another"):
        anchor_chain()
    assert walk_chain().first_bad == 1
    assert anchor_or_say_why() == 0
    row = AuditVerification.objects.latest("at")
    assert (row.first_bad, row.holds) == (1, False)


def test_rows_that_were_changed_since_are_not_copied_as_signed(copy: Path) -> None:
    write_rows(3)
    anchor_chain()
    copy.unlink()
    owner("UPDATE governance_audit SET hash = %s WHERE seq = 2", [bytes(32)])
    with pytest.raises(AnchorError, match="anchor 1 has other rows"):
        anchor_chain()
    assert lines(copy) == []
    for _ in range(2):
        anchor_or_say_why()
    assert AuditVerification.objects.count() == 1, "walked once, not each minute"


def test_rows_that_do_not_fit_are_not_signed(copy: Path) -> None:
    write_rows(4)
    owner("UPDATE governance_audit SET summary = 'other' WHERE seq = 3")
    with pytest.raises(BrokenChainError, match="row 3"):
        anchor_chain()
    assert not AuditAnchor.objects.exists()
    assert lines(copy) == []


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE governance_audit_anchor SET at = now()",
        "DELETE FROM governance_audit_anchor",
        "TRUNCATE governance_audit_anchor",
    ],
)
def test_the_database_refuses_to_change_an_anchor(statement: str) -> None:
    write_rows(1)
    anchor_chain()
    with pytest.raises(DatabaseError, match="append-only"), transaction.atomic():
        connection.cursor().execute(statement)


# --- attacks ---


@pytest.mark.parametrize("kind", list(KINDS))
@pytest.mark.parametrize("seed", range(6))
def test_every_change_by_the_owner_is_found_and_the_first_bad_row_named(
    kind: str, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`benchmarks/audit.py` makes a thousand of them in ten thousand rows."""
    monkeypatch.setattr("governance.services.anchoring.MOST_ROWS", 11)
    write_rows(40)
    anchor_chain()
    write_rows(5)
    assert walk_chain().holds
    monkeypatch.setattr("benchmarks.tampering.KINDS", {kind: KINDS[kind]})
    with connection.cursor() as cursor:
        done = tamper(cursor, random.Random(seed), rows=45, upto=40)
    found = walk_chain()
    assert found.first_bad == done.first_bad, found.fault
    assert found.fault


def test_a_tail_behind_the_newest_anchor_is_missed_by_the_count(copy: Path) -> None:
    write_rows(4)
    anchor_chain()
    write_rows(3)
    owner("DELETE FROM governance_audit WHERE seq > 5")
    found = walk_chain()
    assert (found.first_bad, found.fault) == (6, "is missing: the database counts 7 rows")


line = anchors.to_line


def forged(anchor: Anchor, **changes: Any) -> bytes:
    document = json.loads(line(anchor))
    document["statement"] |= changes
    return json.dumps(document).encode() + b"\n"


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (lambda one, two: [forged(one, upto=2), line(two)], "anchor 1 was not signed"),
        (lambda one, two: [forged(one, at=1), line(two)], "anchor 1 was not signed"),
        (lambda one, two: [line(two)], "anchor 1 is missing"),
        (lambda one, two: [line(one), line(one)], "anchor 2 is missing"),
        (lambda one, two: [line(two), line(one)], "anchor 1 is missing"),
        (lambda one, two: [b"{}\n", line(two)], "a line of the anchors cannot be read"),
        (lambda one, two: [b"\xff\n", line(two)], "a line of the anchors cannot be read"),
        (
            lambda one, two: [line(dataclasses.replace(one, hashes=two.hashes)), line(two)],
            "anchor 1 has other rows",
        ),
        (
            lambda one, two: [line(dataclasses.replace(one, hashes=one.hashes[:1])), line(two)],
            "anchor 1 has another count",
        ),
    ],
)
def test_a_copy_that_was_changed_vouches_for_nothing(change: Any, fault: str, copy: Path) -> None:
    write_rows(3)
    anchor_chain()
    write_rows(3)
    anchor_chain()
    owner("DELETE FROM governance_audit_anchor")  # or it would be said that they differ
    copy.write_bytes(b"".join(change(*lines(copy))))
    found = walk_chain()
    assert not found.holds
    assert found.fault.startswith(fault)


def test_what_was_signed_by_somebody_else_vouches_for_nothing(copy: Path, settings: Any) -> None:
    write_rows(3)
    settings.AUDIT_KEY = signing.spell_key(bytes(31) + b"x")
    anchor_chain()
    settings.AUDIT_KEY = signing.spell_key(bytes(31) + b"y")
    assert walk_chain().first_bad == 1
    with pytest.raises(ProofError, match="not signed by a key"):
        check_proof(json.loads(dump(proof_of(2))), signing.known_keys())


# --- elsewhere ---


@pytest.fixture
def export(tmp_path: Path) -> Path:
    file = tmp_path / "audit.jsonl"
    write_rows(6)
    anchor_chain()
    file.write_bytes(
        b"".join(dump(as_dict(row)) + b"\n" for row in AuditEntry.objects.order_by("seq"))
    )
    return file


def said(*words: str) -> Any:
    out = StringIO()
    call_command("audit", *words, "--json", stdout=out)
    return json.loads(out.getvalue())


def test_an_export_is_verified_with_nothing_but_the_copy_and_the_public_key(
    export: Path, copy: Path, settings: Any, tmp_path: Path
) -> None:
    (text,) = said("public-key")["keys"].values()
    settings.DATA_DIR = tmp_path / "elsewhere"
    found = said("verify", str(export), "--anchors", str(copy), "--public-key", text)
    assert (found["holds"], found["rows"], found["anchored_upto"]) == (True, 6, 6)
    found = said("verify", str(export))
    assert (found["holds"], found["anchored_upto"], found["anchored_at"]) == (True, 0, None)
    out = StringIO()
    call_command("audit", "verify", str(export), stdout=out)
    assert "It has no seal, so its end may have been cut off." in out.getvalue()
    with pytest.raises(SystemExit) as stop:
        call_command("audit", "verify", str(export), "--sealed", stdout=out)
    assert stop.value.code == 1
    assert "there is no seal at its end, which may have been cut off behind row 6" in out.getvalue()
    export.write_bytes(b"".join(export.read_bytes().splitlines(keepends=True)[:-1]))
    out = StringIO()
    with pytest.raises(SystemExit) as stop:
        call_command(
            "audit", "verify", str(export), "--anchors", str(copy), "--public-key", text, stdout=out
        )
    assert stop.value.code == 1
    assert out.getvalue().startswith("Broken: row 6 is missing: anchor 1 was signed for it.")


def test_one_row_is_proven_alone(export: Path, tmp_path: Path) -> None:
    out = StringIO()
    call_command("audit", "prove", "4", stdout=out)
    file = tmp_path / "proof.json"
    file.write_text(out.getvalue())
    found = said("verify", str(file))
    assert (found["holds"], found["row"], found["anchor"]) == (True, 4, 1)
    assert datetime.fromisoformat(found["anchored_at"]) < datetime.now(UTC)
    proof = json.loads(out.getvalue())
    for change, why in (
        ({"row": proof["row"] | {"summary": "other"}}, "not what its hash was made of"),
        ({"row": proof["row"] | {"seq": 5}}, "not what its hash was made of"),
        ({"path": proof["path"][:-1]}, "none of those"),
        ({"path": [*proof["path"], "00" * 32]}, "none of those"),
        ({"path": proof["path"][::-1]}, "none of those"),
        ({"row": proof["row"] | {"format": 7}}, "no known format"),
        ({"row": 7}, "no proof"),
        ({"path": ["x"]}, "no proof"),
    ):
        with pytest.raises(ProofError, match=why):
            check_proof(proof | change, signing.known_keys())
    file.write_text(json.dumps(proof | {"path": []}))
    with pytest.raises(CommandError, match="none of those"):
        call_command("audit", "verify", str(file))


def test_a_row_has_no_proof_until_it_is_signed() -> None:
    write_rows(2)
    anchor_chain()
    write_rows(1)
    with pytest.raises(InvalidStateError, match="not anchored yet"):
        proof_of(3)
    with pytest.raises(NotFoundError):
        proof_of(4)
    with pytest.raises(CommandError, match="Say which row"):
        call_command("audit", "prove", "x")
    owner("UPDATE governance_audit SET hash = %s WHERE seq = 1", [bytes(32)])
    with pytest.raises(InvalidStateError, match="verify the chain"):
        proof_of(2)


# --- the pages ---


def test_pages_say_up_to_where_rows_are_signed_and_give_a_proof(client: Client) -> None:
    client.force_login(make_person(Role.ADMIN))
    write_rows(3)
    number = AuditEntry.objects.count()
    assert "Not signed yet" in client.get(f"/audit/{number}/").content.decode()
    anchor_chain()
    verify_chain()
    page = client.get("/audit/").content.decode()
    assert "Signed up to" in page
    assert f"/audit/{number}/" in page
    row = client.get(f"/audit/{number}/").content.decode()
    assert "(anchor 1, key" in row
    answer = client.get(f"/audit/{number}/proof/")
    assert answer["Content-Disposition"] == f'attachment; filename="audit-{number}-proof.json"'
    assert check_proof(answer.json(), signing.known_keys()).seq == number


def test_pages_say_which_row_does_not_fit_and_why(client: Client) -> None:
    client.force_login(make_person(Role.ADMIN))
    write_rows(3)
    number = AuditEntry.objects.count() - 1
    owner("UPDATE governance_audit SET summary = 'forged' WHERE seq = %s", [number])
    verify_chain()
    page = client.get("/audit/").content.decode()
    assert f"Row {number} is not what was hashed." in page
    assert page.count("the first that does not fit") == 1
    for seq, said_there in ((number - 1, 0), (number, 1), (number + 1, 1)):
        row = client.get(f"/audit/{seq}/").content.decode()
        assert row.count(f"found that row {number} is not what was hashed") == said_there
