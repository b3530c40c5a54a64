"""What is suspected to be personal, for who may know of the stream."""

from django.db.models import QuerySet

from catalog.models import Stream
from ingest.models import PrivacySuggestion
from ingest.models.privacy import SuggestionState
from portal.kernel.errors import NotFoundError


def suggestions_of(
    stream: Stream, *, state: str = SuggestionState.OPEN
) -> QuerySet[PrivacySuggestion]:
    """Suggestions about a stream that the actor was found to know of, in one state."""
    return PrivacySuggestion.objects.filter(stream=stream, state=state).select_related("stream")


def get_suggestion(stream: Stream, number: int) -> PrivacySuggestion:
    """One suggestion about a stream by its number; NotFoundError without one."""
    found = PrivacySuggestion.objects.filter(stream=stream, pk=number).first()
    if found is None:
        raise NotFoundError
    return found
