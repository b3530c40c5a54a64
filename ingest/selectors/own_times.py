"""How far into the future the own times of a stream's stored events reach."""

from datetime import datetime
from typing import Final

from portal.kernel import sql

_LATEST: Final = sql.load("ingest", "latest_occurred")


def latest_after(stream_id: int, after: datetime) -> datetime | None:
    """The latest own time of a stream's stored events that is later than a moment; None without."""
    found: datetime | None = sql.fetch_all(_LATEST, {"stream": stream_id, "after": after})[0][
        "latest"
    ]
    return found
