"""`schemas/infer` and `schemas/lint`: what they say, to whom, and what they refuse."""

from typing import Any

import pytest
from django.test import Client

from catalog.fixes import apply_patch
from governance.types import Role
from portal.kernel.json_schema import compile_schema
from tests.support.factories import make_person, make_stream, make_team, token_of

pytestmark = pytest.mark.django_db


@pytest.fixture
def client() -> Client:
    token = token_of(make_person(Role.ENGINEER, team=make_team()), "read", "write")
    return Client(headers={"Authorization": f"Bearer {token}"})


def ask(client: Client, what: str, body: Any) -> Any:
    answer = client.post(f"/api/v1/schemas/{what}", body, content_type="application/json")
    assert answer.status_code == 200, answer.content
    return answer.json()


def test_inferring_gives_the_schema_what_was_seen_and_fixes_that_apply(client: Client) -> None:
    events = [{"specversion": "1.0", "id": str(n), "source": "/s", "type": "shop.order_placed",
               "data": {"orderId": f"A-{n}", "email": f"p{n}@a.example", "load_ms": n,
                        **({"coupon": "X"} if n % 2 else {})}} for n in range(50)]  # fmt: skip
    found = ask(client, "infer", {"events": events})
    assert (found["name"], found["shape"], found["samples"]) == (
        "shop.order_placed", "cloudevent", 50,
    )  # fmt: skip
    assert found["schema"]["required"] == ["email", "load_ms", "orderId"]
    facts = {fact["path"]: fact for fact in found["fields"]}
    assert (facts["coupon"]["note"], facts["coupon"]["required"]) == ("in 25 of 50 samples", False)
    assert facts["email"]["personal"] == "email"
    assert {item["rule"] for item in found["suggestions"]} == {"personal_unlabelled", "unit"}
    assert ("snake_case", "orderId") in {(f["rule"], f["path"]) for f in found["findings"]}
    for finding in found["findings"]:
        for fix in finding["fixes"]:
            compile_schema(apply_patch(found["schema"], fix["patch"]))


def test_linting_judges_by_the_streams_one_may_know_of(client: Client) -> None:
    schema = {"properties": {"customer_id": {"type": "string", "description": "Who bought."}}}
    for number in (1, 2):
        make_stream(f"shop.thing_{number}", schema=schema)
        make_stream(f"shop.secret_{number}", schema={"properties": {"secret_code": {"type": "string"}}},
                    team=make_team(), extra={"restricted": True})  # fmt: skip
    found = ask(client, "lint", {
        "name": "shop.orderPlace",
        "schema": {"properties": {"customer_id": {"type": "integer"},
                                  "secret_code": {"type": "integer"}}},
    })["findings"]  # fmt: skip
    rules = {(finding["rule"], finding["path"]) for finding in found}
    assert ("same_name_other_type", "customer_id") in rules
    assert ("same_name_other_type", "secret_code") not in rules
    named = next(finding for finding in found if finding["rule"] == "event_name")
    assert named["fixes"][0]["name"] == "shop.order_place"


@pytest.mark.parametrize(
    ("what", "body", "status"),
    [
        ("lint", {}, 422),
        ("lint", {"schema": []}, 400),
        ("lint", {"schema": {"$ref": "https://a.example/x"}}, 422),
        ("lint", {"schema": {}, "other": 1}, 400),
        ("infer", {"events": []}, 422),
        ("infer", {"events": [{}] * 1001}, 422),
        ("infer", {"events": [3]}, 422),
        ("infer", {"events": {}}, 400),
    ],
)
def test_what_cannot_be_judged_is_refused(
    client: Client, what: str, body: Any, status: int
) -> None:
    answer = client.post(f"/api/v1/schemas/{what}", body, content_type="application/json")
    assert (answer.status_code, answer["Content-Type"]) == (status, "application/problem+json")
