"""Personal values on the ways beside the doors: imports, archives, exports, quarantined letters."""

import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.core.management import call_command
from django.test import Client

from catalog.models import Producer, Stream
from governance.models import User
from governance.types import Permission, Role
from ingest.judging import admission
from ingest.judging.pipeline import accept_batch
from ingest.log import parquet
from ingest.log.lives import Life
from ingest.models import ArchivedPart, DeadLetter, Event
from ingest.protocols.cloudevents import read_structured
from ingest.selectors.dead_letters import group_id
from ingest.services.archives import archive_day
from ingest.types import Reason
from portal.kernel import clock
from tests.ingest.conftest import World
from tests.ingest.storing import make_days
from tests.ingest.test_canaries import MANY, PERSON, Person, event, send
from tests.support import canaries
from tests.support.factories import make_grant, make_person, token_of

PLAIN = "zqplain@canary.example"  # stands in a field of which no plan speaks: it must be found


@pytest.fixture(scope="module", autouse=True)
def people(transactional_db: None) -> Iterator[None]:
    yield
    ArchivedPart.objects.all().delete()
    User.objects.all().delete()


def nowhere(values: list[str]) -> list[str]:
    return [
        *canaries.search(canaries.database(), values),
        *canaries.search(canaries.in_redis(), values),
    ]


def _body(answer: Any) -> bytes:
    async def collect() -> bytes:
        return b"".join([part async for part in answer.streaming_content])

    if not answer.streaming:
        return bytes(answer.content)
    return async_to_sync(collect)() if answer.is_async else b"".join(answer)


def test_example_events_of_an_import_are_treated_as_any_event(
    world: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    good, bad = Person("zqimp21k"), Person("zqimp22k")
    name = f"{world.domain.slug}.imported_thing"
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "t", **PERSON}
    examples = [good.data | {"note": PLAIN}, bad.data | {"order": 7}]
    path = tmp_path / "streams.jsonl"
    version = {"version": "1", "schema": schema, "examples": examples}
    path.write_text(json.dumps({"subject": name, "versions": [version]}) + "\n")
    with pytest.raises(SystemExit):  # for one of the examples is refused
        call_command("import", str(path), "--events", "--json")
    said = capsys.readouterr()
    stream = Stream.objects.get(name=name)
    world.streams.append(stream)
    assert len(world.events(stream)) == 1
    assert [row["reason"] for row in world.dead_letters(stream)] == ["schema_violation"]
    values = [*good.values, *bad.values]
    assert nowhere(values) == []
    assert canaries.search([("out", said.out), ("err", said.err)], values) == []
    assert nowhere([PLAIN]) != []
    Producer.objects.filter(name="import").delete()


def test_archives_and_exports_hold_what_the_treatments_made(
    world: World, tmp_path: Path, settings: Any, client: Client
) -> None:
    settings.ARCHIVE_DIR = tmp_path
    stream = world.stream(
        PERSON, subject_privacy="tokenize", late_seconds=20 * 86_400, retention_days=90,
        classification="sensitive", archive=True,
    )  # fmt: skip
    key = world.key(world.producer())
    who, broken = Person("zqarc31k"), Person("zqarc32k")
    at = clock.now() - timedelta(days=9)
    make_days(at)
    sent = event(stream, who, time=at.isoformat(), context=..., data=who.data | {"note": PLAIN})
    assert send(key, sent).json["accepted"] == 1
    wrong = event(stream, broken, context=..., data=broken.data | {"order": 7, "note": PLAIN})
    assert send(key, [wrong], MANY).json["dead_lettered"] == 1
    life = Life(stream.pk, stream.name, 90, False, archive=True)
    assert archive_day(life, 1, at.date()) == 1
    archived = []
    for file in tmp_path.rglob("*"):
        if file.is_file():
            archived.append((file.name, file.read_bytes().decode("latin-1")))
            for group in range(parquet.group_count(file)):
                rows = [
                    [bytes(one) if isinstance(one, memoryview) else one for one in row]
                    for row in parquet.read_group(file, group)
                ]
                archived.append((file.name, repr(rows)))

    reader = make_person(Role.ON_CALL)
    make_grant(stream, reader, Permission.READ_PERSONAL)
    headers = {"authorization": f"Bearer {token_of(reader, 'read')}"}
    (letter,) = DeadLetter.objects.filter(stream_id=stream.pk)
    ways = (
        f"/api/v1/streams/{stream.name}/events",
        f"/api/v1/dead-letters/export?group={group_id(letter.group_key)}",
        f"/api/v1/export?stream={stream.name}&format=portal",
    )
    out = []
    for way in ways:
        answer = client.get(way, headers=headers)
        body = _body(answer)
        assert answer.status_code == 200, body[:300]
        out.append((way, body.decode()))
    values = [*who.values, *broken.values]
    assert canaries.search([*archived, *out], values) == []
    assert canaries.search(archived, [PLAIN]) != [], "the archive was read"
    assert len(canaries.search(out, [PLAIN])) >= 2, "the exports were read"


def test_a_quarantined_event_obeys_the_plan_or_is_sealed(world: World) -> None:
    """No door makes such a letter yet; the road that will keep it is the one of all letters."""
    known = world.stream(PERSON, subject_privacy="tokenize")
    unknown = Stream(name=f"{world.domain.slug}.not_heard_of")
    publisher = admission.publisher_of(world.producer())
    people = [Person("zqqua41k"), Person("zqqua42k")]
    admission.directory.forget()
    for stream, who in zip((known, unknown), people, strict=True):
        raw = json.dumps(event(stream, who)).encode()
        held = read_structured(raw).refuse(Reason.QUARANTINED)
        (item,) = accept_batch([held], publisher=publisher)
        assert (item.status, item.reason) == ("dead_lettered", "quarantined")
    letters = DeadLetter.objects.filter(reason="quarantined")
    assert letters.count() == 2
    assert not Event.objects.filter(stream_id=known.pk).exists()
    assert nowhere([value for who in people for value in who.values]) == []
