"""The end of counts of deprecated uses: a year on, nobody asks who sent an old field."""

from datetime import timedelta
from typing import Final

from ingest.models import DeprecatedUse
from portal.kernel import clock

KEPT: Final = timedelta(days=366)


def forget_old_uses() -> int:
    """Delete counts older than a year; gives how many."""
    deleted, _ = DeprecatedUse.objects.filter(day__lt=(clock.now() - KEPT).date()).delete()
    return deleted
