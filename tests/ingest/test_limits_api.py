"""A producer's limits over REST and on its page: who sees them, who sets them, what they hold."""

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from catalog.models import KeyStreamQuota, Producer, Stream
from catalog.services.producers import create_producer, create_producer_key
from governance.models import AuditEntry, Key, KeyMinute, Team, User
from governance.types import Role
from ingest.models import IngestMinute
from portal.kernel import clock
from portal.kernel.actor import SYSTEM
from tests.support.factories import make_person, make_stream, make_team, token_of

pytestmark = pytest.mark.django_db
JSON = "application/json"


class Setting:
    """A producer of a team, with one key, permitted to one stream."""

    def __init__(self) -> None:
        self.team: Team = make_team()
        self.stream: Stream = make_stream("shop.order_paid", team=self.team)
        self.producer: Producer = create_producer(
            "till", actor=SYSTEM, team=self.team, streams=[self.stream]
        )
        self.key: Key = create_producer_key(self.producer, actor=SYSTEM, name="Tills")[0]
        self.engineer: User = make_person(Role.ENGINEER, team=self.team)

    address = "/api/v1/producers/till/limits"


@pytest.fixture
def world() -> Setting:
    return Setting()


def client_of(user: User) -> Client:
    return Client(headers={"Authorization": f"Bearer {token_of(user)}"})


def change(client: Client, address: str, *keys: dict[str, Any], **headers: str) -> Any:
    tag = headers.get("tag") or client.get(address).get("ETag", '"none"')
    return client.patch(address, {"keys": list(keys)}, content_type=JSON, headers={"If-Match": tag})


def test_limits_stand_beside_what_was_used_and_refused(world: Setting) -> None:
    minute = clock.now().replace(second=0, microsecond=0)
    for ago, events, refused in ((1, 60, 0), (30, 600, 2), (300, 1000, 5)):
        at = minute - timedelta(minutes=ago)
        KeyMinute.objects.create(key_id=world.key.pk, minute=at, events=events, quota_key=refused)
        IngestMinute.objects.create(
            stream_id=world.stream.pk, minute=at, producer_id=world.producer.pk,
            received=events, accepted=events,
        )  # fmt: skip
    Stream.objects.filter(pk=world.stream.pk).update(events_per_second=500)
    client = client_of(world.engineer)
    with clock.at(minute + timedelta(seconds=30)):
        body = client.get(world.address).json()
    assert body["default_events_per_second"] == 100_000
    assert [body["use"][span]["received"] for span in ("minute", "hour", "day")] == [60, 660, 1660]
    assert body["streams"] == [{"stream": "shop.order_paid", "events_per_second": 500}]
    (key,) = body["keys"]
    assert (key["key"], key["name"], key["is_default"]) == (world.key.pk, "Tills", True)
    spans = [key["use"][span] for span in ("minute", "hour", "day")]
    assert [span["events"] for span in spans] == [60, 660, 1660]
    assert [span["refused"]["quota_key"] for span in spans] == [0, 2, 7]
    assert key["last_refused_at"] is not None


def test_its_team_sets_quotas_and_the_audit_says_so(world: Setting) -> None:
    client = client_of(world.engineer)
    answer = change(
        client, world.address,
        {"key": world.key.pk, "events_per_second": 50,
         "streams": [{"stream": "shop.order_paid", "events_per_second": 10}]},
    )  # fmt: skip
    assert answer.status_code == 200, answer.content
    (key,) = answer.json()["keys"]
    assert (key["events_per_second"], key["is_default"]) == (50, False)
    assert key["streams"] == [{"stream": "shop.order_paid", "events_per_second": 10}]
    entry = AuditEntry.objects.get(action="producer.quotas_changed")
    assert entry.object_key == "till"
    assert f'"{world.key.pk}":50' in str(entry.detail).replace(" ", "").replace("'", '"')
    answer = change(
        client, world.address,
        {"key": world.key.pk, "events_per_second": None,
         "streams": [{"stream": "shop.order_paid", "events_per_second": None}]},
    )  # fmt: skip
    assert answer.json()["keys"][0]["is_default"] is True
    assert not KeyStreamQuota.objects.exists()


def test_more_than_everybody_has_is_an_admins_to_give(world: Setting) -> None:
    more = {"key": world.key.pk, "events_per_second": 200_000}
    refused = change(client_of(world.engineer), world.address, more)
    assert (refused.status_code, refused.json()["code"]) == (403, "role")
    given = change(client_of(make_person(Role.ADMIN)), world.address, more)
    assert given.json()["keys"][0]["events_per_second"] == 200_000


def test_an_outsider_neither_sees_nor_sets_them(world: Setting) -> None:
    other = client_of(make_person(Role.ENGINEER, team=make_team()))
    seen = other.get(world.address)
    assert (seen.status_code, seen.json()["permission"]) == (403, "producer.manage")
    mine = {"key": world.key.pk, "events_per_second": 1}
    assert change(other, world.address, mine).status_code == 403
    assert Client().get(world.address).status_code == 401
    assert other.get("/api/v1/producers/nobody/limits").status_code == 404
    page = Client()
    page.force_login(make_person(Role.ENGINEER))
    assert page.get("/producers/till/limits/").status_code == 403


def test_a_stream_that_one_may_not_know_of_is_neither_set_nor_shown(world: Setting) -> None:
    hidden = make_stream("secret.plan_made", team=make_team(), extra={"restricted": True})
    KeyStreamQuota.objects.create(key=world.key, stream=hidden, events_per_second=7)
    client = client_of(world.engineer)
    assert client.get(world.address).json()["keys"][0]["streams"] == []
    named = {"key": world.key.pk, "streams": [{"stream": hidden.name, "events_per_second": 1}]}
    assert change(client, world.address, named).status_code == 404


@pytest.mark.parametrize(
    ("entry", "status"),
    [
        ({"key": "zzzzzzzz", "events_per_second": 1}, 422),
        ({"events_per_second": 1}, 422),
        ({"key": "KEY", "events_per_second": 0}, 422),
        ({"key": "KEY", "events_per_second": "1"}, 400),
        ({"key": "KEY", "more": 1}, 400),
        ({"key": "KEY", "streams": [{"stream": "shop.order_paid"}]}, 422),
        ({"key": "KEY", "streams": "all"}, 400),
    ],
)
def test_what_breaks_a_rule_changes_nothing(
    world: Setting, entry: dict[str, Any], status: int
) -> None:
    entry = entry | ({"key": world.key.pk} if entry.get("key") == "KEY" else {})
    answer = change(client_of(world.engineer), world.address, entry)
    assert answer.status_code == status, answer.content
    world.key.refresh_from_db()
    assert world.key.events_per_second is None


def test_a_change_needs_what_was_read(world: Setting) -> None:
    client = client_of(world.engineer)
    tag = client.get(world.address)["ETag"]
    mine = {"key": world.key.pk, "events_per_second": 9}
    bare = client.patch(world.address, {"keys": [mine]}, content_type=JSON)
    assert bare.status_code == 428
    assert change(client, world.address, mine, tag=tag).status_code == 200
    assert change(client, world.address, mine, tag=tag).status_code == 412


def test_its_page_shows_the_panel_and_sets_a_quota(world: Setting) -> None:
    KeyMinute.objects.create(
        key_id=world.key.pk, minute=clock.now().replace(second=0, microsecond=0), busy=3
    )
    client = Client()
    client.force_login(world.engineer)
    assert b"/producers/till/limits/" in client.get("/producers/till/").content
    part = client.get("/producers/till/limits/", headers={"HX-Request": "true"})
    assert b"<html" not in part.content
    assert "3\N{NO-BREAK SPACE}requests" in part.content.decode()
    page = client.get("/producers/till/limits/")
    assert "as every key" in page.content.decode()
    form = {"key": world.key.pk, "stream": "", "events_per_second": "40",
            "revision": str(world.producer.revision)}  # fmt: skip
    assert client.post("/producers/till/limits/", form).status_code == 302
    world.key.refresh_from_db()
    assert world.key.events_per_second == 40
    stale = client.post("/producers/till/limits/", form | {"events_per_second": "41"})
    assert stale.status_code == 422
    assert "changed since you read it" in stale.content.decode()
    odd = client.post("/producers/till/limits/", form | {"events_per_second": "x"})
    assert odd.status_code == 422


def test_a_stream_has_a_quota_of_its_own(world: Setting) -> None:
    client = client_of(world.engineer)
    address = "/api/v1/streams/shop.order_paid"
    assert client.get(address).json()["events_per_second"] is None
    tag = client.get(address)["ETag"]
    answer = client.patch(
        address, {"events_per_second": 300}, content_type=JSON, headers={"If-Match": tag}
    )
    assert (answer.status_code, answer.json()["events_per_second"]) == (200, 300)
    for value, status in ((0, 422), (1.5, 400), (10**9, 422)):
        tag = client.get(address)["ETag"]
        answer = client.patch(
            address, {"events_per_second": value}, content_type=JSON, headers={"If-Match": tag}
        )
        assert answer.status_code == status


def test_the_count_of_queries_does_not_grow_with_the_keys(world: Setting) -> None:
    client = client_of(world.engineer)

    def queries() -> int:
        with CaptureQueriesContext(connection) as captured:
            assert client.get(world.address).status_code == 200
        return len(captured)

    queries()
    few = queries()
    for number in range(20):
        create_producer_key(world.producer, actor=SYSTEM, name=f"key {number}")
    assert queries() == few
