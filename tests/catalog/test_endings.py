"""The end of a stream: who may say it, what is refused, what ingest does, what pages show."""

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client

from catalog.models import Stream
from catalog.services.endings import (
    deprecate_stream,
    reactivate_stream,
    retire_due_streams,
    retire_stream,
)
from catalog.services.producers import create_producer
from governance.models import AuditEntry, Notice, Team, User
from governance.types import Role
from ingest.judging.admission import directory, publisher_of
from ingest.judging.pipeline import accept_events
from ingest.log.store import close_writer
from portal.kernel import clock
from portal.kernel.actor import SYSTEM
from portal.kernel.errors import InvalidError, InvalidStateError
from tests.catalog.test_changes_api import Caller
from tests.support.factories import make_person, make_stream, make_team

pytestmark = pytest.mark.django_db
PATH = "/streams/shop.order_paid"


@pytest.fixture
def team() -> Team:
    return make_team()


@pytest.fixture
def ada(team: Team) -> Caller:
    return Caller(Role.ENGINEER, team=team)


@pytest.fixture
def stream(team: Team) -> Stream:
    return make_stream("shop.order_paid", team=team)


def ahead(days: int = 30) -> str:
    return (clock.now() + timedelta(days=days)).isoformat()


def said(**more: Any) -> dict[str, Any]:
    return {"sunset_at": ahead(), "migration": "Send shop.order_settled.", **more}


def test_a_stream_is_deprecated_with_a_successor_and_taken_back(
    stream: Stream, ada: Caller
) -> None:
    make_stream("shop.order_settled")
    found = ada.post(f"{PATH}/deprecate", said(successor="shop.order_settled"))
    assert (found["lifecycle"], found["successor"]) == ("deprecated", "shop.order_settled")
    assert (found["migration"], found["retired_at"]) == ("Send shop.order_settled.", None)
    assert found["deprecated_at"] < found["sunset_at"]
    assert ada.get(PATH)["sunset_at"] == found["sunset_at"]
    ada.post(f"{PATH}/deprecate", said(), 409)
    back = ada.post(f"{PATH}/reactivate")
    assert (back["lifecycle"], back["sunset_at"], back["successor"]) == ("active", None, None)
    ada.post(f"{PATH}/reactivate", status=409)
    actions = AuditEntry.objects.filter(object_key=stream.name).order_by("seq")
    assert list(actions.values_list("action", flat=True))[-2:] == [
        "stream.deprecated", "stream.reactivated",
    ]  # fmt: skip


def test_only_a_deprecated_stream_is_retired_and_then_for_good(stream: Stream, ada: Caller) -> None:
    assert ada.post(f"{PATH}/retire", status=409)["code"] == "invalid_state"
    ada.post(f"{PATH}/deprecate", said())
    found = ada.post(f"{PATH}/retire")
    assert found["lifecycle"] == "retired"
    assert found["retired_at"]
    for step in ("retire", "reactivate"):
        ada.post(f"{PATH}/{step}", status=409)
    ada.post(f"{PATH}/deprecate", said(), 409)
    next_one = {"schema": {"type": "object", "properties": {"n": {"type": "integer"}}}}
    refused = ada.post(f"{PATH}/schemas", next_one, 409)
    assert (refused["code"], "retired, for good" in refused["detail"]) == ("invalid_state", True)
    stream.refresh_from_db()
    assert stream.versions.count() == 1


def test_a_deprecation_that_breaks_a_rule_names_the_place(stream: Stream, ada: Caller) -> None:
    past = (clock.now() - timedelta(hours=1)).isoformat()
    deprecate_stream(
        make_stream("shop.old"), actor=SYSTEM, sunset_at=clock.now() + timedelta(days=1)
    )
    for body, pointer in (
        (said(sunset_at=past), "/sunset_at"),
        (said(migration=""), "/migration"),
        ({"sunset_at": ahead()}, "/migration"),
        (said(successor="shop.nothing"), "/successor"),
        (said(successor="shop.order_paid"), "/successor"),
        (said(successor="shop.old"), "/successor"),
    ):
        bad = ada.post(f"{PATH}/deprecate", body, 422)
        assert bad["errors"][0]["pointer"] == pointer, body
    stream.refresh_from_db()
    assert stream.lifecycle == "active"


def test_successors_never_lead_in_a_circle(stream: Stream) -> None:
    second, third = make_stream("shop.second"), make_stream("shop.third")
    later = clock.now() + timedelta(days=9)
    Stream.objects.filter(pk=second.pk).update(successor=third)
    Stream.objects.filter(pk=third.pk).update(successor=stream)
    second.refresh_from_db()
    with pytest.raises(InvalidError) as circle:
        deprecate_stream(stream, actor=SYSTEM, sunset_at=later, successor=second)
    assert circle.value.errors[0].code == "circle"


def test_a_successor_is_named_to_who_may_know_of_it(stream: Stream, ada: Caller) -> None:
    secret = make_stream("zebra.plan_agreed", team=stream.owner_team)
    Stream.objects.filter(pk=secret.pk).update(restricted=True)
    ada.post(f"{PATH}/deprecate", said(successor="zebra.plan_agreed", migration="Ask us."))
    assert ada.get(PATH)["successor"] == "zebra.plan_agreed"
    stranger = Caller(Role.ENGINEER)
    assert stranger.get(PATH)["successor"] is None
    client = signed_in(make_person(Role.ENGINEER))
    page = client.get(f"{PATH}/").content.decode()
    assert "Deprecated until" in page
    assert "zebra" not in page
    refused = stranger.post(f"{PATH}/reactivate", status=403)
    assert refused["permission"] == "approve"


def test_an_outsider_ends_nothing_and_learns_nothing(stream: Stream) -> None:
    stranger = Caller(Role.ENGINEER)
    for step in ("deprecate", "reactivate", "retire"):
        stranger.post(f"{PATH}/{step}", said() if step == "deprecate" else {}, 403)
    client = signed_in(make_person(Role.ENGINEER))
    assert client.get(f"{PATH}/end/").status_code == 403
    Stream.objects.update(restricted=True)
    for step in ("deprecate", "reactivate", "retire"):
        stranger.post(f"{PATH}/{step}", said() if step == "deprecate" else {}, 404)
    assert client.get(f"{PATH}/end/").status_code == 404


def test_on_its_day_it_retires_by_itself(stream: Stream) -> None:
    other = make_stream()
    day = clock.now() + timedelta(days=2)
    deprecate_stream(stream, actor=SYSTEM, sunset_at=day)
    deprecate_stream(other, actor=SYSTEM, sunset_at=day + timedelta(days=1))
    assert retire_due_streams() == 0
    with clock.at(day):
        with pytest.raises(InvalidStateError):
            reactivate_stream(stream, actor=SYSTEM)
        assert retire_due_streams() == 1
        assert retire_due_streams() == 0
    stream.refresh_from_db()
    other.refresh_from_db()
    assert (stream.lifecycle, stream.retired_at) == ("retired", day)
    assert other.lifecycle == "deprecated"


@pytest.mark.django_db(transaction=True)
def test_events_of_a_stream_at_its_end_become_dead_letters_on_the_minute(team: Team) -> None:
    stream = make_stream("shop.order_paid", team=team)
    producer = create_producer("sender", actor=SYSTEM, streams=[stream])

    def send(name: str) -> Any:
        directory.forget_all()
        event = {
            "specversion": "1.0", "id": name, "source": "/test", "type": stream.name,
            "time": clock.now().isoformat(), "data": {"order_id": name},
        }  # fmt: skip
        answer = accept_events([event], publisher=publisher_of(producer))
        return [row.get("reason") for row in answer["results"]] or ["accepted"]

    try:
        day = clock.now() + timedelta(hours=1)
        deprecate_stream(stream, actor=SYSTEM, sunset_at=day)
        assert send("before") == ["accepted"]
        with clock.at(day):
            assert send("after") == ["version_retired"], "without waiting for the task"
        reactivate_stream(stream, actor=SYSTEM)
        assert send("again") == ["accepted"]
        deprecate_stream(stream, actor=SYSTEM, sunset_at=day)
        retire_stream(stream, actor=SYSTEM)
        assert send("retired") == ["version_retired"]
    finally:
        close_writer()
        directory.forget_all()


def signed_in(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


@pytest.fixture
def owner(team: Team) -> Client:
    return signed_in(make_person(Role.ENGINEER, team=team))


def test_the_page_deprecates_takes_back_and_retires(stream: Stream, owner: Client) -> None:
    make_stream("shop.order_settled")
    assert f"{PATH}/end/" in owner.get(f"{PATH}/").content.decode()
    day = (clock.now() + timedelta(days=40)).date().isoformat()
    form = {"do": "deprecate", "sunset_on": day, "migration": "Send <b>settled</b>.",
            "successor": "shop.order_settled"}  # fmt: skip
    done = owner.post(f"{PATH}/end/", form)
    assert (done.status_code, done["Location"]) == (302, f"{PATH}/")
    page = owner.get(f"{PATH}/schema/").content.decode()
    assert "Deprecated until" in page
    assert "Send &lt;b&gt;settled&lt;/b&gt;." in page
    assert 'href="/streams/shop.order_settled/"' in page
    assert "Retire shop.order_paid now" in owner.get(f"{PATH}/end/").content.decode()
    owner.post(f"{PATH}/end/", {"do": "reactivate"})
    stream.refresh_from_db()
    assert (stream.lifecycle, stream.migration_note) == ("active", "")
    owner.post(f"{PATH}/end/", form)
    owner.post(f"{PATH}/end/", {"do": "retire"})
    page = owner.get(f"{PATH}/").content.decode()
    assert "Retired on" in page
    assert "Events that name it become dead letters." in page


def test_the_page_says_at_each_field_what_is_wrong(stream: Stream, owner: Client) -> None:
    day = (clock.now() + timedelta(days=40)).date().isoformat()
    form = {"do": "deprecate", "sunset_on": day, "migration": "Send settled.", "successor": ""}
    for changes, says in (
        ({"sunset_on": "2020-01-01"}, "It must lie ahead."),
        ({"sunset_on": "soon"}, "Enter a valid date."),
        ({"migration": ""}, "This field is required."),
        ({"successor": "shop.nothing"}, "No stream of this name is known to you."),
        ({"successor": "shop.order_paid"}, "It leads back to this stream."),
    ):
        answer = owner.post(f"{PATH}/end/", {**form, **changes})
        assert answer.status_code == 422
        assert says in answer.content.decode(), changes
    refused = owner.post(f"{PATH}/end/", {"do": "retire"}, follow=True)
    assert "Only a deprecated stream can be retired." in refused.content.decode()


def test_followers_and_owners_are_told_of_each_step(stream: Stream, team: Team) -> None:
    owner = make_person(Role.ENGINEER, team=team)
    later = clock.now() + timedelta(days=30)
    deprecate_stream(stream, actor=SYSTEM, sunset_at=later, migration="Send shop.order_settled.")
    reactivate_stream(stream, actor=SYSTEM)
    deprecate_stream(stream, actor=SYSTEM, sunset_at=later)
    retire_stream(stream, actor=SYSTEM)
    told = Notice.objects.filter(user=owner).order_by("created_at", "pk")
    assert [notice.kind for notice in told] == ["deprecated", "changed", "deprecated", "retired"]
    assert told[0].sentence.endswith("Send shop.order_settled.")
