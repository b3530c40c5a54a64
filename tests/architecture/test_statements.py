"""Every SQL file can be prepared; every task that is enqueued or scheduled by name exists."""

import re
from pathlib import Path

import pytest
from django.conf import settings
from django.db import connection

from portal.celery import app

ROOT = Path(__file__).resolve().parents[2]
FILES = sorted(ROOT.glob("*/sql/*.sql"))
# Statements over temporary tables that the writer, or the compaction, makes first.
STAGED = {
    "stage_events", "insert_staged_events", "staged_events_stored_before", "list_superseded",
    "delete_superseded",
}  # fmt: skip


@pytest.mark.django_db
@pytest.mark.parametrize("path", [f for f in FILES if f.stem not in STAGED], ids=lambda p: p.stem)
def test_every_statement_prepares(path: Path) -> None:
    text = path.read_text()
    names = list(dict.fromkeys(re.findall(r"%\((\w+)\)s", text)))
    for index, name in enumerate(names, start=1):
        text = text.replace(f"%({name})s", f"${index}")
    text = text.replace("%%", "%").rstrip().rstrip(";")
    with connection.cursor() as cursor:
        cursor.execute(f"PREPARE checked AS {text}")
        cursor.execute("DEALLOCATE checked")


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.stem)
def test_every_statement_says_what_it_is_for(path: Path) -> None:
    assert path.read_text().startswith("-- ")


def test_every_scheduled_and_enqueued_task_exists() -> None:
    app.loader.import_default_modules()
    known = set(app.tasks)
    scheduled = {str(entry["task"]) for entry in settings.CELERY_BEAT_SCHEDULE.values()}
    enqueued = {
        match
        for path in ROOT.glob("*/**/*.py")
        if not {"tests", ".venv"} & set(path.parts) and path.name != "jobs.py"
        for match in re.findall(r'enqueue(?:\(|_in\([a-z_]+,)\s*"([a-z_.]+)"', path.read_text())
    }
    assert scheduled
    assert scheduled | enqueued <= known


def test_every_task_is_routed_to_a_queue_that_exists() -> None:
    for route in settings.CELERY_TASK_ROUTES.values():
        assert route["queue"] in settings.CELERY_TASK_QUEUES_NAMES
