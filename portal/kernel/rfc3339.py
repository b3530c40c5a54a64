"""Times as the API takes and gives them: RFC 3339, in UTC, always with microseconds."""

import re
from datetime import UTC, datetime
from typing import Final

_TIME: Final = re.compile(
    r"\d{4}-\d{2}-\d{2}[Tt]\d{2}:\d{2}:\d{2}(?:\.\d+)?(?:[Zz]|[+-]\d{2}:\d{2})", re.ASCII
)


def parse(text: str) -> datetime:
    """The time in UTC, cut to microseconds. ValueError for anything but RFC 3339 with an offset."""
    if not _TIME.fullmatch(text):
        raise ValueError("must be a time as in RFC 3339, with an offset")
    try:
        return datetime.fromisoformat(text.upper()).astimezone(UTC)
    except (ValueError, OverflowError):
        raise ValueError("must be a time that exists, in the years 1 to 9999") from None


def spell(moment: datetime) -> str:
    """The one spelling: 2026-01-31T12:00:00.000000Z."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ").rjust(27, "0")
