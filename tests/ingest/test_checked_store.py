"""The checker over what the door really stored: no complaint, and each theft and forgery is seen."""

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace

import pytest
from django.conf import settings
from django.db import connection

from portal.soak import stored
from portal.soak.checker import Stored, check
from portal.soak.clients import SCHEMA, Made, make
from portal.soak.history import Attempt, History, Outcome
from tests.ingest.conftest import World, post

MANY = "application/cloudevents-batch+json"


@dataclass
class Scene:
    """A history that was made through the door, and how to read what it left."""

    url: str
    names: dict[int, str]
    attempts: list[Attempt]
    reader: stored.LogReader
    since_tx: int
    began: float

    def read(self) -> Stored:
        rows = stored.load(
            self.url,
            self.names,
            since_tx=self.since_tx,
            since_seconds=self.began,
            first_minute=int(self.began // 60),
            keyring_text=settings.PRIVACY_KEYS,
        )
        rows.reads = list(self.reader.reads)
        return rows

    def kinds(self) -> set[str]:
        return {violation.kind for violation in check(self.attempts, self.read())}


def send(history: History, key: str, *events: Made) -> None:
    attempt = history.begin("test", [made.sent for made in events], at=time.monotonic())
    answer = post(
        b"[" + b",".join(made.raw for made in events) + b"]",
        {"content-type": MANY, "authorization": f"Bearer {key}"},
        query="results=all",
    )
    outcomes = [
        Outcome(result["status"], result.get("reason", ""), result.get("dead_letter", ""))
        for result in json.loads(answer.body)["results"]
    ]
    history.end(attempt, at=time.monotonic(), status=answer.status, outcomes=outcomes)


@pytest.fixture
def scene(world: World) -> Iterator[Scene]:
    began = time.time() // 60 * 60
    stream = world.stream(SCHEMA)
    key = world.key(world.producer())
    database = connection.settings_dict
    url = (
        f"postgresql://{database['USER']}:{database['PASSWORD']}@{database['HOST']}"
        f":{database['PORT']}/{database['NAME']}"
    )
    names = stored.stream_names(url, [stream.name])
    reader = stored.LogReader(url, names)
    reader.start()
    since_tx = stored.horizon(url)
    now = time.time_ns() // 1000
    history = History()
    name = f"{stream.name}-{{}}".format
    timed = [make(stream.name, name(n), time_us=now - n, data={"n": n}) for n in range(5)]
    untimed = make(stream.name, name("untimed"), time_us=None, data={"n": 1}, subject="é")
    bad = make(
        stream.name, name("bad"), time_us=now, data={"n": -1}, refused_for="schema_violation"
    )
    other = make(stream.name, timed[0].sent.id, time_us=now, data={"n": 99})
    send(history, key, *timed, untimed, bad)
    send(history, key, timed[0], untimed, bad, other)
    scene = Scene(url, names, history.attempts, reader, since_tx, began)
    last = max(event.offset for event in scene.read().events)
    assert reader.catches_up(last, seconds=20)
    reader.stopping.set()
    reader.join()
    yield scene
    with connection.cursor() as cursor:
        for table in ("ingest_event", "ingest_event_ledger", "ingest_dead_letter",
                      "ingest_ingestminute"):  # fmt: skip
            cursor.execute(f"DELETE FROM {table}")


def test_of_what_the_door_stored_nothing_is_to_be_said(scene: Scene) -> None:
    rows = scene.read()
    assert check(scene.attempts, rows) == []
    assert (len(rows.events), len(rows.letters), len(rows.reads)) == (6, 2, 6)
    accounts = [account for account in rows.accounts if account.stream]  # one a minute
    counts = [(one.received, one.accepted, one.duplicate, one.dead_lettered) for one in accounts]
    assert [sum(column) for column in zip(*counts, strict=True)] == [11, 6, 2, 3]


def test_what_is_older_than_the_part_that_is_checked_is_found_by_its_identity(
    scene: Scene,
) -> None:
    known = [event.identity for event in scene.read().events]
    rows = stored.load(
        scene.url,
        scene.names,
        since_tx=stored.horizon(scene.url),
        since_seconds=time.time(),
        first_minute=int(time.time() // 60) + 1,
        keyring_text=settings.PRIVACY_KEYS,
        named=[*known, (known[0][0], "nobody", 1), (known[0][0], "nobody", None)],
    )
    assert sorted(event.identity[1] for event in rows.events) == sorted(
        name for _, name, _ in known
    )
    assert any(identity[2] is None for identity in known)
    assert (rows.letters, rows.accounts) == ([], [])


@pytest.mark.parametrize(
    ("crime", "kinds"),
    [
        ("DELETE FROM ingest_event WHERE data = '{\"n\": 3}'", {"lost", "accounts", "offset_phantom"}),
        ("DELETE FROM ingest_event WHERE data = '{\"n\": 0}'",
         {"lost", "duplicate_of_nothing", "conflict_of_nothing", "accounts", "offset_phantom"}),
        ("UPDATE ingest_event SET data = '{\"n\": 98}' WHERE data = '{\"n\": 2}'", {"altered"}),
        ("UPDATE ingest_event SET data = '{\"n\": 99}' WHERE data = '{\"n\": 0}'", {"altered", "in_both"}),
        ("UPDATE ingest_event SET subject = NULL", {"altered"}),
        ("UPDATE ingest_event SET event_id = 'ghost' WHERE data = '{\"n\": 4}'", {"lost", "phantom"}),
        ("DELETE FROM ingest_dead_letter WHERE reason = 'id_conflict'", {"lost_dead_letter"}),
        ("UPDATE ingest_dead_letter SET errors = '[]'", {"dead_without_reason"}),
        ("UPDATE ingest_ingestminute SET accepted = accepted + 1, received = received + 1",
         {"accounts"}),
        ("UPDATE ingest_event SET seq = seq + 1000 WHERE data = '{\"n\": 1}' AND subject IS NULL",
         {"offset_skipped", "offset_phantom"}),
    ],
)  # fmt: skip
def test_each_theft_and_forgery_in_the_tables_is_seen(
    scene: Scene, crime: str, kinds: set[str]
) -> None:
    with connection.cursor() as cursor:
        cursor.execute(crime)
        assert cursor.rowcount > 0
    assert scene.kinds() >= kinds


def test_a_copy_of_an_untimed_event_at_another_time_is_a_second_one(scene: Scene) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT * FROM ingest_event WHERE marks & 4 > 0")
        columns = ", ".join(column[0] for column in cursor.description or ())
        values = columns.replace("occurred_at", "occurred_at - interval '1 second'")
        values = values.replace("seq", "seq + 1000")
        cursor.execute(
            f"INSERT INTO ingest_event ({columns}) SELECT {values} FROM ingest_event"
            " WHERE marks & 4 > 0"
        )
    assert "doubled" in scene.kinds()


def test_the_evidence_of_another_run_is_a_phantom(scene: Scene) -> None:
    rows = scene.read()
    first = scene.attempts[0]
    other = [replace(first, sent=first.sent[1:], outcomes=(first.outcomes or ())[1:])]
    assert "phantom" in {violation.kind for violation in check(other, rows)}
