"""Every route: an outsider refused, bad input answered, never a 5xx."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from django.db import transaction
from django.test import Client

from governance.types import Role
from portal.checks import routes, served_methods
from portal.http.policy import matrix
from tests.support.factories import make_person, make_stream, make_team, token_of

ARGUMENTS = {
    "name": "shop.order_paid",
    "slug": "nothing",
    "version": 1,
    "first": 1,
    "second": 2,
    "change_id": "0192f0a0-0000-7000-8000-000000000003",
    "notice_id": "0192f0a0-0000-7000-8000-000000000005",
    "delegation_id": "0192f0a0-0000-7000-8000-000000000009",
    "job_id": "0192f0a0-0000-7000-8000-000000000004",
    "draft_id": "0192f0a0-0000-7000-8000-000000000005",
    "request_id": "0192f0a0-0000-7000-8000-000000000001",
    "grant_id": "stream-u-1",
    "restore_id": "0192f0a0-0000-7000-8000-000000000006",
    "run_id": "0192f0a0-0000-7000-8000-000000000007",
    "letter_id": "0192f0a0-0000-7000-8000-000000000002",
    "repair_id": "0192f0a0-0000-7000-8000-000000000006",
    "event_id": "e1",
    "session_id": "0192f0a0-0000-7000-8000-00000000000d",
    "glass_id": "0192f0a0-0000-7000-8000-00000000000e",
    "view_id": "0192f0a0-0000-7000-8000-00000000000f",
    "erasure_id": "0192f0a0-0000-7000-8000-000000000011",
    "group": "bm9wZQ",
    "seq": 1,
    "user_id": 1,
    "key_id": "abcdefgh",
    "alarm_id": 1,
    "key": "nothing",
    "write_key": "nothing",
    "waiver_id": "0192f0a0-0000-7000-8000-00000000000c",
    "review_id": "0192f0a0-0000-7000-8000-00000000000f",
    "export_id": "0192f0a0-0000-7000-8000-000000000011",
    "uidb36": "1",
    "snapshot": 1,
    "number": 1,
}


def address(route: str) -> str:
    """A path of the route with sample arguments; raises KeyError for one that is not known here."""
    path = route.replace("^", "").replace("/?$", "").replace("$", "")
    while "<" in path:
        start, end = path.index("<"), path.index(">")
        kind, _, name = path[start + 1 : end].rpartition(":")
        value = "nothing" if kind == "slug" else str(ARGUMENTS[name])
        path = path[:start] + value + path[end + 1 :]
    return "/" + path


ROUTES = [
    (route, address(route), view)
    for route, view in routes()
    if not route.startswith("accounts/") and "(?P" not in route
]
CASES = [
    (path, method, policy.word)
    for route, path, view in ROUTES
    for method in served_methods(route, view)
    if (policy := matrix().policy(route, method)) is not None
]
GUARDED = [case for case in CASES if case[2] not in ("public", "producer")]


@pytest.mark.django_db
@pytest.mark.parametrize(("path", "method", "policy"), GUARDED, ids=str)
def test_without_credentials_nothing_is_told(path: str, method: str, policy: str) -> None:
    answer = Client().generic(method, path)
    if path.startswith(("/api/", "/metrics")):
        assert (answer.status_code, answer.json()["code"]) == (401, "unauthenticated")
        assert "WWW-Authenticate" in answer
    elif path.startswith("/registry"):
        assert (answer.status_code, answer.json()["error_code"]) == (401, 401)
        assert "WWW-Authenticate" in answer
    else:
        assert answer.status_code == 302
        assert answer["Location"].startswith("/accounts/login/")


QUERIES = (
    "limit=abc", "limit=-1", "cursor=%00", "cursor=xx", "q=%F0%9F%99%82", "limit=1&limit=2",
    "q=" + "x" * 3000, "time=0000", "from=now", "v=" + "9" * 400, "%FF=%FE",
)  # fmt: skip


@contextmanager
def undone() -> Iterator[None]:
    """What is written inside is taken back, so that the next request meets the same portal."""
    with transaction.atomic():
        yield
        transaction.set_rollback(True)


@pytest.mark.django_db
@pytest.mark.parametrize("path", sorted({path for path, method, _ in CASES if method == "GET"}))
def test_no_query_makes_a_server_error(path: str) -> None:
    make_stream("shop.order_paid", team=make_team())
    client = Client()
    client.force_login(make_person(Role.ADMIN))
    for query in QUERIES:
        with undone():
            answer = client.get(f"{path}?{query}")
        assert answer.status_code < 500, query[:30]


BODIES: list[bytes] = [
    b"",
    b"null",
    b"[]",
    b"5",
    b'"x"',
    b"{",
    b"\xff\xfe",
    b'{"a": 1, "a": 2}',
    b'{"name": "\\u0000"}',
    b'{"name": "\\ud800"}',
    b"[" * 50_000 + b"]" * 50_000,
    b'{"name": ' + b"9" * 5000 + b"}",
    b'{"name": NaN}',
    b'{"name": 1e999}',
    b'{"name": 5, "schema": 5, "slug": [], "resource": {}, "purpose": null, "until": 7}',
    b'{"name": "a.b", "schema": {"$ref": "https://evil.example/"}, "nope": true}',
    b'{"name": "a.b", "schema": {"properties": {"a": {"pattern": "(a+)+$"}}}}',
    b'{"events": [[]]}',
    b'{"events": [{"a": ' + b"[" * 150 + b"]" * 150 + b"}]}",
]


PROBLEM = {"type", "title", "status", "code", "detail", "instance", "errors"}


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("path", "method"),
    sorted({(p, m) for p, m, _ in CASES if p.startswith("/api/") and m != "GET"}),
)
def test_no_body_makes_a_server_error(path: str, method: str) -> None:
    make_stream("shop.order_paid", team=make_team())
    client = Client()
    token = token_of(make_person(Role.ADMIN))
    headers = {"Authorization": f"Bearer {token}", "If-Match": "*"}
    for body in BODIES:
        with undone():
            answer = client.generic(
                method, path, body, content_type="application/json", headers=headers
            )
        assert answer.status_code < 500, (body[:30], answer.content[:300])
        if answer.status_code >= 400:
            assert answer["Content-Type"] == "application/problem+json", body[:30]
            assert set(answer.json()) >= PROBLEM, body[:30]


@pytest.mark.django_db
@pytest.mark.parametrize(
    "headers",
    [
        {"Authorization": "Bearer"},
        {"Authorization": "Bearer ep_user_x"},
        {"Authorization": "Basic !!!"},
        {"Authorization": "Basic " + "A" * 5000},
        {"Authorization": "\xff\xfe"},
        {"Authorization": "Bearer ep_user_abcdefgh_" + "x" * 43},
        {"Authorization": "Bearer \x01\x02"},
    ],
)
def test_bad_credentials_are_one_401_for_all_causes(headers: dict[str, str]) -> None:
    answer = Client().get("/api/v1/me", headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (401, "unauthenticated")


@pytest.mark.django_db
def test_a_key_in_the_address_is_refused() -> None:
    assert Client().get("/api/v1/me?key=ep_user_abcdefgh_secret").status_code == 400
