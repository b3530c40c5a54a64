"""The demo shop's traffic: seasonal, reproducible, with an outage and a bad release in it.

Every hour of every stream has its own seed, so a run that was cut goes on where it stopped and
sends the same events again, which ingest answers as duplicates.
"""

import hashlib
import math
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random
from typing import Any, Final

from portal.demo.fields import data
from portal.demo.shop import STREAMS, ShopStream

HOUR: Final = timedelta(hours=1)
CUSTOMERS: Final = 6_000
# Share of a day's events by hour, UTC: quiet at night, lunch and evening peaks.
DAY_SHAPE: Final = (
    0.35, 0.25, 0.2, 0.2, 0.25, 0.4, 0.7, 0.95, 1.1, 1.2, 1.25, 1.35,
    1.4, 1.3, 1.2, 1.2, 1.3, 1.5, 1.7, 1.85, 1.8, 1.5, 1.0, 0.6,
)  # fmt: skip
WEEK_SHAPE: Final = (0.95, 0.95, 1.0, 1.0, 1.1, 1.15, 1.05)
OUTAGE: Final = {
    "payments.payment_authorised": 0.15,
    "checkout.order_placed": 0.3,
    "payments.payment_failed": 6.0,
}
OUTAGE_AGO: Final = timedelta(days=7)
OUTAGE_HOURS: Final = 3
RELEASE_AGO: Final = timedelta(hours=20)
BAD_SHARE: Final = 0.09  # of the Android app, so about 3 % of all
BAD_RELEASE: Final = "9.14.0"


@dataclass(frozen=True, slots=True)
class Story:
    """When the outage began, and since when the bad release is out."""

    outage_at: datetime
    release_at: datetime

    def is_outage(self, moment: datetime) -> bool:
        return self.outage_at <= moment < self.outage_at + OUTAGE_HOURS * HOUR


def story_at(now: datetime) -> Story:
    """The story as seen from a first run: an outage a week ago at ten, a release since yesterday."""
    day = (now - OUTAGE_AGO).replace(hour=10, minute=0, second=0, microsecond=0)
    release = (now - RELEASE_AGO).replace(minute=0, second=0, microsecond=0)
    return Story(outage_at=day, release_at=release)


def expected(stream: ShopStream, hour: datetime, story: Story) -> float:
    """Events expected in one hour."""
    base = stream.per_day / sum(DAY_SHAPE) * DAY_SHAPE[hour.hour] * WEEK_SHAPE[hour.weekday()]
    return base * OUTAGE.get(stream.name, 1.0) if story.is_outage(hour) else base


def events_of_hour(hour: datetime, story: Story) -> list[tuple[str, dict[str, Any]]]:
    """Every event of one hour as (producer, CloudEvent), oldest first."""
    found = [
        (stream.producer, event)
        for stream in STREAMS
        for event in _stream_hour(stream, hour, story)
    ]
    found.sort(key=lambda item: str(item[1]["time"]))
    return found


def _stream_hour(stream: ShopStream, hour: datetime, story: Story) -> Iterator[dict[str, Any]]:
    seed = hashlib.sha256(f"{stream.name}:{hour.isoformat()}".encode()).digest()
    rng = Random(seed)  # noqa: S311  # reproducible by design
    for number in range(_poisson(rng, expected(stream, hour, story))):
        moment = hour + timedelta(microseconds=rng.randrange(3_600_000_000))
        content = data(stream.fields, rng)
        version = "9.13.2"
        is_android = stream.name == "playback.heartbeat" and content["device"] == "android"
        if is_android and moment >= story.release_at and rng.random() < BAD_SHARE:
            version = BAD_RELEASE
            content["position_ms"] = f"{content['position_ms']} ms"
        event = {
            "specversion": "1.0",
            "id": f"{stream.name.rpartition('.')[2]}-{hour:%y%m%d%H}-{number:05d}",
            "source": f"/shop/{stream.producer}",
            "type": stream.name,
            "time": moment.isoformat(timespec="microseconds").replace("+00:00", "Z"),
            "subject": customer(rng.randrange(CUSTOMERS)),
            "datacontenttype": "application/json",
            "data": content,
        }
        if stream.team == "playback":
            event["producerversion"] = version
        yield event


def customer(number: int) -> str:
    """The token of a customer: whom an event is about."""
    return "cus_" + hashlib.sha256(f"customer {number}".encode()).hexdigest()[:10]


def _poisson(rng: Random, mean: float) -> int:
    """A Poisson number: Knuth's product below 30, a rounded normal above."""
    if mean > 30:
        return max(0, round(rng.gauss(mean, math.sqrt(mean))))
    limit, product, count = math.exp(-mean), rng.random(), 0
    while product > limit:
        product *= rng.random()
        count += 1
    return count
