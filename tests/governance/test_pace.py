"""One caller's requests to pages and API are bounded; others go on (ASVS 2.4.1)."""

from collections.abc import Iterator

import pytest
from django.test import Client
from pytest_django import Settings

from governance.pace import pace
from tests.support.factories import make_person, token_of
from tests.support.signing_in import sign_in, with_password

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _slow(settings: Settings) -> Iterator[None]:
    settings.REQUESTS_PER_SECOND = 1
    pace.forget()
    yield
    pace.forget()


def test_a_token_that_asks_without_end_is_told_when_to_come_again() -> None:
    ada, ben = make_person(), make_person()
    by_ada = {"Authorization": f"Bearer {token_of(ada)}"}
    by_ben = {"Authorization": f"Bearer {token_of(ben)}"}
    answers = [Client().get("/api/v1/me", headers=by_ada) for _ in range(40)]
    statuses = [answer.status_code for answer in answers]
    assert statuses[:10] == [200] * 10
    assert 429 in statuses
    refused = next(answer for answer in answers if answer.status_code == 429)
    assert refused.json()["code"] == "rate_limited"
    assert 1 <= int(refused["Retry-After"]) <= 60
    assert refused["RateLimit-Policy"] == '"requests";q=10;w=10'
    assert refused["RateLimit"].startswith('"requests";r=0;t=')
    assert Client().get("/api/v1/me", headers=by_ben).status_code == 200


def test_pages_and_api_of_a_person_are_counted_together_and_come_back() -> None:
    ada = with_password()
    laptop = sign_in(ada)
    for _ in range(20):
        laptop.get("/settings/")
    assert laptop.get("/api/v1/me").status_code == 429
    page = laptop.get("/settings/")
    assert page.status_code == 429
    assert "Wait, then ask more slowly" in page.content.decode()
    pace.forget()
    assert laptop.get("/settings/").status_code == 200


def test_as_it_is_set_nobody_who_works_notices(settings: Settings) -> None:
    settings.REQUESTS_PER_SECOND = 100
    headers = {"Authorization": f"Bearer {token_of(make_person())}"}
    assert {Client().get("/api/v1/me", headers=headers).status_code for _ in range(200)} == {200}
