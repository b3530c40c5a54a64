"""The page of the privacy keys: how they stand, renewing them, destroying those of a subject."""

import json
from collections.abc import Iterator
from typing import Any

import orjson
import pytest
from django.db import transaction
from django.test import Client

from governance.models import AuditEntry, Job, PrivacyKey, User
from governance.privacy import keyring, vault
from governance.services import privacy_keys
from governance.services.jobs import run_due_jobs
from governance.types import Role
from portal.kernel.actor import SYSTEM
from tests.governance.test_sudo import later
from tests.support.factories import token_of
from tests.support.signing_in import sign_in, with_password

pytestmark = pytest.mark.django_db(transaction=True)
JSON = "application/json"
PAGE = "/privacy/keys/"
WHY = "The person asked to be forgotten."


@pytest.fixture(autouse=True)
def _fresh(settings: Any) -> Iterator[None]:
    settings.PRIVACY_KEYS = keyring.new_text()
    vault.forget()
    yield
    vault.forget()


@pytest.fixture
def dot() -> User:
    return with_password(Role.ADMIN)


def shown(client: Client) -> str:
    answer = client.get(PAGE)
    assert answer.status_code == 200
    return answer.content.decode()


def title(page: str) -> str:
    return page.partition("<h1>")[2].partition("</h1>")[0]


def sealed_for(subject: str) -> str:
    """Something encrypted for a subject, whose name has a token too; gives the token."""
    vault.data_keys([vault.subject_ref(subject)])
    text = orjson.dumps(subject)
    meant = {vault.value_ref(vault.SUBJECTS, text): (vault.SUBJECTS, text)}
    (token,) = vault.tokens_for(meant).values()
    return token


def test_it_says_in_each_state_how_the_keys_stand(dot: User, settings: Any) -> None:
    desk = sign_in(dot)
    assert title(shown(desk)) == "Every data key is under version 1."
    assert "Data keys were never rewrapped." in shown(desk)
    vault.data_keys([vault.subject_ref("cus_1")])
    one = settings.PRIVACY_KEYS
    settings.PRIVACY_KEYS = keyring.with_new_version(one)
    page = shown(desk)
    assert title(page) == "One data key is not under version 2 yet."
    assert "Leaving" in page
    assert "privacy_keys drop" not in page
    assert desk.post("/privacy/rotate/")["Location"] == PAGE
    page = shown(desk)
    assert title(page) == "Data keys are being rewrapped under version 2."
    assert "Pause" in page
    assert "Stop for good" in page
    job = Job.objects.get()
    assert f'data-live="/jobs/{job.pk}/state/"' in page
    run_due_jobs()
    page = shown(desk)
    assert title(page) == "Every data key is under version 2."
    assert "privacy_keys drop 1" in page, "which version may be taken away"
    assert "privacy_keys drop 2" not in page
    assert "docs/runbooks/privacy-keys.md" in page
    settings.PRIVACY_KEYS = keyring.new_text()  # another portal's, without version 2
    assert title(shown(desk)).startswith("Version 2 of the privacy key is needed")
    assert "Not at hand" in shown(desk)


def test_the_page_of_privacy_links_to_it_and_says_the_state(dot: User) -> None:
    desk = sign_in(dot)
    page = desk.get("/privacy/").content.decode()
    for link in (PAGE, "/privacy/vault/", "/privacy/exports/"):
        assert f'href="{link}"' in page
    assert "Every data key is under version 1." in page
    cy = sign_in(with_password(Role.ANALYST)).get("/privacy/").content.decode()
    assert PAGE not in cy


def test_the_keys_of_a_subject_are_destroyed_with_a_reason_and_the_log_has_no_name(
    dot: User,
) -> None:
    token, other = sealed_for("cus_canary_1"), sealed_for("cus_2")
    desk = sign_in(dot)
    odd = desk.post(PAGE, {"subject": "cus_canary_1", "reason": "so"})
    assert odd.status_code == 422
    odd = desk.post(PAGE, {"subject": "cus_canary_1", "reason": "cus_canary_1 asked for it"})
    assert odd.status_code == 422
    assert "Must not name them" in odd.content.decode()
    assert set(vault.meanings([token, other])) == {token, other}
    done = desk.post(PAGE, {"subject": "cus_canary_1", "reason": WHY}, follow=True)
    assert "Destroyed 1 data key and 1 token." in done.content.decode().replace("\u00a0", " ")
    vault.forget()
    assert set(vault.meanings([token, other])) == {other}
    again = desk.post(PAGE, {"subject": "cus_canary_1", "reason": WHY}, follow=True)
    assert "There was nothing to destroy" in again.content.decode()
    rows = AuditEntry.objects.filter(action="privacy_subject.destroyed")
    assert [row.detail["after"]["reason"] for row in rows] == [WHY, WHY]
    assert "canary" not in str(list(AuditEntry.objects.values()))


def test_a_late_form_destroys_nothing_and_keeps_no_name(dot: User) -> None:
    sealed_for("cus_canary_1")
    desk = sign_in(dot)
    with later(16):
        asked = desk.post(PAGE, {"subject": "cus_canary_1", "reason": WHY})
        assert asked["Location"] == "/settings/confirm/?next=%2Fprivacy%2Fkeys%2F"
        assert "canary" not in json.dumps(dict(desk.session.items()))
    assert not PrivacyKey.objects.filter(wrapped=None).exists()


def test_the_api_destroys_for_admins_alone(dot: User) -> None:
    token = sealed_for("cus_1")
    said = {"subject": "cus_1", "reason": WHY}
    path = "/api/v1/privacy-keys/destroy"
    for role in (Role.ENGINEER, Role.ON_CALL):
        cy = with_password(role)
        client = Client(headers={"Authorization": f"Bearer {token_of(cy)}"})
        assert client.post(path, said, JSON).status_code == 403
        laptop = sign_in(cy)
        assert laptop.get(PAGE).status_code == 403
        assert laptop.post(PAGE, said).status_code == 403
    assert token in vault.meanings([token])
    client = Client(headers={"Authorization": f"Bearer {token_of(dot)}"})
    assert client.post(path, {"subject": "cus_1"}, JSON).status_code == 422
    assert client.post(path, said, JSON).json() == {"keys": 1, "tokens": 1}
    assert token not in vault.meanings([token])
    with later(16):
        refused = sign_in(dot).post(path, said, JSON)
        assert refused.status_code == 200, "signed in just now"
    laptop = sign_in(dot)
    with later(16):
        assert laptop.post(path, said, JSON).json()["code"] == "confirm"


def test_a_renewal_that_rests_goes_on_where_it_was_and_counts_each_key_once(
    dot: User, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(privacy_keys, "BATCH", 3)
    for number in range(10):
        vault.data_keys([vault.subject_ref(f"cus_{number}")])
    settings.PRIVACY_KEYS = keyring.with_new_version(settings.PRIVACY_KEYS)
    job = privacy_keys.rotate_keys(actor=SYSTEM)
    run_due_jobs(budget_seconds=0.0001)
    job.refresh_from_db()
    assert (job.state, job.done, job.total) == ("waiting", 3, 10)
    vault.data_keys([vault.subject_ref("new")])  # under the new version at once
    run_due_jobs()
    job.refresh_from_db()
    assert (job.state, job.done, job.total) == ("done", 10, 10)
    assert privacy_keys.counts() == {1: 0, 2: 11}


def test_keys_that_lie_behind_the_walk_are_not_left(
    settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(privacy_keys, "BATCH", 2)
    for number in range(4):
        vault.data_keys([vault.subject_ref(f"cus_{number}")])
    old = PrivacyKey.objects.order_by("pk").values("wrapped", "version").first()
    first = PrivacyKey.objects.order_by("pk").first()
    assert old is not None
    assert first is not None
    settings.PRIVACY_KEYS = keyring.with_new_version(settings.PRIVACY_KEYS)
    with transaction.atomic():
        found = privacy_keys.rewrap_some()
    # A process that did not know of the new version wrote the first one again.
    PrivacyKey.objects.filter(pk=first.pk).update(**old)
    while found.at is not None:
        with transaction.atomic():
            found = privacy_keys.rewrap_some(found.at)
    assert privacy_keys.counts() == {1: 0, 2: 4}
