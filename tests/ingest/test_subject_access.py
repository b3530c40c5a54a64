"""What a person gets who asks what is kept: their events and letters in clear, and no other's."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from catalog.field_index import fields_of
from catalog.models import SchemaField, SchemaVersion
from governance.models import Job, SubjectExport
from governance.selectors.subject_exports import file_of, get_export
from governance.services import subject_exports
from governance.services.jobs import run_due_jobs
from portal.kernel.actor import SYSTEM
from tests.ingest.conftest import World
from tests.ingest.test_canaries import PERSON, Person, event, send

WHY = "Case 17: the person asks what is kept."


@pytest.fixture(autouse=True)
def _place(settings: Any, tmp_path: Path, transactional_db: None) -> Iterator[None]:
    settings.SUBJECT_EXPORT_DIR = tmp_path / "exports"
    yield
    Job.objects.all().delete()


def exported(*identifiers: str) -> tuple[SubjectExport, list[dict[str, Any]]]:
    made = subject_exports.request_export(identifiers, reason=WHY, actor=SYSTEM)
    while Job.objects.get(object_key=str(made.pk)).is_live:
        run_due_jobs()
    export = get_export(SYSTEM, made.pk)
    assert export.state == "ready", export.job and export.job.said
    parts = subject_exports.download_export(export.pk, actor=SYSTEM)
    return export, [json.loads(line) for line in b"".join(parts).splitlines()]


def test_events_and_letters_about_somebody_are_given_in_clear_with_what_their_fields_mean(
    world: World,
) -> None:
    stream = world.stream(PERSON, classification="sensitive", subject_privacy="tokenize")
    version = SchemaVersion.objects.get(stream=stream)
    SchemaField.objects.bulk_create(
        SchemaField(
            schema_version=version, stream=stream, path=row.path, name=row.name, depth=row.depth,
            position=row.position, types=list(row.types), classification=row.classification,
            privacy=row.privacy, is_current=True,
        )
        for row in fields_of(PERSON)
    )  # fmt: skip
    key = world.key(world.producer())
    zoe, ben = Person("zqacc71k"), Person("zqacc72k")
    send(key, event(stream, zoe, id="zoes"))
    send(key, event(stream, ben, id="bens"))
    send(key, event(stream, zoe, id="letter", data={"order": 7, "mail": zoe.data["mail"]}))
    export, lines = exported(zoe.subject)
    items = [line for line in lines if line["kind"] == "item"]
    (mine,) = [one for one in items if one.get("event", {}).get("id") == "zoes"]
    assert mine["stream"] == stream.name
    assert mine["event"]["subject"] == zoe.subject
    assert mine["event"]["data"]["mail"] == zoe.data["mail"]
    assert mine["event"]["data"]["iban"] == zoe.data["iban"]
    assert mine["fields"]["iban"]["classification"] == "sensitive"
    text = json.dumps(lines)
    assert "zqacc72k" not in text
    assert lines[-1]["items"] == len(items)
    assert any(
        one["store"] != mine["store"] and zoe.data["mail"] in json.dumps(one) for one in items
    )
    sealed = file_of(export.pk).read_bytes()
    assert b"zqacc71k" not in sealed
