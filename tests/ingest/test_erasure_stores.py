"""What the stores of ingest take away of somebody, what they leave of others, and that a kill costs nothing."""

import json
from collections.abc import Callable, Iterator
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from django.db import connection, transaction

from catalog.erasing import CONTRACTS, DRAFTS
from catalog.models import Draft, SchemaField, SchemaVersion, Stream
from governance import erasing
from governance.models import Job, PrivacyKey, PrivacyToken
from governance.privacy import vault
from governance.services.jobs import run_due_jobs
from ingest.erasing import archives as archive_store
from ingest.erasing import walking
from ingest.erasing.archives import Archives
from ingest.erasing.events import Events, Restored
from ingest.erasing.identities import Identities
from ingest.erasing.letters import Groups, Letters
from ingest.erasing.stores import STORES
from ingest.erasing.tables import TABLES
from ingest.log import partitions
from ingest.log.connection import connect
from ingest.log.partitions import start_of
from ingest.models import (
    ArchivedPart,
    DeprecatedUse,
    DiscoveredStream,
    LetterCount,
    LetterGroup,
    LetterTotal,
    Repair,
    Restore,
    RestoredEvent,
    StorageLeaf,
    StorageRun,
)
from ingest.services import archives
from ingest.services.archives import ArchiveError, check_part, start_restore
from ingest.services.retention import keep_retention
from ingest.services.storage_runs import BusyError
from ingest.types import Mark
from portal.kernel import clock
from portal.kernel.actor import SYSTEM
from portal.kernel.errors import PortalError
from tests.ingest.conftest import World, post
from tests.ingest.storing import ids, make_days, store
from tests.support.factories import make_person
from tests.support.walking import collected, sought_of, walk

ADA = "ada.lovelace@shop.example"
NOW = clock.now()
DAY = start_of(NOW.date()) - timedelta(days=20)
ONE = "application/cloudevents+json"
WAYS = pytest.mark.parametrize("in_clear", [True, False], ids=["in clear", "by marks"])


@pytest.fixture(autouse=True)
def _clean(world: World, settings: Any, tmp_path: Path) -> Iterator[None]:
    settings.ARCHIVE_DIR = tmp_path
    make_days(DAY, DAY + timedelta(days=1), NOW)
    yield
    for model in (StorageLeaf, StorageRun, ArchivedPart, Restore, RestoredEvent, Job, Repair,
                  LetterGroup, LetterCount, LetterTotal, DiscoveredStream, DeprecatedUse,
                  Draft):  # fmt: skip
        model.objects.all().delete()
    Stream.objects.filter(domain=world.domain).update(archive=False, retention_days=1)
    with connection.cursor() as cursor:
        cursor.execute(
            "DELETE FROM ingest_event; DELETE FROM ingest_dead_letter;"
            "DELETE FROM ingest_event_ledger; DELETE FROM ingest_lettercount;"
            "DELETE FROM ingest_lettertotal"
        )
    with connect(autocommit=True) as link:
        partitions.make_window(link)


def row_of(stream: Stream, name: str, table: str = "ingest_event") -> dict[str, Any]:
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT attributes::text, data::text, extra::text, data_base64, source, marks,"
            f" content_hash FROM {table} WHERE stream_id = %s AND event_id = %s",
            [stream.pk, name],
        )
        names = [column[0] for column in cursor.description or ()]
        (row,) = cursor.fetchall()
        return dict(zip(names, row, strict=True))


def someone(world: World, count: int = 3) -> Stream:
    """Events about Ada, events of others that name her, and events that have nothing to do with her."""
    stream = world.stream()
    at = DAY
    for number in range(count):
        store(stream, at, f"about {number}", {"order": "a"}, subject=ADA, track=number % 2)
        store(stream, at, f"names {number}", text=f'{{"paid": 1.10, "to": "{ADA}"}}', subject="ben")
        store(stream, at, f"else {number}", text='{"paid": 1.10}', subject="ben")
        at += timedelta(seconds=1)
    return stream


@WAYS
def test_what_is_about_a_person_goes_by_each_of_the_names_it_has(
    world: World, *, in_clear: bool
) -> None:
    stream = world.stream()
    store(stream, DAY, "subject", {}, subject=ADA)
    store(stream, DAY, "other case", {}, subject=f" {ADA.upper()}")
    for name in ("anonymousid", "previousid", "partitionkey"):
        store(stream, DAY, name, {}, subject="ben", attributes={name: ADA}, track=0)
    store(stream, DAY, ADA, {})
    store(stream, DAY, "number", {}, subject="48213")
    store(stream, DAY, "other", {}, subject="ben", attributes={"anonymousid": "b"})
    swept = walk(Events(), sought_of(ADA, "48213", in_clear=in_clear))
    assert ids(stream) == ["other"]
    assert (swept.looked_at, swept.erased, swept.cleared) == (8, 7, 0)


@WAYS
def test_an_event_of_somebody_else_loses_the_value_and_nothing_beside_it(
    world: World, *, in_clear: bool
) -> None:
    stream = world.stream()
    data = (
        '{"a": 1.10, "n": 48213, "big": 12345678901234567890123,'
        f' "to": ["x", "{ADA}", 48213.5], "{ADA}": 1,'
        f' "deep": {{"mail": "{ADA.title()}", "é": "\\u00e9"}}}}'
    )
    context = json.dumps({"traits": {"email": ADA}, "n": 1})
    store(stream, DAY, "e", text=data, subject="ben",
          extra={"/was": ADA, "/kept": None, f"/deep/{ADA}": 1},
          attributes={"correlationid": ADA, "context": context, "environment": "live"})  # fmt: skip
    store(stream, DAY, "bytes", binary=ADA.encode(), subject="ben")
    store(stream, DAY, "like", {"to": f"mail {ADA}", "n": "482130"}, subject="ben")
    before, like = row_of(stream, "e"), row_of(stream, "like")
    swept = walk(Events(), sought_of(ADA, "48213", in_clear=in_clear))
    assert (swept.erased, swept.cleared) == (0, 9)
    found = row_of(stream, "e")
    assert found["data"] == (
        '{"a": 1.10, "to": ["x", null, 48213.5], "big": 12345678901234567890123,'
        ' "deep": {"é": "é"}}'
    )
    assert json.loads(found["attributes"]) == {
        "context": '{"traits":{},"n":1}', "environment": "live",
    }  # fmt: skip
    assert json.loads(found["extra"]) == {"/kept": None}
    assert found["marks"] == Mark.ERASED_IN_PLACE
    assert bytes(found["content_hash"]) == bytes(before["content_hash"]), "a retry is a duplicate"
    binary = row_of(stream, "bytes")
    assert (binary["data_base64"], binary["marks"]) == (None, Mark.ERASED_IN_PLACE)
    assert row_of(stream, "like") == like, "only whole values are meant"


@pytest.mark.parametrize(
    ("identifier", "stored"),
    [
        ("straße@shop.example", "STRASSE@shop.example"),
        ("kelvin@shop.example", "\u212aelvin@shop.example"),
        ("strasse@shop.example", "straße@shop.example"),
        ("Jose\u0301", "José"),
        ('say "hi"\\', 'say "hi"\\'),
        ("12345678901234567890", "12345678901234567890"),
    ],
)
@WAYS
def test_other_spellings_of_an_identifier_are_found_whoever_looks_first(
    world: World, identifier: str, stored: str, *, in_clear: bool
) -> None:
    stream = world.stream()
    value: object = int(stored) if stored.isdigit() else stored
    store(stream, DAY, "e", {"to": value, "within": json.dumps({"to": value})})
    assert walk(Events(), sought_of(identifier, in_clear=in_clear)).cleared == 2
    assert json.loads(row_of(stream, "e")["data"]) == {"within": "{}"}


@WAYS
def test_what_came_and_happened_after_the_erasure_is_not_meant(
    world: World, *, in_clear: bool
) -> None:
    stream = someone(world, 1)
    until = DAY - timedelta(seconds=1)
    assert walk(Events(), sought_of(ADA, at=until, in_clear=in_clear)).erased == 0
    assert "to" in json.loads(row_of(stream, "names 0")["data"])
    assert walk(Events(), sought_of(ADA, at=DAY, in_clear=in_clear)).erased == 1


@WAYS
def test_a_walk_that_is_killed_in_a_step_goes_on_and_one_that_is_done_again_finds_nothing(
    world: World, monkeypatch: pytest.MonkeyPatch, *, in_clear: bool
) -> None:
    stream = someone(world, 5)
    for name in ("BATCH", "LOOKED_AT_FIRST"):
        monkeypatch.setattr(walking, name, 2)
    monkeypatch.setattr(walking, "BUDGET_SECONDS", 0.0)
    sought = sought_of(ADA, in_clear=in_clear)
    cursor: Any = {}
    steps = 0
    while cursor is not None:
        with pytest.raises(RuntimeError):
            killed_after(partial(Events().erase, sought, cursor))
        with transaction.atomic():
            cursor = Events().erase(sought, json.loads(json.dumps(cursor))).cursor
        steps += 1
    assert steps > 7
    assert len(ids(stream)) == 10
    assert not any(name.startswith("about") for name in ids(stream))
    assert json.loads(row_of(stream, "names 4")["data"]) == {"paid": 1.1}
    again = walk(Events(), sought)
    assert (again.erased, again.cleared, again.looked_at) == (0, 0, 10)


def killed_after(step: Callable[[], Any]) -> None:
    """Do a step whose transaction never commits."""
    with transaction.atomic():
        step()
        raise RuntimeError("killed")


def test_a_day_that_was_taken_out_of_the_log_is_looked_into_too(world: World) -> None:
    stream = someone(world, 1)
    parent = partitions.EVENT_PARENTS[1]
    with connect(autocommit=True) as link:
        assert partitions.detach(link, parent, DAY.date())
    assert ids(stream) == ["about 0"], "the other track"
    assert walk(Events(), sought_of(ADA)).erased == 1
    assert ids(stream) == ["else 0", "names 0"]
    assert row_of(stream, "names 0")["marks"] == Mark.ERASED_IN_PLACE


TREATED: dict[str, Any] = {
    "type": "object",
    "properties": {
        "order": {"type": "string"},
        "mail": {"type": "string", "x-classification": "personal", "x-privacy": "tokenize"},
        "iban": {"type": "string", "x-classification": "sensitive", "x-privacy": "encrypt"},
        "amount": {"type": "number"},
    },
    "required": ["order"],
}
IBAN = "DE02120300000000202051"


def sent(world: World, stream: Stream, *events: dict[str, Any], status: int = 202) -> None:
    """Send events through the door, with what they have in common."""
    key = world.key(world.producer())
    for number, event in enumerate(events):
        whole = {"specversion": "1.0", "id": f"e{number}", "source": "/shop", "type": stream.name,
                 "time": NOW.isoformat()} | event  # fmt: skip
        answer = post(
            json.dumps(whole).encode(), {"content-type": ONE, "authorization": f"Bearer {key}"}
        )
        assert answer.status == status, answer.body


def tokens_of(*values: str) -> list[str]:
    """The tokens that stand for values, in every purpose."""
    every = list(PrivacyToken.objects.values_list("token", flat=True))
    meant = vault.meanings(every)
    return [token for token, value in meant.items() if value in values]


def test_treated_events_are_found_by_token_and_encrypted_values_of_others_are_opened(
    world: World,
) -> None:
    stream = world.stream(TREATED, subject_privacy="tokenize")
    sent(
        world, stream,
        {"subject": ADA, "data": {"order": "1", "mail": ADA, "iban": IBAN}},
        {"subject": "ben", "data": {"order": "2", "mail": ADA, "iban": IBAN}},
        {"subject": "ben", "data": {"order": "3", "mail": "ben@shop.example", "iban": "none"}},
    )  # fmt: skip
    before = row_of(stream, "e2")
    found = collected(Events(), sought_of(ADA, IBAN, *tokens_of(ADA), at=clock.now()))
    assert [(item["about"], item["event"]["id"]) for item in found] == [(True, "e0"), (False, "e1")]
    whole, named = found
    assert whole["event"]["subject"] == ADA
    assert whole["event"]["data"] == {"order": "1", "mail": ADA, "iban": IBAN}
    assert named["places"] == ["/data/iban", "/data/mail"]
    assert "data" not in named["event"], "what else stands in it is Ben's"
    swept = walk(Events(), sought_of(ADA, IBAN, *tokens_of(ADA), in_clear=False))
    assert (swept.erased, swept.cleared) == (1, 2)
    assert ids(stream) == ["e1", "e2"]
    assert json.loads(row_of(stream, "e1")["data"]) == {"order": "2"}
    assert row_of(stream, "e2") == before


def test_letters_about_or_naming_a_person_go_whole_and_the_counts_stay_right(world: World) -> None:
    stream = world.stream(TREATED, subject_privacy="tokenize")
    bad = {"amount": "much"}
    sent(
        world, stream,
        {"subject": ADA, "data": bad | {"order": "1"}},
        {"subject": "ben", "data": bad | {"mail": ADA}},
        {"subject": "ben", "data": bad | {"iban": IBAN}},
        {"subject": "ben", "data": bad | {"order": "kept"}},
        status=422,
    )  # fmt: skip
    sent(
        world, stream,
        {"type": "who.knows", "subject": "ben", "data": {"to": [{"mail": ADA}]}},
        {"type": "who.knows", "subject": "ben", "data": {"to": f"dear {ADA}"}},
    )  # fmt: skip
    key = world.key(world.producer())
    for body in (f'{{"to": "{ADA}"', "mail=ada.lovelace%40shop.example&x=1", "nobody at all"):
        post(body.encode(), {"content-type": ONE, "authorization": f"Bearer {key}"})
    sought = sought_of(ADA, IBAN, *tokens_of(ADA))
    shown = collected(Letters(), sought)
    assert [item["about"] for item in shown].count(True) == 1
    (mine,) = [item for item in shown if item["about"]]
    assert mine["event"]["subject"] == ADA
    swept = walk(Letters(), sought_of(ADA, IBAN, *tokens_of(ADA), in_clear=False))
    assert (swept.looked_at, swept.erased) == (9, 6)
    left = [letter["body"].decode() for letter in world.dead_letters()]
    assert len(left) == 3
    assert any("kept" in body for body in left)
    assert any("nobody at all" in body for body in left)
    assert sum(LetterTotal.objects.values_list("letters", flat=True)) == 3
    assert sum(LetterCount.objects.values_list("letters", flat=True)) == 3
    assert walk(Letters(), sought).erased == 0


def test_a_letter_whose_content_type_names_a_person_goes(world: World) -> None:
    world.stream()
    key = world.key(world.producer())
    for name in (ADA, "ben"):
        kind = f'application/cloudevents+json; who="{name}"'
        post(
            f"{{no json {len(name)}".encode(),
            {"content-type": kind, "authorization": f"Bearer {key}"},
        )
    assert walk(Letters(), sought_of(ADA)).looked_at == 2
    with connection.cursor() as cursor:
        cursor.execute("SELECT content_type FROM ingest_dead_letter")
        assert cursor.fetchall() == [('application/cloudevents+json; who="ben"',)]


def test_a_group_whose_key_names_a_person_goes_once_its_letters_are_gone(world: World) -> None:
    stream = world.stream({"type": "object", "additionalProperties": False})
    sent(world, stream, {"data": {ADA: 1}}, status=422)
    sent(world, stream, {"type": ADA, "data": {}})
    keys = set(LetterTotal.objects.values_list("group_key", flat=True))
    assert len([key for key in keys if ADA in key]) == 1
    for key in keys:
        LetterGroup.objects.create(group_key=key, note="known")
    sought = sought_of(ADA, in_clear=False)
    assert walk(Groups(), sought).erased == 0, "its letters are there"
    assert walk(Letters(), sought).erased == 2
    assert walk(Groups(), sought).erased == 3
    assert not LetterGroup.objects.filter(group_key__contains=ADA).exists()
    assert not LetterTotal.objects.filter(group_key__contains=ADA).exists()
    assert walk(TABLES, sought).erased == 1, "the type that nobody registered"
    assert not DiscoveredStream.objects.exists()


def test_of_the_ledger_of_identities_only_an_id_that_is_a_name_goes(world: World) -> None:
    stream = world.stream()
    sent(world, stream, {"id": ADA, "time": None, "data": {"order": "1"}}, {
        "id": "plain", "time": None, "subject": ADA, "data": {"order": "1"}})  # fmt: skip
    sought = sought_of(ADA)
    assert walk(Events(), sought).erased == 2
    assert walk(Identities(), sought).erased == 1
    assert [row["event_id"] for row in world.rows("ingest_event_ledger", stream)] == ["plain"]


# --- The archive ----------------------------------------------------------------------------------


@pytest.fixture
def archived(world: World, monkeypatch: pytest.MonkeyPatch) -> tuple[Stream, ArchivedPart]:
    """A day of six events in files, in groups of two rows."""
    stream = someone(world, 2)
    Stream.objects.filter(pk=stream.pk).update(retention_days=3, archive=True)
    with connection.cursor() as cursor:
        cursor.execute("UPDATE ingest_event SET track = 1")
    monkeypatch.setattr(archives, "BATCH", 2)
    keep_retention()
    assert ids(stream) == []
    (part,) = ArchivedPart.objects.all()
    return stream, part


def restored(stream: Stream) -> list[str]:
    restore = start_restore(stream, since=DAY.date(), until=DAY.date(), actor=SYSTEM)
    run_due_jobs()
    restore.refresh_from_db()
    assert restore.state == "ready"
    found = RestoredEvent.objects.filter(restore_id=restore.pk).order_by("event_id")
    assert restore.events == found.count()
    return list(found.values_list("event_id", flat=True))


def texts_of(folder: Path) -> str:
    """All that stands in the files, as text."""
    parquet = archives.parquet_module()
    return repr(
        [
            parquet.read_group(path, group)
            for path in sorted(folder.rglob("*.parquet"))
            for group in range(parquet.group_count(path))
        ]
    )


@WAYS
def test_an_archived_file_is_written_again_without_the_person(
    world: World, tmp_path: Path, archived: tuple[Stream, ArchivedPart], *, in_clear: bool
) -> None:
    stream, before = archived
    assert ADA in texts_of(tmp_path)
    swept = walk(Archives(), sought_of(ADA, in_clear=in_clear))
    assert (swept.looked_at, swept.erased, swept.cleared) == (6, 2, 2)
    (part,) = ArchivedPart.objects.all()
    assert part.path == f"stream={stream.name}/day={DAY.date().isoformat()}/part-0.1.parquet"
    assert [path.name for path in tmp_path.rglob("*.parquet")] == ["part-0.1.parquet"]
    assert ADA not in texts_of(tmp_path)
    assert (part.events, part.is_last) == (4, True)
    assert (part.from_tx, part.below_tx) == (before.from_tx, before.below_tx)
    check_part(part)
    again = walk(Archives(), sought_of(ADA, in_clear=in_clear))
    assert (again.erased, again.cleared) == (0, 0)
    assert restored(stream) == ["else 0", "else 1", "names 0", "names 1"]
    row = row_of(stream, "names 1", "ingest_restoredevent")
    assert (row["data"], row["marks"]) == ('{"paid": 1.10}', Mark.ERASED_IN_PLACE)


def test_killed_before_the_commit_the_file_is_written_once_more(
    world: World, tmp_path: Path, archived: tuple[Stream, ArchivedPart],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    _, before = archived

    def killed(name: str) -> None:
        raise RuntimeError(name)

    with monkeypatch.context() as patch:
        patch.setattr(archive_store, "failpoint", killed)
        with pytest.raises(RuntimeError, match="archive_written"):
            walk(Archives(), sought_of(ADA))
    (part,) = ArchivedPart.objects.all()
    assert part.path == before.path
    assert len(list(tmp_path.rglob("*.parquet"))) == 2
    assert walk(Archives(), sought_of(ADA)).erased == 2
    assert [path.name for path in tmp_path.rglob("part-*")] == ["part-0.1.parquet"]


def test_killed_after_the_commit_the_old_file_goes_with_the_next_walk(
    world: World, tmp_path: Path, archived: tuple[Stream, ArchivedPart],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    with monkeypatch.context() as patch:
        patch.setattr(archive_store, "remove_file", lambda path: None)
        assert walk(Archives(), sought_of(ADA)).erased == 2
    assert ADA in texts_of(tmp_path), "left behind"
    assert walk(Archives(), sought_of(ADA)).erased == 0
    assert ADA not in texts_of(tmp_path)


def test_what_a_keeper_of_storage_is_just_writing_is_left_and_waited_for(
    world: World, tmp_path: Path, archived: tuple[Stream, ArchivedPart],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr(archive_store, "_PAUSE_SECONDS", 0)
    walk(Archives(), sought_of(ADA))
    other = next(tmp_path.rglob("part-0.1.parquet")).with_name("part-1.parquet")
    other.write_bytes(b"an archive that is just being written has no row yet")
    unfinished = other.with_name(".part-2.parquet.unfinished")
    unfinished.write_bytes(b"and a name that is none before")
    run = StorageRun.objects.create(kind="retention", alive_at=clock.now())
    for _ in range(2):
        with transaction.atomic():
            swept = Archives().erase(sought_of(ADA), {})
        assert swept.cursor is not None, "it waits"
        assert other.exists()
        assert unfinished.exists()
    StorageRun.objects.filter(pk=run.pk).update(finished_at=clock.now())
    assert walk(Archives(), sought_of(ADA)).erased == 2
    assert [path.name for path in tmp_path.rglob("*part-*")] == ["part-0.1.parquet"]
    assert list(StorageRun.objects.values_list("kind", flat=True).distinct()) == ["retention"]


@pytest.mark.parametrize("place", ["archive.file_written", "archive.file_named"])
@pytest.mark.parametrize("has_parts", [False, True], ids=["the first file", "a later file"])
def test_a_file_of_an_archiver_that_was_killed_goes_though_no_row_names_it(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str, *, has_parts: bool
) -> None:
    monkeypatch.setattr(archives, "BATCH", 2)
    monkeypatch.setattr(archives, "EVENTS_A_FILE", 2)
    stream = someone(world, 2)
    Stream.objects.filter(pk=stream.pk).update(retention_days=3, archive=True)
    with connection.cursor() as cursor:
        cursor.execute("UPDATE ingest_event SET track = 1")
    passes: list[str] = []

    def killed(name: str) -> None:
        passes.append(name)
        if name == place and passes.count(name) == (2 if has_parts else 1):
            # Nothing is tidied up by who was killed.
            monkeypatch.setattr(Path, "unlink", lambda *_, **__: None)
            raise RuntimeError(name)

    with monkeypatch.context() as patch:
        patch.setattr(archives, "failpoint", killed)
        with pytest.raises(RuntimeError, match="archive"):
            keep_retention()
    monkeypatch.undo()
    left = [path for path in tmp_path.rglob("*part-*") if path.is_file()]
    assert len(left) == ArchivedPart.objects.count() + 1
    assert ArchivedPart.objects.count() == has_parts
    assert walk(Events(), sought_of(ADA)).erased == 2
    walk(Archives(), sought_of(ADA))
    named = {tmp_path / path for path in ArchivedPart.objects.values_list("path", flat=True)}
    assert {path for path in tmp_path.rglob("*part-*") if path.is_file()} == named
    assert ADA not in texts_of(tmp_path)
    keep_retention()
    assert ids(stream) == []
    assert sum(part.events for part in ArchivedPart.objects.all()) == 4


def test_files_that_are_none_of_an_archive_are_left_alone(
    world: World, tmp_path: Path, archived: tuple[Stream, ArchivedPart]
) -> None:
    folder = next(tmp_path.rglob("part-0.parquet")).parent
    for name in ("notes.txt", "part-1.parquet.copy", "part-x.parquet"):
        (folder / name).write_text("not ours")
    walk(Archives(), sought_of(ADA))
    assert {path.name for path in folder.iterdir()} == {
        "part-0.1.parquet", "notes.txt", "part-1.parquet.copy", "part-x.parquet",
    }  # fmt: skip


def test_an_archiver_that_was_taken_for_dead_leaves_no_file_and_no_row(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream = someone(world, 1)
    Stream.objects.filter(pk=stream.pk).update(retention_days=3, archive=True)

    def slept(name: str) -> None:
        StorageRun.objects.filter(finished_at=None).update(finished_at=clock.now())

    with monkeypatch.context() as patch:
        patch.setattr(archives, "failpoint", slept)
        with pytest.raises(BusyError):
            keep_retention()
    assert not ArchivedPart.objects.exists()
    assert [path for path in tmp_path.rglob("*part-*") if path.is_file()] == []
    assert len(ids(stream)) == 3


def test_a_restored_database_takes_the_file_that_an_erasure_had_made(
    world: World, tmp_path: Path, archived: tuple[Stream, ArchivedPart]
) -> None:
    stream, before = archived
    assert walk(Archives(), sought_of(ADA)).erased == 2
    before.save()  # as in the backup: the file it names is gone
    again = walk(Archives(), sought_of(ADA, in_clear=False))
    assert (again.erased, again.cleared) == (0, 0)
    (part,) = ArchivedPart.objects.all()
    assert part.path.endswith("part-0.1.parquet")
    assert (part.events, part.below_tx) == (4, before.below_tx)
    check_part(part)
    assert restored(stream) == ["else 0", "else 1", "names 0", "names 1"]


def test_a_file_of_which_nothing_is_left_keeps_its_place(
    world: World, tmp_path: Path, archived: tuple[Stream, ArchivedPart]
) -> None:
    stream, before = archived
    assert walk(Archives(), sought_of(ADA, "ben")).erased == 6
    (part,) = ArchivedPart.objects.all()
    assert (part.events, part.last_id, part.is_last) == (0, "", True)
    assert archives.archived_below(stream.pk, 1, DAY.date()) == before.below_tx
    assert restored(stream) == []


def test_without_pyarrow_or_the_file_the_walk_says_so_and_can_go_on(
    world: World, tmp_path: Path, archived: tuple[Stream, ArchivedPart],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    def missing() -> None:
        raise ArchiveError(archives.INSTALL)

    with monkeypatch.context() as patch:
        patch.setattr(archives, "parquet_module", missing)
        patch.setattr(archive_store, "parquet_module", missing)
        with pytest.raises(PortalError, match="requirements-archive"):
            walk(Archives(), sought_of(ADA))
    (path,) = tmp_path.rglob("*.parquet")
    path.rename(path.with_suffix(".away"))
    with pytest.raises(PortalError, match="cannot be read"):
        walk(Archives(), sought_of(ADA))
    path.with_suffix(".away").rename(path)
    assert walk(Archives(), sought_of(ADA)).erased == 2


def test_a_walk_in_small_steps_finds_what_one_finds(
    world: World, archived: tuple[Stream, ArchivedPart], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archive_store, "BUDGET_SECONDS", 0.0)
    swept = walk(Archives(), sought_of(ADA))
    assert (swept.looked_at, swept.erased, swept.cleared) == (6, 2, 2)
    shown = collected(Archives(), sought_of("ben"))
    found = {item["event"]["id"] for item in shown}
    assert found == {"names 0", "else 0", "names 1", "else 1"}


@WAYS
def test_what_was_restored_before_is_erased_too(
    world: World, archived: tuple[Stream, ArchivedPart], *, in_clear: bool
) -> None:
    stream, _ = archived
    assert len(restored(stream)) == 6
    shown = collected(Restored(), sought_of(ADA, in_clear=in_clear))
    assert [item["about"] for item in shown].count(True) == 2
    swept = walk(Restored(), sought_of(ADA, in_clear=in_clear))
    assert (swept.looked_at, swept.erased, swept.cleared) == (6, 2, 2)
    assert row_of(stream, "names 1", "ingest_restoredevent")["data"] == '{"paid": 1.10}'
    assert walk(Restored(), sought_of(ADA, in_clear=in_clear)).erased == 0


# --- Tables beside the events ---------------------------------------------------------------------


def test_examples_of_a_published_contract_lose_the_person_and_nobody_else_may_change_it(
    world: World,
) -> None:
    document = {
        "type": "object",
        "properties": {
            "mail": {"type": "string", "examples": [ADA, "b@shop.example"], "default": ADA},
            ADA: {"type": "number", "minimum": 1.50},
        },
    }
    stream = world.stream(document)
    version = SchemaVersion.objects.get(stream=stream)
    SchemaField.objects.create(
        schema_version=version, stream=stream, path="mail", name="mail", depth=1, position=0,
        types=["string"], example=ADA,
    )  # fmt: skip
    assert walk(CONTRACTS, sought_of(ADA, in_clear=False)).cleared == 3
    version.refresh_from_db()
    assert version.document["properties"] == {
        "mail": {"type": "string", "examples": ["b@shop.example"]},
        ADA: {"type": "number", "minimum": 1.5},
    }
    assert SchemaField.objects.get(schema_version=version).example is None
    with pytest.raises(Exception, match="immutable"), transaction.atomic():
        SchemaVersion.objects.filter(pk=version.pk).update(document={})
    assert walk(CONTRACTS, sought_of(ADA)).cleared == 0


def test_drafts_repairs_and_counted_names_lose_the_person(world: World) -> None:
    owner = make_person()
    draft = Draft.objects.create(
        kind="registration", owner=owner, updated_by=owner.email,
        page={"samples": [{"mail": ADA, "n": 1.5}]}, updated_at=NOW,
    )  # fmt: skip
    repair = Repair.objects.create(
        group_keys=[f"schema_violation|x|1|additionalProperties /data/{ADA}", "other"],
        type="x", until=NOW, steps=[{"do": "set", "at": "/data/to", "to": ADA}],
        dry_run={"faults": {f"schema_violation type /data/{ADA}": {"events": 1}}}, declared_by="x",
    )  # fmt: skip
    for name in ("data.ada", "data.ben"):
        DeprecatedUse.objects.create(
            stream_id=1, day=NOW.date(), producer_id=1, kind="removed", name=name, events=1,
            last_at=NOW,
        )  # fmt: skip
    shown = collected(DRAFTS, sought_of(ADA))
    assert shown == [
        {"about": False, "table": "catalog_draft", "row": str(draft.pk),
         "places": ["/samples/0/mail"]},
    ]  # fmt: skip
    assert walk(DRAFTS, sought_of(ADA, at=NOW - timedelta(days=1))).cleared == 0, "written later"
    assert walk(DRAFTS, sought_of(ADA)).cleared == 1
    draft.refresh_from_db()
    assert draft.page == {"samples": [{"n": 1.5}]}
    swept = walk(TABLES, sought_of(ADA, "ada", in_clear=False))
    assert (swept.cleared, swept.erased) == (3, 1)
    repair.refresh_from_db()
    assert repair.group_keys == ["other"]
    assert repair.steps == [{"do": "set", "at": "/data/to"}]
    assert repair.dry_run == {"faults": {}}
    assert list(DeprecatedUse.objects.values_list("name", flat=True)) == ["data.ben"]


@WAYS
def test_a_repair_of_a_type_that_was_somebody_forgets_it(world: World, in_clear: bool) -> None:
    made = [
        Repair.objects.create(group_keys=["k"], type=text, until=NOW, declared_by="x")
        for text in (ADA, "shop.ordered", "17")
    ]
    later = sought_of(ADA, at=NOW - timedelta(days=1), in_clear=in_clear)
    assert walk(TABLES, later).cleared == 0, "declared later"
    assert collected(TABLES, sought_of(ADA)) == [
        {"about": False, "table": "ingest_repair", "row": str(made[0].pk), "places": [""]},
    ]  # fmt: skip
    swept = walk(TABLES, sought_of(ADA, in_clear=in_clear))
    assert (swept.cleared, swept.erased) == (1, 0), "what was done stays"
    kept = dict(Repair.objects.values_list("pk", "type"))
    assert [kept[row.pk] for row in made] == ["erased", "shop.ordered", "17"]


def test_every_store_is_registered_and_says_its_size(world: World) -> None:
    known = {store.key for store in erasing.stores()}
    assert {store.key for store in (*STORES, CONTRACTS, DRAFTS)} <= known
    assert all(store.size() >= 0 and store.name for store in erasing.stores())
    assert PrivacyKey.objects.filter(wrapped=None).count() == 0
