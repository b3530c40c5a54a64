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
    HistogramMetricFamily,
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
from ingest.doors.gate import parse_load
from ingest.doors.shared_buckets import LOAD
from ingest.log.latencies import Measure
from ingest.selectors import funnel, health, latencies, storage
from ingest.types import Reason
from portal.http.operations import operation
from portal.kernel import clock, log_buckets, sql
from quality.models import Alarm, CheckKind

_REDIS_SECONDS: Final = 0.5
_LOAD_SECONDS: Final = 15.0
_HORIZON: Final = sql.load("ingest", "horizon_age")
_HISTOGRAMS: Final = {
    Measure.JUDGE: (
        "portal_ingest_judge_seconds",
        "From the receipt of an accepted event until it was judged.",
    ),
    Measure.COMMIT: (
        "portal_ingest_commit_seconds",
        "From the receipt of an accepted event to its commit.",
    ),
    Measure.AGE: (
        "portal_ingest_age_seconds",
        "From an accepted event's own time to its commit.",
    ),
    Measure.WRITE: (
        "portal_ingest_write_seconds",
        "How long the transaction of a group took in the writer.",
    ),
    Measure.GROUP: ("portal_ingest_group_events", "Events that shared a transaction."),
}
# Where buckets of the histograms end, so that what is served is exact: 1 ms to 35 minutes, in
# microseconds, and 1 to 8192 events.
_TIME_BOUNDS: Final = tuple(1024 << octave for octave in range(22))
_GROUP_BOUNDS: Final = tuple(1 << octave for octave in range(14))


class Metrics(ApiView):
    @operation("The portal's numbers, as Prometheus or OpenMetrics text.", media="text/plain")
    def get(self, request: Request) -> HttpResponse:
        encode, content_type = choose_encoder(request.headers.get("Accept", ""))
        return HttpResponse(encode(REGISTRY), content_type=content_type)


class PortalCollector(Collector):
    """Reads everything anew each time it is asked; a handful of small queries."""

    def collect(self) -> Iterator[Metric]:
        yield _received()
        yield _by_word_counted(
            "portal_ingest_dead_letters",
            "Events refused into dead letters, by reason; the same one sent again counts again.",
            "reason",
            funnel.refused_ever(),
        )
        yield from _latencies()
        yield _by_word(
            "portal_dead_letters_open",
            "Dead letters that wait, by reason.",
            "reason",
            {**dict.fromkeys(Reason, 0), **health.open_dead_letters()},
        )
        yield _refused()
        yield _freshness()
        yield GaugeMetricFamily(
            "portal_log_horizon_seconds",
            "How long the oldest transaction has been writing that readers of the log wait for.",
            sql.fetch_all(_HORIZON)[0]["seconds"],
        )
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


def _latencies() -> Iterator[Metric]:
    """Histograms of all streams together; a stream's own stand in its page and the API, for a label
    with ten thousand values is none."""
    ever = latencies.ever()
    for measure, (name, says) in _HISTOGRAMS.items():
        counts = ever[measure]
        unit, bounds = (1, _GROUP_BOUNDS) if measure is Measure.GROUP else (1e6, _TIME_BOUNDS)
        below = log_buckets.cumulated(counts, bounds)
        total = log_buckets.total(counts)
        buckets = [(str(bound / unit), events) for bound, events in below]
        family = HistogramMetricFamily(name, says)
        family.add_metric([], [*buckets, ("+Inf", total)], log_buckets.sum_of(counts) / unit)
        yield family


def _freshness() -> Metric:
    """How old the newest event of streams is that are not dormant, over the last hour."""
    found = latencies.of_everything()[Measure.FRESHNESS]
    values = {"0.5": found.p50, "0.95": found.p95, "0.99": found.p99}
    family = GaugeMetricFamily(
        "portal_stream_freshness_seconds",
        "Age of a stream's newest event, over streams and the last hour; absent without a stream.",
        labels=["quantile"],
    )
    for quantile, value in values.items():
        if value is not None:
            family.add_metric([quantile], value)
    return family


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
    yield GaugeMetricFamily(
        "portal_ingest_gate_weight",
        "Weight of the requests in hand, a unit for each 4 KiB.",
        sum(load.weight for load in lately),
    )
    yield GaugeMetricFamily(
        "portal_ingest_gate_limit",
        "How much weight may be in hand over all web processes; it sinks when answers get slow.",
        sum(load.limit for load in lately),
    )


def _by_word(name: str, says: str, label: str, counts: dict[str, int]) -> Metric:
    family = GaugeMetricFamily(name, says, labels=[label])
    for word, count in counts.items():
        family.add_metric([str(word)], count)
    return family


def _by_word_counted(name: str, says: str, label: str, counts: dict[str, int]) -> Metric:
    family = CounterMetricFamily(name, says, labels=[label])
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
