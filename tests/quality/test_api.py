from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from catalog.models import Stream
from governance.types import Role
from portal.kernel import clock
from quality.models import Alarm, Check, CheckDay
from tests.support.factories import make_person, make_stream, make_team, token_of

pytestmark = pytest.mark.django_db


@pytest.fixture
def reader(client: Client) -> Client:
    client.defaults["HTTP_AUTHORIZATION"] = f"Bearer {token_of(make_person(), 'read')}"
    return client


def unwell(stream: Stream) -> Alarm:
    """A stream whose validity check is in alarm."""
    now = clock.now()
    Check.objects.create(
        stream=stream, kind="validity", state="alarm", level=2, value=0.2, expected=0.005,
        sentence="20 of 100 events broke the contract.", evaluated_at=now, changed_at=now,
    )  # fmt: skip
    Check.objects.create(
        stream=stream, kind="volume", level=None, sentence="Warms up.", evaluated_at=now
    )
    CheckDay.objects.create(
        stream_id=stream.pk, kind="validity", day=now.date(), worst=2, evaluations=10, breaches=4
    )
    return Alarm.objects.create(
        stream=stream, kind="validity", opened_at=now, level=2, sentence="20 of 100.",
        evidence={"value": 0.2, "expected": 0.005},
    )  # fmt: skip


def get(client: Client, path: str) -> Any:
    answer = client.get(f"/api/v1{path}")
    assert answer.status_code == 200, answer.content
    return answer.json()


def test_the_health_of_a_stream_is_its_checks_days_and_open_alarms(reader: Client) -> None:
    stream = make_stream()
    alarm = unwell(stream)
    health = get(reader, f"/streams/{stream.name}/health")
    assert health["state"] == "alarm"
    validity, volume = health["checks"]
    assert (validity["kind"], validity["level"], validity["days"][-1]) == ("validity", 2, "bad")
    assert validity["passing_ratio"] == pytest.approx(0.6)
    assert (volume["level"], volume["days"][-1], volume["passing_ratio"]) == (None, "none", None)
    assert [row["id"] for row in health["alarms"]] == [alarm.pk]


def test_a_stream_that_was_never_judged_is_not_called_well(reader: Client) -> None:
    health = get(reader, f"/streams/{make_stream().name}/health")
    assert (health["state"], health["checks"], health["alarms"]) == ("not_measured", [], [])


def test_the_facts_of_a_stream_are_five_signals_and_a_verdict(reader: Client) -> None:
    stream = make_stream(team=make_team("Checkout"))
    unwell(stream)
    facts = get(reader, f"/streams/{stream.name}/facts")
    assert facts["trust"]["word"] == "Not ready"
    signals = facts["trust"]["signals"]
    assert [row["name"] for row in signals] == ["Owned", "Stable", "Fresh", "Clean", "Cleared"]
    states = {row["name"]: row["state"] for row in signals}
    assert (states["Owned"], states["Fresh"], states["Clean"]) == (
        "failing",
        "not_measured",
        "failing",
    )
    assert signals[0]["sentence"] == "Nobody is in team Checkout."
    assert facts["verdict"]["kind"] == "bad"


def test_checks_and_alarms_are_listed_and_filtered(reader: Client) -> None:
    one, other = make_stream(), make_stream()
    alarm = unwell(one)
    Alarm.objects.create(
        stream=other, kind="volume", level=1, sentence="Over.",
        opened_at=clock.now() - timedelta(days=2), closed_at=clock.now() - timedelta(days=1),
    )  # fmt: skip
    assert len(get(reader, "/checks")["items"]) == 2
    first = get(reader, "/checks?limit=1")
    second = get(reader, f"/checks?limit=1&cursor={first['next']}")
    assert [page["items"][0]["kind"] for page in (first, second)] == ["validity", "volume"]
    assert [row["kind"] for row in get(reader, "/checks?state=alarm")["items"]] == ["validity"]
    assert get(reader, f"/checks?stream={other.name}")["items"] == []
    assert [row["open"] for row in get(reader, "/alarms")["items"]] == [True, False]
    assert [row["id"] for row in get(reader, "/alarms?open=true")["items"]] == [alarm.pk]
    assert "break the contract" in get(reader, f"/alarms/{alarm.pk}")["rule"]


def test_checks_and_alarms_of_an_unseen_stream_do_not_exist(reader: Client) -> None:
    stream = make_stream(team=make_team(), extra={"restricted": True})
    alarm = unwell(stream)
    for path in (
        f"/streams/{stream.name}/health",
        f"/streams/{stream.name}/facts",
        f"/checks?stream={stream.name}",
        f"/alarms?stream={stream.name}",
        f"/alarms/{alarm.pk}",
        "/alarms/999999999999999999999999",
    ):
        assert reader.get(f"/api/v1{path}").status_code == 404, path
    assert get(reader, "/checks")["items"] == get(reader, "/alarms")["items"] == []
    on_call = token_of(make_person(Role.ON_CALL), "read")
    answer = reader.get("/api/v1/alarms", headers={"Authorization": f"Bearer {on_call}"})
    assert [row["id"] for row in answer.json()["items"]] == [alarm.pk]


def test_listing_more_checks_needs_no_more_queries(reader: Client) -> None:
    counts: list[int] = []
    for _ in range(2):
        for _ in range(2 if not counts else 18):
            unwell(make_stream())
        with CaptureQueriesContext(
            connection,
        ) as captured:
            get(reader, "/checks")
        counts.append(len(captured))
    assert counts[0] == counts[1]


def test_streams_are_found_by_what_their_checks_say(reader: Client) -> None:
    sick, well, unknown = make_stream(), make_stream(), make_stream()
    unwell(sick)
    Check.objects.create(stream=well, kind="validity", level=0, evaluated_at=clock.now())
    Check.objects.create(stream=unknown, kind="validity", sentence="Warms up.")

    def named(health: str) -> set[str]:
        found = get(reader, f"/streams?health={health}")["items"]
        return {row["name"] for row in found} & {sick.name, well.name, unknown.name}

    assert named("alarm") == {sick.name}
    assert named("ok") == {well.name}
    assert named("not_measured") == {unknown.name}
    assert named("alarm,ok") == {sick.name, well.name}
    assert reader.get("/api/v1/streams?health=fine").status_code == 400
    for row in (sick, well, unknown):
        state = get(reader, f"/streams/{row.name}/health")["state"]
        assert row.name in named(state), "the filter and the resource say the same"
