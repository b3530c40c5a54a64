"""Whoever reads the log asks `ingest.log.alive` what may still be read, or is named here with a reason."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
STATEMENTS = [
    path
    for path in sorted(ROOT.glob("*/sql/*.sql"))
    if re.search(r"\b(FROM|JOIN)\s+ingest_event\b", path.read_text())
]
# Those that see what has lived its time, since they take it away, keep it or compare it: nothing of
# an event leaves them.
KEEPERS = {
    "count_day_by_stream": "sizes on the disk",
    "count_events_before": "how many rows would go",
    "delete_superseded": "compaction",
    "erase_events": "erasure",
    "event_moments": "the moments of an event that was read before",
    "expire_events": "the sweep",
    "expire_many": "the sweep",
    "find_events": "by id alone, over streams; the finder asks `ingest.log.alive` for each hit",
    "has_events_of_day": "the sweep",
    "hold_event": "erasure",
    "latest_occurred": "how far ahead own times reach: a moment to come, which lives anyway",
    "list_superseded": "compaction",
    "read_for_archive": "the archive",
    "read_for_field_expiry": "the sweep of fields",
    "read_late_for_field_expiry": "the sweep of fields",
    "roll_up_counts": "counts of arrivals, which are history",
    "sought_events": "erasure, and what a person gets of themselves until it is gone from the disk",
    "span_exceeds": "how much there is to count of arrivals",
    "staged_events_stored_before": "identity",
    "stored_contents": "identity",
    "streams_of_day": "the sweep",
    "walk_events": "erasure",
}
# Modules that may name the model or the table: the one selector, and what works on the table itself.
MODULES = {
    "ingest/models/events.py",
    "ingest/log/rows.py",
    "ingest/selectors/events.py",
    "ingest/log/group.py",
    "portal/demo/loader.py",  # the time of the newest of its own
    "portal/soak/run.py",  # counts what the disk holds
    "portal/soak/stored.py",
}


@pytest.mark.parametrize("path", STATEMENTS, ids=lambda path: path.stem)
def test_a_statement_that_reads_events_is_bounded_by_their_life(path: Path) -> None:
    is_bounded = "occurred_at >= %(alive_since)s" in path.read_text()
    assert is_bounded != (path.stem in KEEPERS)


def test_no_keeper_is_named_that_is_gone() -> None:
    assert set(KEEPERS) <= {path.stem for path in STATEMENTS}


def test_events_are_read_through_the_selector_alone() -> None:
    found = {
        str(path.relative_to(ROOT))
        for path in ROOT.glob("*/**/*.py")
        if not {"tests", ".venv", "migrations", "benchmarks"} & set(path.relative_to(ROOT).parts)
        and re.search(r"\bEvent\.objects|\bingest_event\b", path.read_text())
    }
    assert found == MODULES
