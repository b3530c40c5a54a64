"""Keys as pages list them: which have ended, and which may be rotated."""

from collections.abc import Iterable
from dataclasses import dataclass

from governance.models import Key
from governance.rotation import LONGEST_GRACE
from portal.kernel import clock


@dataclass(frozen=True, slots=True)
class KeyRow:
    """A key that was not revoked. One that ends within a week is not rotated on a page, which has no
    place to say a new end."""

    key: Key
    has_ended: bool
    may_rotate: bool


def key_rows(keys: Iterable[Key]) -> list[KeyRow]:
    """The keys in their order, judged now."""
    now = clock.now()
    return [
        KeyRow(
            key,
            has_ended=key.expires_at is not None and key.expires_at <= now,
            may_rotate=key.expires_at is None or key.expires_at > now + LONGEST_GRACE,
        )
        for key in keys
    ]
