"""The one place that asks for the time, so that tests can set it."""

from datetime import UTC, datetime


def now() -> datetime:
    """The current moment, aware, in UTC. Grants and leases use the database's clock instead."""
    return datetime.now(tz=UTC)
