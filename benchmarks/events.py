"""The events that benchmarks send: three streams of a shop, about 550 bytes each as sent."""

import itertools
import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID

import orjson

STREAMS: Final = ("bench.order_placed", "bench.order_shipped", "bench.order_refunded")
_ITEM: Final = {
    "type": "object",
    "properties": {
        "sku": {"type": "string", "maxLength": 40},
        "quantity": {"type": "integer", "minimum": 1, "maximum": 1000},
        "unit_amount": {"type": "integer", "minimum": 0},
    },
    "required": ["sku", "quantity", "unit_amount"],
    "additionalProperties": False,
}
DOCUMENT: Final[dict[str, Any]] = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "properties": {
        "order_id": {"type": "string", "maxLength": 40},
        "currency": {"enum": ["EUR", "USD", "GBP", "SEK"]},
        "amount": {"type": "integer", "minimum": 0},
        "share": {"type": "number", "minimum": 0, "maximum": 1},
        "is_gift": {"type": "boolean"},
        "channel": {"type": "string", "enum": ["web", "ios", "android"]},
        "address": {
            "type": "object",
            "properties": {
                "country": {"type": "string", "pattern": "^[A-Z]{2}$"},
                "zone": {"type": "string"},
            },
            "required": ["country"],
            "additionalProperties": False,
        },
        "items": {"type": "array", "items": _ITEM, "minItems": 1, "maxItems": 100},
    },
    "required": ["order_id", "currency", "amount", "items"],
    "additionalProperties": False,
}


class Maker:
    """Events with ids and times of their own, in bytes, made before any clock runs.

    `events` gives each once; times go on from now by 40 microseconds an event.
    """

    def __init__(self, seed: int = 7) -> None:
        self._random = random.Random(seed)
        self._frames = [self._frame(number) for number in range(400)]
        self._numbers = itertools.count()
        self._start = datetime.now(UTC) - timedelta(minutes=30)

    def _frame(self, number: int) -> tuple[bytes, bytes]:
        chance = self._random
        data = {
            "order_id": f"o-{chance.randrange(10**9):09d}",
            "currency": chance.choice(["EUR", "USD", "GBP", "SEK"]),
            "amount": chance.randrange(100, 90_000),
            "share": round(chance.random(), 4),
            "is_gift": chance.random() < 0.1,
            "channel": chance.choice(["web", "ios", "android"]),
            "address": {"country": chance.choice(["DE", "FR", "SE"]), "zone": "north-west"},
            "items": [
                {
                    "sku": f"sku-{chance.randrange(10**6):06d}",
                    "quantity": chance.randrange(1, 5),
                    "unit_amount": chance.randrange(100, 9_000),
                }
                for _ in range(2)
            ],
        }
        head = {
            "specversion": "1.0",
            "source": "/shop/web",
            "type": STREAMS[number % len(STREAMS)],
            "subject": f"c{chance.randrange(40_000)}",
            "producerversion": "2026.46",
            "environment": "production",
            "data": data,
        }
        return b'{"id":"', b'",' + orjson.dumps(head)[1:]

    def events(self, count: int) -> Iterator[bytes]:
        """The next events, each as JSON."""
        for number in itertools.islice(self._numbers, count):
            before, after = self._frames[number % len(self._frames)]
            moment = self._start + timedelta(microseconds=40 * number)
            name = UUID(int=self._random.getrandbits(128), version=4)
            time = moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
            yield b"".join((before, str(name).encode(), b'","time":"', time.encode(), after))

    def bodies(self, count: int, size: int) -> Iterator[bytes]:
        """Bodies of `size` events: a single one as an object, more as an array."""
        for _ in range(count):
            events = list(self.events(size))
            yield events[0] if size == 1 else b"[" + b",".join(events) + b"]"

    def bytes_per_event(self) -> int:
        return round(sum(len(event) for event in self.events(200)) / 200)


def media(size: int) -> str:
    return "application/cloudevents+json" if size == 1 else "application/cloudevents-batch+json"
