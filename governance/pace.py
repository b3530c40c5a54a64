"""How many requests of pages and of the API one caller may make: a bound that no person notices.

Each web process counts by itself, so a caller may make as many times the bound as there are processes.
A bucket holds ten seconds' worth and fills evenly. The doors of ingest have quotas of their own
(`ingest.doors.limits`), signing in the limits of docs/sign-in.md.
"""

import math
import threading
import time
from collections import OrderedDict
from typing import Final

from django.conf import settings

from portal.kernel.actor import Actor, ActorKind
from portal.kernel.errors import RateLimitedError

BURST_SECONDS: Final = 10
MOST_CALLERS: Final = 10_000


class Pace:
    """The buckets of one process, the least used first. May be used from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._left: OrderedDict[tuple[ActorKind, int], tuple[float, float]] = OrderedDict()

    def keep(self, actor: Actor) -> None:
        """Count a request. Raises RateLimitedError, with when to come again, once there are too many."""
        rate = settings.REQUESTS_PER_SECOND
        most = float(rate * BURST_SECONDS)
        who, now = (actor.kind, actor.id), time.monotonic()
        with self._lock:
            left, at = self._left.pop(who, (most, now))
            left = min(most, left + (now - at) * rate)
            is_let_in = left >= 1
            self._left[who] = (left - 1 if is_let_in else left, now)
            if len(self._left) > MOST_CALLERS:
                self._left.popitem(last=False)
        if not is_let_in:
            raise _refusal(rate, wait=max(1, math.ceil((1 - left) / rate)))

    def forget(self) -> None:
        with self._lock:
            self._left.clear()


def _refusal(rate: int, *, wait: int) -> RateLimitedError:
    most = rate * BURST_SECONDS
    return RateLimitedError(
        "You ask for more than this portal answers one caller. Wait, then ask more slowly.",
        headers={
            "Retry-After": str(wait),
            "RateLimit-Policy": f'"requests";q={most};w={BURST_SECONDS}',
            "RateLimit": f'"requests";r=0;t={wait}',
        },
    )


pace: Final = Pace()
