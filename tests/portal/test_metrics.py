"""GET /metrics as a Prometheus server meets it."""

import re
from datetime import timedelta
from pathlib import Path

import pytest
from django.core.cache import cache
from django.test import Client
from prometheus_client.openmetrics.parser import text_string_to_metric_families as open_metrics
from prometheus_client.parser import text_string_to_metric_families as prometheus

from analytics.models import ReaderOffset
from analytics.types import STREAM_COUNTS
from governance.types import Role
from ingest.log.latencies import Measure
from ingest.models import IngestMinute, LatencyMinute, RefusalMinute
from portal.kernel import clock
from portal.kernel.log_buckets import bucket_of
from quality.models import Alarm
from tests.support.factories import make_person, make_stream, make_team, token_of

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _nothing_kept() -> None:
    cache.clear()


@pytest.fixture
def scraper() -> Client:
    return Client(headers={"Authorization": f"Bearer {token_of(make_person(), 'metrics')}"})


def received(ago: timedelta, **outcomes: int) -> None:
    minute = (clock.now() - ago).replace(second=0, microsecond=0)
    row, _ = IngestMinute.objects.get_or_create(stream_id=1, minute=minute, producer_id=1)
    changes = {name: getattr(row, name) + count for name, count in outcomes.items()}
    changes["received"] = row.received + sum(outcomes.values())
    IngestMinute.objects.filter(stream_id=1, minute=minute, producer_id=1).update(**changes)


def samples(client: Client) -> dict[tuple[str, ...], float]:
    answer = client.get("/metrics")
    assert answer.status_code == 200, answer.content
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in prometheus(answer.content.decode())
        for sample in family.samples
    }


def test_events_are_counted_by_outcome_over_all_time_and_only_rise(scraper: Client) -> None:
    received(timedelta(days=40), accepted=7, duplicate=1)
    received(timedelta(minutes=1), accepted=2, dead_lettered=3)
    first = samples(scraper)
    assert first["portal_ingest_events_total", "accepted"] == 9
    assert first["portal_ingest_events_total", "duplicate"] == 1
    assert first["portal_ingest_events_total", "dead_lettered"] == 3
    received(timedelta(0), accepted=5)
    assert samples(scraper)["portal_ingest_events_total", "accepted"] == 14


def test_what_waits_is_gauged_and_absent_words_are_zero(scraper: Client) -> None:
    stream = make_stream()
    Alarm.objects.create(
        stream=stream, kind="volume", opened_at=clock.now(), level=2, sentence="x", evidence={}
    )
    found = samples(scraper)
    assert found["portal_streams", "active"] == 1
    assert found["portal_streams", "retired"] == 0
    assert found["portal_alarms_open", "volume"] == 1
    assert found["portal_alarms_open", "validity"] == 0
    assert found["portal_dead_letters_open", "schema_violation"] == 0
    assert found["portal_audit_rows_total",] > 0
    assert found["portal_queue_tasks", "quality"] >= 0


def test_labels_name_nothing_that_anybody_named(scraper: Client) -> None:
    stream = make_stream("secret.thing_done", team=make_team(), extra={"restricted": True})
    received(timedelta(0), accepted=1)
    text = scraper.get("/metrics").content.decode()
    assert "secret" not in text
    assert str(stream.owner_team) not in text


def test_who_asks_for_openmetrics_gets_it(scraper: Client) -> None:
    kind = "application/openmetrics-text; version=1.0.0; charset=utf-8"
    answer = scraper.get("/metrics/", headers={"Accept": kind})
    assert answer["Content-Type"].startswith("application/openmetrics-text")
    families = open_metrics(answer.content.decode())  # type: ignore[no-untyped-call]
    names = {family.name for family in families}
    assert "portal_ingest_events" in names


def test_latencies_are_histograms_over_all_time_that_only_rise(scraper: Client) -> None:
    now = clock.now()
    for ago, bucket, events in (
        (timedelta(days=40), bucket_of(1500), 3),
        (timedelta(minutes=1), bucket_of(1500), 4),
        (timedelta(minutes=1), bucket_of(700_000), 2),
    ):
        LatencyMinute.objects.create(
            stream_id=0, measure=Measure.COMMIT, minute=now - ago, bucket=bucket, events=events
        )
    LatencyMinute.objects.create(
        stream_id=7, measure=Measure.COMMIT, minute=now, bucket=40, events=1000
    )
    found = samples(scraper)
    assert found["portal_ingest_commit_seconds_bucket", "0.001024"] == 0
    assert found["portal_ingest_commit_seconds_bucket", "0.002048"] == 7
    assert found["portal_ingest_commit_seconds_bucket", "1.048576"] == 9
    assert found["portal_ingest_commit_seconds_bucket", "+Inf"] == 9
    assert found["portal_ingest_commit_seconds_count",] == 9
    assert found["portal_ingest_commit_seconds_sum",] == pytest.approx(1.4, rel=0.2)
    assert found["portal_log_horizon_seconds",] >= 0


def test_dead_letters_are_counted_by_reason(scraper: Client) -> None:
    RefusalMinute.objects.create(
        stream_id=1, minute=clock.now(), producer_id=1, reason="out_of_window", events=5
    )
    found = samples(scraper)
    assert found["portal_ingest_dead_letters_total", "out_of_window"] == 5
    assert found["portal_ingest_dead_letters_total", "unparsable"] == 0


def test_the_scope_metrics_is_needed() -> None:
    assert Client().get("/metrics").status_code == 401
    admin = token_of(make_person(Role.ADMIN), "read", "write", "approve", "admin")
    refused = Client(headers={"Authorization": f"Bearer {admin}"}).get("/metrics")
    assert (refused.status_code, refused.json()["permission"]) == (403, "metrics")
    assert refused["Content-Type"] == "application/problem+json"


def test_every_metric_is_documented_and_none_that_is_not_there(scraper: Client) -> None:
    ReaderOffset.objects.create(reader=STREAM_COUNTS, tx=1, seq=1, moved_at=clock.now())
    page = (Path(__file__).parents[2] / "docs/api.md").read_text()
    documented = re.findall(r"^\| `(portal_[a-z_]+)` \| (\w+) \| ((?:`\w+`)?) \|", page, re.M)
    LatencyMinute.objects.create(
        stream_id=0, measure=Measure.FRESHNESS, minute=clock.now(), bucket=90, events=1
    )
    served = {
        (
            family.name if family.type == "histogram" else sample.name,
            family.type,
            " ".join(f"`{name}`" for name in sample.labels if name != "le"),
        )
        for family in prometheus(scraper.get("/metrics").content.decode())
        for sample in family.samples
    }
    assert {(name, kind, labels.strip()) for name, kind, labels in documented} == served
