"""GET /metrics: the portal's own numbers for Prometheus, read from the database at each scrape.

They are the whole portal's, whichever process answers, so a sum over instances would count twice:
scrape one address. Labels hold words of short lists only, never a name or id.
"""

from collections.abc import Iterator
from typing import ClassVar, Final

import redis
from django.conf import settings
from django.db.models import Count
from django.http import HttpResponse
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector
from redis.exceptions import RedisError
from rest_framework.request import Request

from analytics.selectors import volume
from catalog.models import Stream
from catalog.types import Lifecycle
from governance.api.base import ApiView
from governance.models import AccessRequest
from governance.selectors import audit_log
from governance.selectors.key_uses import refusals_ever
from ingest.gate import parse_load
from ingest.selectors import health, storage
from ingest.shared_buckets import LOAD
from ingest.types import Reason
from portal.http.operations import operation
from portal.kernel import clock
from quality.models import Alarm, CheckKind

_REDIS_SECONDS: Final = 0.5
_LOAD_SECONDS: Final = 15.0


class Metrics(ApiView):
    policy: ClassVar = {"GET": "metrics"}

    @operation("The portal's numbers, as Prometheus or OpenMetrics text.", media="text/plain")
    def get(self, request: Request) -> HttpResponse:
        encode, content_type = choose_encoder(request.headers.get("Accept", ""))
        return HttpResponse(encode(REGISTRY), content_type=content_type)


class PortalCollector(Collector):
    """Reads everything anew each time it is asked; a handful of small queries."""

    def collect(self) -> Iterator[Metric]:
        yield _received()
        yield _by_word(
            "portal_dead_letters_open",
            "Dead letters that wait, by reason.",
            "reason",
            {**dict.fromkeys(Reason, 0), **health.open_dead_letters()},
        )
        yield _refused()
        yield _by_word(
            "portal_streams",
            "Registered streams, by lifecycle.",
            "lifecycle",
            dict.fromkeys(Lifecycle.values, 0)
            | dict(Stream.objects.values_list("lifecycle").annotate(n=Count("id"))),
        )
        yield _by_word(
            "portal_alarms_open",
            "Open alarms, by the kind of check.",
            "kind",
            dict.fromkeys(CheckKind.values, 0)
            | dict(
                Alarm.objects.filter(closed_at=None).values_list("kind").annotate(n=Count("id"))
            ),
        )
        yield GaugeMetricFamily(
            "portal_access_requests_open",
            "Requests for access that wait for a decision.",
            AccessRequest.objects.filter(state="open").count(),
        )
        yield CounterMetricFamily(
            "portal_audit_rows", "Rows of the audit chain.", audit_log.newest_number()
        )
        sizes = storage.sizes()
        yield _by_word(
            "portal_partition_days_ahead",
            "Whole days after today that are made, by table; fewer than three are an alarm.",
            "table",
            {name: ahead for name, (_, ahead) in sizes.items()},
        )
        yield _by_word(
            "portal_storage_bytes",
            "What the log takes up with its indexes, by table.",
            "table",
            {name: size for name, (size, _) in sizes.items()},
        )
        moved_at = volume.rolled_up_at()
        if moved_at is not None:
            yield GaugeMetricFamily(
                "portal_rollup_lag_seconds",
                "Since the counts of events moved last.",
                (clock.now() - moved_at).total_seconds(),
            )
        yield from _queues()


def _received() -> Metric:
    totals = health.totals_ever()
    events = CounterMetricFamily(
        "portal_ingest_events", "Events received, by what became of them.", labels=["outcome"]
    )
    events.add_metric(["accepted"], totals.accepted)
    events.add_metric(["duplicate"], totals.duplicate)
    events.add_metric(["dead_lettered"], totals.dead_lettered)
    return events


def _refused() -> Metric:
    refused = CounterMetricFamily(
        "portal_ingest_refused",
        "Requests turned away before their bodies were read, by reason.",
        labels=["reason"],
    )
    for reason, count in refusals_ever().items():
        refused.add_metric([reason], count)
    return refused


def _in_hand(client: redis.Redis) -> Iterator[Metric]:
    """What the web processes have in hand; one that fell silent has nothing."""
    loads = [parse_load(load) for load in client.hvals(LOAD)]
    since = clock.now().timestamp() - _LOAD_SECONDS
    lately = [load for load in loads if load.at >= since]
    yield GaugeMetricFamily(
        "portal_ingest_requests",
        "Requests to the doors of ingest that are in hand.",
        sum(load.requests for load in lately),
    )
    yield GaugeMetricFamily(
        "portal_ingest_queue_events",
        "Events that wait for their commit.",
        sum(load.queued for load in lately),
    )
    yield GaugeMetricFamily(
        "portal_ingest_round_seconds",
        "How long a request waits at most, 19 times of 20, until a web process looks at it.",
        max((load.round_us for load in lately), default=0) / 1e6,
    )


def _by_word(name: str, says: str, label: str, counts: dict[str, int]) -> Metric:
    family = GaugeMetricFamily(name, says, labels=[label])
    for word, count in counts.items():
        family.add_metric([str(word)], count)
    return family


def _queues() -> Iterator[Metric]:
    """Tasks that wait for a worker; nothing while the broker is away."""
    client = redis.Redis.from_url(
        settings.REDIS_URL,
        socket_timeout=_REDIS_SECONDS,
        socket_connect_timeout=_REDIS_SECONDS,
    )
    try:
        with client:
            waiting = {name: client.llen(name) for name in settings.CELERY_TASK_QUEUES_NAMES}
            in_hand = list(_in_hand(client))
    except RedisError:
        return
    yield from in_hand
    yield _by_word("portal_queue_tasks", "Tasks that wait for a worker.", "queue", waiting)


REGISTRY: Final = CollectorRegistry()
REGISTRY.register(PortalCollector())
