"""Typed code over the API: the right text, for the right version, to who may know of the stream."""

from typing import Any
from unittest.mock import ANY

import pytest
from django.core.cache import cache
from django.test import Client

from catalog.services.changes import publish_schema
from catalog.typed_code import LANGUAGES, typed_code
from governance.types import Role
from portal.kernel.actor import SYSTEM
from tests.support.factories import ORDER_SCHEMA, make_person, make_stream, make_team, token_of

pytestmark = pytest.mark.django_db
CODE = "/api/v1/streams/shop.order_paid/code"


@pytest.fixture
def client() -> Client:
    make_stream("shop.order_paid")
    cache.clear()
    token = token_of(make_person(Role.ANALYST), "read")
    return Client(headers={"Authorization": f"Bearer {token}"})


def test_code_comes_as_text_of_its_language_with_the_stream_and_version(client: Client) -> None:
    for language, kind, name in (
        ("python", "text/x-python", "class OrderPaid(BaseModel):"),
        ("typescript", "application/typescript", "export interface OrderPaid {"),
    ):
        answer = client.get(CODE, {"language": language})
        text = answer.content.decode()
        assert (answer.status_code, answer["Content-Type"]) == (200, f"{kind}; charset=utf-8")
        assert text.splitlines()[0].endswith(
            "shop.order_paid, version 1 of its contract. Generated; change the contract instead."
        )
        assert name in text
        assert "amount_minor" in text


def test_the_etag_spares_the_text_and_changes_with_the_version(client: Client) -> None:
    first = client.get(CODE, {"language": "typescript"})
    again = client.get(CODE, {"language": "typescript"}, headers={"If-None-Match": first["ETag"]})
    assert (again.status_code, again.content, again["ETag"]) == (304, b"", first["ETag"])
    schema: dict[str, Any] = {**ORDER_SCHEMA, "properties": {"gift": {"type": "boolean"}}}
    stream = make_stream("shop.other")
    publish_schema(stream, schema, actor=SYSTEM)
    other = f"{CODE.replace('order_paid', 'other')}"
    new = client.get(f"{other}?language=typescript").content.decode()
    old = client.get(f"{other}?language=typescript&version=1").content.decode()
    assert "gift?: boolean;" in new
    assert "gift" not in old
    tags = {
        client.get(f"{other}?language={language}&version={number}")["ETag"]
        for language in LANGUAGES
        for number in (1, 2)
    }
    assert len(tags) == 4


@pytest.mark.parametrize(
    ("asked", "status"),
    [
        ({}, 400),
        ({"language": "cobol"}, 400),
        ({"language": "python", "version": "x"}, 400),
        ({"language": "python", "oops": "1"}, 400),
        ({"language": "python", "version": 9}, 404),
    ],
)
def test_what_cannot_be_answered_is_said(
    client: Client, asked: dict[str, str], status: int
) -> None:
    answer = client.get(CODE, asked)
    assert answer.status_code == status
    assert answer["Content-Type"] == "application/problem+json"


def test_code_of_a_stream_one_may_not_know_of_does_not_exist(client: Client) -> None:
    make_stream("shop.secret", team=make_team(), extra={"restricted": True})
    answer = client.get("/api/v1/streams/shop.secret/code", {"language": "typescript"})
    missing = client.get("/api/v1/streams/shop.nowhere/code", {"language": "typescript"})
    assert answer.status_code == missing.status_code == 404
    assert answer.json() == {**missing.json(), "instance": ANY}


def test_a_contract_beyond_the_limits_is_a_422_that_says_so(client: Client) -> None:
    inner = {"properties": {f"b{n}": {"enum": [f"x{n}", "y"]} for n in range(60)}}
    make_stream("shop.wide", schema={"properties": {f"a{n}": dict(inner) for n in range(300)}})
    answer = client.get("/api/v1/streams/shop.wide/code", {"language": "python"})
    assert (answer.status_code, answer.json()["code"]) == (422, "code_unavailable")


def test_the_same_contract_makes_the_same_code_with_and_without_the_cache() -> None:
    cache.clear()
    first = typed_code(ORDER_SCHEMA, "shop.order_paid", 1, "python")
    kept = typed_code(ORDER_SCHEMA, "shop.order_paid", 1, "python")
    cache.clear()
    assert first == kept == typed_code(ORDER_SCHEMA, "shop.order_paid", 1, "python")
    assert "version 2" in typed_code(ORDER_SCHEMA, "shop.order_paid", 2, "python")
