from ingest.models.accounts import DeprecatedUse, IngestMinute, LatencyMinute, RefusalMinute
from ingest.models.dead_letters import DeadLetter, DiscoveredStream, LetterCount, LetterTotal
from ingest.models.events import Event
from ingest.models.privacy import PrivacyScan, PrivacySuggestion
from ingest.models.repairs import LetterGroup, Repair, RepairKind, RepairState
from ingest.models.storage import (
    ArchivedPart,
    FieldExpiry,
    Restore,
    RestoredEvent,
    StorageDay,
    StorageLeaf,
    StorageRun,
    StorageStream,
)
from ingest.models.synthetic import SyntheticPart, SyntheticRun

__all__ = [
    "ArchivedPart",
    "DeadLetter",
    "DeprecatedUse",
    "DiscoveredStream",
    "Event",
    "FieldExpiry",
    "IngestMinute",
    "LatencyMinute",
    "LetterCount",
    "LetterGroup",
    "LetterTotal",
    "PrivacyScan",
    "PrivacySuggestion",
    "RefusalMinute",
    "Repair",
    "RepairKind",
    "RepairState",
    "Restore",
    "RestoredEvent",
    "StorageDay",
    "StorageLeaf",
    "StorageRun",
    "StorageStream",
    "SyntheticPart",
    "SyntheticRun",
]
