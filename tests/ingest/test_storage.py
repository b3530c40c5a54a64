"""The page and the API of storage, the alarm before a day is missing, and how long a stream is kept."""

import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection
from django.test import Client

from catalog.models import Stream
from governance.models import AuditEntry, Job, Notice, User
from governance.types import Permission, Role
from ingest.log import partitions
from ingest.log.connection import connect
from ingest.log.partitions import start_of
from ingest.models import (
    ArchivedPart,
    Restore,
    StorageDay,
    StorageLeaf,
    StorageRun,
    StorageStream,
)
from ingest.services import storage
from ingest.services.archives import archive_day
from ingest.services.storage import make_ahead, measure_storage
from portal.kernel import clock, jobs, soft_cache
from tests.ingest.conftest import World
from tests.ingest.storing import ids, make_days, store
from tests.ingest.test_archives import life
from tests.support.factories import make_grant, make_person, make_team

DAY = clock.now().date() - timedelta(days=5)


@pytest.fixture(autouse=True)
def _clean(world: World, settings: Any, tmp_path: Any) -> Iterator[None]:
    settings.ARCHIVE_DIR = tmp_path
    soft_cache.put("storage", None, 1)
    yield
    for model in (StorageRun, StorageLeaf, StorageStream, StorageDay, ArchivedPart, Restore, Job,
                  Notice):  # fmt: skip
        model.objects.all().delete()
    Stream.objects.filter(domain=world.domain).update(owner_team=None, restricted=False)
    User.objects.all().delete()
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM ingest_event")


def signed_in(*roles: Role, person: User | None = None) -> Client:
    client = Client()
    client.force_login(person or make_person(*roles))
    return client


def filled(world: World) -> tuple[Stream, Stream]:
    large, small = world.stream(retention_days=10), world.stream(retention_days=300)
    make_days(start_of(DAY))
    for number in range(20):
        store(large, start_of(DAY), f"e{number}", {"order": "x" * 100})
    store(small, start_of(DAY), "e", {"order": "x"})
    return large, small


def test_the_measure_knows_each_streams_part_and_when_what_goes(world: World) -> None:
    large, small = filled(world)
    done = measure_storage()
    rows = {row.stream_id: row for row in StorageStream.objects.all()}
    assert (rows[large.pk].events, rows[small.pk].events) == (20, 1)
    leaf = StorageLeaf.objects.get(parent="ingest_event_experimental", day=DAY)
    assert rows[large.pk].size_bytes == round(leaf.size_bytes * 20 / 21)
    (going,) = [one for one in done["going"] if one["events"]]
    assert going["on"] == (DAY + timedelta(days=11)).isoformat()
    assert going["events"] == 20
    assert "leaves_measured" not in measure_storage()
    assert sum(row.size_bytes for row in StorageDay.objects.all()) > 0


@pytest.mark.parametrize("role", [Role.ADMIN, Role.ENGINEER, Role.ON_CALL])
def test_the_page_shows_sizes_and_what_goes(world: World, role: Role) -> None:
    large, _ = filled(world)
    measure_storage()
    text = signed_in(role).get("/ingest/storage/").content.decode()
    for part in (large.name.rsplit(".", 1)[1], "What goes when", "14 ahead", "Largest streams"):
        assert part in text
    assert ("Run now" in text) is (role is Role.ADMIN)


@pytest.mark.parametrize("role", [Role.ANALYST, Role.PRODUCT_MANAGER])
def test_others_are_refused(world: World, role: Role) -> None:
    client = signed_in(role)
    for path in ("/ingest/storage/", "/api/v1/storage", "/api/v1/storage/streams",
                 "/api/v1/storage/archives"):  # fmt: skip
        assert client.get(path).status_code == 403, path
    answer = client.post("/api/v1/storage/runs", {"kind": "measure"}, "application/json")
    assert answer.status_code == 403


def test_restricted_streams_are_not_in_the_lists_of_who_may_not_know_them(world: World) -> None:
    large, small = filled(world)
    archive_day(life(large), 1, DAY)
    Stream.objects.filter(pk=large.pk).update(restricted=True)
    measure_storage()
    client = signed_in(Role.ENGINEER)
    found = client.get("/api/v1/storage/streams").json()["items"]
    assert [one["stream"] for one in found] == [small.name]
    assert client.get("/api/v1/storage/archives").json()["items"] == []


def test_the_api_tells_what_the_page_shows(world: World) -> None:
    large, small = filled(world)
    archive_day(life(large), 1, DAY)
    measure_storage()
    client = signed_in(Role.ENGINEER)
    body = client.get("/api/v1/storage").json()
    assert [table["name"] for table in body["tables"]] == [
        "production", "experimental", "dead_letters",
    ]  # fmt: skip
    assert body["fewest_days_ahead"] == 14
    assert body["size_bytes"] == sum(table["size_bytes"] for table in body["tables"])
    assert len(body["going"]) == 14
    first = client.get("/api/v1/storage/streams?limit=1").json()
    assert [one["stream"] for one in first["items"]] == [large.name]
    second = client.get(f"/api/v1/storage/streams?limit=1&cursor={first['next']}").json()
    assert ([one["stream"] for one in second["items"]], second["next"]) == ([small.name], None)
    (part,) = client.get(f"/api/v1/storage/archives?stream={large.name}").json()["items"]
    assert part["events"] == 20


def test_an_admin_runs_a_keeper_now(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[str] = []
    monkeypatch.setattr(jobs, "enqueue", sent.append)
    client = signed_in(Role.ADMIN)
    for kind in storage.KEEPERS:
        answer = client.post("/api/v1/storage/runs", {"kind": kind}, "application/json")
        assert answer.status_code == 202
    assert sent == [
        "ingest.keep_retention", "ingest.expire_fields", "ingest.compact_state",
        "ingest.measure_storage",
    ]  # fmt: skip
    assert client.post("/ingest/storage/run/", {"kind": "measure"}).status_code == 302
    assert AuditEntry.objects.filter(action="storage.run_wanted").count() == 5


def test_fewer_than_three_days_ahead_alarm_admins_once_a_day(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    admin, other = make_person(Role.ADMIN), make_person(Role.ENGINEER)
    make_ahead()
    assert not Notice.objects.exists()
    monkeypatch.setattr(partitions, "make_window", lambda *args, **kwargs: 0)
    days, now = partitions.DAYS_AHEAD - partitions.FEWEST_AHEAD, clock.now()
    with clock.at(now + timedelta(days=days)):
        make_ahead()
        assert not Notice.objects.exists()
    with clock.at(now + timedelta(days=days + 1)):
        make_ahead()
        make_ahead()
        (notice,) = Notice.objects.all()
        assert notice.user_id == admin.pk != other.pk
        assert "2\xa0days of production" in notice.sentence
        text = signed_in(person=admin).get("/ingest/storage/").content.decode()
        assert "Only 2\xa0days of" in text
        assert notice.title in signed_in(person=admin).get("/notifications/").content.decode()


def test_days_are_made_as_far_back_as_somebody_may_write(world: World) -> None:
    Stream.objects.update(retention_days=3)
    today = clock.now().date()
    with connect(autocommit=True) as link:
        for parent in partitions.EVENT_PARENTS.values():
            for days in (3, 4):
                partitions.drop_empty(link, parent, today - timedelta(days=days))
        make_ahead()
        there = partitions.existing_days(link, "ingest_event_production")
    assert today - timedelta(days=3) in there
    assert today - timedelta(days=4) not in there


def test_a_shorter_life_is_asked_about_with_what_would_go(world: World) -> None:
    large, _ = filled(world)
    team = make_team()
    Stream.objects.filter(pk=large.pk).update(owner_team=team)
    client, path = signed_in(person=make_person(team=team)), f"/streams/{large.name}/retention/"
    assert client.get(path).status_code == 200
    form = {"retention_days": "4", "state_key": ""}
    text = client.post(path, form).content.decode()
    assert "20\xa0events are older than 4\xa0days" in text
    large.refresh_from_db()
    assert large.retention_days == 10
    assert client.post(path, form | {"sure": "on", "archive": "on"}).status_code == 302
    large.refresh_from_db()
    assert (large.retention_days, large.archive) == (4, True)
    odd = client.post(path, {"retention_days": "0", "state_key": "x"})
    assert odd.status_code == 422
    for part in ('value="x"', "Must be from 1 to", "Must be a JSON pointer"):
        assert part in odd.content.decode(), part
    large.refresh_from_db()
    assert large.retention_days == 4
    stranger = signed_in(Role.ENGINEER)
    assert stranger.post(path, form).status_code == 403
    assert "Its owners and editors change this" in stranger.get(path).content.decode()
    body = client.get(f"/api/v1/streams/{large.name}/retention?days=1").json()
    assert (body["going"], body["asked_days"], body["retention_days"]) == (20, 1, 4)


def test_what_has_lived_its_time_is_not_read_before_the_sweep_comes(world: World) -> None:
    stream = world.stream(retention_days=3)
    now = clock.now()
    young, old = now - timedelta(days=3, minutes=-1), now - timedelta(days=3, minutes=1)
    make_days(young, old)  # of two days, around midnight
    store(stream, young, "young")
    store(stream, old, "old")
    person = make_person()
    make_grant(stream, person, Permission.READ_PAYLOAD)
    client, path = signed_in(person=person), f"/api/v1/streams/{stream.name}/events"
    with clock.at(now):
        assert [one["id"] for one in client.get(path).json()["items"]] == ["young"]
        assert client.get(f"{path}/old").status_code == 404
    assert ids(stream) == ["old", "young"]


def test_a_restore_over_the_api(world: World) -> None:
    large, _ = filled(world)
    archive_day(life(large), 1, DAY)
    team = make_team()
    Stream.objects.filter(pk=large.pk).update(owner_team=team)
    person = make_person(team=team)
    client, path = signed_in(person=person), f"/api/v1/streams/{large.name}/restores"
    asked = {"since": DAY.isoformat(), "until": DAY.isoformat(), "days": 2}
    assert signed_in(Role.ANALYST).post(path, asked, "application/json").status_code == 403
    assert client.post(path, asked | {"since": "x"}, "application/json").status_code == 422
    answer = client.post(path, asked, "application/json")
    assert answer.status_code == 201
    address = answer["Location"]
    assert client.get(f"/api/v1/streams/{large.name}/events?restored=x").status_code == 400
    make_grant(large, person, Permission.READ_PAYLOAD)
    assert client.get(address).json()["state"] == "loading"
    assert len(client.get(path).json()["items"]) == 1
    assert client.get(f"/streams/{large.name}/retention/").status_code == 200
    match = {"If-Match": client.get(address)["ETag"]}
    assert signed_in(Role.ANALYST).delete(address, headers=match).status_code == 403
    assert client.delete(address, headers=match).status_code == 204
    assert client.delete(address, headers=match).status_code == 404


def test_the_command_makes_days_and_looks_after_the_archive(world: World, capsys: Any) -> None:
    large, _ = filled(world)

    def said(*words: str) -> Any:
        call_command("partitions", *words, "--json")
        return json.loads(capsys.readouterr().out)

    assert set(said()["ahead"].values()) == {14}
    assert said("measure")["leaves_measured"] > 0
    assert said("archive", large.name, DAY.isoformat())["archived"] == 20
    assert list(said("list", large.name).values()) == [20]
    assert said("verify") == {"verified": 1}
    assert "restore" in said("restore", large.name, DAY.isoformat())
    assert "is_finished" in said("sweep")
