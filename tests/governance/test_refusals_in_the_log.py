"""Who was refused stands in the audit log, and nobody can flood it by being refused."""

import logging
import time
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from django.core.cache import cache
from django.db import DatabaseError, connection
from django.test import Client

from catalog.models import Stream
from catalog.services.consumers import create_consumer
from governance import audit, refusals
from governance.models import AccessRequest, AuditEntry, Team
from governance.services.keys import create_key
from governance.types import Permission, Role
from portal.kernel.actor import SYSTEM, ActorKind
from tests.support.factories import (
    make_grant,
    make_person,
    make_stream,
    make_team,
    token_of,
)

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def windows_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """Other tests refuse people of the same numbers in the same Redis."""
    monkeypatch.setattr(refusals, "_PREFIX", f"refused-{uuid4().hex}")


@pytest.fixture
def team() -> Team:
    return make_team()


@pytest.fixture
def stream(team: Team) -> Stream:
    return make_stream("shop.paid", team=team)


def refused() -> list[AuditEntry]:
    return list(AuditEntry.objects.filter(action="access.refused").order_by("seq"))


def api(person: Any, *scopes: str) -> Client:
    return Client(headers={"Authorization": f"Bearer {token_of(person, *scopes)}"})


def events_of(stream: Stream) -> str:
    return f"/api/v1/streams/{stream.name}/events"


def test_who_may_not_read_stands_in_the_log(stream: Stream) -> None:
    rui = make_person(Role.ANALYST)
    answer = api(rui).get(events_of(stream))
    assert answer.status_code == 403
    (row,) = refused()
    assert (row.actor, row.object_kind, row.object_key) == (rui.email, "stream", "shop.paid")
    assert row.summary == "was refused read_payload on shop.paid, and told where to ask"
    assert row.request_id == answer["X-Request-Id"]
    assert row.detail["after"] == {
        "permission": "read_payload", "code": "permission_missing", "method": "GET",
        "route": "/api/v1/streams/<name:name>/events",
    }  # fmt: skip
    assert row.detail["key"], "by which token"


def test_who_may_not_see_values_in_clear_stands_in_the_log(stream: Stream) -> None:
    admin = make_person(Role.ADMIN)
    assert api(admin).get(f"{events_of(stream)}/e1/reveal").status_code == 403
    (row,) = refused()
    assert row.detail["after"]["permission"] == "read_personal"


def test_a_page_that_says_so_above_a_form_is_a_refusal_too(client: Client, stream: Stream) -> None:
    ben = make_person(Role.ENGINEER)
    client.force_login(ben)
    until = "2027-01-31"
    made = client.post(
        f"/access/new/?stream={stream.name}",
        {"permission": "read_payload", "purpose": "to look at sales", "until": until},
    )
    assert made.status_code in {302, 200}
    request = AccessRequest.objects.get()
    answer = client.post(f"/access/requests/{request.pk}/decide/", {"decision": "approve"})
    assert answer.status_code == 302
    (row,) = refused()
    assert (row.actor, row.object_key) == (ben.email, stream.name)
    assert row.detail["after"]["code"] == "own_request"


def test_an_act_of_admins_is_refused_by_its_route(client: Client) -> None:
    ben = make_person(Role.ENGINEER)
    client.force_login(ben)
    assert client.get("/audit/").status_code == 403
    assert api(ben).get("/api/v1/audit").status_code == 403
    assert [(row.object_kind, row.object_key) for row in refused()] == [
        ("address", "/audit/"), ("address", "/api/v1/audit"),
    ]  # fmt: skip
    assert [row.detail["after"]["permission"] for row in refused()] == ["admin", "audit.read"]


def test_a_token_that_is_too_narrow_is_refused(stream: Stream) -> None:
    ada = make_person(Role.ADMIN)
    path = f"/api/v1/streams/{stream.name}"
    answer = api(ada, "read").patch(path, {}, content_type="application/json")
    assert (answer.status_code, answer.json()["code"]) == (403, "scope")
    (row,) = refused()
    assert row.detail["after"]["code"] == "scope"


def test_a_key_is_refused_under_its_own_name(stream: Stream) -> None:
    consumer = create_consumer("billing", actor=SYSTEM)
    _, text = create_key(actor=SYSTEM, kind="cons", name="billing night", holder_id=consumer.pk)
    client = Client(headers={"Authorization": f"Bearer {text}"})
    assert client.get(events_of(stream)).status_code == 403
    (row,) = refused()
    assert (row.actor_kind, row.actor) == (ActorKind.CONSUMER.value, "billing night")


def test_what_nobody_may_know_of_writes_nothing(team: Team) -> None:
    hidden = make_stream("shop.secret", team=team, extra={"restricted": True})
    person = make_person(Role.ANALYST)
    for name in (hidden.name, "shop.never_was"):
        assert api(person).get(f"/api/v1/streams/{name}/events").status_code == 404
    assert refused() == []


def test_who_nobody_knows_writes_nothing(stream: Stream) -> None:
    assert Client().get(events_of(stream)).status_code == 401
    assert refused() == []


def test_a_forged_form_is_no_refusal(client: Client) -> None:
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(make_person(Role.ADMIN))
    assert strict.post("/audit/verify/").status_code == 403
    assert refused() == []


def test_a_thousand_refusals_are_one_row(stream: Stream, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(refusals, "WINDOW_SECONDS", 600)  # however slow the machine is
    client = api(make_person(Role.ANALYST))
    statuses = {client.get(events_of(stream)).status_code for _ in range(1000)}
    assert statuses == {403}
    assert len(refused()) == 1


def test_many_things_are_a_bounded_number_of_rows(
    team: Team, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(refusals, "MOST_ROWS", 3)
    client = api(make_person(Role.ANALYST))
    streams = [make_stream(f"shop.kind_{number}", team=team) for number in range(6)]
    for one in streams:
        assert client.get(events_of(one)).status_code == 403
    assert [row.object_key for row in refused()] == [one.name for one in streams[:3]]
    other = api(make_person(Role.ANALYST))
    assert other.get(events_of(streams[5])).status_code == 403
    assert len(refused()) == 4, "everybody has rows of their own"


def test_a_later_refusal_has_a_row_again(stream: Stream, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(refusals, "WINDOW_SECONDS", 1)
    client = api(make_person(Role.ANALYST))
    client.get(events_of(stream))
    time.sleep(1.1)
    client.get(events_of(stream))
    assert len(refused()) == 2


def test_other_permissions_have_rows_of_their_own(stream: Stream) -> None:
    person = make_person(Role.ANALYST)
    make_grant(stream, person, Permission.READ_PAYLOAD)
    client = api(person)
    assert client.get(events_of(stream)).status_code == 200
    client.get(f"{events_of(stream)}/e1/reveal")
    path = f"/api/v1/streams/{stream.name}"
    client.patch(
        path, {}, content_type="application/json", headers={"If-Match": client.get(path)["ETag"]}
    )
    assert [row.detail["after"]["permission"] for row in refused()] == ["read_personal", "edit"]


def test_a_log_that_cannot_be_written_changes_no_answer(
    stream: Stream, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    client = api(make_person(Role.ANALYST))

    def fail(*args: Any, **kwargs: Any) -> int:
        raise DatabaseError("what was sent stands here")

    with monkeypatch.context() as patch, caplog.at_level(logging.ERROR, "governance.refusals"):
        patch.setattr(audit, "record", fail)
        answer = client.get(events_of(stream))
    assert (answer.status_code, answer.json()["code"]) == (403, "permission_missing")
    assert "a refusal could not be written into the audit log: DatabaseError" in caplog.text
    assert "what was sent" not in caplog.text
    client.get(events_of(stream))
    assert len(refused()) == 1, "the next one is written"


@pytest.mark.django_db(transaction=True)
def test_nobody_waits_long_for_the_log(stream: Stream) -> None:
    client = api(make_person(Role.ANALYST))
    said = connection.settings_dict
    with psycopg.connect(
        host=said["HOST"], port=said["PORT"], dbname=said["NAME"], user=said["USER"],
        password=said["PASSWORD"],
    ) as other:  # fmt: skip
        other.execute("SELECT * FROM governance_audit_head FOR UPDATE")
        began = time.monotonic()
        assert client.get(events_of(stream)).status_code == 403
        assert 0.9 < time.monotonic() - began < 3
        other.rollback()
    assert refused() == []


def test_redis_hears_no_name(stream: Stream) -> None:
    person = make_person(Role.ANALYST)
    api(person).get(events_of(stream))
    names = [key.decode() for key in cache._cache.get_client().keys("*refused-*")]  # type: ignore[attr-defined]
    assert names
    assert not any(person.email in name or stream.name in name for name in names)
