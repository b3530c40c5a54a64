from typing import Any

import pytest
from django.test import Client

from experiments.models import Experiment
from experiments.services.experiments import NewMeasure
from governance.models import AuditEntry
from governance.types import Role
from tests.experiments.conftest import Lab, make_experiment, make_metric
from tests.support.factories import make_person, make_stream, make_team, token_of

pytestmark = pytest.mark.django_db


def caller(*roles: Role, **fields: Any) -> dict[str, str]:
    """Headers of a person with these roles."""
    person = make_person(*roles, **fields)
    return {"HTTP_AUTHORIZATION": f"Bearer {token_of(person, 'read', 'write')}"}


def draft(lab: Lab, **changes: Any) -> dict[str, Any]:
    return {
        "key": "one_tap_checkout",
        "title": "One-tap checkout",
        "exposure_stream": lab.exposed.name,
        "planned_units": 20_000,
        "variants": [
            {"key": "today", "weight_bps": 5000},
            {"key": "one_tap", "name": "One-tap", "weight_bps": 5000},
        ],
        "metrics": [{"metric": "conversion", "role": "primary"}],
    } | changes


def post(client: Client, path: str, body: Any, headers: dict[str, str]) -> Any:
    return client.post(
        f"/api/v1{path}",
        body,
        content_type="application/json",
        **headers,  # type: ignore[arg-type]  # WSGI headers
    )


def get(client: Client, path: str, headers: dict[str, str]) -> Any:
    return client.get(f"/api/v1{path}", **headers)  # type: ignore[arg-type]  # WSGI headers


def test_an_experiment_is_made_read_started_and_found_in_the_audit(
    client: Client, lab: Lab
) -> None:
    make_metric(lab)
    manager = caller(Role.PRODUCT_MANAGER)
    made = post(client, "/experiments", draft(lab), manager)
    assert made.status_code == 201, made.content
    assert made["Location"] == "/api/v1/experiments/one_tap_checkout"
    assert made["ETag"] == '"1"'
    body = made.json()
    assert body["state"] == "draft"
    assert [variant["control"] for variant in body["variants"]] == [True, False]
    assert body["metrics"][0] == {
        "metric": "conversion", "version": 1, "role": "primary", "margin": None,
        "margin_kind": None, "critical": False,
    }  # fmt: skip
    started = post(client, "/experiments/one_tap_checkout/start", {}, manager)
    assert started.status_code == 200, started.content
    assert started.json()["state"] == "running"
    again = post(client, "/experiments/one_tap_checkout/start", {}, manager)
    assert (again.status_code, again.json()["code"]) == (409, "invalid_state")
    listed = get(client, "/experiments?state=running", manager).json()
    assert [row["key"] for row in listed["items"]] == ["one_tap_checkout"]
    actions = AuditEntry.objects.filter(object_kind="experiment").order_by("seq")
    assert list(actions.values_list("action", flat=True)) == [
        "experiment.created",
        "experiment.started",
    ]


@pytest.mark.parametrize(
    ("changes", "status", "pointer"),
    [
        ({"key": "two words"}, 422, "/key"),
        ({"surprise": 1}, 400, ""),
        ({"planned_units": "many"}, 400, "/planned_units"),
        ({"variants": [{"key": "a", "weight_bps": 10_000}]}, 422, "/variants"),
        (
            {"variants": [{"key": "a", "weight_bps": 1}, {"key": "b", "weight_bps": 2}]},
            422,
            "/variants",
        ),
        ({"variants": [{"key": "a", "weight_bps": "x"}]}, 400, "/variants/0/weight_bps"),
        ({"metrics": []}, 422, "/metrics"),
        ({"metrics": [{"metric": "nobody_knows"}]}, 422, "/metrics/0/metric"),
        ({"metrics": [{"metric": "conversion", "role": "guardrail"}]}, 422, "/metrics"),
        ({"exposure_stream": "no.such_stream"}, 422, "/exposure_stream"),
        ({"targeting": {"attr": "country", "op": "like"}}, 422, "/targeting"),
        ({"policy": {"alpha": 2}}, 422, "/policy/alpha"),
        ({"policy": {"approval": ["none"]}}, 422, "/policy/approval"),
        ({"policy": {"min_unitz": 2}}, 422, "/policy"),
    ],
)
def test_a_draft_that_breaks_a_rule_names_the_place(
    client: Client, lab: Lab, changes: dict[str, Any], status: int, pointer: str
) -> None:
    make_metric(lab)
    answer = post(client, "/experiments", draft(lab, **changes), caller(Role.ANALYST))
    assert answer.status_code == status, answer.content
    assert pointer in {error["pointer"] for error in answer.json()["errors"]}
    assert not Experiment.objects.exists()


def test_only_authors_make_experiments_and_only_owners_start_them(client: Client, lab: Lab) -> None:
    make_metric(lab)
    refused = post(client, "/experiments", draft(lab), caller(Role.ON_CALL))
    assert (refused.status_code, refused.json()["permission"]) == (403, "experiment.write")
    make_experiment(lab, started=False, team=make_team())
    stranger = post(client, "/experiments/one_tap/start", {}, caller(Role.PRODUCT_MANAGER))
    assert (stranger.status_code, stranger.json()["code"]) == (403, "not_owner")
    assert client.get("/api/v1/experiments").status_code == 401


def test_results_hold_every_snapshot_newest_first(client: Client, lab: Lab) -> None:
    experiment = make_experiment(lab)
    for arm in lab.units(experiment, 3).values():
        for day, unit in enumerate(arm):
            lab.expose(experiment, unit, lab.at(days=day, hours=1))
    lab.reach(lab.at(days=2, hours=12))
    lab.analyse(experiment)
    headers = caller()
    found = get(client, "/experiments/one_tap/results?limit=2", headers).json()
    assert (found["experiment"], found["state"]) == ("one_tap", "running")
    assert [row["number"] for row in found["items"]] == [3, 2]
    rest = get(client, f"/experiments/one_tap/results?cursor={found['next']}", headers).json()
    assert [row["number"] for row in rest["items"]] == [1]
    assert rest["next"] is None
    newest = found["items"][0]
    assert newest["health"]["units"] == 6
    assert newest["results"][0]["comparisons"][0]["reading"] == "too_early"
    assert set(newest["inputs"]["streams"]) == {lab.exposed.name, lab.orders.name}
    assert len(newest["sha256"]) == 64


def test_an_experiment_over_a_stream_one_may_not_know_of_does_not_exist(
    client: Client, lab: Lab
) -> None:
    hidden = make_stream(team=make_team(), extra={"restricted": True})
    lab.orders = hidden
    make_experiment(lab, NewMeasure(make_metric(lab)))
    stranger = caller(Role.ANALYST)
    assert get(client, "/experiments/one_tap", stranger).status_code == 404
    assert get(client, "/experiments/one_tap/results", stranger).status_code == 404
    assert get(client, "/experiments", stranger).json()["items"] == []
    assert get(client, "/metrics", stranger).json()["items"] == []
    member = caller(Role.ANALYST, team=hidden.owner_team)
    assert get(client, "/experiments/one_tap", member).status_code == 200


def test_metrics_are_made_over_payloads_one_may_read_and_a_change_is_a_new_version(
    client: Client, lab: Lab
) -> None:
    team = make_team()
    lab.orders = make_stream(team=team)
    body = {"key": "revenue", "name": "Revenue", "stream": lab.orders.name, "type": "revenue",
            "value_path": "amount_minor", "unit": "EUR", "unit_scale": 100}  # fmt: skip
    assert post(client, "/metrics", body, caller(Role.ANALYST)).status_code == 403
    owner = caller(Role.ANALYST, team=team)
    made = post(client, "/metrics", body, owner)
    assert (made.status_code, made.json()["winsorize_at"]) == (201, 0.999)
    assert post(client, "/metrics", body, owner).json()["version"] == 2
    assert post(client, "/metrics", body | {"type": "quantile"}, owner).status_code == 422
    keys = [(row["key"], row["version"]) for row in get(client, "/metrics", owner).json()["items"]]
    assert keys == [("revenue", 2), ("revenue", 1)]


def test_a_stop_needs_a_reason(client: Client, lab: Lab) -> None:
    make_experiment(lab)
    manager = caller(Role.PRODUCT_MANAGER)
    assert post(client, "/experiments/one_tap/stop", {"reason": " "}, manager).status_code == 422
    stopped = post(client, "/experiments/one_tap/stop", {"reason": "Wrong screen."}, manager)
    assert stopped.json()["state"] == "stopped_inconclusive"
