"""REST of changes: propose, look, vote, activate, deprecate, as outside clients do."""

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client

from catalog.models import Change, Stream
from catalog.services.tracks import promote_stream
from governance.models import Job, Team
from governance.services.jobs import run_due_jobs
from governance.types import Role
from portal.kernel import clock
from portal.kernel.actor import SYSTEM
from tests.support.factories import ORDER_SCHEMA, make_person, make_stream, make_team, token_of

pytestmark = pytest.mark.django_db
WIDER = {
    **ORDER_SCHEMA,
    "properties": {**ORDER_SCHEMA["properties"], "note": {"type": "string"}},
}
BREAKING = {
    **ORDER_SCHEMA,
    "properties": {**ORDER_SCHEMA["properties"], "order_id": {"type": "integer"}},
}


class Caller:
    """A person of a team with a token, who talks to the API."""

    def __init__(self, *roles: Role, team: Team | None = None) -> None:
        token = token_of(make_person(*roles, team=team), "read", "write", "approve")
        self.headers = {"HTTP_AUTHORIZATION": f"Bearer {token}"}

    def post(self, path: str, body: Any = None, status: int = 200) -> Any:
        answer = Client().post(
            f"/api/v1{path}", body if body is not None else {}, content_type="application/json",
            **self.headers,  # type: ignore[arg-type]  # WSGI headers
        )  # fmt: skip
        assert answer.status_code == status, answer.content
        return answer.json()

    def get(self, path: str, status: int = 200) -> Any:
        answer = Client().get(f"/api/v1{path}", **self.headers)  # type: ignore[arg-type]  # WSGI
        assert answer.status_code == status, answer.content
        return answer.json()


@pytest.fixture
def team() -> Team:
    return make_team()


@pytest.fixture
def ada(team: Team) -> Caller:
    return Caller(Role.ENGINEER, team=team)


@pytest.fixture
def stream(team: Team) -> Stream:
    return make_stream("shop.order_paid", team=team)


def test_a_proposal_is_a_change_with_a_report_that_workers_fill(
    stream: Stream, ada: Caller
) -> None:
    made = ada.post(
        "/streams/shop.order_paid/schemas", {"schema": WIDER, "summary": "Adds a note."}, 201
    )
    assert (made["version"], made["state"], made["summary"]) == (2, "approved", "Adds a note.")
    before = ada.get(f"/changes/{made['id']}/report")
    assert before["progress"]["state"] == "waiting"
    assert run_due_jobs() == 1
    report = ada.get(f"/changes/{made['id']}/report")
    assert report["progress"]["state"] == "done"
    assert report["verdict"] == {
        "mode": "BACKWARD", "policy": "reader_writer", "compatible": True, "undecided": False,
    }  # fmt: skip
    assert [(field["path"], field["effect"]) for field in report["fields"]] == [("note", "safe")]
    assert report["replay"]["total"] == 0
    assert report["dependents"]["rollup"] is None, "nobody measures them yet"
    assert report["dependents"]["experiment"] == []
    others = {(row["mode"], row["policy"]): row["compatible"] for row in report["others"]}
    assert others["BACKWARD", "strict"] is False, "an optional property in an open model"


def test_activating_makes_it_the_default_and_a_breaking_one_needs_a_group(
    stream: Stream, ada: Caller
) -> None:
    ada.post("/streams/shop.order_paid/schemas", {"schema": WIDER}, 201)
    active = ada.post("/streams/shop.order_paid/schemas/2/activate")
    assert (active["state"], active["compatibility_group"]) == ("active", 1)
    assert ada.get("/streams/shop.order_paid")["default_version"] == 2
    ada.post("/streams/shop.order_paid/schemas", {"schema": BREAKING}, 201)
    refused = ada.post("/streams/shop.order_paid/schemas/3/activate", status=409)
    assert refused["code"] == "incompatible"
    assert refused["errors"][0]["detail"]
    group = ada.post("/streams/shop.order_paid/schemas/3/activate", {"opens_group": True})
    assert (group["state"], group["compatibility_group"]) == ("active", 2)
    ada.post("/streams/shop.order_paid/schemas/3/activate", status=409)


def test_votes_are_asked_of_others_on_the_production_track(
    stream: Stream, ada: Caller, team: Team
) -> None:
    promote_stream(stream, actor=SYSTEM)
    ben = Caller(Role.ENGINEER, team=team)
    made = ada.post("/streams/shop.order_paid/schemas", {"schema": WIDER}, 201)
    assert (made["state"], made["needed_approvals"]) == ("proposed", 1)
    ada.post("/streams/shop.order_paid/schemas/2/approve", status=403)
    assert [row["id"] for row in ben.get("/changes?waiting=true")["items"]] == [made["id"]]
    assert [row["id"] for row in ada.get("/changes?mine=true")["items"]] == [made["id"]]
    assert ada.get("/changes?waiting=true")["items"] == []
    asked = ben.post("/streams/shop.order_paid/schemas/2/ask", {"comment": "Call it remark."})
    assert asked["votes"][0]["vote"] == "ask_for_changes"
    assert ben.post("/streams/shop.order_paid/schemas/2/approve")["state"] == "approved"
    assert ada.get("/changes?state=approved")["items"][0]["id"] == made["id"]
    ben.post(f"/changes/{made['id']}/comments", {"text": "Good.", "path": "note"}, 201)
    assert ada.get(f"/changes/{made['id']}/comments")["items"][0]["path"] == "note"
    ada.post("/streams/shop.order_paid/schemas/2/reject", {"reason": "Later."})
    assert ada.get(f"/changes/{made['id']}")["state"] == "rejected"
    assert ada.post(f"/changes/{made['id']}/rerun", status=409)["code"] == "invalid_state"


def test_a_version_is_deprecated_retired_and_corrected(stream: Stream, ada: Caller) -> None:
    ada.post("/streams/shop.order_paid/schemas", {"schema": WIDER}, 201)
    ada.post("/streams/shop.order_paid/schemas/2/activate", {"default": False})
    assert ada.get("/streams/shop.order_paid")["default_version"] == 1
    ada.post("/streams/shop.order_paid/schemas/2/default")
    day = (clock.now() + timedelta(days=30)).isoformat()
    window = {"from": clock.now().isoformat(), "until": day}
    bad = ada.post(
        "/streams/shop.order_paid/schemas/1/deprecate",
        {"sunset_at": day, "migration": "Send 2.", "brownouts": [window]},
        422,
    )
    assert bad["errors"][0]["pointer"] == "/brownouts/0"
    row = ada.post(
        "/streams/shop.order_paid/schemas/1/deprecate", {"sunset_at": day, "migration": "Send 2."}
    )
    assert (row["state"], row["migration"]) == ("deprecated", "Send 2.")
    assert (
        ada.post("/streams/shop.order_paid/schemas/2/supersede", {"corrects": 1})["supersedes"] == 1
    )
    assert ada.post("/streams/shop.order_paid/schemas/1/retire")["state"] == "retired"
    ada.post("/streams/shop.order_paid/schemas/1/retire", status=409)


def test_mode_and_policy_are_facts_of_the_stream(stream: Stream, ada: Caller) -> None:
    answer = Client().patch(
        "/api/v1/streams/shop.order_paid",
        {"compatibility": {"mode": "FULL", "policy": "strict"}},
        content_type="application/json",
        HTTP_IF_MATCH="*",
        **ada.headers,  # type: ignore[arg-type]  # WSGI headers
    )
    assert answer.json()["compatibility"] == {"mode": "FULL", "policy": "strict"}


def test_jobs_are_seen_and_stopped_by_their_people(stream: Stream, ada: Caller) -> None:
    ada.post("/streams/shop.order_paid/schemas", {"schema": WIDER}, 201)
    job = ada.get("/jobs?kind=catalog.change_report")["items"][0]
    assert job["about"] == {"kind": "change", "key": str(Change.objects.get().pk)}
    stranger = Caller(Role.ENGINEER)
    stranger.get(f"/jobs/{job['id']}", 404)
    assert stranger.get("/jobs")["items"] == []
    assert ada.post(f"/jobs/{job['id']}/pause")["state"] == "paused"
    assert run_due_jobs() == 0
    assert ada.post(f"/jobs/{job['id']}/resume")["state"] == "waiting"
    assert ada.post(f"/jobs/{job['id']}/stop")["state"] == "stopped"
    assert Job.objects.get().state == "stopped"
    ada.post(f"/jobs/{job['id']}/stop", status=409)


def test_the_versions_of_a_stream_list_proposals_too(stream: Stream, ada: Caller) -> None:
    ada.post("/streams/shop.order_paid/schemas", {"schema": WIDER}, 201)
    listed = ada.get("/streams/shop.order_paid/schemas")["items"]
    assert [(row["version"], row["state"]) for row in listed] == [(2, "approved"), (1, "active")]
