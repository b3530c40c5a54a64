"""Celery entries of ingest."""

import logging
from collections.abc import Callable, Mapping
from typing import Any

from celery import shared_task

from catalog.services.observed_reads import forget_old_reads
from ingest.services import compaction, field_expiry, observing, retention, storage
from ingest.services.deprecated_uses import forget_old_uses
from ingest.services.growth import watch_growth
from ingest.services.ladder import advance_due_streams
from ingest.services.storage_runs import BusyError
from ingest.services.suspects import suspect_due_streams

logger = logging.getLogger(__name__)


@shared_task(name="ingest.make_partitions")
def make_partitions() -> None:
    """Keep the standing window of partitions ahead of time."""
    storage.make_ahead()


@shared_task(name="ingest.keep_retention")
def keep_retention() -> None:
    """Let go what has lived its time."""
    _alone(retention.keep_retention)


@shared_task(name="ingest.expire_fields")
def expire_fields() -> None:
    """Take fields out of events whose own life is shorter."""
    _alone(field_expiry.expire_fields)


@shared_task(name="ingest.compact_state")
def compact_state() -> None:
    """Keep the newest of each key in streams of state."""
    _alone(compaction.compact_state)


@shared_task(name="ingest.measure_storage")
def measure_storage() -> None:
    """Keep the facts of the storage page."""
    _alone(storage.measure_storage)


def _alone(keeper: Callable[[], Mapping[str, Any]]) -> None:
    """Run a keeper of storage; while another runs, the next beat comes back to it."""
    try:
        keeper()
    except BusyError:
        logger.info("another keeper of storage runs")


@shared_task(name="ingest.advance_enforcement")
def advance_enforcement() -> None:
    """Move streams up the ladder of enforcement whose contract held."""
    advance_due_streams()


@shared_task(name="ingest.forget_deprecated_uses")
def forget_uses() -> None:
    """Drop counts of uses that nobody looks at any more."""
    forget_old_uses()
    forget_old_reads()


@shared_task(name="ingest.suspect_personal")
def suspect_personal(track: str | None = None) -> None:
    """Look into samples of new events for personal values that nobody labelled."""
    suspect_due_streams(track=track)


@shared_task(name="ingest.watch_dead_letters")
def watch_dead_letters() -> None:
    """Tell of groups of dead letters that grow."""
    watch_growth()


@shared_task(name="ingest.sample_freshness")
def sample_freshness() -> None:
    """Note how old the newest event of each stream is."""
    observing.sample_freshness()


@shared_task(name="ingest.thin_latencies")
def thin_latencies() -> None:
    """Keep the histograms of latency small."""
    observing.thin_latencies()
