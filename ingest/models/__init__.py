from ingest.models.accounts import DeprecatedUse, IngestMinute
from ingest.models.dead_letters import DeadLetter, DiscoveredStream
from ingest.models.events import Event

__all__ = ["DeadLetter", "DeprecatedUse", "DiscoveredStream", "Event", "IngestMinute"]
