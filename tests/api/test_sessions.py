"""Sessions against those who plant or borrow them."""

import pytest
from django.test import Client

from tests.support.factories import make_person

pytestmark = pytest.mark.django_db

PASSWORD = "a long and odd pass phrase"
JSON = "application/json"


def test_a_page_of_no_origin_changes_nothing_even_with_a_token() -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(make_person())
    client.get("/settings/")
    token = client.cookies["portal_csrf"].value
    for headers in ({"Origin": "null"}, {"Origin": "null", "X-CSRFToken": token}):
        answer = client.post("/api/v1/keys", {"name": "x"}, JSON, headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (403, "csrf")
    taken = client.post("/api/v1/keys", {"name": "x"}, JSON, headers={"X-CSRFToken": token})
    assert taken.status_code == 201


def test_a_session_id_that_was_planted_is_not_the_one_after_login() -> None:
    person = make_person()
    person.set_password(PASSWORD)
    person.save()
    client = Client()
    client.cookies["portal_session"] = planted = "a" * 32
    client.get("/accounts/login/")
    answer = client.post("/accounts/login/", {"login": person.email, "password": PASSWORD})
    assert answer.status_code == 302
    assert client.cookies["portal_session"].value not in {"", planted}
    assert client.get("/api/v1/me").status_code == 200
    thief = Client()
    thief.cookies["portal_session"] = planted
    assert thief.get("/api/v1/me").status_code == 401
