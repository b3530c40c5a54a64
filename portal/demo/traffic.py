"""The demo shop's traffic: seasonal, reproducible, with an outage and a bad release in it.

Every hour of every stream has its own seed, so a run that was cut goes on where it stopped and
sends the same events again, which ingest answers as duplicates.
"""

import hashlib
import math
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache, lru_cache
from random import Random
from typing import Any, Final

from experiments.assignment import assign_variant
from portal.demo.fields import data
from portal.demo.shop import STREAMS, ShopStream

HOUR: Final = timedelta(hours=1)
CUSTOMERS: Final = 40_000
# The experiment: these customers meet it, each at a moment of their own over three weeks.
EXPERIMENT: Final[dict[str, Any]] = {
    "salt": "one_tap_checkout",
    "allocation_bps": 10_000,
    "variants": [
        {"key": "control", "weight_bps": 5_000},
        {"key": "one_tap", "weight_bps": 5_000},
    ],
}
EXPOSED_CUSTOMERS: Final = 16_000
EXPOSURE_SPAN: Final = timedelta(days=21)
EXPERIMENT_AGO: Final = timedelta(days=10)
# Of the orders of a customer in control this share is somebody else's: the effect of one tap.
EFFECT: Final = 0.14
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
    """When the outage began, since when the bad release is out, and when the experiment began."""

    outage_at: datetime
    release_at: datetime
    experiment_at: datetime

    def is_outage(self, moment: datetime) -> bool:
        """Whether a moment lies in the OUTAGE_HOURS from the outage's start."""
        return self.outage_at <= moment < self.outage_at + OUTAGE_HOURS * HOUR


def story_at(now: datetime) -> Story:
    """The story as seen from a first run: an outage a week ago at ten, a release since yesterday."""
    day = (now - OUTAGE_AGO).replace(hour=10, minute=0, second=0, microsecond=0)
    release = (now - RELEASE_AGO).replace(minute=0, second=0, microsecond=0)
    begun = (now - EXPERIMENT_AGO).replace(hour=0, minute=0, second=0, microsecond=0)
    return Story(outage_at=day, release_at=release, experiment_at=begun)


def expected(stream: ShopStream, hour: datetime, story: Story) -> float:
    """Events expected in one hour."""
    base = stream.per_day / sum(DAY_SHAPE) * DAY_SHAPE[hour.hour] * WEEK_SHAPE[hour.weekday()]
    return base * OUTAGE.get(stream.name, 1.0) if story.is_outage(hour) else base


@lru_cache(maxsize=2)
def events_of_hour(hour: datetime, story: Story) -> tuple[tuple[str, dict[str, Any]], ...]:
    """Every event of one hour as (producer, CloudEvent), oldest first."""
    found = [
        (stream.producer, event)
        for stream in STREAMS
        for event in _stream_hour(stream, hour, story)
    ]
    found += [("web-shop", event) for event in _exposures(hour, story)]
    found.sort(key=lambda item: str(item[1]["time"]))
    return tuple(found)


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
            "subject": _subject(stream, moment, rng, story),
            "datacontenttype": "application/json",
            "data": content,
        }
        if stream.team == "playback":
            event["producerversion"] = version
        yield event


def _subject(stream: ShopStream, moment: datetime, rng: Random, story: Story) -> str:
    """Whom an event is about. Orders lean towards customers who met the treatment."""
    number = rng.randrange(CUSTOMERS)
    if stream.name == "checkout.order_placed":
        while _in_control(number, moment, story) and rng.random() < EFFECT:
            number = rng.randrange(CUSTOMERS)
    return customer(number)


def _in_control(number: int, moment: datetime, story: Story) -> bool:
    met = exposed_at(number, story)
    return met is not None and met <= moment and variant_of(customer(number)) == "control"


@cache
def exposed_at(number: int, story: Story) -> datetime | None:
    """When a customer meets the experiment; None for who never does."""
    if number >= EXPOSED_CUSTOMERS:
        return None
    share = int.from_bytes(hashlib.sha256(f"exposure {number}".encode()).digest()[:6]) / 2**48
    return story.experiment_at + EXPOSURE_SPAN * share


@cache
def variant_of(unit: str) -> str:
    """The variant of a customer by the final hash, as any client would compute it."""
    return str(assign_variant(experiment=EXPERIMENT, unit=unit)["variant"])


def _exposures(hour: datetime, story: Story) -> Iterator[dict[str, Any]]:
    if not story.experiment_at <= hour < story.experiment_at + EXPOSURE_SPAN:
        return
    for number in _by_hour(story).get(hour, ()):
        met, unit = exposed_at(number, story), customer(number)
        assert met is not None
        yield {
            "specversion": "1.0",
            "id": f"exposure-{number:05d}",
            "source": "/shop/web-shop",
            "type": "experiments.exposure_recorded",
            "time": met.isoformat(timespec="microseconds").replace("+00:00", "Z"),
            "subject": unit,
            "datacontenttype": "application/json",
            "data": {"experiment": "one_tap_checkout", "variant": variant_of(unit)},
        }


@cache
def _by_hour(story: Story) -> dict[datetime, list[int]]:
    """Customers by the hour in which they meet the experiment."""
    found: dict[datetime, list[int]] = {}
    for number in range(EXPOSED_CUSTOMERS):
        met = exposed_at(number, story)
        if met is not None:
            found.setdefault(met.replace(minute=0, second=0, microsecond=0), []).append(number)
    return found


@cache
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
