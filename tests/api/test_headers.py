"""What every answer carries, by a walk over every route: as anybody, as a person, as an admin."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from governance.types import Role
from portal.http.middleware import _LOGOUT
from tests.api.conftest import Secret, addresses
from tests.support.factories import make_person, make_team

pytestmark = pytest.mark.django_db
PASSWORD = "a long and odd pass phrase"


def anybody(_: Secret) -> Client:
    return Client()


def analyst(_: Secret) -> Client:
    client = Client()
    client.force_login(make_person(Role.ANALYST, team=make_team()))
    return client


def admin(_: Secret) -> Client:
    client = Client()
    client.force_login(make_person(Role.ADMIN))
    return client


def lacks(answer: Any) -> list[str]:
    """What an answer should carry and does not."""
    policy = answer.headers.get("Content-Security-Policy", "")
    caching = answer.headers.get("Cache-Control", "")
    content = b"" if answer.streaming else answer.content
    wanted = {
        "nosniff": answer.headers.get("X-Content-Type-Options") == "nosniff",
        "referrer": answer.headers.get("Referrer-Policy") == "same-origin",
        "opener": answer.headers.get("Cross-Origin-Opener-Policy") == "same-origin",
        "resource": answer.headers.get("Cross-Origin-Resource-Policy") == "same-origin",
        "frames": answer.headers.get("X-Frame-Options") == "DENY",
        "no caching": "no-store" in caching or caching == "private, no-cache",
        "policy": "default-src 'none'" in policy and "frame-ancestors 'none'" in policy,
        "nothing inline": "unsafe" not in policy and "*" not in policy and "script-src" in policy,
        "no base": "base-uri 'none'" in policy and "form-action 'self'" in policy,
        "request id": bool(answer.headers.get("X-Request-Id")),
        "no server": "Server" not in answer.headers and "X-Powered-By" not in answer.headers,
        "no sharing": answer.headers.get("Access-Control-Allow-Origin") in (None, "null"),
        "type": not content or "Content-Type" in answer.headers,
        "charset": "text/html" not in answer.headers.get("Content-Type", "")
        or "charset=utf-8" in answer.headers["Content-Type"],
        "nothing inline in the page": not re.search(
            rb"<script(?![^>]*\bsrc=)(?![^>]*type=\"application/json\")|\son[a-z]+=\"|<style|\sstyle=\"",
            content,
        ),
    }
    return [name for name, holds in wanted.items() if not holds]


# These share on purpose: with any origin (ingest's doors, judged by the key), or are streamed.
def _is_door(path: str) -> bool:
    return path.startswith("/v1/")


@pytest.mark.parametrize("who", [anybody, analyst, admin])
def test_every_answer_carries_what_keeps_it_where_it_belongs(
    who: Callable[[Secret], Client], secret: Secret
) -> None:
    client = who(secret)
    found: dict[str, list[str]] = {}
    walked = 0
    for path in (one.path for one in addresses(secret)):
        if _is_door(path):
            continue
        answer: Any = client.get(path)
        walked += 1
        if missing := lacks(answer):
            found[path] = missing
    assert walked > 150
    assert found == {}


@pytest.mark.parametrize(
    "path", ["/nothing/", "/api/v1/nothing", "/accounts/login/", "/a%00b", "/readyz"]
)
def test_refusals_and_library_pages_carry_them_too(path: str) -> None:
    assert lacks(Client().get(path)) == []
    assert lacks(Client().post(path)) == []


def test_a_foreign_host_is_refused_with_them() -> None:
    answer: Any = Client().get("/livez", headers={"Host": "evil.example"})
    assert answer.status_code == 400
    assert lacks(answer) == []


def test_cookies_are_read_by_no_script_and_not_sent_from_elsewhere() -> None:
    person = make_person()
    person.set_password(PASSWORD)
    person.save()
    client = Client()
    client.get("/accounts/login/")
    client.post("/accounts/login/", {"login": person.email, "password": PASSWORD})
    assert set(client.cookies) == {"portal_session", "portal_csrf"}
    for cookie in client.cookies.values():
        assert cookie["httponly"]
        assert cookie["samesite"] == "Lax"
        assert cookie["path"] == "/"
        assert not cookie["domain"], "as __Host- asks"


def test_who_signs_out_leaves_nothing_in_the_browser_and_the_session_is_over() -> None:
    assert reverse("account_logout") == _LOGOUT
    client = analyst(None)  # type: ignore[arg-type]  # the secret is not looked at
    session = client.cookies["portal_session"].value
    answer = client.post(_LOGOUT)
    assert answer["Clear-Site-Data"] == '"storage"'
    thief = Client()
    thief.cookies["portal_session"] = session
    assert thief.get("/api/v1/me").status_code == 401
    assert "Clear-Site-Data" not in client.get("/accounts/login/").headers


@pytest.mark.parametrize("method", ["TRACE", "TRACK", "CONNECT", "DEBUG"])
def test_methods_that_nobody_needs_are_not_served(method: str) -> None:
    for path in ("/livez", "/accounts/login/", "/api/v1/me"):
        answer = Client().generic(method, path)
        assert answer.status_code in (401, 403, 405)
        assert b"TRACE" not in answer.content.replace(b"TRACEPARENT", b"")


@pytest.mark.parametrize(
    "path",
    ["/static/", "/static/css/", "/.git/config", "/.env", "/static/../portal/settings.py",
     "/static/%2e%2e/portal/settings.py", "/.portal/secrets/secret_key", "/manage.py"],
)  # fmt: skip
def test_no_directory_is_listed_and_no_file_of_the_tree_is_served(path: str) -> None:
    answer: Any = Client().get(path)
    assert answer.status_code in (302, 404)
    assert b"SECRET" not in answer.content


def test_every_page_leads_to_the_settings_where_one_signs_out(secret: Secret) -> None:
    client = analyst(secret)
    for path in ("/", "/streams/", "/notifications/"):
        assert 'href="/settings/"' in client.get(path).content.decode(), path
    assert f'href="{_LOGOUT}"' in client.get("/settings/").content.decode()
