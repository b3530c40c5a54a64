"""Waiting for a row that others change, and giving up in time."""

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import OperationalError
from psycopg.errors import LockNotAvailable

from portal.kernel.errors import ConflictError


@contextmanager
def or_busy() -> Iterator[None]:
    """Take a row lock inside; past the lock timeout that is a ConflictError, not an outage."""
    try:
        yield
    except OperationalError as error:
        if not isinstance(error.__cause__, LockNotAvailable):
            raise
        raise ConflictError(
            "Others are changing it at this moment. Try again.",
            code="busy",
            headers={"Retry-After": "1"},
        ) from error
