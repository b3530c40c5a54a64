"""Where else in ingest a value of somebody may lie: repairs, synthetic runs, names that came in events."""

from typing import Final

from governance.erasing_tables import ERASED, Column, Tables
from ingest.models import (
    DeprecatedUse,
    DiscoveredStream,
    PrivacySuggestion,
    Repair,
    SyntheticPart,
    SyntheticRun,
)

TABLES: Final = Tables(
    "ingest_tables",
    "Repairs, synthetic runs, discovered types and counted names",
    (
        Column(Repair, "group_keys", at="declared_at", in_parts=True, keeps_places=False),
        Column(Repair, "type", at="declared_at", is_plain=True, instead=ERASED),
        Column(Repair, "steps", at="declared_at"),
        Column(Repair, "dry_run", at="declared_at", in_parts=True),
        Column(Repair, "outcome", at="declared_at", in_parts=True),
        Column(SyntheticRun, "plan", at="started_at"),
        Column(SyntheticRun, "learned", at="started_at"),
        Column(SyntheticRun, "outcome", at="started_at"),
        Column(SyntheticRun, "misses", at="started_at"),
        Column(SyntheticPart, "learned"),
        Column(DiscoveredStream, "type", at="first_seen_at", names_a_thing=True),
        Column(PrivacySuggestion, "path", at="first_seen_at", names_a_thing=True, in_parts=True),
        Column(DeprecatedUse, "name", names_a_thing=True, in_parts=True),
    ),
)
