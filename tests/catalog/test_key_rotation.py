"""Rotating keys: a new secret for the same rights, while the old one lives on for a stated grace."""

import json
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.test import Client

from catalog.models import KeyStreamQuota, Producer
from catalog.services.consumers import create_consumer, create_consumer_key
from catalog.services.producers import create_producer, create_producer_key
from governance.models import AuditEntry, Key, User
from governance.services.keys import create_key, find_key
from governance.types import Role
from portal.kernel import clock
from portal.kernel.actor import SYSTEM
from tests.governance.test_sudo import confirm, later
from tests.support.factories import make_person, make_stream, make_team, token_of
from tests.support.signing_in import sign_in, with_password

pytestmark = pytest.mark.django_db
DAY = timedelta(hours=24)


@pytest.fixture
def producer() -> Producer:
    return create_producer("web-shop", actor=SYSTEM, team=make_team("Checkout"))


def ask(key: Key, token: str, **body: Any) -> Any:
    return Client(headers={"Authorization": f"Bearer {token}"}).post(
        f"/api/v1/keys/{key.pk}/rotate", json.dumps(body), content_type="application/json"
    )


def member_token(producer: Producer) -> str:
    return token_of(make_person(Role.ENGINEER, team=producer.team))


def test_the_successor_has_the_same_rights_and_both_work_for_a_day(producer: Producer) -> None:
    key, text = create_producer_key(
        producer, actor=SYSTEM, name="server", streams_glob="checkout.*",
        browser_origins=["https://shop.example"],
    )  # fmt: skip
    Key.objects.filter(pk=key.pk).update(events_per_second=40)
    KeyStreamQuota.objects.create(key=key, stream=make_stream(), events_per_second=7)
    answer = ask(key, member_token(producer))
    assert answer.status_code == 201, answer.content
    said = answer.json()
    assert answer["Location"] == f"/api/v1/keys/{said['id']}"
    assert answer["Cache-Control"] == "no-store"
    new = find_key(said["key"])
    assert new is not None
    assert new.pk == said["id"] != key.pk
    taken = ("kind", "name", "holder_id", "user_id", "scopes", "streams_glob", "browser_origins")
    assert [getattr(new, one) for one in taken] == [getattr(key, one) for one in taken]
    assert (new.events_per_second, new.expires_at) == (40, None)
    assert [row.events_per_second for row in KeyStreamQuota.objects.filter(key=new)] == [7]
    assert find_key(text) is not None, "the old one lives on"
    ends_at = datetime.fromisoformat(said["replaces"]["ends_at"])
    assert said["replaces"]["id"] == key.pk
    assert abs(ends_at - clock.now() - DAY) < timedelta(minutes=1)
    assert Key.objects.get(pk=key.pk).expires_at == ends_at


def test_without_a_grace_the_old_key_is_refused_at_once(producer: Producer) -> None:
    key, text = create_producer_key(producer, actor=SYSTEM)
    answer = ask(key, member_token(producer), grace_seconds=0)
    assert answer.status_code == 201
    assert find_key(text) is None
    assert find_key(answer.json()["key"]) is not None


def test_a_grace_never_lengthens_the_life_of_a_key(producer: Producer) -> None:
    soon = clock.now() + timedelta(hours=2)
    key, _ = create_producer_key(producer, actor=SYSTEM, expires_at=soon)
    assert (
        ask(key, member_token(producer), expires_at=None, grace_seconds=604_800).status_code == 201
    )
    assert Key.objects.get(pk=key.pk).expires_at == soon


def test_the_successor_ends_when_the_old_one_would_have_unless_an_end_is_said(
    producer: Producer,
) -> None:
    end, later_end = clock.now() + timedelta(days=30), clock.now() + timedelta(days=90)
    key, _ = create_producer_key(producer, actor=SYSTEM, expires_at=end)
    other, _ = create_producer_key(producer, actor=SYSTEM, expires_at=end)
    token = member_token(producer)
    as_before = ask(key, token).json()
    assert Key.objects.get(pk=as_before["id"]).expires_at == end
    said = ask(other, token, expires_at=later_end.isoformat()).json()
    assert Key.objects.get(pk=said["id"]).expires_at == later_end


def test_a_key_that_ends_within_a_week_asks_for_the_end_of_its_successor(
    producer: Producer,
) -> None:
    key, _ = create_producer_key(producer, actor=SYSTEM)
    token = member_token(producer)
    assert ask(key, token).status_code == 201
    again = ask(key, token)
    assert again.status_code == 422, "its successor would end with the grace, unnoticed"
    assert [one["pointer"] for one in again.json()["errors"]] == ["/expires_at"]
    assert ask(key, token, expires_at=None).status_code == 201


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"grace_seconds": -1}, "/grace_seconds"),
        ({"grace_seconds": 604_801}, "/grace_seconds"),
        ({"expires_at": "2020-01-01T00:00:00Z"}, "/expires_at"),
    ],
)
def test_a_grace_or_an_end_that_cannot_be_is_refused_at_its_field(
    producer: Producer, body: dict[str, Any], pointer: str
) -> None:
    key, _ = create_producer_key(producer, actor=SYSTEM)
    answer = ask(key, member_token(producer), **body)
    assert answer.status_code == 422
    assert [one["pointer"] for one in answer.json()["errors"]] == [pointer]
    assert Key.objects.filter(holder_id=producer.pk, kind="prod").count() == 1


@pytest.mark.parametrize(
    ("ended", "says"),
    [({"revoked_at": clock.now()}, "revoked"),
     ({"expires_at": clock.now() - timedelta(seconds=5)}, "expired")],
)  # fmt: skip
def test_a_key_that_has_ended_is_not_rotated_and_it_says_why(
    producer: Producer, ended: dict[str, Any], says: str
) -> None:
    key, _ = create_producer_key(producer, actor=SYSTEM)
    Key.objects.filter(pk=key.pk).update(**ended)
    answer = ask(key, member_token(producer), expires_at=None)
    assert (answer.status_code, answer.json()["code"]) == (409, "invalid_state")
    assert says in answer.json()["detail"]


def test_the_log_names_both_keys_and_no_secret(producer: Producer) -> None:
    key, _ = create_producer_key(producer, actor=SYSTEM)
    said = ask(key, member_token(producer), grace_seconds=3600).json()
    entry = AuditEntry.objects.get(action="key.rotated")
    after = {"successor": said["id"], "grace_seconds": 3600}
    assert (entry.object_key, entry.detail["after"]) == (key.pk, after)
    secret = said["key"].split("_", 3)[3]
    assert secret not in f"{entry.summary} {entry.detail}"


def test_an_outsider_is_told_the_same_as_of_a_key_that_is_not_there(producer: Producer) -> None:
    key, text = create_producer_key(producer, actor=SYSTEM)
    cy = token_of(make_person(Role.ENGINEER, team=make_team()))
    refused, nothing = ask(key, cy), ask(Key(pk="neverwas"), cy)
    assert refused.status_code == nothing.status_code == 404
    assert refused.json()["detail"] == nothing.json()["detail"]
    assert ask(key, text).status_code == 403, "not even the key itself"
    assert Key.objects.get(pk=key.pk).expires_at is None


def test_a_token_is_rotated_by_its_person_alone_and_never_made_wider() -> None:
    ada = make_person(Role.ENGINEER)
    wide, wide_text = create_key(
        actor=SYSTEM, kind="user", name="ci", user=ada, scopes=["read", "write"]
    )
    dot = token_of(make_person(Role.ADMIN))
    refused = ask(wide, dot)
    assert (refused.status_code, refused.json()["permission"]) == (403, "key.rotate")
    narrow = ask(wide, token_of(ada, "write"))
    assert (narrow.status_code, narrow.json()["code"]) == (403, "scope")
    done = ask(wide, wide_text, grace_seconds=0)
    assert done.status_code == 201, done.content
    assert done.json()["scopes"] == ["read", "write"]
    assert find_key(wide_text) is None


def test_a_repeated_rotation_is_answered_with_the_first_one(producer: Producer) -> None:
    key, _ = create_producer_key(producer, actor=SYSTEM)
    client = Client(headers={"Authorization": f"Bearer {member_token(producer)}"})
    first, again = (
        client.post(
            f"/api/v1/keys/{key.pk}/rotate", "{}", content_type="application/json",
            headers={"Idempotency-Key": "once"},
        )
        for _ in range(2)
    )  # fmt: skip
    assert first.json() == again.json()
    assert Key.objects.filter(holder_id=producer.pk, kind="prod").count() == 2


def page_of(kind: str) -> tuple[str, Key, User]:
    team = make_team()
    ben = with_password(Role.ENGINEER, team=team)
    if kind == "producers":
        made = create_producer("web-shop", actor=SYSTEM, team=team)
        key, _ = create_producer_key(made, actor=SYSTEM, name="server")
    else:
        reader = create_consumer("warehouse", actor=SYSTEM, team=team)
        key, _ = create_consumer_key(reader, actor=SYSTEM, name="server")
    return f"/{kind}/{'web-shop' if kind == 'producers' else 'warehouse'}/", key, ben


@pytest.mark.parametrize("kind", ["producers", "consumers"])
def test_the_page_of_a_program_makes_rotates_and_revokes_for_its_team(kind: str) -> None:
    path, key, ben = page_of(kind)
    laptop = sign_in(ben)
    made = laptop.post(path, {"name": "second"})
    assert f"ep_{key.kind}_" in made.content.decode()
    page = laptop.post(path, {"do": "rotate", "key": key.pk, "grace": "3600"})
    assert page.status_code == 200
    assert page["Cache-Control"] == "no-store"
    new = Key.objects.filter(name="server").exclude(pk=key.pk).get()
    assert f"ep_{key.kind}_{new.pk}_" in page.content.decode()
    assert f"ep_{key.kind}_" not in laptop.get(path).content.decode(), "shown this once"
    again = laptop.post(path, {"do": "rotate", "key": key.pk, "grace": "0"})
    assert "this key ends within 7 days" in again.content.decode()
    laptop.post(path, {"do": "revoke", "key": new.pk})
    assert Key.objects.get(pk=new.pk).revoked_at is not None
    assert laptop.post(path, {"do": "rotate", "key": key.pk, "grace": "5"}).status_code == 422


@pytest.mark.parametrize("kind", ["producers", "consumers"])
def test_the_page_shows_an_outsider_no_key_and_lets_them_do_nothing(kind: str) -> None:
    path, key, _ = page_of(kind)
    cy = sign_in(with_password(Role.ENGINEER, team=make_team()))
    assert key.pk not in cy.get(path).content.decode()
    for form in ({"name": "mine"}, {"do": "rotate", "key": key.pk, "grace": "0"},
                 {"do": "revoke", "key": key.pk}):  # fmt: skip
        assert cy.post(path, form).status_code == 403
    assert list(Key.objects.values_list("pk", "revoked_at", "expires_at")) == [(key.pk, None, None)]


def test_a_page_does_nothing_to_a_key_of_another_program() -> None:
    path, _, ben = page_of("producers")
    reader = create_consumer("warehouse", actor=SYSTEM, team=make_team())
    other, _ = create_consumer_key(reader, actor=SYSTEM)
    assert sign_in(ben).post(path, {"do": "revoke", "key": other.pk}).status_code == 404
    assert Key.objects.get(pk=other.pk).revoked_at is None


@pytest.mark.parametrize("kind", ["producers", "consumers"])
def test_rotating_on_a_page_asks_again_who_it_is_and_goes_on(kind: str) -> None:
    path, key, ben = page_of(kind)
    laptop = sign_in(ben)
    with later(16):
        asked = laptop.post(path, {"do": "rotate", "key": key.pk, "grace": "0"})
        assert asked.status_code == 302
        assert Key.objects.get(pk=key.pk).revoked_at is None
        laptop.get(asked["Location"])
        assert f"ep_{key.kind}_" in confirm(laptop, path).content.decode()
        assert Key.objects.get(pk=key.pk).revoked_at is not None
        refused = laptop.post(f"/api/v1/keys/{key.pk}/rotate", "{}", "application/json")
        assert refused.status_code == 409, "said a moment ago"
    with later(33):
        refused = laptop.post(f"/api/v1/keys/{key.pk}/rotate", "{}", "application/json")
        assert (refused.status_code, refused.json()["code"]) == (403, "confirm")


def test_the_settings_rotate_ones_own_token_and_nobody_elses() -> None:
    ada, ben = with_password(), make_person()
    mine, text = create_key(actor=SYSTEM, kind="user", name="ci", user=ada, scopes=["read"])
    theirs, _ = create_key(actor=SYSTEM, kind="user", name="ci", user=ben)
    laptop = sign_in(ada)
    page = laptop.post("/settings/", {"do": "rotate", "key": mine.pk, "grace": "0"})
    new = Key.objects.get(user=ada, revoked_at=None)
    assert f"ep_user_{new.pk}_" in page.content.decode()
    assert new.scopes == ["read"]
    assert find_key(text) is None
    form = {"do": "rotate", "key": theirs.pk, "grace": "0"}
    assert laptop.post("/settings/", form).status_code == 404
    assert Key.objects.get(pk=theirs.pk).revoked_at is None
    gone = laptop.post("/settings/", {"do": "rotate", "key": mine.pk, "grace": "0"})
    assert "The key was revoked" in gone.content.decode()
