"""Rows of the log for tests of storage, at whatever time; as `ingest.log.group` would leave them."""

import json
from datetime import datetime
from typing import Any

from django.db import connection

from catalog.models import Stream
from ingest.log import partitions
from ingest.log.connection import connect

_EVENT = """
INSERT INTO ingest_event (stream_id, track, occurred_at, event_id, received_at, producer_id,
    version, subject, source, attributes, data, data_base64, extra, content_hash, marks)
VALUES (%s, %s, %s, %s, %s, 1, %s, %s, '/t', %s, %s, %s, %s, %s, 0)
"""


def make_days(*moments: datetime) -> None:
    with connect(autocommit=True) as link:
        partitions.make_days(
            link, partitions.EVENT_PARENTS.values(), [moment.date() for moment in moments]
        )


def store(
    stream: Stream,
    at: datetime,
    name: str = "e1",
    data: Any = None,
    *,
    track: int = 1,
    version: int | None = 1,
    subject: str | None = None,
    attributes: dict[str, Any] | None = None,
    text: str | None = None,
    binary: bytes | None = None,
    extra: Any = None,
) -> None:
    """One event; `text` is its data as JSON text, for numbers that Python would round."""
    said = text if text is not None else None if data is None else json.dumps(data)
    with connection.cursor() as cursor:
        cursor.execute(
            _EVENT,
            [
                stream.pk, track, at, name, at, version, subject, json.dumps(attributes or {}),
                said, binary, json.dumps(extra) if extra is not None else None, name.encode(),
            ],
        )  # fmt: skip


def ids(stream: Stream) -> list[str]:
    """The ids of what is stored of a stream, sorted."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT event_id FROM ingest_event WHERE stream_id = %s ORDER BY 1", [stream.pk]
        )
        return [row[0] for row in cursor.fetchall()]


def leaf_days(parent: str) -> list[str]:
    with connect(autocommit=True) as link:
        return [leaf.day.isoformat() for leaf in partitions.leaves(link, parent)]
