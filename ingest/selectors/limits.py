"""A producer's limits beside what it uses of them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from django.conf import settings
from django.db.models import Q

from catalog.models import KeyStreamQuota, Producer, ProducerStream
from catalog.selectors.parties import keys_of
from catalog.selectors.streams import visible_streams
from catalog.tracks import quota_of
from catalog.types import Track
from governance.models import Key
from governance.selectors.key_uses import KeyUse, uses_of_keys
from portal.kernel import clock, sql
from portal.kernel.actor import Actor

MAX_KEYS: Final = 200
_USE: Final = sql.load("ingest", "use_of_producer")


@dataclass(frozen=True, slots=True)
class KeyLimits:
    """One key. `streams` are its own quotas by stream name, of those the reader may know of."""

    key: Key
    events_per_second: int
    streams: tuple[tuple[str, int], ...]
    uses: Mapping[str, KeyUse]

    @property
    def hour_share(self) -> float:
        """Of the quota, what the busiest minute of the last hour took: 1 is all of it."""
        return self.uses["hour"].busiest_minute / 60 / self.events_per_second

    @property
    def gauge_label(self) -> str:
        return f"{self.key.name}, busiest minute of the hour against its quota"


@dataclass(frozen=True, slots=True)
class ProducerLimits:
    """`use` is by span (minute, hour, day): received, accepted, duplicate, dead_lettered."""

    producer: Producer
    default_per_second: int
    keys: tuple[KeyLimits, ...]
    streams: tuple[tuple[str, int], ...]  # quotas over all keys of streams it may publish to
    use: Mapping[str, Mapping[str, int]]


def limits_of(producer: Producer, actor: Actor) -> ProducerLimits:
    """For whoever may manage the producer; streams as far as they may know of them."""
    keys = list(keys_of("prod", producer.pk).order_by("created_at", "pk")[:MAX_KEYS])
    known = visible_streams(actor).order_by()
    own: dict[str, list[tuple[str, int]]] = {key.pk: [] for key in keys}
    quotas = KeyStreamQuota.objects.filter(key__in=keys, stream__in=known.values("pk"))
    for key_id, name, number in quotas.order_by("stream__name").values_list(
        "key_id", "stream__name", "events_per_second"
    ):
        own[key_id].append((name, number))
    uses = uses_of_keys(list(own))
    return ProducerLimits(
        producer=producer,
        default_per_second=settings.INGEST_EVENTS_PER_SECOND,
        keys=tuple(
            KeyLimits(
                key=key,
                events_per_second=key.events_per_second or settings.INGEST_EVENTS_PER_SECOND,
                streams=tuple(own[key.pk]),
                uses=uses[key.pk],
            )
            for key in keys
        ),
        streams=_stream_quotas(producer, actor),
        use={row.pop("name"): row for row in _rows(producer)},
    )


def _rows(producer: Producer) -> list[dict[str, Any]]:
    return sql.fetch_all(_USE, {"producer_id": producer.pk, "now": clock.now()})


def _stream_quotas(producer: Producer, actor: Actor) -> tuple[tuple[str, int], ...]:
    """Quotas of the streams that it is permitted to by name."""
    permitted = ProducerStream.objects.filter(producer=producer, stream__isnull=False)
    limited = visible_streams(actor).filter(
        Q(events_per_second__isnull=False) | Q(track=Track.EXPERIMENTAL),
        pk__in=permitted.values("stream"),
    )
    return tuple(
        (stream.name, quota)
        for stream in limited.order_by("name")[:MAX_KEYS]
        if (quota := quota_of(stream)) is not None
    )
