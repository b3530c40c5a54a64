"""`POST /api/v1/schemas/compatibility`: the engine over HTTP, stateless, for anyone signed in."""

from typing import Any

import pytest
from django.test import Client

from governance.types import Role
from tests.support.factories import make_person, token_of

pytestmark = pytest.mark.django_db
ADDRESS = "/api/v1/schemas/compatibility"
OLD = {"type": "object", "properties": {"total": {"type": "integer"}}}
NEW = {"type": "object", "properties": {"total": {"type": "string"}}}


@pytest.fixture
def ask() -> Any:
    headers = {"Authorization": f"Bearer {token_of(make_person(Role.ANALYST))}"}
    client = Client(headers=headers)
    return lambda body: client.post(ADDRESS, body, content_type="application/json")


def test_a_break_is_answered_with_its_place_its_words_and_an_example(ask: Any) -> None:
    answer = ask({"mode": "BACKWARD", "policy": "strict", "candidate": NEW, "versions": [OLD]})
    assert answer.status_code == 200
    body = answer.json()
    assert (body["compatible"], body["undecided"]) == (False, False)
    (difference,) = body["differences"]
    assert isinstance(difference["example"]["total"], int)
    assert difference["detail"]
    assert difference["remedy"]
    assert {
        name: difference[name] for name in ("path", "pointer_old", "pointer_new", "change")
    } == {
        "path": "total",
        "pointer_old": "/properties/total/type",
        "pointer_new": "/properties/total/type",
        "change": "type_changed",
    }
    assert difference["breaks"] == ["backward", "forward"]


def test_under_none_everything_is_compatible_and_still_told(ask: Any) -> None:
    body = ask({"mode": "NONE", "candidate": NEW, "versions": [OLD]}).json()
    assert body["compatible"] is True
    assert [one["change"] for one in body["differences"]] == ["type_changed"]
    assert ask({"candidate": NEW, "versions": []}).json()["compatible"] is True


@pytest.mark.parametrize(
    ("body", "status", "pointer"),
    [
        ({"candidate": NEW, "versions": [OLD], "x": 1}, 400, ""),
        ({"candidate": 1, "versions": [OLD]}, 400, "/candidate"),
        ({"candidate": NEW, "versions": OLD}, 400, "/versions"),
        ({"candidate": NEW, "versions": [3]}, 400, "/versions"),
        ({"candidate": NEW}, 422, "/versions"),
        ({"candidate": NEW, "versions": [True] * 101}, 422, "/versions"),
        ({"candidate": NEW, "versions": [OLD], "mode": "SIDEWAYS"}, 422, "/mode"),
        ({"candidate": NEW, "versions": [OLD], "policy": "kind"}, 422, "/policy"),
        ({"candidate": {"type": "text"}, "versions": [OLD]}, 422, "/candidate"),
        ({"candidate": NEW, "versions": [{"$ref": "file:///a"}]}, 422, "/versions/0/$ref"),
    ],
)
def test_a_question_that_cannot_be_answered_says_where(
    ask: Any, body: dict[str, Any], status: int, pointer: str
) -> None:
    answer = ask(body)
    assert answer.status_code == status, answer.content
    assert answer.json()["errors"][0]["pointer"] == pointer


def test_a_stranger_is_refused() -> None:
    body = {"candidate": NEW, "versions": [OLD]}
    assert Client().post(ADDRESS, body, content_type="application/json").status_code == 401
