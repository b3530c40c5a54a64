"""Quotas: how many events a second a key may send, a stream may take, and a key may send to a stream.

1. Each quota is a token bucket that holds one second's worth. A request is let in while a token is
   left, and may overdraw: how many events a body holds is known only once it was read. The debt
   keeps the next requests out, before their bodies are read.
2. All web processes share the buckets through Redis, but no request waits for it. A process spends
   from its own estimate and tells Redis twenty times a second what it spent (`ingest.doors.settling`);
   the answer is the new estimate. What several processes spent too much meanwhile is a debt as
   well, so over some seconds a quota is exact. While Redis is away each process goes on alone.
3. Which streams a request is for stands in its body. A key that overdraws its own quota for a stream
   waits until that is paid. A stream's quota over all keys refuses only a key whose latest events
   all went to that stream: who also sends elsewhere is not kept from it.

4. Keys whose latest requests, for ten seconds, went to experimental streams alone are known as such
   (`is_on_trial`): the gate lets what goes to production pass them.

One request costs two locks and a few additions here (`benchmarks/overload.py --micro`).
"""

import math
import random
import threading
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from django.conf import settings

from ingest.doors.uses import Refusal, Uses, uses
from ingest.judging.admission import Publisher, StreamEntry
from ingest.log.group import Item
from portal.kernel.errors import RateLimitedError

MAX_RETRY_SECONDS: Final = 60
# How long a key that also sent elsewhere counts as one that does.
MIXED_SECONDS: Final = 10.0
_MAX_BUCKETS: Final = 10_000
_IDLE_SECONDS: Final = 120.0


@dataclass(slots=True)
class Bucket:
    """Tokens as this process sees them. `spent` is what Redis has not been told yet."""

    name: str  # in Redis
    label: str  # in the RateLimit fields
    rate: int
    tokens: float
    at: float
    spent: float = 0.0
    policy: str = ""
    since: float | None = field(init=False)  # when it began; None once Redis has been told of it

    def __post_init__(self) -> None:
        self.since = self.at

    def start(self, now: float) -> float:
        """What Redis begins with if it knows nothing of this bucket: what one is given that nobody
        knows, and what has come to it while this process alone knew it."""
        alone = now - self.since if self.since is not None else 0.0
        return min(float(self.rate), fresh_tokens(self.rate) + alone * self.rate)

    def refill(self, now: float) -> float:
        """Add what has come since, up to one second's worth; gives the tokens, a debt as negative.
        `now` is of the monotonic clock, in seconds."""
        self.tokens = min(float(self.rate), self.tokens + (now - self.at) * self.rate)
        self.at = now
        return self.tokens

    def seconds_to(self, tokens: float) -> float:
        """How long until so many tokens are there; 0 when they are."""
        return max(0.0, (tokens - self.tokens) / self.rate)

    @property
    def limit(self) -> str:
        """The value of `RateLimit`: what is left, and when more comes."""
        left = max(0, int(self.tokens))
        wait = 1 if left else math.ceil(self.seconds_to(1)) or 1
        return f'"{self.label}";r={left};t={wait}'


def fresh_tokens(rate: int) -> float:
    """What a bucket that nobody knows starts with: half a second's worth, small ones all.

    After a flush of Redis or a new start nobody gets a whole second on top.
    """
    return min(float(rate), max(rate / 2, 10.0))


@dataclass(slots=True)
class _Key:
    """A key's buckets: its own, and by stream where it has a quota for that."""

    bucket: Bucket
    own: dict[int, Bucket] = field(default_factory=dict)
    focus: int = 0  # the stream with a quota that all events of its latest request went to
    mixed_until: float = 0.0
    went_to_trial: bool = False
    in_production_until: float = 0.0


class Quotas:
    """The buckets of one process. May be used from any thread."""

    def __init__(self, uses: Uses) -> None:
        self.used = threading.Event()  # something to settle
        self._uses = uses
        self._lock = threading.Lock()
        self._keys: dict[str, _Key] = {}
        self._streams: dict[int, Bucket] = {}
        self._unsettled: dict[str, Bucket] = {}

    def admit(self, publisher: Publisher) -> dict[str, str]:
        """The rate limit fields of the answer; raises RateLimitedError when a quota is used up."""
        return _fields(self.pay(publisher))

    def pay(self, publisher: Publisher) -> Bucket:
        """As `admit`: gives the key's own bucket, which the fields tell of."""
        if not self.used.is_set():
            self.used.set()
        now = time.monotonic()
        per_second = publisher.events_per_second or settings.INGEST_EVENTS_PER_SECOND
        with self._lock:
            key = self._keys.get(publisher.key_id) or self._new_key(publisher.key_id, now)
            bucket = key.bucket
            if bucket.rate != per_second:
                _set_rate(bucket, per_second, now)
            if bucket.refill(now) < 1:
                refused, why = bucket, Refusal.QUOTA_KEY
            else:
                found = self._used_up(key, now) if key.own or key.focus else None
                if found is None:
                    self._take(bucket, 1)
                    return bucket
                refused, why = found, Refusal.QUOTA_STREAM
        self._uses.refuse(publisher.key_id, why)
        raise _refusal(refused, why, _fields(bucket))

    def charge(
        self,
        publisher: Publisher,
        items: Sequence[Item],
        streams: Iterable[StreamEntry],
        *,
        paid: int = 1,
    ) -> None:
        """Pay for the events of `paid` requests; the first of each was paid when it was let in."""
        known = list(streams)
        limited = [
            stream
            for stream in known
            if stream.events_per_second is not None or stream.id in publisher.stream_quotas
        ]
        with self._lock:
            key = self._keys.get(publisher.key_id)
            if key is not None:
                for stream in known:
                    if stream.track:
                        key.went_to_trial = True
                    else:
                        key.in_production_until = time.monotonic() + MIXED_SECONDS
                if len(items) > paid:
                    self._take(key.bucket, len(items) - paid)
                if (limited or key.focus) and items:
                    self._charge_streams(key, publisher, items, limited)
        self._uses.add(publisher.key_id, len(items))

    def is_on_trial(self, key_id: str) -> bool:
        """Whether a key's latest requests went to experimental streams and to no other."""
        key = self._keys.get(key_id)
        if key is None or not key.went_to_trial:
            return False
        return time.monotonic() >= key.in_production_until

    def _charge_streams(
        self,
        key: _Key,
        publisher: Publisher,
        items: Sequence[Item],
        limited: Sequence[StreamEntry],
    ) -> None:
        now = time.monotonic()
        counts = Counter(item.stream_id for item in items)
        whole = [s.id for s in limited if s.events_per_second and counts[s.id] == len(items)]
        focus = whole[0] if whole else 0
        if not focus or key.focus not in {0, focus}:
            key.mixed_until = now + MIXED_SECONDS
        key.focus = focus
        for stream in limited:
            count = counts[stream.id]
            if not count:
                continue
            own = publisher.stream_quotas.get(stream.id)
            if own is not None:
                name = f"{publisher.key_id}:{stream.id}"
                bucket = _kept(key.own, stream.id, name, stream.name, own, now)
                bucket.refill(now)
                self._take(bucket, count)
            if stream.events_per_second is not None:
                name = f"stream:{stream.id}"
                bucket = _kept(
                    self._streams, stream.id, name, stream.name, stream.events_per_second, now
                )
                bucket.refill(now)
                # What a key sends here beside other streams keeps the others out for one second
                # at most: it is not refused for it, so its debt could grow for ever.
                least = -float(bucket.rate) if now < key.mixed_until else -math.inf
                self._take(bucket, min(count, max(0.0, bucket.tokens - least)))

    def _used_up(self, key: _Key, now: float) -> Bucket | None:
        """The stream's bucket that keeps this key out, if one does."""
        for bucket in key.own.values():
            if bucket.refill(now) < 1:
                return bucket
        if key.focus and now >= key.mixed_until:
            found = self._streams.get(key.focus)
            if found is not None and found.refill(now) < 1:
                return found
        return None

    def _take(self, bucket: Bucket, count: float) -> None:
        bucket.tokens -= count
        bucket.spent += count
        self._unsettled[bucket.name] = bucket

    def _new_key(self, key_id: str, now: float) -> _Key:
        if len(self._keys) >= _MAX_BUCKETS:
            self._keys.clear()
        bucket = Bucket(f"key:{key_id}", "events", 0, 0.0, now)
        found = self._keys[key_id] = _Key(bucket)
        return found

    def take_unsettled(self) -> list[tuple[Bucket, float]]:
        """What was spent since the last call, by bucket. It counts as told from now on."""
        with self._lock:
            found = [(bucket, bucket.spent) for bucket in self._unsettled.values()]
            self._unsettled = {}
            for bucket, _ in found:
                bucket.spent = 0.0
        return found

    def settle(self, bucket: Bucket, tokens: float, *, asked_at: float) -> None:
        """Take over what Redis says is left, with what has come and what was spent since it was
        asked."""
        with self._lock:
            bucket.tokens, bucket.at = tokens - bucket.spent, asked_at
            bucket.since = None
            bucket.refill(time.monotonic())

    def forget_idle(self) -> None:
        """Drop buckets that were not asked for a while; Redis, or time, has filled them."""
        before = time.monotonic() - _IDLE_SECONDS
        with self._lock:
            self._keys = {
                key_id: key
                for key_id, key in self._keys.items()
                if key.bucket.at > before or key.bucket.tokens < 0
            }
            self._streams = {
                stream: bucket for stream, bucket in self._streams.items() if bucket.at > before
            }

    def clear(self) -> None:
        """Forget every bucket and what was spent from it; Redis keeps its own."""
        with self._lock:
            self._keys.clear()
            self._streams.clear()
            self._unsettled.clear()


def _kept(
    buckets: dict[int, Bucket], stream: int, name: str, label: str, rate: int, now: float
) -> Bucket:
    found = buckets.get(stream)
    if found is None:
        if len(buckets) >= _MAX_BUCKETS:
            buckets.clear()
        found = buckets[stream] = Bucket(name, label, 0, 0.0, now)
    if found.rate != rate:
        _set_rate(found, rate, now)
    return found


def _set_rate(bucket: Bucket, rate: int, now: float) -> None:
    """A new bucket, or one whose quota was changed: a debt stays, what is left is cut."""
    if bucket.rate:
        bucket.refill(now)
        bucket.tokens = min(bucket.tokens, float(rate))
    else:
        bucket.tokens = fresh_tokens(rate)
    bucket.rate = rate
    bucket.policy = f'"{bucket.label}";q={rate};w=1'


def _fields(bucket: Bucket) -> dict[str, str]:
    return {"RateLimit-Policy": bucket.policy, "RateLimit": bucket.limit}


def _refusal(bucket: Bucket, why: Refusal, fields: dict[str, str]) -> RateLimitedError:
    wait = math.ceil(bucket.seconds_to(1)) + random.randint(0, 2)  # noqa: S311  # jitter
    headers = {**fields, "Retry-After": str(min(max(wait, 1), MAX_RETRY_SECONDS))}
    if why is Refusal.QUOTA_KEY:
        return RateLimitedError(
            f"This key may send {bucket.rate} events a second.", headers=headers
        )
    for name, value in _fields(bucket).items():
        headers[name] = f"{headers[name]}, {value}"
    whose = "this key" if not bucket.name.startswith("stream:") else "all keys together"
    return RateLimitedError(
        f"The stream {bucket.label} takes {bucket.rate} events a second from {whose}.",
        headers=headers,
        extra={"stream": bucket.label},
    )


quotas: Final = Quotas(uses)
