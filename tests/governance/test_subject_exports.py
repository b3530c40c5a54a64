"""Exports of what is kept about a person: sealed on the disk, resumed, audited, gone with their key."""

import asyncio
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from io import StringIO
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from django.core.management import call_command
from django.db import transaction
from django.test import Client

from governance import erasing
from governance.erasing import Collected, Sought, Swept, mark_of
from governance.export_store import SubjectExports
from governance.models import (
    AuditEntry,
    Erasure,
    Job,
    KeptAnswer,
    Notice,
    PrivacyKey,
    SubjectExport,
    Tombstone,
    User,
)
from governance.privacy import keyring, sealed_files, vault
from governance.privacy.sealed_files import Mark, SealedFileError
from governance.privacy.whom import SETTLE
from governance.selectors.people import actor_of
from governance.selectors.subject_exports import file_of, get_export, key_ref
from governance.services import subject_exports as services
from governance.services.jobs import pause_job, resume_job, run_due_jobs, stop_job
from governance.types import Role
from portal.kernel import clock
from portal.kernel.actor import SYSTEM
from portal.kernel.errors import (
    ConflictError,
    InvalidError,
    InvalidStateError,
    NotFoundError,
    NotPermittedError,
    UnavailableError,
)
from tests.governance.test_sudo import later
from tests.support.factories import make_actor, make_person, make_stream, make_team, token_of
from tests.support.signing_in import PASSWORD, sign_in, with_password

pytestmark = pytest.mark.django_db(transaction=True)
MAIL = "ada.canary@example.org"
WHY = "Case 17: the person asks what is kept."
JSON = "application/json"


@dataclass
class Shelf:
    """A store of a few rows, two a step, each about whoever its `subject` names."""

    key: str = "shelf"
    name: str = "A shelf"
    rows: list[dict[str, Any]] = field(default_factory=list)
    fails: bool = False
    asked: list[Sought] = field(default_factory=list)

    def size(self) -> int:
        return len(self.rows)

    def erase(self, sought: Sought, cursor: Mapping[str, Any]) -> Swept:
        raise AssertionError("an export erases nothing")

    def collect(self, sought: Sought, cursor: Mapping[str, Any]) -> Collected:
        if self.fails:
            raise UnavailableError("The shelf cannot be reached.")
        self.asked.append(sought)
        start = int(cursor.get("at", 0))
        some = self.rows[start : start + 2]
        items = tuple(row for row in some if sought.until(row["event"]["subject"]) is not None)
        through = start + 2 >= len(self.rows)
        return Collected(None if through else {"at": start + 2}, len(some), items)


@pytest.fixture(autouse=True)
def _fresh(settings: Any, tmp_path: Path) -> Iterator[None]:
    settings.SUBJECT_EXPORT_DIR = tmp_path / "exports"
    vault.forget()
    yield
    vault.forget()


@pytest.fixture
def shelf(monkeypatch: pytest.MonkeyPatch) -> Shelf:
    """Two stores: one with five rows about Ada and one about Ben, and one that is empty."""
    made = Shelf(
        rows=[
            {"event": {"type": "shop.order_paid", "time": f"2026-11-0{n}T00:00:00Z",
                       "subject": MAIL,
                       "data": {"email": MAIL, "lines": [{"sku": f"sku {n}"}]}}}
            for n in range(1, 6)
        ]
        + [{"event": {"type": "shop.order_paid", "subject": "ben@example.org", "data": {}}}]
    )  # fmt: skip
    found = (made, Shelf("drawer", "A drawer"), SubjectExports())
    monkeypatch.setattr(erasing, "stores", lambda: found)
    return made


@pytest.fixture
def dot() -> User:
    return with_password(Role.ADMIN)


def ready(dot: User, *identifiers: str) -> SubjectExport:
    made = services.request_export(identifiers or [MAIL], reason=WHY, actor=actor_of(dot))
    run_due_jobs()
    found = get_export(SYSTEM, made.pk)
    assert found.state == "ready", found.job
    return found


def lines_of(export: SubjectExport, dot: User) -> list[dict[str, Any]]:
    parts = services.download_export(export.pk, actor=actor_of(dot))
    return [json.loads(line) for line in b"".join(parts).splitlines()]


def test_all_stores_are_asked_and_the_file_says_what_each_field_means(
    shelf: Shelf, dot: User
) -> None:
    make_stream(
        "shop.order_paid", team=make_team(), subject_classification="personal",
        schema={"type": "object", "properties": {
            "email": {"type": "string", "description": "Where the bill goes.",
                      "x-classification": "personal"},
            "lines": {"type": "array", "items": {"type": "object", "properties": {
                "sku": {"type": "string", "description": "What was bought."}}}},
            "phone": {"type": "string", "description": "Not in these events."},
        }},
    )  # fmt: skip
    export = ready(dot)
    head, *items, end = lines_of(export, dot)
    assert (head["kind"], head["format"], head["identifiers"]) == (
        "export", services.FORMAT, 1,
    )  # fmt: skip
    assert [item["event"]["data"]["lines"][0]["sku"] for item in items] == [
        f"sku {n}" for n in range(1, 6)
    ]
    first = items[0]
    assert (first["store"], first["stream"], first["time"]) == (
        "shelf", "shop.order_paid", "2026-11-01T00:00:00Z",
    )  # fmt: skip
    assert first["fields"]["email"] == {
        "description": "Where the bill goes.", "classification": "personal",
    }  # fmt: skip
    assert first["fields"]["lines[].sku"]["description"] == "What was bought."
    assert first["fields"]["subject"]["classification"] == "personal"
    assert "phone" not in first["fields"]
    assert (end["kind"], end["items"]) == ("end", 5)
    assert [(one["key"], one["looked_at"], one["items"]) for one in end["stores"]] == [
        ("shelf", 6, 5), ("drawer", 0, 0), ("subject_exports", 1, 0),
    ]  # fmt: skip
    assert (export.items, export.stores) == (5, end["stores"])
    assert "ben" not in json.dumps([head, *items, end])


def test_tokens_that_stand_for_a_name_are_sought_with_it(shelf: Shelf, dot: User) -> None:
    spelled = {"general": b'"%s"' % MAIL.encode(), "crm": b"4711"}
    tokens = vault.tokens_for(
        {vault.value_ref(of, text): (of, text) for of, text in spelled.items()}
    )
    ready(dot, f"  {MAIL} ", "4711")
    sought = shelf.asked[0]
    assert set(sought.clear or ()) == {MAIL, "4711", *tokens.values()}
    assert all(sought.until(name) for name in tokens.values())
    assert sought.until(MAIL.upper()) is not None
    assert sought.until(4711) is not None
    assert sought.until("4712") is None


def test_nothing_of_it_is_in_clear_on_the_disk_in_rows_or_in_the_log(
    shelf: Shelf, dot: User, caplog: pytest.LogCaptureFixture
) -> None:
    export = services.request_export([MAIL], reason=WHY, actor=actor_of(dot))
    waiting = SubjectExport.objects.values().get()
    run_due_jobs()
    lines_of(export, dot)
    file = file_of(export.pk).read_bytes()
    rows = [
        *SubjectExport.objects.values(), waiting, *Job.objects.values(), *AuditEntry.objects.values(),
        *Notice.objects.values(),
    ]  # fmt: skip
    for text in (file, str(rows).encode(), caplog.text.encode()):
        for name in (b"canary", b"sku 1", b"order_paid"):
            assert name not in text
    assert (file_of(export.pk).stat().st_mode & 0o777) == 0o600
    assert SubjectExport.objects.get().sealed == ""
    assert waiting["sealed"] != ""


def test_the_other_admins_are_told_at_once_and_who_asked_when_it_is_ready(
    shelf: Shelf, dot: User
) -> None:
    eve, cy = make_person(Role.ADMIN), make_person(Role.ANALYST)
    export = services.request_export([MAIL], reason=WHY, actor=actor_of(dot))
    (told,) = Notice.objects.all()
    assert (told.user_id, told.kind) == (eve.pk, "subject_export")
    assert WHY in told.sentence
    assert told.url == f"/privacy/exports/{export.pk}/"
    run_due_jobs()
    assert set(Notice.objects.filter(user=dot).values_list("title", flat=True)) == {
        "What is kept about a person is gathered"
    }
    assert not Notice.objects.filter(user=cy).exists()
    actions = list(AuditEntry.objects.order_by("seq").values_list("action", flat=True))
    assert actions == ["subject_export.requested", "subject_export.ready"]
    row = AuditEntry.objects.get(action="subject_export.requested")
    assert row.detail["after"] == {"reason": WHY, "identifiers": 1}


def test_others_than_admins_learn_nothing(shelf: Shelf, dot: User) -> None:
    export = ready(dot)
    for role in (Role.ENGINEER, Role.ANALYST, Role.ON_CALL):
        cy = make_actor(role)
        with pytest.raises(NotPermittedError):
            services.request_export([MAIL], reason=WHY, actor=cy)
        with pytest.raises(NotFoundError):
            services.download_export(export.pk, actor=cy)
        with pytest.raises(NotFoundError):
            services.delete_export(export.pk, actor=cy)
    assert get_export(SYSTEM, export.pk).state == "ready"


@pytest.mark.parametrize(
    ("identifiers", "reason", "pointer"),
    [
        ([], WHY, "/identifiers"), (["ada", " "], WHY, "/identifiers"),
        ([f"n{n}" for n in range(101)], WHY, "/identifiers"),
        (["x" * 257], WHY, "/identifiers"), ([MAIL], "because", "/reason"),
        ([MAIL], "x" * 501, "/reason"), ([MAIL], f"{MAIL.upper()} asks for it.", "/reason"),
    ],
)  # fmt: skip
def test_odd_identifiers_and_reasons_are_refused_at_their_field(
    identifiers: list[str], reason: str, pointer: str
) -> None:
    with pytest.raises(InvalidError) as caught:
        services.request_export(identifiers, reason=reason, actor=make_actor(Role.ADMIN))
    assert caught.value.errors[0].pointer == pointer
    assert MAIL not in str(caught.value.errors)
    assert not SubjectExport.objects.exists()


# --- The work -----------------------------------------------------------------------------------


def step_of(export: SubjectExport, *, is_killed: bool = False) -> None:
    """One step of its job, kept as a worker keeps it, or lost before its commit."""
    with transaction.atomic():
        job = Job.objects.select_for_update().get(object_key=str(export.pk))
        step = services.export_step(job)
        job.cursor, job.done = dict(step.cursor), step.done
        job.total = step.total or job.total
        job.save()
        if is_killed:
            raise RuntimeError


def test_a_step_that_dies_before_its_commit_is_done_again_and_counts_once(
    shelf: Shelf, dot: User
) -> None:
    export = services.request_export([MAIL], reason=WHY, actor=actor_of(dot))
    step_of(export)
    for _ in range(3):
        with pytest.raises(RuntimeError):
            step_of(export, is_killed=True)
    kept = SubjectExport.objects.get()
    assert file_of(export.pk).stat().st_size > kept.size_bytes, "what was written lies there"
    run_due_jobs()
    items = [line for line in lines_of(export, dot) if line["kind"] == "item"]
    assert [one["event"]["data"]["lines"][0]["sku"] for one in items] == [
        f"sku {n}" for n in range(1, 6)
    ]
    assert file_of(export.pk).stat().st_size == SubjectExport.objects.get().size_bytes


def test_it_rests_goes_on_and_ends_as_people_wish(shelf: Shelf, dot: User) -> None:
    export = services.request_export([MAIL], reason=WHY, actor=actor_of(dot))
    step_of(export)
    assert export.job is not None
    job = pause_job(export.job, actor=actor_of(dot))
    run_due_jobs()
    assert SubjectExport.objects.get().state == "running"
    assert (job.done, job.total) == (2, 7)
    resume_job(job, actor=actor_of(dot))
    run_due_jobs()
    assert SubjectExport.objects.get().state == "ready"
    other = services.request_export([MAIL], reason=WHY, actor=actor_of(dot))
    step_of(other)
    assert other.job is not None
    stop_job(other.job, actor=actor_of(dot))
    assert services.remove_old_exports() == 1
    found = get_export(SYSTEM, other.pk)
    assert (found.state, found.ended, found.marks, found.sealed) == ("gone", "stopped", [], "")
    assert not file_of(other.pk).exists()


def test_a_store_that_cannot_be_reached_fails_the_work_which_goes_on_where_it_was(
    shelf: Shelf, dot: User
) -> None:
    export = services.request_export([MAIL], reason=WHY, actor=actor_of(dot))
    step_of(export)
    shelf.fails = True
    run_due_jobs()
    job = Job.objects.get()
    assert (job.state, job.said) == ("failed", "The shelf cannot be reached.")
    shelf.fails = False
    resume_job(job, actor=actor_of(dot))
    run_due_jobs()
    assert [line["kind"] for line in lines_of(export, dot)] == ["export", *["item"] * 5, "end"]


# --- The file -----------------------------------------------------------------------------------


def test_a_file_that_was_changed_cut_or_swapped_does_not_open(shelf: Shelf, dot: User) -> None:
    export, other = ready(dot), ready(dot)
    path = file_of(export.pk)
    whole = path.read_bytes()
    for wrong in (
        whole[:-1], whole[: len(whole) // 2], whole[:40] + b"!" + whole[41:], b"",
        file_of(other.pk).read_bytes(), whole[len(whole) // 2 :] + whole[: len(whole) // 2],
    ):  # fmt: skip
        path.write_bytes(wrong)
        with pytest.raises(SealedFileError):
            lines_of(export, dot)
    path.write_bytes(whole + b"what a crash left behind")
    assert lines_of(export, dot)[-1]["kind"] == "end"
    path.unlink()
    with pytest.raises(SealedFileError):
        lines_of(export, dot)


def test_large_items_are_sealed_in_chunks_whose_order_counts(tmp_path: Path) -> None:
    key, path = vault.new_data_key(), tmp_path / "deep" / "file"
    clear = b"".join(b"%08d" % n for n in range(100_000))
    mark = sealed_files.append(path, "name", key, Mark(), clear[:300_000])
    mark = sealed_files.append(path, "name", key, mark, clear[300_000:])
    assert mark == Mark(4, path.stat().st_size)
    with path.open("rb") as file:
        assert b"".join(sealed_files.opened(file, "name", key, mark)) == clear
    for name, other in (("another", key), ("name", vault.new_data_key())):
        with path.open("rb") as file, pytest.raises(SealedFileError):
            list(sealed_files.opened(file, name, other, mark))
    with pytest.raises(SealedFileError):
        sealed_files.append(path, "name", key, Mark(9, 10**9), b"more")


def test_a_full_disk_or_a_folder_that_is_none_is_said(
    shelf: Shelf, dot: User, settings: Any
) -> None:
    settings.SUBJECT_EXPORT_DIR.parent.mkdir(exist_ok=True)
    settings.SUBJECT_EXPORT_DIR.write_text("no folder")
    services.request_export([MAIL], reason=WHY, actor=actor_of(dot))
    run_due_jobs()
    job = Job.objects.get()
    assert job.state == "failed"
    assert "cannot be written" in job.said


def test_after_seven_days_the_file_goes_and_its_key_is_destroyed(shelf: Shelf, dot: User) -> None:
    export = ready(dot)
    assert timedelta(days=6) < export.expires_at - clock.now() <= services.KEPT
    file = file_of(export.pk).read_bytes()
    assert services.remove_old_exports() == 0
    SubjectExport.objects.update(expires_at=clock.now() - timedelta(seconds=1))
    with pytest.raises(InvalidStateError):
        lines_of(export, dot)
    assert services.remove_old_exports() == 1
    gone = get_export(SYSTEM, export.pk)
    assert (gone.state, gone.ended, gone.marks) == ("gone", "expired", [])
    assert not file_of(export.pk).exists()
    assert PrivacyKey.objects.get(ref=key_ref(export.pk)).wrapped is None
    vault.forget()
    file_of(export.pk).write_bytes(file)  # out of a backup
    with pytest.raises(InvalidStateError):
        lines_of(export, dot)
    assert vault.data_keys([key_ref(export.pk)]) == {}
    services.remove_old_exports()
    assert not file_of(export.pk).exists(), "a file of nobody is removed"


def test_one_that_is_deleted_while_it_is_gathered_ends(shelf: Shelf, dot: User) -> None:
    export = services.request_export([MAIL], reason=WHY, actor=actor_of(dot))
    step_of(export)
    services.delete_export(export.pk, actor=actor_of(dot))
    assert not file_of(export.pk).exists()
    run_due_jobs()
    job = Job.objects.get()
    assert (job.state, job.said) == ("done", "The export was taken away.")
    assert not file_of(export.pk).exists()
    with pytest.raises(InvalidStateError):
        services.delete_export(export.pk, actor=actor_of(dot))
    with pytest.raises(InvalidStateError):
        services.download_export(export.pk, actor=actor_of(dot))


# --- Erasures -----------------------------------------------------------------------------------


def test_an_erasure_removes_the_exports_that_are_about_the_person(shelf: Shelf, dot: User) -> None:
    mine, others = ready(dot), ready(dot, "ben@example.org")
    half = services.request_export([MAIL, "another"], reason=WHY, actor=actor_of(dot))
    step_of(half)
    before = clock.now() - timedelta(days=1)
    # As the ledger knows it: hashes alone, and a moment before the exports were made.
    sought = Sought({mark_of(MAIL): before})
    with transaction.atomic():
        swept = SubjectExports().erase(sought, {})
    assert (swept.cursor, swept.looked_at, swept.erased) == (None, 3, 2)
    states = {row.pk: (row.state, row.ended) for row in SubjectExport.objects.all()}
    assert states == {
        mine.pk: ("gone", "erased"), half.pk: ("gone", "erased"), others.pk: ("ready", ""),
    }  # fmt: skip
    assert [path.stem for path in file_of(mine.pk).parent.iterdir()] == [str(others.pk)]
    assert SubjectExports().erase(sought, {}).erased == 0


BOB = "bob.canary@example.org"


def running(at: datetime) -> Erasure:
    return Erasure.objects.create(
        state="running", basis="objection", reason=WHY, identifiers=1, requested_by="dot", at=at
    )


def test_an_export_about_one_person_does_not_outlive_the_erasure_of_another_it_names(
    shelf: Shelf, dot: User
) -> None:
    shelf.rows[0]["event"]["data"]["referred_by"] = BOB
    export = ready(dot)
    assert BOB in str(lines_of(export, dot))
    with transaction.atomic():
        swept = SubjectExports().erase(Sought({mark_of(BOB): clock.now()}, (BOB,)), {})
    assert swept.erased == 1
    export.refresh_from_db()
    assert (export.state, export.ended, export.marks) == ("gone", "erased", [])
    assert not file_of(export.pk).exists()
    key = PrivacyKey.objects.get(ref=key_ref(export.pk))
    assert key.wrapped is None
    assert key.destroyed_at is not None
    with pytest.raises(InvalidStateError):
        services.download_export(export.pk, actor=actor_of(dot))
    notice = Notice.objects.get(user=dot, title="An export that you asked for was removed")
    assert BOB not in notice.sentence
    assert MAIL not in notice.sentence
    assert AuditEntry.objects.filter(action="subject_export.removed").count() == 1


@pytest.mark.parametrize("way", ["waits", "rests", "is paused"])
def test_what_was_half_gathered_before_the_erasure_is_never_finished(
    shelf: Shelf, dot: User, way: str
) -> None:
    shelf.rows[0]["event"]["data"]["referred_by"] = BOB
    export = services.request_export([MAIL], reason=WHY, actor=actor_of(dot))
    step_of(export)
    erasure = running(clock.now())
    if way == "rests":
        run_due_jobs()
        job = Job.objects.get()
        assert (job.state, job.said) == ("waiting", "Waits until an erasure is done.")
    elif way == "is paused":
        assert export.job is not None
        pause_job(export.job, actor=actor_of(dot))
    Job.objects.update(cursor={"through": [], "at": {"unit": BOB}, "tally": {}, "total": 7})
    with transaction.atomic():
        SubjectExports().erase(Sought({mark_of(BOB): clock.now()}), {})
    assert Job.objects.get().cursor == {}, "where it was may be a name"
    Erasure.objects.filter(pk=erasure.pk).update(
        state="done", sealed="", finished_at=clock.now(), receipt={}
    )
    Job.objects.update(due_at=None)
    if way == "is paused":
        resume_job(Job.objects.get(), actor=actor_of(dot))
    run_due_jobs()
    assert (Job.objects.get().state, Job.objects.get().cursor) == ("done", {})
    assert SubjectExport.objects.get().state == "gone"
    assert not file_of(export.pk).exists()


def test_what_is_asked_for_while_an_erasure_runs_is_gathered_when_it_is_done(
    shelf: Shelf, dot: User
) -> None:
    erasure = running(clock.now() - 2 * SETTLE)
    export = services.request_export([MAIL], reason=WHY, actor=actor_of(dot))
    run_due_jobs()
    assert not file_of(export.pk).exists(), "nothing was asked of a store"
    assert shelf.asked == []
    with transaction.atomic():
        swept = SubjectExports().erase(Sought({mark_of(BOB): clock.now() - 2 * SETTLE}), {})
    assert swept.erased == 0
    Erasure.objects.filter(pk=erasure.pk).update(
        state="done", sealed="", finished_at=clock.now(), receipt={}
    )
    Job.objects.update(due_at=None)
    run_due_jobs()
    assert get_export(SYSTEM, export.pk).state == "ready"


def test_a_replay_removes_every_export_for_what_came_back_may_stand_in_it(
    shelf: Shelf, dot: User
) -> None:
    one, other = ready(dot), ready(dot, "ben@example.org")
    assert services.remove_all_for_erasure() == 2
    assert not file_of(one.pk).exists()
    assert not file_of(other.pk).exists()


def test_who_is_being_erased_is_not_exported_meanwhile(shelf: Shelf, dot: User) -> None:
    erasure = Erasure.objects.create(
        state="running", basis="objection", reason=WHY, identifiers=1, requested_by="dot"
    )
    Tombstone.objects.create(mark=mark_of(MAIL), erasure=erasure, erased_at=clock.now())
    with pytest.raises(ConflictError) as caught:
        services.request_export([MAIL], reason=WHY, actor=actor_of(dot))
    assert caught.value.code == "erasure_runs"
    services.request_export(["ben@example.org"], reason=WHY, actor=actor_of(dot))
    Erasure.objects.update(
        state="done", sealed="", finished_at=clock.now(), receipt={"erasure": str(erasure.pk)}
    )
    services.request_export([MAIL], reason=WHY, actor=actor_of(dot))


def test_an_export_tells_of_those_before_it(shelf: Shelf, dot: User) -> None:
    ready(dot)
    items = [line for line in lines_of(ready(dot), dot) if line.get("store") == "subject_exports"]
    assert [item["what"] for item in items] == ["An export of what is kept about them."]


# --- The faces ----------------------------------------------------------------------------------


def content_of(answer: Any) -> bytes:
    async def read() -> bytes:
        return b"".join([part async for part in answer.streaming_content])

    return asyncio.run(read())


def test_the_api_asks_lists_downloads_and_deletes(shelf: Shelf, dot: User) -> None:
    client = Client(headers={"Authorization": f"Bearer {token_of(dot, 'read', 'write', 'admin')}"})
    path = "/api/v1/subject-exports"
    asked = {"identifiers": [MAIL], "reason": WHY}
    once = {"Idempotency-Key": "k-1"}
    made = client.post(path, asked, JSON, headers=once)
    assert made.status_code == 202
    assert client.post(path, asked, JSON, headers=once).json() == made.json()
    assert SubjectExport.objects.count() == 1
    where = made["Location"]
    early = client.get(f"{where}/download")
    assert (early.status_code, early.json()["code"]) == (409, "invalid_state")
    run_due_jobs()
    found = client.get(where)
    assert (found.json()["state"], found.json()["items"]) == ("ready", 5)
    assert found.json()["job"]["state"] == "done"
    assert MAIL not in found.content.decode()
    assert [row["id"] for row in client.get(f"{path}?state=ready").json()["items"]] == [
        found.json()["id"]
    ]
    assert client.get(f"{path}?state=gone").json()["items"] == []
    answer = client.get(f"{where}/download")
    assert answer["Cache-Control"] == "no-store"
    assert answer["Content-Type"] == "application/x-ndjson"
    assert answer["Content-Disposition"].startswith("attachment")
    assert len(content_of(answer).splitlines()) == 7
    assert AuditEntry.objects.filter(action="subject_export.downloaded").count() == 1
    assert client.get(where).json()["downloads"] == 1
    assert client.delete(where).status_code == 428
    assert client.delete(where, headers={"If-Match": found["ETag"]}).status_code == 204
    assert client.get(where).json()["ended"] == "deleted"
    assert client.get(f"{where}/download").status_code == 409
    refused = client.post(path, {"identifiers": [""], "reason": WHY}, JSON)
    assert (refused.status_code, refused.json()["errors"][0]["pointer"]) == (422, "/identifiers")
    assert client.get(f"{path}/{uuid4()}").status_code == 404


def test_a_request_with_a_key_leaves_no_hash_that_could_be_guessed(
    shelf: Shelf, dot: User, settings: Any
) -> None:
    client = Client(headers={"Authorization": f"Bearer {token_of(dot, 'write', 'admin')}"})
    asked = {"identifiers": [MAIL], "reason": WHY}
    client.post("/api/v1/subject-exports", asked, JSON, headers={"Idempotency-Key": "k-1"})
    first = bytes(KeptAnswer.objects.get().request_sha256)
    KeptAnswer.objects.all().delete()
    settings.PRIVACY_KEYS = keyring.new_text()
    vault.forget()
    client.post("/api/v1/subject-exports", asked, JSON, headers={"Idempotency-Key": "k-1"})
    assert bytes(KeptAnswer.objects.get().request_sha256) != first


@pytest.mark.parametrize("role", [Role.ENGINEER, Role.ANALYST, Role.ON_CALL])
def test_pages_and_api_refuse_others(role: Role, shelf: Shelf, dot: User) -> None:
    export = ready(dot)
    cy = with_password(role)
    laptop = sign_in(cy)
    client = Client(headers={"Authorization": f"Bearer {token_of(cy)}"})
    page = f"/privacy/exports/{export.pk}/"
    for path in ("/privacy/exports/", page, f"{page}state/"):
        assert laptop.get(path).status_code == 403
    for path in (f"{page}download/", f"{page}delete/", "/privacy/exports/"):
        assert laptop.post(path).status_code == 403
    where = f"/api/v1/subject-exports/{export.pk}"
    for path in ("/api/v1/subject-exports", where, f"{where}/download"):
        assert client.get(path).status_code == 403
    assert client.delete(where).status_code == 403
    assert get_export(SYSTEM, export.pk).downloads == 0


def test_the_pages_ask_show_and_give_the_file(shelf: Shelf, dot: User) -> None:
    desk = sign_in(dot)
    assert "Nobody has asked yet." in desk.get("/privacy/exports/").content.decode()
    odd = desk.post("/privacy/exports/", {"identifiers": MAIL, "reason": f"{MAIL} asks."})
    assert odd.status_code == 422
    assert "Must not name them" in odd.content.decode()
    sent = desk.post("/privacy/exports/", {"identifiers": f"{MAIL}\n\n cus_1 \n", "reason": WHY})
    export = SubjectExport.objects.get()
    assert sent["Location"] == f"/privacy/exports/{export.pk}/"
    assert export.identifiers == 2
    waiting = desk.get(sent["Location"]).content.decode()
    assert "data-live" in waiting
    assert "Stop for good" in waiting
    run_due_jobs()
    page = desk.get(sent["Location"]).content.decode()
    assert "An export about a person is ready" in page
    assert "A shelf" in page
    assert MAIL not in page
    answer = desk.post(f"{sent['Location']}download/")
    assert b"sku 5" in content_of(answer)
    assert answer["Cache-Control"] == "no-store"
    listed = desk.get("/privacy/exports/").content.decode()
    assert "One export about persons lies here." in listed
    assert desk.post(f"{sent['Location']}delete/").status_code == 302
    assert "Deleted by an admin" in desk.get(sent["Location"]).content.decode()
    said = desk.post(f"{sent['Location']}download/", follow=True).content.decode()
    assert "It is gone." in said


def test_a_form_that_comes_too_late_asks_who_it_is_and_keeps_no_name(
    shelf: Shelf, dot: User
) -> None:
    desk = sign_in(dot)
    with later(16):
        asked = desk.post("/privacy/exports/", {"identifiers": MAIL, "reason": WHY})
        assert asked["Location"] == "/settings/confirm/?next=%2Fprivacy%2Fexports%2F"
        assert "canary" not in json.dumps(dict(desk.session.items()))
        again = desk.get(asked["Location"])
        assert again["Location"].startswith("/accounts/reauthenticate/")
        done = desk.post(again["Location"], {"password": PASSWORD})
        back = desk.get(done["Location"])
        assert back["Location"] == "/privacy/exports/"
        assert "Fill it in anew" in desk.get(back["Location"]).content.decode()
    assert not SubjectExport.objects.exists()
    with later(33):
        export = ready(dot)
        late = desk.post(f"/privacy/exports/{export.pk}/download/")
        assert late["Location"].startswith("/accounts/reauthenticate/")
        refused = desk.get(f"/api/v1/subject-exports/{export.pk}/download")
        assert (refused.status_code, refused.json()["code"]) == (403, "confirm")


def test_the_command_gathers_gives_and_removes(
    shelf: Shelf, dot: User, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stdin", StringIO(f"{MAIL}\ncus_1\n"))
    call_command("subject_export", "gather", "--reason", WHY, "--json")
    said = json.loads(capsys.readouterr().out)
    assert (said["state"], said["items"]) == ("ready", 5)
    call_command("subject_export", "read", said["id"])
    lines = capsys.readouterr().out.splitlines()
    assert [json.loads(line)["kind"] for line in lines] == ["export", *["item"] * 5, "end"]
    call_command("subject_export", "delete", said["id"], "--json")
    assert json.loads(capsys.readouterr().out) == {"id": said["id"], "state": "removed"}
    assert SubjectExport.objects.get().ended == "deleted"
    assert AuditEntry.objects.filter(action="subject_export.downloaded", actor="portal").exists()
