from datetime import timedelta
from typing import Any

import pytest
from django.test import Client

from analytics.models import ReaderOffset, StreamCount
from analytics.types import STREAM_COUNTS
from portal.kernel import clock, rfc3339
from tests.support.factories import make_person, make_stream, make_team, token_of

pytestmark = pytest.mark.django_db
ZERO = clock.now().replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=1)
QUERY = "/api/v1/rollups/stream_counts/query"


@pytest.fixture
def reader(client: Client) -> Client:
    client.defaults["HTTP_AUTHORIZATION"] = f"Bearer {token_of(make_person(), 'read')}"
    return client


def ask(client: Client, **parameters: Any) -> Any:
    texts = {name.rstrip("_"): str(value) for name, value in parameters.items()}
    return client.get(QUERY, texts)


def test_the_rollups_say_what_they_count_and_when_they_moved(reader: Client) -> None:
    assert reader.get("/api/v1/rollups").json()["items"][0]["moved_at"] is None
    ReaderOffset.objects.create(reader=STREAM_COUNTS, tx=5, seq=9, moved_at=ZERO)
    found = reader.get("/api/v1/rollups/stream_counts").json()
    assert (found["bucket_seconds"], found["dimensions"]) == (300, ["stream"])
    assert found["moved_at"] == rfc3339.spell(ZERO)
    assert reader.get("/api/v1/rollups/nothing").status_code == 404
    assert reader.get("/api/v1/rollups/nothing/query").status_code == 404


def test_a_query_gives_every_bucket_of_the_span(reader: Client) -> None:
    stream = make_stream()
    for minute, events in ((0, 3), (5, 4), (20, 5), (60, 100)):
        StreamCount.objects.create(
            stream_id=stream.pk, start=ZERO + timedelta(minutes=minute), events=events
        )
    answer = ask(
        reader, stream=stream.name, from_=ZERO.isoformat(), step_seconds=600,
        to=(ZERO + timedelta(hours=1)).isoformat(),
    )  # fmt: skip
    body = answer.json()
    assert [point["events"] for point in body["points"]] == [7, 0, 5, 0, 0, 0]
    assert (body["total"], body["step_seconds"], body["measure"]) == (12, 600, "events")
    assert len(ask(reader, stream=stream.name).json()["points"]) in (288, 289)


@pytest.mark.parametrize(
    ("asked", "pointer"),
    [
        ({}, "/stream"),
        ({"stream": "x", "step_seconds": 299}, "/step_seconds"),
        ({"stream": "x", "from": "now"}, "/from"),
        ({"stream": "{name}", "step_seconds": 301}, "/step_seconds"),
        ({"stream": "{name}", "from": "2000-01-01T00:00:00Z"}, "/step_seconds"),
        ({"stream": "{name}", "from": "0001-01-01T00:00:00Z"}, "/from"),
        ({"stream": "{name}", "to": "0001-01-01T00:00:00Z"}, "/from"),
        ({"stream": "{name}", "from": "9999-12-31T23:59:59Z"}, "/from"),
    ],
)
def test_a_question_out_of_bounds_names_its_parameter(
    reader: Client, asked: dict[str, Any], pointer: str
) -> None:
    name = make_stream().name
    given = {key: str(value).format(name=name) for key, value in asked.items()}
    answer = reader.get(QUERY, given)
    assert answer.status_code == 400
    assert [fault["pointer"] for fault in answer.json()["errors"]] == [pointer]


def test_the_far_future_is_a_series_of_zeros(reader: Client) -> None:
    stream = make_stream()
    span = {"from": "9999-12-30T00:00:00Z", "to": "9999-12-31T23:59:59Z"}
    answer = reader.get(QUERY, {"stream": stream.name, "step_seconds": "2678400", **span})
    assert answer.status_code == 200
    assert answer.json()["total"] == 0


def test_the_counts_of_an_unseen_stream_do_not_exist(reader: Client) -> None:
    stream = make_stream(team=make_team(), extra={"restricted": True})
    assert ask(reader, stream=stream.name).status_code == 404
    assert ask(reader, stream="nothing.here").status_code == 404
