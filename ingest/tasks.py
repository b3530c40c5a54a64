"""Celery entries of ingest."""

from celery import shared_task

from ingest import partitions
from ingest.connection import connect
from ingest.services.deprecated_uses import forget_old_uses
from ingest.services.growth import watch_growth
from ingest.services.ladder import advance_due_streams


@shared_task(name="ingest.make_partitions")
def make_partitions() -> None:
    """Keep the standing window of partitions ahead of time."""
    with connect() as connection:
        partitions.make_window(connection)


@shared_task(name="ingest.advance_enforcement")
def advance_enforcement() -> None:
    """Move streams up the ladder of enforcement whose contract held."""
    advance_due_streams()


@shared_task(name="ingest.forget_deprecated_uses")
def forget_uses() -> None:
    """Drop counts of uses that nobody looks at any more."""
    forget_old_uses()


@shared_task(name="ingest.watch_dead_letters")
def watch_dead_letters() -> None:
    """Tell of groups of dead letters that grow."""
    watch_growth()
