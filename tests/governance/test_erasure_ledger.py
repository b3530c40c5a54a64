"""The ledger of erasures: chained, whole lines, the same never twice; and what watches over it."""

import io
import json
import stat
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from django.core.management import CommandError, call_command
from django.test import Client

from governance import erasure_ledger
from governance.erasure_ledger import BEGUN, DONE, LedgerError, Line
from governance.models import Erasure, Job
from governance.privacy import vault
from governance.services import erasure_walk
from portal.doctor import database
from portal.doctor.types import State
from portal.kernel import clock
from portal.kernel.errors import UnavailableError
from tests.support.canaries import search
from tests.support.erasing import guestbook

ONE, TWO = UUID(int=1), UUID(int=2)
MAIL = "ada.canary@zebra.example"


@pytest.fixture
def ledger(settings: Any, tmp_path: Path) -> Path:
    settings.ERASURE_LEDGER = tmp_path / "ledger" / "erasures.jsonl"
    settings.AUDIT_ANCHORS = tmp_path / "anchors.jsonl"
    path: Path = settings.ERASURE_LEDGER
    return path


def begun(erasure: UUID, *marks: bytes) -> Line:
    now = clock.now()
    return Line(BEGUN, erasure, now, now, "objection", 1, marks=marks, keys=(b"k" * 32,))


def test_lines_follow_each_other_and_are_for_their_owner_alone(ledger: Path) -> None:
    first = erasure_ledger.append(begun(ONE, b"m" * 32))
    last = erasure_ledger.append(Line(DONE, ONE, first.at, clock.now()))
    assert list(erasure_ledger.lines()) == [first, last]
    assert (first.marks, first.keys) == ((b"m" * 32,), (b"k" * 32,))
    assert json.loads(ledger.read_text().splitlines()[1])["previous"] == first.hash
    assert stat.S_IMODE(ledger.stat().st_mode) == 0o600
    assert stat.S_IMODE(ledger.parent.stat().st_mode) == 0o700


def test_the_same_said_again_adds_nothing_and_more_is_added(ledger: Path) -> None:
    first = erasure_ledger.append(begun(ONE, b"m" * 32))
    assert erasure_ledger.append(begun(ONE, b"m" * 32)) == first
    erasure_ledger.append(begun(ONE, b"m" * 32, b"n" * 32))
    erasure_ledger.append(begun(TWO, b"m" * 32))
    assert len(list(erasure_ledger.lines())) == 3


def test_a_line_that_a_crash_left_torn_is_none_and_is_cut_off(ledger: Path) -> None:
    first = erasure_ledger.append(begun(ONE, b"m" * 32))
    with ledger.open("ab") as file:
        file.write(b'{"kind": "done", "eras')
    assert list(erasure_ledger.lines()) == [first]
    last = erasure_ledger.append(begun(TWO, b"n" * 32))
    assert list(erasure_ledger.lines()) == [first, last]


@pytest.mark.parametrize("how", ["changed", "left out", "put in", "rubbish"])
def test_what_is_changed_is_seen_and_nothing_is_added_to_it(ledger: Path, how: str) -> None:
    for erasure in (ONE, TWO, UUID(int=3)):
        erasure_ledger.append(begun(erasure, b"m" * 32))
    lines = ledger.read_bytes().splitlines(keepends=True)
    if how == "changed":
        lines[1] = lines[1].replace(b'"objection"', b'"unlawful!"')
    elif how == "left out":
        del lines[1]
    elif how == "put in":
        lines.insert(1, lines[1])
    else:
        lines[1] = b"rubbish\n"
    ledger.write_bytes(b"".join(lines))
    with pytest.raises(LedgerError, match=r"line [23]"):
        list(erasure_ledger.lines())
    with pytest.raises(UnavailableError, match="not in order"):
        erasure_ledger.append(begun(UUID(int=4), b"m" * 32))


def test_where_it_cannot_be_written_nothing_is_erased(settings: Any, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    settings.ERASURE_LEDGER = tmp_path / "file" / "erasures.jsonl"
    with pytest.raises(UnavailableError, match="PORTAL_ERASURE_LEDGER"):
        erasure_ledger.append(begun(ONE, b"m" * 32))


@pytest.mark.django_db
def test_doctor_and_readyz_say_that_a_restored_database_has_to_erase_again(ledger: Path) -> None:
    client = Client()
    assert database.erasures().state is State.OK
    assert "erasures" not in client.get("/readyz").json()["degraded"]
    erasure_ledger.append(begun(ONE, b"m" * 32))
    found = database.erasures()
    assert found.state is State.FAIL
    assert "erase replay" in found.todo
    assert "erasures" in client.get("/readyz").json()["degraded"]
    Erasure.objects.create(
        pk=ONE, state="running", basis="objection", reason="She asked.", identifiers=1,
        requested_by="portal",
    )  # fmt: skip
    assert database.erasures().state is State.OK, "its job goes on by itself"
    assert "erasures" not in client.get("/readyz").json()["degraded"]
    ledger.write_bytes(b"rubbish\n")
    assert database.erasures().state is State.FAIL
    assert "erasures" in client.get("/readyz").json()["degraded"]


@pytest.mark.django_db
def test_doctor_misses_a_ledger_that_is_gone(ledger: Path) -> None:
    now = clock.now()
    Erasure.objects.create(
        pk=ONE, state="done", basis="objection", reason="She asked.", identifiers=1,
        requested_by="portal", finished_at=now, receipt={},
    )  # fmt: skip
    assert database.erasures().state is State.WARN


# --- The command ---------------------------------------------------------------------------------------


def run(*arguments: str, typed: str = "", monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr("sys.stdin", io.StringIO(typed))
    out = io.StringIO()
    call_command("erase", *arguments, stdout=out)
    return out.getvalue()


@pytest.fixture
def _no_settling(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(erasure_walk, "SETTLE", timedelta(0))
    vault.forget()
    yield
    vault.forget()


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("_no_settling")
def test_the_command_erases_whom_standard_input_names_and_gives_the_receipt(
    ledger: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    with guestbook() as book:
        book.write(MAIL, "carol")
        said = run(
            "--basis", "objection", "--reason", "She asked.", "--json",
            typed=f"{MAIL}\n\n", monkeypatch=monkeypatch,
        )  # fmt: skip
        assert book.guests() == ["carol"]
    file = tmp_path / "receipt.json"
    file.write_text(said)
    assert "was done at" in run("verify", str(file), monkeypatch=monkeypatch)
    file.write_text(said.replace('"identifiers": 1', '"identifiers": 2'))
    with pytest.raises(CommandError, match="not what was signed"):
        run("verify", str(file), monkeypatch=monkeypatch)
    listed = json.loads(run("list", "--json", monkeypatch=monkeypatch))["erasures"]
    assert [(one["state"], one["identifiers"]) for one in listed] == [("done", 1)]
    assert "done" in run("list", monkeypatch=monkeypatch)
    assert run("replay", monkeypatch=monkeypatch) == "erasures replayed: 0\n"
    replayed = json.loads(run("replay", "--all", "--json", monkeypatch=monkeypatch))
    assert (replayed["erasures"], replayed["walks"]) == (1, 2)
    told = capsys.readouterr().err
    assert "%: " in told
    assert "walk 2, " in told
    assert search([("told", told), ("list", json.dumps(listed))], [MAIL]) == []


@pytest.mark.django_db(transaction=True)
def test_the_command_refuses_in_a_sentence(
    ledger: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "odd.json"
    file.write_text("{}")
    for arguments, said in (
        (("--reason", "She asked."), "--basis"),
        (("--basis", "objection", "--reason", "x"), "identifiers"),
        (("verify",), "which file"),
        (("verify", str(tmp_path / "none")), "cannot be read"),
        (("verify", str(file)), "no receipt"),
        (("go-on", "x"), "by its id"),
    ):
        with pytest.raises(CommandError, match=said):
            run(*arguments, monkeypatch=monkeypatch)
    assert not Job.objects.filter(kind="erasure").exists()
