"""How a key is rotated: how long the old one lives on, and until when the new one holds."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

GRACE: Final = timedelta(hours=24)
LONGEST_GRACE: Final = timedelta(days=7)
AS_BEFORE: Final = "as before"
# What pages offer: seconds, and how it reads.
GRACES: Final = (("86400", "in 24 hours"), ("604800", "in 7 days"), ("3600", "in an hour"), ("0", "at once"))  # fmt: skip


@dataclass(frozen=True, slots=True)
class Rotation:
    """`expires_at` is when the new key ends: a time, None for without end, or `AS_BEFORE` for when the
    old one would have."""

    grace: timedelta = GRACE
    expires_at: datetime | str | None = AS_BEFORE
