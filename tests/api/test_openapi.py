import pytest
from django.test import Client

from tests.api.test_walk import CASES


@pytest.mark.django_db
def test_the_description_names_every_operation_and_its_policy() -> None:
    answer = Client().get("/api/v1/openapi.json")
    assert answer.status_code == 200
    document = answer.json()
    assert document["openapi"].startswith("3.1")
    described = sum(len(item) for item in document["paths"].values())
    served = [case for case in CASES if case[0].startswith("/api/v1/")]
    assert described == len(served) - 1  # the description does not describe itself
    identifiers = [op["operationId"] for item in document["paths"].values() for op in item.values()]
    assert len(set(identifiers)) == len(identifiers)


@pytest.mark.django_db
def test_the_readable_page_lists_them_without_a_script() -> None:
    answer = Client().get("/api/docs")
    assert answer.status_code == 200
    assert b"POST /api/v1/streams" in answer.content
