from ingest.models.accounts import DeprecatedUse, IngestMinute
from ingest.models.dead_letters import DeadLetter, DiscoveredStream
from ingest.models.events import Event
from ingest.models.repairs import LetterGroup, Repair, RepairKind, RepairState

__all__ = [
    "DeadLetter",
    "DeprecatedUse",
    "DiscoveredStream",
    "Event",
    "IngestMinute",
    "LetterGroup",
    "Repair",
    "RepairKind",
    "RepairState",
]
