"""What readers of the event log observed of streams: facts, not decisions, so not audited."""

from collections.abc import Mapping
from datetime import datetime

from django.db.models import Q

from catalog.models import Stream


def note_last_events(newest: Mapping[int, datetime]) -> None:
    """Remember the time of each stream's newest event; never moves back."""
    for stream_id, at in sorted(newest.items()):
        Stream.objects.filter(Q(last_event_at=None) | Q(last_event_at__lt=at), pk=stream_id).update(
            last_event_at=at
        )
