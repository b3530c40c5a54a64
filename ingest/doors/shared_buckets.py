"""Token buckets in Redis, which all web processes pay into: one script call a bucket and settlement.

Each bucket is one hash of two fields under a key of its own, so any cluster may spread them; Redis's
clock alone counts. A bucket that is not there (new, expired after it must have been full, flushed)
starts as `ingest.doors.limits.Bucket.start` says.
"""

import time
from collections.abc import Sequence
from typing import Final

import redis
from redis.backoff import NoBackoff
from redis.exceptions import NoScriptError, RedisError
from redis.retry import Retry

from ingest.doors.gate import parse_load
from ingest.doors.limits import Bucket

PREFIX: Final = "portal:quota:"
LOAD: Final = "portal:ingest-load"
# No request waits for these; a Redis slower than this counts as gone.
SECONDS: Final = 0.25
_BUCKETS_AT_ONCE: Final = 200
_TIDY_SECONDS: Final = 60.0
# KEYS[1]: the bucket. ARGV: rate a second, what was spent, what a fresh one holds. Gives what is left.
_SETTLE: Final = """
local clock = redis.call('TIME')
local now = clock[1] + clock[2] / 1000000
local kept = redis.call('HMGET', KEYS[1], 'tokens', 'at')
local rate, tokens, at = tonumber(ARGV[1]), tonumber(kept[1]), tonumber(kept[2])
if tokens and at and at < now + 1 then
    tokens = math.min(rate, tokens + math.max(0, now - at) * rate)
else
    tokens = tonumber(ARGV[3])
end
tokens = tokens - tonumber(ARGV[2])
redis.call('HSET', KEYS[1], 'tokens', string.format('%.6f', tokens),
           'at', string.format('%.6f', now))
redis.call('PEXPIRE', KEYS[1], math.ceil((rate - tokens) / rate * 1000) + 3600000)
return string.format('%.6f', tokens)
"""


class SharedBuckets:
    """A connection of one thread. Every method raises RedisError when Redis does not answer."""

    def __init__(self, url: str) -> None:
        self._redis = redis.Redis.from_url(
            url,
            socket_timeout=SECONDS,
            socket_connect_timeout=SECONDS,
            retry=Retry(NoBackoff(), 0),
        )
        self._script = ""
        self._tidy_at = 0.0

    def settle(self, spent: Sequence[tuple[Bucket, float]], now: float) -> list[float]:
        """Pay what was spent and give what is left of each bucket, in the same order. `now` is the
        moment of asking, by the monotonic clock."""
        left: list[float] = []
        for start in range(0, len(spent), _BUCKETS_AT_ONCE):
            part = spent[start : start + _BUCKETS_AT_ONCE]
            try:
                left += self._settle(part, now)
            except NoScriptError:
                self._script = ""
                left += self._settle(part, now)
        return left

    def _settle(self, spent: Sequence[tuple[Bucket, float]], now: float) -> list[float]:
        if not self._script:
            self._script = str(self._redis.script_load(_SETTLE))
        pipeline = self._redis.pipeline(transaction=False)
        for bucket, count in spent:
            pipeline.evalsha(
                self._script, 1, f"{PREFIX}{{{bucket.name}}}",
                str(bucket.rate), f"{count:.6f}", f"{bucket.start(now):.6f}",
            )  # fmt: skip
        return [float(answer) for answer in pipeline.execute()]

    def report(self, process: str, load: str) -> None:
        """Say how much this process has in hand, for /metrics."""
        self._redis.hset(LOAD, process, load)
        now = time.monotonic()
        if now >= self._tidy_at:
            self._tidy_at = now + _TIDY_SECONDS
            self._forget_silent()

    def _forget_silent(self) -> None:
        """Drop what processes said that have ended without a word."""
        before = time.time() - _TIDY_SECONDS
        silent = [
            process
            for process, load in self._redis.hgetall(LOAD).items()
            if parse_load(load).at < before
        ]
        if silent:
            self._redis.hdel(LOAD, *silent)

    def close(self) -> None:
        try:
            self._redis.close()
        except RedisError:  # it is gone anyway
            return
