from datetime import timedelta

import pytest
from django.test import Client

from ingest.log import partitions
from ingest.log.connection import connect
from portal.kernel import clock

pytestmark = pytest.mark.django_db


def test_readyz_answers_when_the_database_has_its_tables_and_tells_of_days_that_run_out(
    client: Client,
) -> None:
    with connect() as link:
        partitions.make_window(link)
    response = client.get("/readyz")
    assert response.status_code == 200
    assert response.json() == {"status": "ready", "degraded": []}
    with clock.at(clock.now() + timedelta(days=partitions.DAYS_AHEAD - 2)):
        response = client.get("/readyz")
    assert response.status_code == 200
    assert response.json() == {"status": "ready", "degraded": ["partitions"]}


def test_livez_answers_with_and_without_a_trailing_slash(client: Client) -> None:
    assert [client.get(path).status_code for path in ("/livez", "/livez/")] == [200, 200]


def test_an_unknown_machine_path_is_a_problem_document(client: Client) -> None:
    response = client.get("/api/v1/nothing")
    assert response.status_code == 404
    assert response["Content-Type"] == "application/problem+json"
    problem = response.json()
    assert problem["type"] == "/problems/not_found"
    assert problem["instance"] == response["X-Request-Id"]
    assert problem["errors"] == []


def test_a_nul_character_in_the_query_is_refused(client: Client) -> None:
    response = client.get("/api/v1/nothing?q=%00")
    assert response.status_code == 400
    assert response.json()["code"] == "parameter"
