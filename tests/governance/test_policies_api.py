"""Policies over the API and on their pages: who may, what is answered, and what is hidden."""

import json
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client

from catalog.models import Stream
from governance.models import Policy, PolicyFinding, User, Waiver
from governance.services.jobs import run_due_jobs
from governance.services.policies import switch_off
from governance.services.waivers import waive
from governance.types import Role
from portal.kernel import clock, rfc3339
from portal.kernel.actor import SYSTEM
from tests.support.factories import make_person, make_stream, make_team, token_of

pytestmark = pytest.mark.django_db
NEW = {
    "slug": "titled",
    "title": "Streams have a title",
    "sentence": "Whoever lists streams reads a name.",
    "subject": "stream",
    "expression": 'stream.title != ""',
}


def api(user: User) -> Client:
    return Client(headers={"Authorization": f"Bearer {token_of(user)}"})


def post(client: Client, path: str, body: Any = None) -> Any:
    return client.post(f"/api/v1/{path}", json.dumps(body or {}), "application/json")


def in_days(days: int) -> str:
    return rfc3339.spell(clock.now() + timedelta(days=days))


@pytest.fixture
def dot() -> Client:
    """Dot is an admin."""
    return api(make_person(Role.ADMIN))


@pytest.fixture
def cy() -> Client:
    """Cy is an engineer of another team."""
    return api(make_person(Role.ENGINEER, team=make_team()))


def test_a_policy_is_made_read_and_changed_from_what_was_read(dot: Client) -> None:
    made = post(dot, "policies", NEW)
    assert (made.status_code, made["Location"]) == (201, "/api/v1/policies/titled")
    assert made.json()["severity"] == "warn"
    address = made["Location"]
    change = json.dumps({"severity": "block", "note": "It is time."})
    assert dot.patch(address, change, "application/json").status_code == 428
    stale = dot.patch(address, change, "application/json", headers={"If-Match": '"99"'})
    assert stale.status_code == 412
    fresh = dot.patch(address, change, "application/json", headers={"If-Match": made["ETag"]})
    assert (fresh.status_code, fresh.json()["version"]) == (200, 2)
    assert fresh["ETag"] != made["ETag"]
    versions = dot.get(f"{address}/versions").json()["items"]
    assert [(row["version"], row["note"]) for row in versions] == [(2, "It is time."), (1, "")]


def test_a_bad_expression_is_refused_at_its_member(dot: Client) -> None:
    answer = post(dot, "policies", NEW | {"expression": "stream.owmer != ''"})
    assert (answer.status_code, answer.json()["code"]) == (422, "expression")
    assert answer.json()["errors"][0]["pointer"] == "/expression"
    assert "owmer" in answer.json()["errors"][0]["detail"]


def test_everybody_reads_policies_and_only_admins_write_them(cy: Client) -> None:
    assert cy.get("/api/v1/policies").status_code == 200
    assert cy.get("/api/v1/policies/owner-present").status_code == 200
    assert cy.get("/api/v1/policies/facts").status_code == 200
    term = {"reason": "Noise.", "until": in_days(3)}
    for path, body in [
        ("policies", NEW),
        ("policies/run", {}),
        ("policies/owner-present/run", {}),
        ("policies/try", {"subject": "stream", "expression": "true"}),
        ("policies/owner-present/switch-off", term),
        ("policies/owner-present/switch-on", {}),
        ("policies/owner-present/waivers", term | {"key": "a.b"}),
    ]:
        assert post(cy, path, body).status_code == 403, path
    assert not Policy.objects.filter(slug="titled").exists()


def test_findings_and_waivers_on_what_one_may_not_know_of_are_not_there(
    dot: Client, cy: Client
) -> None:
    hidden = make_stream(team=make_team(), description="")
    Stream.objects.filter(pk=hidden.pk).update(restricted=True)
    policy = Policy.objects.get(slug="described")
    waiver = waive(
        policy, hidden.name, actor=SYSTEM, reason="Soon.", until=clock.now() + timedelta(days=3)
    )
    assert cy.get("/api/v1/policies/findings").json()["items"] == []
    assert cy.get("/api/v1/policies/waivers").json()["items"] == []
    assert cy.get(f"/api/v1/policies/waivers/{waiver.pk}").status_code == 404
    assert cy.get("/api/v1/policies/described").json()["waived"] == 0
    row = dot.get(f"/api/v1/policies/findings?key={hidden.name}").json()["items"][0]
    assert (row["policy"], row["waived"], row["severity"]) == ("described", True, "warn")
    assert dot.get("/api/v1/policies/described").json()["waived"] == 1
    assert dot.get(f"/api/v1/policies/waivers/{waiver.pk}").json()["state"] == "open"


def test_a_waiver_is_given_and_ended(dot: Client) -> None:
    stream = make_stream(description="")
    body = {"key": stream.name, "reason": "Soon.", "until": in_days(3)}
    made = post(dot, "policies/described/waivers", body)
    assert made.status_code == 201
    assert post(dot, "policies/described/waivers", body).json()["code"] == "waived"
    ended = post(dot, f"policies/waivers/{made.json()['id']}/end")
    assert (ended.status_code, ended.json()["state"]) == (200, "ended")
    assert post(dot, f"policies/waivers/{made.json()['id']}/end").status_code == 409
    assert Waiver.objects.get().ended_by


def test_a_run_is_long_work_and_a_try_keeps_nothing(dot: Client) -> None:
    make_stream(description="")
    tried = post(
        dot, "policies/try",
        {"subject": "stream", "expression": 'stream.title != ""', "policy": "described"},
    )  # fmt: skip
    assert (tried.status_code, tried.json()["breaks"], tried.json()["news"]) == (200, 1, 0)
    run = post(dot, "policies/run")
    assert (run.status_code, run.json()["kind"]) == (202, "governance.policies")
    run_due_jobs()
    assert dot.get(run["Location"]).json()["state"] == "done"
    assert post(dot, "policies/owner-present/run").json()["about"]["key"] == "owner-present"


def test_a_policy_is_switched_off_and_on(dot: Client) -> None:
    off = post(dot, "policies/described/switch-off", {"reason": "Noise.", "until": in_days(3)})
    assert (off.status_code, off.json()["state"], off.json()["off_reason"]) == (
        200,
        "off",
        "Noise.",
    )
    on = post(dot, "policies/described/switch-on")
    assert (on.status_code, on.json()["state"], on.json()["off_until"]) == (200, "on", None)


def test_a_registration_that_a_policy_stops_is_a_conflict_that_names_it(
    dot: Client, cy: Client
) -> None:
    policy = Policy.objects.get(slug="owner-present")
    tag = dot.get("/api/v1/policies/owner-present")["ETag"]
    dot.patch(
        "/api/v1/policies/owner-present", json.dumps({"severity": "block"}), "application/json",
        headers={"If-Match": tag},
    )  # fmt: skip
    answer = post(
        cy, "streams",
        {"name": "shop.basket_left", "schema": {"type": "object"}, "description": "It was left."},
    )  # fmt: skip
    assert (answer.status_code, answer.json()["code"]) == (409, "policy")
    named = answer.json()["policies"][0]
    assert (named["policy"], named["remedy"]) == ("owner-present", policy.remedy)
    assert named["waiver_at"] == "/policies/owner-present/"
    assert not PolicyFinding.objects.filter(subject_key="shop.basket_left").exists()


# Pages


def page(client: Client, path: str) -> str:
    answer = client.get(path)
    assert answer.status_code == 200
    return answer.content.decode()


@pytest.fixture
def admin() -> Client:
    client = Client()
    client.force_login(make_person(Role.ADMIN))
    return client


@pytest.fixture
def outsider() -> Client:
    client = Client()
    client.force_login(make_person(Role.ANALYST))
    return client


def test_the_page_says_what_acts_and_hides_what_one_may_not_know_of(
    admin: Client, outsider: Client
) -> None:
    hidden = make_stream(team=make_team(), description="")
    Stream.objects.filter(pk=hidden.pk).update(restricted=True)
    assert "One policy finds something today." in page(admin, "/policies/")
    assert hidden.name in page(admin, "/policies/described/")
    assert "No policy finds anything today." in page(outsider, "/policies/")
    assert hidden.name not in page(outsider, "/policies/described/")


def test_an_edit_is_previewed_then_saved_as_the_next_version(admin: Client) -> None:
    stream = make_stream(description="Short.")
    said = {
        "title": "Every stream says what it is", "sentence": "In some words.",
        "expression": "size(stream.description) > 20", "severity": "warn", "revision": "1",
    }  # fmt: skip
    preview = admin.post("/policies/described/edit/", {**said, "do": "try"})
    assert preview.status_code == 200
    assert stream.name in preview.content.decode()
    assert Policy.objects.get(slug="described").version == 1
    saved = admin.post("/policies/described/edit/", {**said, "do": "save", "note": "Longer."})
    assert saved.status_code == 302
    assert Policy.objects.get(slug="described").version == 2
    stale = admin.post("/policies/described/edit/", {**said, "do": "save", "title": "Mine"})
    assert stale.status_code == 422
    assert "someone else changed it" in stale.content.decode()


def test_a_new_policy_says_at_the_field_what_is_wrong(admin: Client) -> None:
    said = {**NEW, "expression": "stream.owmer", "severity": "warn", "do": "save"}
    answer = admin.post("/policies/new/", said)
    assert answer.status_code == 422
    assert "owmer" in answer.content.decode()
    assert admin.post("/policies/new/", said | {"expression": "true"}).status_code == 302
    assert page(admin, "/policies/titled/")


def test_waiving_switching_and_running_from_the_page(admin: Client) -> None:
    stream = make_stream(description="")
    day = (clock.now() + timedelta(days=3)).date().isoformat()
    bad = admin.post("/policies/described/waive/", {"waiver-key": "no.such", "waiver-until": day})
    assert bad.status_code == 422
    waived = admin.post(
        "/policies/described/waive/",
        {"waiver-key": stream.name, "waiver-reason": "Soon.", "waiver-until": day},
    )
    assert waived.status_code == 302
    assert "Soon." in page(admin, "/policies/")
    waiver = Waiver.objects.get()
    assert admin.post(f"/policies/waivers/{waiver.pk}/end/").status_code == 302
    off = {"off-reason": "Noise.", "off-until": day, "do": "off"}
    assert admin.post("/policies/described/switch/", off).status_code == 302
    assert "Noise." in page(admin, "/policies/described/")
    assert "Off until" in page(admin, "/policies/?show=off")
    assert admin.post("/policies/described/switch/", {"do": "on"}).status_code == 302
    assert admin.post("/policies/run/").status_code == 302


def test_an_outsider_is_refused_every_write_and_the_pages_of_writing(outsider: Client) -> None:
    for path in ("/policies/new/", "/policies/described/edit/"):
        assert outsider.get(path).status_code == 403
    for path in (
        "/policies/new/",
        "/policies/run/",
        "/policies/described/edit/",
        "/policies/described/switch/",
        "/policies/described/waive/",
    ):
        assert outsider.post(path).status_code == 403


def test_a_policy_that_is_off_is_told_with_its_reason_to_everybody(outsider: Client) -> None:
    policy = Policy.objects.get(slug="described")
    switch_off(policy, actor=SYSTEM, reason="Too early.", until=clock.now() + timedelta(days=3))
    assert "Too early." in page(outsider, "/policies/described/")


def test_the_page_of_a_stream_tells_what_is_not_in_order(admin: Client) -> None:
    stream = make_stream(description="")
    assert "Describe the stream in a sentence." in page(admin, f"/streams/{stream.name}/")
