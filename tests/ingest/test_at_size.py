"""What must not grow with events, letters, accounts or streams: plans, statements and lists, not times.

A plan is asked for with whole scans forbidden, and each node that reads a growing table has to find
its rows by the column named here, so that the answer does not hang on how full a test's tables are.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext

from catalog.models import Producer, Stream
from catalog.selectors.streams import get_stream
from governance.selectors.people import actor_of
from governance.types import Role
from ingest.log.connection import Connection
from ingest.log.partitions import start_of
from ingest.models import StorageLeaf, StorageRun
from ingest.selectors import dead_letters, discovered, limits, repairs, synthetic_runs
from ingest.services import retention, storage
from ingest.services.retention import keep_retention
from portal.kernel import clock
from portal.kernel.sql import Statement
from tests.ingest.conftest import World, post
from tests.ingest.storing import ids, make_days, store
from tests.support.factories import make_person, make_team


@pytest.fixture(autouse=True)
def _no_runs(world: World) -> Iterator[None]:
    yield
    StorageLeaf.objects.all().delete()
    StorageRun.objects.all().delete()


def nodes(plan: dict[str, Any], table: str = "") -> Iterator[tuple[str, str]]:
    """Each reading of a table, with the condition that its index answers ("" without one)."""
    table = plan.get("Relation Name", table)
    if "Relation Name" in plan:
        yield table, plan.get("Index Cond") or plan.get("Recheck Cond") or ""
    for part in plan.get("Plans", ()):
        yield from nodes(part, table)


def found_by(table: str, run: Callable[[], object]) -> list[str]:
    """How what a call asks finds rows of a table, or of its leaves; one condition a reading."""
    with CaptureQueriesContext(connection) as asked:
        run()
    found = []
    for query in asked.captured_queries:
        if table not in query["sql"] or query["sql"].startswith(("INSERT", "UPDATE", "DELETE")):
            continue
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SET LOCAL enable_seqscan = off")
            cursor.execute(f"EXPLAIN (FORMAT JSON) {query['sql']}")
            row = cursor.fetchone()
        assert row is not None
        plan = row[0] if isinstance(row[0], list) else json.loads(row[0])
        found += [
            how
            for name, how in nodes(plan[0]["Plan"])
            if name == table or name.startswith(f"{table}_20")
        ]
    assert found, f"nothing was asked of {table}"
    return found


def test_what_grows_is_found_by_an_index_for_it(world: World) -> None:
    """The kept events of a type, what waits for a stream, a producer's use, the past of a group."""
    on_call = actor_of(make_person(Role.ON_CALL))
    producer = world.producer()
    event = {"specversion": "1.0", "id": "u1", "source": "/s", "type": "never.seen", "data": {}}
    headers = {"Authorization": f"Bearer {world.key(producer)}",
               "Content-Type": "application/cloudevents+json"}  # fmt: skip
    assert post(json.dumps(event).encode(), headers).json["dead_lettered"] == 1
    key = dead_letters.groups(on_call)[0].key

    def samples() -> None:
        assert discovered.samples_of(on_call, "never.seen").total == 1

    for how in found_by("ingest_dead_letter", samples):
        assert "group_key" in how or "(id = " in how, how
    for run in (samples, lambda: dead_letters.waiting_letters(["never.seen"])):
        assert all("type" in how for how in found_by("ingest_lettertotal", run))
    for how in found_by("ingest_ingestminute", lambda: limits.limits_of(producer, on_call)):
        assert "producer_id" in how, how
        assert "minute >=" in how, "no more than the day is read"
    for how in found_by("ingest_repair", lambda: repairs.repairs_of_group(on_call, key)):
        assert "group_keys" in how, how


def test_a_stream_is_found_by_its_name_or_alias_alone(world: World) -> None:
    stream = world.stream(aliases=("Paid At Size",))
    person = actor_of(make_person(Role.ENGINEER))
    for name in (stream.name, "Paid At Size"):
        for how in found_by("catalog_stream", lambda name=name: get_stream(person, name)):  # type: ignore[misc]  # bound at once
            assert "name" in how or "(id = " in how, how


def test_the_page_of_a_streams_life_does_not_look_into_the_log(world: World) -> None:
    stream = world.stream()
    client = Client()
    client.force_login(make_person(Role.ENGINEER))
    with CaptureQueriesContext(connection) as asked:
        assert client.get(f"/streams/{stream.name}/retention/").status_code == 200
    assert not [one["sql"] for one in asked.captured_queries if "FROM ingest_event\n" in one["sql"]]


def test_a_day_of_many_streams_goes_in_few_statements(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "AT_ONCE", 2)
    monkeypatch.setattr(retention, "BATCH", 4)
    start = start_of(clock.now().date() - timedelta(days=20))
    make_days(start)
    over = [world.stream(retention_days=3) for _ in range(3)]
    kept = world.stream(retention_days=100)
    for stream, many in zip([*over, kept], (5, 1, 2, 1), strict=True):
        for number in range(many):
            store(stream, start + timedelta(seconds=number), f"e{number}")
    asked: list[str] = []
    fetch = retention.fetch_one

    def counted(link: Connection, statement: Statement, params: Mapping[str, Any]) -> Any:
        asked.append(statement)
        return fetch(link, statement, params)

    monkeypatch.setattr(retention, "fetch_one", counted)
    done = keep_retention()
    assert done["events_deleted"] == 8
    assert [ids(stream) for stream in [*over, kept]] == [[], [], [], ["e0"]]
    # Two statements for three streams; the ones that had as many as a statement takes go on alone.
    assert sum(statement == retention._EXPIRE_MANY for statement in asked) == 2
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM ingest_event")


def test_sums_that_take_long_are_not_made_at_each_look(world: World) -> None:
    first = storage.measure_storage()
    assert first["summing_seconds"] < 2
    run = StorageRun.objects.get(kind="measure")
    run.result |= {"summing_seconds": 30.0, "going": [{"on": "2000-01-01", "events": 1}]}
    run.save()
    again = storage.measure_storage()
    assert (again["summed_at"], again["going"]) == (first["summed_at"], run.result["going"])
    run = StorageRun.objects.latest("id")
    run.result |= {"summed_at": run.result["summed_at"] - 3_001}
    run.save()
    assert storage.measure_storage()["summed_at"] > first["summed_at"]


def test_a_form_offers_some_streams_and_takes_any(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    team = make_team()
    streams = [world.stream(owner_team=team) for _ in range(3)]
    monkeypatch.setattr("ingest.selectors.synthetic_runs.MAX_CHOICES", 2)
    monkeypatch.setattr("ingest.pages.views_limits.OFFERED", 2)
    person = make_person(Role.ENGINEER, team=team)
    assert len(synthetic_runs.streams_to_fill(actor_of(person))) == 2
    last = max(streams, key=lambda stream: stream.name).name
    client = Client()
    client.force_login(person)
    page = client.get("/ingest/synthetic/").content.decode()
    assert (page.count('<option value="' + world.domain.slug), last in page) == (2, False)
    form = {"stream": last, "events": "3", "rate": "10", "seed": "1", "do": "preview"}
    assert client.post("/ingest/synthetic/", form).status_code == 200
    refused = client.post("/ingest/synthetic/", form | {"stream": "no.such_stream"})
    assert refused.status_code == 422
    assert b"There is no stream of this name" in refused.content

    producer = world.producer(team=team)
    world.key(producer)
    for stream in streams:
        producer.permitted.create(stream=stream)
    page = client.get(f"/producers/{producer.name}/limits/").content.decode()
    assert page.count('<option value="' + world.domain.slug) == 2
    Producer.objects.filter(pk=producer.pk).update(team=None)
    Stream.objects.filter(pk__in=[one.pk for one in streams]).update(owner_team=None)
