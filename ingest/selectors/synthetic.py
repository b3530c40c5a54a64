"""What synthetic events are made like: distributions of stored events and the curve of a week.

Only counts, quantiles and categories leave this module. What the contract classifies or treats is
passed over with all below it; a text counts as a category only when many events share it, and never
when the detector of personal values knows it. Who may not read payloads learns nothing of them.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final

import orjson
from django.db.models import Sum

from catalog.applying import Gatherer, of_item, of_property
from catalog.detector import kinds_in
from catalog.generated_texts import mask_of
from catalog.generation import Learned, Profile, is_protected
from catalog.models import Producer, Stream
from governance.projection import projection
from ingest.log.alive import alive_since
from ingest.models import IngestMinute
from ingest.synthetic.making import Subjects
from portal.kernel import clock, sql
from portal.kernel.actor import Actor

SAMPLE: Final = 2_000
SPAN: Final = timedelta(days=14)
WEEK: Final = timedelta(days=7)
MAX_CATEGORIES: Final = 100
SHARED_BY: Final = 5  # a text that fewer events hold may name somebody
_QUANTILES: Final = 50
_SAMPLE: Final = sql.load("ingest", "sample_for_synthetic")


@dataclass(slots=True)
class _Seen:
    of: int = 0
    there: int = 0
    numbers: list[float] = field(default_factory=list)
    flags: Counter[bool] = field(default_factory=Counter)
    texts: Counter[str] = field(default_factory=Counter)
    sizes: list[float] = field(default_factory=list)


def learn(actor: Actor, stream: Stream, document: Any) -> tuple[Profile, Subjects]:
    """Distributions of a stream's newest events; nothing for who may not read each
    of its fields."""
    if projection(actor, stream).fields is not None or not isinstance(document, Mapping):
        return {}, Subjects()
    rows = sql.fetch_all(
        _SAMPLE,
        {
            "stream_id": stream.pk,
            "alive_since": max(clock.now() - SPAN, alive_since(stream)),
            "test_producers": list(
                Producer.objects.filter(is_test=True).values_list("pk", flat=True)
            ),
            "batch": SAMPLE,
        },
    )
    if len(rows) < 2 * SHARED_BY:
        return {}, Subjects()
    found = profile_of(document, [orjson.loads(row["data"]) for row in rows if row["data"]])
    named = [row["subject"] for row in rows if row["subject"] is not None]
    return found, Subjects(
        distinct_ratio=len(set(named)) / len(named) if named else 0.0,
        presence_ratio=len(named) / len(rows),
    )


def profile_of(document: Mapping[str, Any], events: Sequence[Any]) -> Profile:
    """The distributions of some data, by place."""
    seen: dict[str, _Seen] = defaultdict(_Seen)
    walk = _Walk(seen, Gatherer())
    for data in events:
        walk.look(data, "", [(document, document)])
    return {place: _learned(one) for place, one in seen.items()}


@dataclass(slots=True)
class _Walk:
    seen: dict[str, _Seen]
    gatherer: Gatherer

    def look(self, value: Any, place: str, schemas: list[tuple[Any, Any]], depth: int = 0) -> None:
        applying = self.gatherer.gather(schemas)
        if depth > 12 or any(is_protected(schema) for schema, _ in applying):
            return
        found = self.seen[place]
        if isinstance(value, bool):
            found.flags[value] += 1
        elif isinstance(value, int | float):
            found.numbers.append(value)
        elif isinstance(value, str):
            if len(found.texts) < 5 * MAX_CATEGORIES or value in found.texts:
                found.texts[value[:200]] += 1
        elif isinstance(value, list):
            found.sizes.append(len(value))
            for at, item in enumerate(value[:20]):
                self.look(item, f"{place}/*", list(of_item(applying, at)), depth + 1)
        elif isinstance(value, dict):
            self._object(value, place, applying, depth)

    def _object(
        self, value: dict[str, Any], place: str, applying: list[tuple[Any, Any]], depth: int
    ) -> None:
        declared: dict[str, None] = {}
        for schema, _ in applying:
            named = schema.get("properties")
            declared |= dict.fromkeys(named if isinstance(named, Mapping) else ())
        for name in declared:
            inner = self.seen[f"{place}/{name}"]
            inner.of += 1
            if name in value:
                inner.there += 1
                schemas = list(of_property(applying, name))
                self.look(value[name], f"{place}/{name}", schemas, depth + 1)


def _learned(found: _Seen) -> Learned:
    values: list[tuple[Any, float]] = [(flag, float(n)) for flag, n in sorted(found.flags.items())]
    shared = [(text, n) for text, n in found.texts.items() if n >= SHARED_BY and not kinds_in(text)]
    covers = sum(n for _, n in shared) >= 0.8 * (sum(found.texts.values()) or 1)
    masks: Counter[str] = Counter()
    if covers and len(shared) <= MAX_CATEGORIES:
        values += [(text, float(n)) for text, n in sorted(shared)]
    else:
        for text, n in found.texts.items():
            masks["".join(one if one.isascii() else "a" for one in mask_of(text))] += n
    return Learned(
        presence_ratio=found.there / found.of if found.of else None,
        quantiles=_quantiles(found.numbers),
        values=tuple(values),
        masks=tuple(sorted((mask, float(n)) for mask, n in masks.most_common(MAX_CATEGORIES))),
        sizes=_quantiles(found.sizes),
    )


def _quantiles(numbers: Iterable[float]) -> tuple[float, ...]:
    ordered = sorted(numbers)
    if not ordered:
        return ()
    last = len(ordered) - 1
    return tuple(ordered[round(last * at / _QUANTILES)] for at in range(_QUANTILES + 1))


def week_of(stream: Stream) -> tuple[float, ...]:
    """The weight of each of the 168 hours of a week (Monday first, UTC) by the accounts of the last
    two weeks, around 1; empty while there is less than a day of them."""
    now = clock.now().replace(minute=0, second=0, microsecond=0)
    rows = (
        IngestMinute.objects.filter(stream_id=stream.pk, minute__gte=now - 2 * WEEK, minute__lt=now)
        .values_list("minute")
        .annotate(n=Sum("accepted"))
    )
    hours: Counter[int] = Counter()
    days: set[Any] = set()
    for minute, count in rows:
        hours[minute.weekday() * 24 + minute.hour] += count
        days.add((minute.date(), minute.hour))
    if len(days) < 24 or not sum(hours.values()):
        return ()
    by_hour = [sum(hours[day * 24 + hour] for day in range(7)) for hour in range(24)]
    seen_days = Counter(hour for _, hour in days)
    usual = [by_hour[hour] / max(1, seen_days[hour]) for hour in range(24)]
    if len({day for day, _ in days}) >= 14:
        week = [hours[place] / 2 for place in range(168)]
    else:
        week = [usual[place % 24] for place in range(168)]
    mean = sum(week) / 168
    return tuple(one / mean for one in week)
