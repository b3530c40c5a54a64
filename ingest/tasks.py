"""Celery entries of ingest."""

from celery import shared_task

from ingest import partitions
from ingest.connection import connect


@shared_task(name="ingest.make_partitions")
def make_partitions() -> None:
    """Keep the standing window of partitions ahead of time."""
    with connect() as connection:
        partitions.make_window(connection)
