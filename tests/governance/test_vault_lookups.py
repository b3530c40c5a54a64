"""Asking the vault: admins, with a reason; the log names tokens and never values."""

import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.contrib.sessions.models import Session
from django.test import Client

from governance.models import AuditEntry, KeptAnswer, PrivacyKey, PrivacyToken, User
from governance.privacy import keyring, vault
from governance.selectors import audit_log, persons
from governance.selectors.people import actor_of
from governance.services import vault_lookups as services
from governance.types import Role
from portal.kernel import clock
from portal.kernel.errors import InvalidError, NotPermittedError, RateLimitedError
from tests.governance.test_sudo import later
from tests.support.factories import make_actor, make_person, token_of
from tests.support.signing_in import sign_in, with_password

pytestmark = pytest.mark.django_db(transaction=True)
MAIL = "zoe.canary@example.org"
WHY = "Ticket 17: a refund went wrong."
JSON = "application/json"
API = "/api/v1/vault/look-ups"
NOBODYS = "tok_" + "A" * 22


@pytest.fixture(autouse=True)
def _fresh() -> Iterator[None]:
    vault.forget()
    yield
    vault.forget()


@pytest.fixture
def tokens() -> dict[str, str]:
    """Tokens of an address in two purposes, of another one, and of a number."""
    spelled = {
        "general": ("general", b'"%s"' % MAIL.encode()), "crm": ("crm", b'"%s"' % MAIL.encode()),
        "ben": ("general", b'"ben@example.org"'), "number": ("subject", b"4711"),
    }  # fmt: skip
    made = vault.tokens_for({vault.value_ref(*meant): meant for meant in spelled.values()})
    return {name: made[vault.value_ref(*meant)] for name, meant in spelled.items()}


@pytest.fixture
def dot() -> User:
    return with_password(Role.ADMIN)


def test_tokens_are_told_what_they_mean_in_order_and_those_that_mean_nothing_too(
    tokens: dict[str, str], dot: User
) -> None:
    PrivacyToken.objects.get(token=tokens["ben"]).delete()  # destroyed
    asked = [tokens["number"], NOBODYS, tokens["general"], tokens["ben"]]
    found = services.look_up_tokens(asked, reason=WHY, actor=actor_of(dot))
    assert [(one.token, one.is_known, one.purpose, one.value) for one in found] == [
        (tokens["number"], True, "subject", 4711), (NOBODYS, False, "", None),
        (tokens["general"], True, "general", MAIL), (tokens["ben"], False, "", None),
    ]  # fmt: skip


def test_a_token_whose_key_was_destroyed_means_nothing(tokens: dict[str, str], dot: User) -> None:
    PrivacyKey.objects.filter(ref=vault.purpose_ref("crm")).update(
        wrapped=None, destroyed_at=clock.now()
    )
    found = services.look_up_tokens(list(tokens.values()), reason=WHY, actor=actor_of(dot))
    assert [one.is_known for one in found] == [True, False, True, True]


def test_a_value_is_told_its_tokens_in_one_purpose_or_all_and_none_is_made(
    tokens: dict[str, str], dot: User
) -> None:
    ada = actor_of(dot)
    asked = ["nobody@example.org", MAIL, "4711"]
    found = services.look_up_values(asked, purpose=None, reason=WHY, actor=ada)
    assert [(one.at, one.purpose, one.token) for one in found] == [
        (1, "crm", tokens["crm"]), (1, "general", tokens["general"]),
        (2, "subject", tokens["number"]),
    ]  # fmt: skip
    one = services.look_up_values([MAIL], purpose="crm", reason=WHY, actor=ada)
    assert [row.token for row in one] == [tokens["crm"]]
    assert services.look_up_values([MAIL], purpose="none", reason=WHY, actor=ada) == []
    assert PrivacyToken.objects.count() == 4
    assert persons.purposes() == ["crm", "general", "subject"]


def test_each_look_is_one_row_that_names_tokens_and_no_value(
    tokens: dict[str, str], dot: User, caplog: pytest.LogCaptureFixture
) -> None:
    services.look_up_tokens([tokens["crm"], NOBODYS], reason=WHY, actor=actor_of(dot))
    services.look_up_values([MAIL], purpose=None, reason=WHY, actor=actor_of(dot))
    first, second = AuditEntry.objects.order_by("seq")
    assert {first.action, second.action} == {"vault.looked_up"}
    assert first.detail["after"] == {
        "reason": WHY, "tokens": [tokens["crm"], NOBODYS], "found": 1,
    }  # fmt: skip
    assert second.detail["after"]["tokens"] == sorted([tokens["crm"], tokens["general"]])
    assert "canary" not in str(list(AuditEntry.objects.values())) + caplog.text
    looks = audit_log.looks(since=clock.now() - timedelta(days=1))
    assert [row.seq for row in looks] == [second.seq, first.seq], "they stand among the looks"


@pytest.mark.parametrize(
    ("asked", "reason", "pointer"),
    [
        ([], WHY, "/tokens"), (["hello"], WHY, "/tokens"), (["tok_short"], WHY, "/tokens"),
        ([NOBODYS] * 101, WHY, "/tokens"), ([NOBODYS], "because", "/reason"),
        ([NOBODYS], " " * 20, "/reason"), ([NOBODYS], "x" * 501, "/reason"),
    ],
)  # fmt: skip
def test_odd_questions_are_refused_at_their_field(
    asked: list[str], reason: str, pointer: str
) -> None:
    with pytest.raises(InvalidError) as caught:
        services.look_up_tokens(asked, reason=reason, actor=make_actor(Role.ADMIN))
    assert caught.value.errors[0].pointer == pointer
    assert not AuditEntry.objects.exists()


def test_a_reason_that_names_who_is_looked_up_is_refused(dot: User) -> None:
    with pytest.raises(InvalidError) as caught:
        services.look_up_values(
            [MAIL], purpose=None, reason=f"{MAIL.upper()} wrote to us", actor=actor_of(dot)
        )
    assert caught.value.errors[0].code == "personal"


def test_others_than_admins_are_refused(tokens: dict[str, str]) -> None:
    for role in (Role.ENGINEER, Role.ANALYST, Role.ON_CALL):
        cy = make_person(role)
        with pytest.raises(NotPermittedError):
            services.look_up_tokens([tokens["crm"]], reason=WHY, actor=actor_of(cy))
        with pytest.raises(NotPermittedError):
            services.look_up_values([MAIL], purpose=None, reason=WHY, actor=actor_of(cy))
        client = Client(headers={"Authorization": f"Bearer {token_of(cy)}"})
        answer = client.post(API, {"tokens": [tokens["crm"]], "reason": WHY}, JSON)
        assert answer.status_code == 403
        laptop = sign_in(with_password(role))
        assert laptop.get("/privacy/vault/").status_code == 403
        assert laptop.post("/privacy/vault/").status_code == 403
    assert not AuditEntry.objects.filter(action="vault.looked_up").exists()


def test_after_sixty_looks_within_an_hour_a_person_waits_and_others_do_not(
    tokens: dict[str, str], dot: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(services, "LOOKS_AN_HOUR", 3)
    ada, eve = actor_of(dot), make_actor(Role.ADMIN)
    for _ in range(3):
        services.look_up_tokens([NOBODYS], reason=WHY, actor=ada)
    with pytest.raises(RateLimitedError) as caught:
        services.look_up_values([MAIL], purpose=None, reason=WHY, actor=ada)
    assert 3500 < int(caught.value.headers["Retry-After"]) <= 3600
    services.look_up_tokens([NOBODYS], reason=WHY, actor=eve)
    with time_machine.travel(clock.now() + timedelta(minutes=61)):
        services.look_up_tokens([NOBODYS], reason=WHY, actor=ada)


# --- The faces ----------------------------------------------------------------------------------


def test_the_api_answers_both_ways_and_keeps_no_answer(tokens: dict[str, str], dot: User) -> None:
    client = Client(headers={"Authorization": f"Bearer {token_of(dot)}"})
    asked = {"tokens": [tokens["crm"], NOBODYS], "reason": WHY}
    once = {"Idempotency-Key": "k-1"}
    answer = client.post(API, asked, JSON, headers=once)
    assert (answer.status_code, answer["Cache-Control"]) == (200, "no-store")
    assert answer.json() == {
        "meanings": [
            {"token": tokens["crm"], "known": True, "purpose": "crm", "value": MAIL},
            {"token": NOBODYS, "known": False, "purpose": None, "value": None},
        ],
        "tokens": [],
    }
    again = client.post(API, asked, JSON, headers=once)
    assert again.json() == answer.json()
    assert "Asked-Anew" not in again.headers
    assert AuditEntry.objects.filter(action="vault.looked_up").count() == 2, "it was asked anew"
    other = client.post(API, asked | {"tokens": [NOBODYS]}, JSON, headers=once)
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")
    (kept,) = KeptAnswer.objects.all()
    assert len(bytes(kept.body)) < 200, "only that it was answered is kept"
    found = client.post(API, {"values": [MAIL], "purpose": "crm", "reason": WHY}, JSON)
    assert found.json() == {
        "meanings": [], "tokens": [{"at": 0, "token": tokens["crm"], "purpose": "crm"}],
    }  # fmt: skip


@pytest.mark.parametrize(
    "body",
    [
        {"reason": WHY}, {"tokens": [NOBODYS], "values": ["x"], "reason": WHY},
        {"tokens": [NOBODYS], "purpose": "crm", "reason": WHY}, {"tokens": [NOBODYS]},
        {"values": [MAIL], "reason": f"It is {MAIL}."},
    ],
)  # fmt: skip
def test_the_api_refuses_odd_questions_without_repeating_them(
    body: dict[str, Any], dot: User
) -> None:
    client = Client(headers={"Authorization": f"Bearer {token_of(dot)}"})
    answer = client.post(API, body, JSON)
    assert answer.status_code == 422
    assert "canary" not in answer.content.decode()


def test_the_api_is_slowed_down_with_a_time_to_wait(
    dot: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(services, "LOOKS_AN_HOUR", 1)
    client = Client(headers={"Authorization": f"Bearer {token_of(dot)}"})
    asked = {"tokens": [NOBODYS], "reason": WHY}
    assert client.post(API, asked, JSON).status_code == 200
    refused = client.post(API, asked, JSON)
    assert (refused.status_code, refused.json()["code"]) == (429, "rate_limited")
    assert 0 < int(refused["Retry-After"]) <= 3600


def test_the_page_shows_both_ways_and_leaves_nothing_behind(
    tokens: dict[str, str], dot: User
) -> None:
    desk = sign_in(dot)
    page = desk.get("/privacy/vault/").content.decode()
    assert '<option value="crm">' in page
    said = {"ask": "tokens", "tokens-tokens": f"{tokens['crm']}\n{NOBODYS}", "tokens-reason": WHY}
    found = desk.post("/privacy/vault/", said)
    shown = found.content.decode()
    assert MAIL in shown
    assert "Nothing, or nothing any more." in shown
    assert found["Cache-Control"] == "no-store"
    said = {"ask": "value", "value-values": MAIL, "value-purpose": "", "value-reason": WHY}
    shown = desk.post("/privacy/vault/", said).content.decode()
    assert tokens["crm"] in shown
    assert tokens["general"] in shown
    unknown = desk.post("/privacy/vault/", said | {"value-values": "x@example.org"})
    assert "No token stands for it." in unknown.content.decode()
    odd = desk.post("/privacy/vault/", said | {"value-reason": f"It is {MAIL}"})
    assert odd.status_code == 422
    assert "Must not name them" in odd.content.decode()
    assert all("canary" not in json.dumps(row.get_decoded()) for row in Session.objects.all())


def test_a_late_form_asks_who_it_is_and_keeps_no_value(dot: User) -> None:
    desk = sign_in(dot)
    said = {"ask": "value", "value-values": MAIL, "value-purpose": "", "value-reason": WHY}
    with later(16):
        asked = desk.post("/privacy/vault/", said)
        assert asked["Location"] == "/settings/confirm/?next=%2Fprivacy%2Fvault%2F"
        assert "canary" not in json.dumps(dict(desk.session.items()))
        refused = desk.post(API, {"tokens": [NOBODYS], "reason": WHY}, JSON)
        assert (refused.status_code, refused.json()["code"]) == (403, "confirm")
    assert not AuditEntry.objects.filter(action="vault.looked_up").exists()


def test_a_key_that_is_not_at_hand_is_an_outage_and_no_answer(
    tokens: dict[str, str], dot: User, settings: Any
) -> None:
    settings.PRIVACY_KEYS = keyring.without_version(
        keyring.with_new_version(settings.PRIVACY_KEYS), 1
    )
    vault.forget()
    client = Client(headers={"Authorization": f"Bearer {token_of(dot)}"})
    answer = client.post(API, {"tokens": [tokens["crm"]], "reason": WHY}, JSON)
    assert answer.status_code == 503
