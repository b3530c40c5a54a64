"""That a stream was reviewed: its clock starts again, and policies judge it as it is now."""

from datetime import datetime

from django.db.models import F

from catalog.models import Stream
from catalog.services.policing import report_stream


def mark_reviewed(stream: Stream, at: datetime) -> None:
    """Shared step of completing a review, which authorizes and records it."""
    Stream.objects.filter(pk=stream.pk).update(
        reviewed_at=at, updated_at=at, revision=F("revision") + 1
    )
    stream.refresh_from_db()
    report_stream(stream)
