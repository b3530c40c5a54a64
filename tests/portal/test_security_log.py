"""What was refused leaves a line that says who, by number, and nothing that was sent (ASVS V16)."""

import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
from django.test import Client
from pytest_django import Settings

from governance.types import Role
from portal.kernel.json_log import JsonFormatter
from tests.support.factories import make_person, token_of
from tests.support.signing_in import browser, sign_in, with_password

pytestmark = pytest.mark.django_db


class Written(logging.Handler):
    """Keeps each line as it would stand in the log, at the moment that it is written."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[dict[str, Any]] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.found.append(json.loads(JsonFormatter().format(record)))

    def of(self, logger: str, message: str) -> list[dict[str, Any]]:
        return [
            line for line in self.found if (line["logger"], line["message"]) == (logger, message)
        ]

    @property
    def refused(self) -> list[dict[str, Any]]:
        return self.of("portal.security", "refused")


@pytest.fixture
def written() -> Iterator[Written]:
    found, root = Written(), logging.getLogger()
    root.addHandler(found)
    yield found
    root.removeHandler(found)


def test_a_refused_permission_says_who_where_and_when(written: Written) -> None:
    cy = with_password(Role.ENGINEER)
    laptop = sign_in(cy)
    written.found.clear()
    assert laptop.get("/audit/").status_code == 403
    (line,) = written.refused
    assert (line["person"], line["route"], line["status"]) == (cy.pk, "/audit/", 403)
    assert line["code"] == "role"
    assert line["method"] == "GET"
    assert line["at"].endswith("+00:00")
    assert line["request_id"]
    assert cy.email not in json.dumps(written.found)


def test_a_refused_token_is_named_by_its_id_and_its_person(
    written: Written,
) -> None:
    cy = make_person(Role.ENGINEER)
    token = token_of(cy)
    answer = Client().get("/api/v1/audit", headers={"Authorization": f"Bearer {token}"})
    assert answer.status_code == 403
    (line,) = written.refused
    assert (line["person"], line["key"]) == (cy.pk, token.split("_")[2])
    assert token not in json.dumps(line)


def test_attempts_to_get_around_are_lines_of_their_own(written: Written) -> None:
    ada = with_password()
    laptop, strict = sign_in(ada), Client(enforce_csrf_checks=True)
    strict.cookies = laptop.cookies
    key = f"ep_user_abcdefgh_{'x' * 43}"
    written.found.clear()
    assert strict.post("/settings/sessions/end/").status_code == 403
    assert browser().get(f"/api/v1/me?key={key}").status_code == 400
    host = {"X-Forwarded-Host": "evil.example"}
    assert browser().get("/accounts/login/", headers=host).status_code == 400
    wrong = {"Authorization": f"Bearer {key}"}
    assert browser().get("/api/v1/me", headers=wrong).status_code == 401
    said = [(line["status"], line["code"]) for line in written.refused]
    assert said == [
        (403, "csrf"), (400, "key_in_query"), (400, "host"), (401, "unauthenticated"),
    ]  # fmt: skip
    text = json.dumps(written.found)
    assert "evil.example" not in text
    assert key not in text


def test_who_asks_too_often_is_a_line(written: Written, settings: Settings) -> None:
    settings.REQUESTS_PER_SECOND = 1
    ada = make_person()
    headers = {"Authorization": f"Bearer {token_of(ada)}"}
    for _ in range(40):
        Client().get("/api/v1/me", headers=headers)
    assert (written.refused[-1]["code"], written.refused[-1]["person"]) == ("rate_limited", ada.pk)


def test_each_line_of_a_request_says_who_and_what(written: Written) -> None:
    ada = with_password()
    laptop, token = sign_in(ada), token_of(ada)
    written.found.clear()
    laptop.get("/settings/")
    Client().get("/api/v1/me", headers={"Authorization": f"Bearer {token}"})
    browser().get("/accounts/login/")
    by_page, by_token, by_nobody = written.of("portal.request", "request")
    for line in (by_page, by_token, by_nobody):
        assert {"at", "level", "logger", "request_id", "method", "route", "status", "ms"} <= set(
            line
        )
    assert by_page["person"] == by_token["person"] == ada.pk
    assert by_token["key"] == token.split("_")[2]
    assert "person" not in by_nobody
