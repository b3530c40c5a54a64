"""Policies at the catalog's writes: what stops a change, what is only told, what is kept."""

from datetime import timedelta
from typing import Any

import pytest

from catalog.exchange.documents import OutsideStream, OutsideVersion
from catalog.models import Change, Stream
from catalog.services.candidates import check_candidate
from catalog.services.changes import Proposal, activate_change, propose_change, publish_schema
from catalog.services.consumers import create_consumer, map_consumer
from catalog.services.imports import import_stream
from catalog.services.streams import change_stream
from catalog.services.tracks import promote_stream
from governance.errors import PolicyError
from governance.models import Policy, PolicyFinding, Team
from governance.policies import facts
from governance.services.jobs import run_due_jobs
from governance.services.policies import change_policy, create_policy
from governance.services.waivers import waive
from governance.types import Role
from portal.kernel import clock
from portal.kernel.actor import SYSTEM, Actor
from tests.support.factories import ORDER_SCHEMA, make_actor, make_stream, make_team

pytestmark = pytest.mark.django_db
BARE_EMAIL = {
    **ORDER_SCHEMA,
    "properties": {
        **ORDER_SCHEMA["properties"],
        "phone": {"type": "string", "description": "Whose.", "x-classification": "personal"},
    },
}
WITHOUT_AMOUNT = {
    **ORDER_SCHEMA,
    "properties": {
        name: part for name, part in ORDER_SCHEMA["properties"].items() if name != "amount_minor"
    },
}


@pytest.fixture
def team() -> Team:
    return make_team()


@pytest.fixture
def ada(team: Team) -> Actor:
    """Ada is of the team that owns the streams."""
    return make_actor(Role.ENGINEER, team=team)


def block(slug: str) -> Policy:
    return change_policy(Policy.objects.get(slug=slug), {"severity": "block"}, actor=SYSTEM)


def open_findings(stream: Stream) -> set[str]:
    rows = PolicyFinding.objects.filter(
        subject_kind="stream", subject_key=stream.name, closed_at=None
    )
    return set(rows.values_list("policy__slug", flat=True))


def test_registering_keeps_what_policies_find_and_stops_at_one_that_blocks(team: Team) -> None:
    stream = make_stream(description="")
    assert open_findings(stream) == {"owner-present", "described"}
    block("owner-present")
    with pytest.raises(PolicyError) as refused:
        make_stream("shop.basket_left")
    assert not Stream.objects.filter(name="shop.basket_left").exists()
    named: Any = refused.value.extra["policies"]
    assert [one["policy"] for one in named] == ["owner-present"]
    assert named[0]["waiver_at"] == "/policies/owner-present/"
    assert "Name an owner team" in refused.value.detail
    assert make_stream("shop.basket_left", team=team).owner_team == team


def test_a_change_of_facts_is_stopped_by_what_it_breaks_not_by_what_was_broken(
    team: Team, ada: Actor
) -> None:
    stream = make_stream(team=team, description="")
    block("described")
    change_stream(stream, {"title": "Orders"}, actor=ada)
    change_stream(stream, {"description": "An order was placed."}, actor=ada)
    assert "described" not in open_findings(stream)
    with pytest.raises(PolicyError):
        change_stream(stream, {"description": ""}, actor=ada)
    stream.refresh_from_db()
    assert stream.description == "An order was placed."


def test_activating_is_stopped_names_the_fields_and_a_waiver_lets_it_through(
    team: Team, ada: Actor
) -> None:
    stream = make_stream(team=team)
    block("personal-fields-planned")
    change = propose_change(stream, Proposal(BARE_EMAIL, summary="Adds a phone."), actor=ada)
    with pytest.raises(PolicyError, match=r"Personal fields have a privacy plan \(phone\)"):
        activate_change(change, actor=ada)
    change.refresh_from_db()
    assert change.state == "approved"
    waive(
        Policy.objects.get(slug="personal-fields-planned"), stream.name, actor=SYSTEM,
        reason="The plan comes on Monday.", until=clock.now() + timedelta(days=3),
    )  # fmt: skip
    activate_change(change, actor=ada)
    assert open_findings(stream) == {"personal-fields-planned"}, "a waived breach stays told"


def test_publishing_in_one_step_is_stopped_too(team: Team, ada: Actor) -> None:
    stream = make_stream(team=team)
    block("personal-fields-planned")
    with pytest.raises(PolicyError):
        publish_schema(stream, BARE_EMAIL, actor=ada)
    stream.refresh_from_db()
    assert stream.default_version == 1


def test_an_import_is_judged_when_it_is_whole(team: Team) -> None:
    block("fields-described")
    bare = {"type": "object", "properties": {"a": {"type": "string"}}}
    told = {"type": "object", "properties": {"a": {"type": "string", "description": "A."}}}
    versions = (OutsideVersion("1", bare), OutsideVersion("2", told))
    taken = import_stream(OutsideStream("shop.left", versions=versions), actor=SYSTEM)
    assert taken.new_versions == 2, "its newest version is in order"
    with pytest.raises(PolicyError):
        import_stream(OutsideStream("shop.right", versions=versions[:1]), actor=SYSTEM)
    assert not Stream.objects.filter(name="shop.right").exists()


def test_going_to_production_is_judged(team: Team) -> None:
    create_policy(
        "production-described", actor=SYSTEM, title="Production streams have a title",
        sentence="Who reads production data reads a name.", subject="stream", severity="block",
        expression='stream.track != "production" || stream.title != ""',
    )  # fmt: skip
    stream = make_stream(team=team)
    with pytest.raises(PolicyError):
        promote_stream(stream, actor=SYSTEM)
    stream.refresh_from_db()
    assert stream.track == "experimental"


def test_t1_fields_that_somebody_reads_are_deprecated_first(
    team: Team, ada: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(facts.subject_of("stream").measured, "stream.review_overdue_days")
    stream = make_stream(team=team, tier="T1")
    billing = create_consumer("billing", actor=SYSTEM)
    map_consumer(billing, stream, actor=SYSTEM, fields=["amount_minor"])
    change = propose_change(stream, Proposal(WITHOUT_AMOUNT), actor=ada)
    run_due_jobs()
    change.refresh_from_db()
    rows = {row["policy"]: row for row in change.report["policies"]}
    found = rows["t1-fields-deprecated-first"]
    assert (found["outcome"], found["detail"]) == ("breaks", "amount_minor")
    assert rows["review-not-overdue"]["outcome"] == "not_measured"
    assert PolicyFinding.objects.get(subject_kind="change", closed_at=None).subject_key == str(
        change.pk
    )
    block("t1-fields-deprecated-first")
    with pytest.raises(PolicyError, match="amount_minor"):
        activate_change(change, actor=ada)


def test_a_check_before_proposing_tells_what_policies_would_say(team: Team, ada: Actor) -> None:
    stream = make_stream(team=team)
    block("personal-fields-planned")
    found = check_candidate(stream, BARE_EMAIL, actor=ada)["policies"]
    first = found[0]
    assert (first["policy"], first["detail"], first["blocks"]) == (
        "personal-fields-planned",
        "phone",
        True,
    )
    assert not PolicyFinding.objects.filter(subject_key=stream.name, closed_at=None).exists()
    assert not Change.objects.exists()


def test_a_consumer_without_a_team_is_told(team: Team) -> None:
    create_consumer("crm", actor=SYSTEM)
    found = PolicyFinding.objects.get(subject_kind="consumer", subject_key="crm", closed_at=None)
    assert found.policy.slug == "consumer-owned"
    block("consumer-owned")
    with pytest.raises(PolicyError):
        create_consumer("erp", actor=SYSTEM)
    assert create_consumer("erp", actor=SYSTEM, team=team).team == team
