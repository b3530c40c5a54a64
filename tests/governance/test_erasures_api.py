"""Erasures over HTTP: the API never repeats whom one is about, pages say faults at the field."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from governance.models import Erasure, User
from governance.privacy import vault
from governance.selectors.people import actor_of
from governance.services import erasures as services
from governance.types import Role
from portal.kernel import clock
from tests.support.canaries import search
from tests.support.erasing import guestbook, run_to_the_end
from tests.support.factories import make_person, token_of
from tests.support.signing_in import sign_in, with_password

pytestmark = pytest.mark.django_db(transaction=True)
MAIL = "ada.canary@zebra.example"
BODY = {"identifiers": [MAIL, "4711000815"], "basis": "consent_withdrawn", "reason": "She asked."}
JSON = "application/json"


@pytest.fixture(autouse=True)
def _own_ledger(settings: Any, tmp_path: Path) -> Iterator[None]:
    settings.ERASURE_LEDGER = tmp_path / "erasures.jsonl"
    settings.AUDIT_ANCHORS = tmp_path / "anchors.jsonl"
    vault.forget()
    yield
    vault.forget()


def client_of(person: User, *scopes: str) -> Client:
    return Client(headers={"Authorization": f"Bearer {token_of(person, *scopes)}"})


def post(client: Client, path: str, body: Any = None, **headers: str) -> Any:
    return client.post(
        f"/api/v1/erasures{path}", json.dumps(body or {}), content_type=JSON, headers=headers
    )


@pytest.fixture
def ada() -> Client:
    return client_of(make_person(Role.ADMIN))


@pytest.fixture
def ben() -> Client:
    return client_of(make_person(Role.ADMIN))


def test_an_erasure_is_asked_for_decided_done_and_proved_over_the_api(
    ada: Client, ben: Client
) -> None:
    made = post(ada, "", BODY)
    assert made.status_code == 201
    said = made.json()
    assert (said["state"], said["identifiers"], said["stores"]) == ("waiting", 2, [])
    path = f"/{said['id']}"
    assert made["Location"] == f"/api/v1/erasures{path}"
    assert ben.get(f"/api/v1/erasures{path}/receipt").status_code == 404
    assert post(ada, f"{path}/approve").json()["code"] == "own_request"
    stale = post(ben, f"{path}/approve", None, **{"If-Match": '"99"'})
    assert (stale.status_code, stale.json()["code"]) == (412, "precondition_failed")
    done = post(ben, f"{path}/approve", {"reason": "Agreed."}, **{"If-Match": made["ETag"]})
    assert (done.status_code, done.json()["state"]) == (200, "running")
    assert post(ben, f"{path}/deny", {"reason": "No."}).json()["code"] == "invalid_state"
    with guestbook() as book:
        book.write(MAIL)
        run_to_the_end(Erasure.objects.get())
    seen = ada.get(f"/api/v1/erasures{path}").json()
    assert (seen["state"], seen["percent"], seen["decision"]) == ("done", 100, "Agreed.")
    assert [store["erased"] for store in seen["stores"] if store["key"] == "guestbook"] == [1]
    receipt = ada.get(f"/api/v1/erasures{path}/receipt").json()
    assert receipt["receipt"]["erasure"] == said["id"]
    listed = ada.get("/api/v1/erasures?state=done").json()["items"]
    assert [one["id"] for one in listed] == [said["id"]]
    answers = json.dumps([said, done.json(), seen, receipt, listed])
    assert search([("answers", answers)], BODY["identifiers"]) == []


def test_who_is_no_admin_is_refused_and_learns_nothing(ada: Client) -> None:
    made = post(ada, "", BODY).json()
    for client in (
        client_of(make_person(Role.ENGINEER)), client_of(make_person(Role.ADMIN), "read", "write"),
    ):  # fmt: skip
        assert client.get("/api/v1/erasures").status_code == 403
        assert post(client, "", BODY).status_code == 403
        assert client.get(f"/api/v1/erasures/{made['id']}").status_code == 403
        for act in ("approve", "deny", "withdraw"):
            assert post(client, f"/{made['id']}/{act}", {"reason": "No."}).status_code == 403
    assert Erasure.objects.get().state == "waiting"


def test_faults_are_told_at_their_place_and_never_repeat_what_was_sent(ada: Client) -> None:
    answer = post(ada, "", {**BODY, "identifiers": [MAIL, "x\ty"], "reason": f"For {MAIL}"})
    assert answer.status_code == 422
    pointers = {one["pointer"] for one in answer.json()["errors"]}
    assert pointers == {"/identifiers/1", "/reason"}
    assert MAIL not in answer.content.decode()
    assert post(ada, "", {**BODY, "basis": "whim"}).status_code == 422
    assert post(ada, "", {**BODY, "name": "x"}).status_code == 400


def test_sent_twice_with_one_key_it_is_asked_once(ada: Client) -> None:
    first = post(ada, "", BODY, **{"Idempotency-Key": "k1"})
    again = post(ada, "", BODY, **{"Idempotency-Key": "k1"})
    assert first.json() == again.json()
    assert again["Idempotency-Replayed"] == "true"
    assert Erasure.objects.count() == 1


def test_a_list_of_twelve_asks_the_database_no_more_than_one_of_two(ada: Client) -> None:
    counts = []
    for n in (2, 10):
        for _ in range(n):
            post(ada, "", BODY)
        with CaptureQueriesContext(connection) as queries:
            assert ada.get("/api/v1/erasures").status_code == 200
        counts.append(len(queries))
    assert counts[0] == counts[1]


# --- Pages ---------------------------------------------------------------------------------------------


def test_admins_ask_and_decide_on_pages_and_see_how_far_it_is() -> None:
    ada, ben = with_password(Role.ADMIN), with_password(Role.ADMIN)
    asking, deciding = sign_in(ada), sign_in(ben)
    form = {"identifiers": f"{MAIL}\n\n 4711000815 ", "basis": "objection", "reason": "She asked."}
    made = asking.post("/privacy/erasures/", form)
    row = Erasure.objects.get()
    page = f"/privacy/erasures/{row.pk}/"
    assert (made.status_code, made["Location"], row.identifiers) == (302, page, 2)
    assert "Approve and erase" not in asking.get(page).content.decode()
    assert "Take it back" in asking.get(page).content.decode()
    seen = deciding.get(page).content.decode()
    assert "Approve and erase" in seen
    assert (
        "One erasure waits for a decision." in deciding.get("/privacy/erasures/").content.decode()
    )
    assert "1 waiting for a decision" in deciding.get("/privacy/").content.decode()
    refused = deciding.post(page, {"do": "deny", "reason": "", "revision": "1"})
    assert refused.status_code == 422
    assert b'aria-describedby="id_reason_error"' in refused.content
    deciding.post(page, {"do": "approve", "revision": "1"})
    row.refresh_from_db()
    assert row.state == "running"
    assert "data-live" in deciding.get(page).content.decode()
    run_to_the_end(row)
    told = deciding.get(f"{page}state/").content.decode()
    assert "Vault of keys and tokens" in told
    file = deciding.get(f"{page}receipt/")
    assert file["Content-Disposition"] == f'attachment; filename="erasure-{row.pk}.json"'
    assert json.loads(file.content)["receipt"]["identifiers"] == 2
    for answer in (seen, told, deciding.get("/privacy/erasures/").content.decode()):
        assert search([("page", answer)], [MAIL, "4711000815"]) == []


def test_faults_of_the_form_stand_at_its_fields() -> None:
    asking = sign_in(with_password(Role.ADMIN))
    answer = asking.post(
        "/privacy/erasures/",
        {"identifiers": f"{MAIL}\nab", "basis": "objection", "reason": f"{MAIL} asked"},
    )
    page = answer.content.decode()
    assert answer.status_code == 422
    assert "Number 2: needs 3 characters" in page
    assert "Must not name the person" in page
    assert asking.post("/privacy/erasures/", {}).status_code == 422
    assert not Erasure.objects.exists()


def test_pages_are_for_admins_alone() -> None:
    row = services.request_erasure(
        [MAIL], actor=actor_of(make_person(Role.ADMIN)), basis="objection", reason="She asked."
    )
    cy = sign_in(with_password(Role.ANALYST))
    for path in ("", f"{row.pk}/", f"{row.pk}/state/", f"{row.pk}/receipt/"):
        assert cy.get(f"/privacy/erasures/{path}").status_code == 403
    assert cy.post(f"/privacy/erasures/{row.pk}/", {"do": "approve"}).status_code == 403
    assert "admins erase persons" in cy.get("/privacy/").content.decode()


def test_a_browser_is_asked_again_who_it_is_before_it_approves() -> None:
    row = services.request_erasure(
        [MAIL], actor=actor_of(make_person(Role.ADMIN)), basis="objection", reason="She asked."
    )
    ben = sign_in(with_password(Role.ADMIN))
    session = ben.session
    session["account_authentication_methods"] = [
        {**one, "at": clock.now().timestamp() - 3600}
        for one in session["account_authentication_methods"]
    ]
    session.save()
    answer = ben.post(f"/privacy/erasures/{row.pk}/", {"do": "approve"})
    assert answer.status_code == 302
    assert "/reauthenticate/" in answer["Location"]
    row.refresh_from_db()
    assert row.state == "waiting"
