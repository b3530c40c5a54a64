from ingest.models.accounts import DeprecatedUse, IngestMinute
from ingest.models.dead_letters import DeadLetter, DiscoveredStream
from ingest.models.events import Event
from ingest.models.privacy import PrivacyScan, PrivacySuggestion

__all__ = [
    "DeadLetter",
    "DeprecatedUse",
    "DiscoveredStream",
    "Event",
    "IngestMinute",
    "PrivacyScan",
    "PrivacySuggestion",
]
