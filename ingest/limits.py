"""Quotas of keys: a token bucket each, local to the process, decided before the body is read."""

import math
import random
import time
from dataclasses import dataclass
from typing import Final

from portal.kernel.errors import RateLimitedError

_MAX_BUCKETS: Final = 10_000


@dataclass(slots=True)
class _Bucket:
    tokens: float
    at: float


class Quotas:
    """Events a second of each key. A request is let in while tokens are left and may overdraw.

    The size of a batch is only known after its body; the debt it leaves keeps the next ones out.
    """

    def __init__(self) -> None:
        self._buckets: dict[str, _Bucket] = {}

    def admit(self, key_id: str, per_second: int) -> dict[str, str]:
        """The rate limit fields of the answer; raises RateLimitedError when nothing is left."""
        bucket = self._refilled(key_id, per_second)
        fields = _fields(bucket.tokens, per_second)
        if bucket.tokens < 1:
            wait = math.ceil((1 - bucket.tokens) / per_second) + random.randint(0, 2)  # noqa: S311
            fields["Retry-After"] = str(min(max(wait, 1), 60))
            raise RateLimitedError(
                f"This key may send {per_second} events a second.", headers=fields
            )
        return fields

    def charge(self, key_id: str, events: int) -> None:
        bucket = self._buckets.get(key_id)
        if bucket is not None:
            bucket.tokens -= events

    def clear(self) -> None:
        self._buckets.clear()

    def _refilled(self, key_id: str, per_second: int) -> _Bucket:
        now = time.monotonic()
        bucket = self._buckets.get(key_id)
        if bucket is None:
            if len(self._buckets) >= _MAX_BUCKETS:
                self._buckets.clear()
            bucket = self._buckets[key_id] = _Bucket(float(per_second), now)
        else:
            grown = bucket.tokens + (now - bucket.at) * per_second
            bucket.tokens, bucket.at = min(float(per_second), grown), now
        return bucket


def _fields(tokens: float, per_second: int) -> dict[str, str]:
    left = max(0, int(tokens))
    wait = 1 if left else math.ceil((1 - tokens) / per_second) or 1
    return {
        "RateLimit-Policy": f'"events";q={per_second};w=1',
        "RateLimit": f'"events";r={left};t={wait}',
    }


quotas: Final = Quotas()
