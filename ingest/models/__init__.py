from ingest.models.accounts import IngestMinute
from ingest.models.dead_letters import DeadLetter, DiscoveredStream
from ingest.models.events import Event

__all__ = ["DeadLetter", "DiscoveredStream", "Event", "IngestMinute"]
