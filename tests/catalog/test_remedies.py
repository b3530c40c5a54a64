"""Remedies: each one offered was tried, applying one makes a revised candidate, rights hold."""

import copy
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from catalog.compatibility.budget import Budget
from catalog.compatibility.engine import compare
from catalog.compatibility.types import Mode, Policy
from catalog.fixes import apply_patch
from catalog.models import Change, Stream, Vote
from catalog.remedies import OPEN_GROUP, Question, Remedy, remedies_of
from catalog.services.changes import (
    Proposal,
    activate_change,
    propose_change,
    publish_schema,
    vote_on_change,
)
from catalog.services.remedies import apply_remedies
from catalog.services.tracks import promote_stream
from governance.models import AuditEntry, Job
from governance.selectors.people import actor_of
from governance.services.jobs import run_due_jobs
from governance.types import Permission, Role
from portal.kernel.actor import SYSTEM, Actor
from portal.kernel.errors import ConflictError, InvalidError, InvalidStateError, NotPermittedError
from tests.catalog.test_changes_api import BREAKING, Caller
from tests.support.factories import (
    ORDER_SCHEMA,
    make_actor,
    make_grant,
    make_person,
    make_stream,
    make_team,
)

OLD: dict[str, Any] = {
    "type": "object",
    "properties": {
        "kind": {"enum": ["web", "shop"]},
        "count": {"type": "integer", "minimum": 0, "maximum": 9},
        "note": {"type": ["string", "null"]},
        "id": {"type": "string"},
        "pay": {"oneOf": [{"type": "string"}, {"type": "integer"}]},
        "part": {"type": "object", "properties": {"sku": {"type": "string"}}},
        "code": {"$ref": "#/$defs/code"},
    },
    "required": ["id"],
    "$defs": {"code": {"type": "string"}},
}
Edit = Callable[[dict[str, Any]], object]


def edited(edit: Edit) -> dict[str, Any]:
    document = copy.deepcopy(OLD)
    edit(document)
    return document


def offered(
    new: Mapping[str, Any], mode: Mode = Mode.BACKWARD, policy: Policy = Policy.READER_WRITER
) -> dict[str, list[Remedy]]:
    """The remedies by the change they are for."""
    question = Question(new, [OLD], mode, policy)
    refused = question.refused(new)
    assert refused, "the edit breaks something"
    return {
        row.change: remedies_of(
            question, row.as_dict(), old=OLD, refused=refused, budget=Budget(seconds=5)
        )
        for row in compare(new, [OLD], mode=mode, policy=policy).differences
        if (row.path, row.change) in refused
    }


PROPERTIES = "properties"
CASES: list[tuple[str, Edit, Mode, Policy, str, list[str]]] = [
    ("values", lambda d: d[PROPERTIES]["kind"].update(enum=["web"]), Mode.BACKWARD,
     Policy.READER_WRITER, "enum_narrowed", ["Take the earlier values of “kind” too"]),
    ("other values", lambda d: d[PROPERTIES]["kind"].update(enum=["web", "app"]), Mode.BACKWARD,
     Policy.READER_WRITER, "enum_changed",
     ["Take the earlier values of “kind” too", "Keep the earlier “enum” of “kind”"]),
    ("a limit", lambda d: d[PROPERTIES]["count"].update(minimum=2), Mode.BACKWARD,
     Policy.READER_WRITER, "minimum_raised", ["Keep the earlier “minimum” of “count”"]),
    ("a limit gone", lambda d: d[PROPERTIES]["count"].pop("maximum"), Mode.FULL,
     Policy.READER_WRITER, "maximum_removed", ["Keep the earlier “maximum” of “count”"]),
    ("a new limit", lambda d: d[PROPERTIES]["id"].update(minLength=2), Mode.BACKWARD,
     Policy.READER_WRITER, "min_length_added", ["Leave out the new “minLength” of “id”"]),
    ("a limit behind a reference", lambda d: d["$defs"]["code"].update(maxLength=2), Mode.BACKWARD,
     Policy.READER_WRITER, "max_length_added", ["Leave out the new “maxLength” of “code”"]),
    ("a type", lambda d: d[PROPERTIES]["note"].update(type="string"), Mode.BACKWARD,
     Policy.READER_WRITER, "type_narrowed", ["Allow the earlier type of “note” too"]),
    ("another type", lambda d: d[PROPERTIES]["id"].update(type="integer"), Mode.BACKWARD,
     Policy.READER_WRITER, "type_changed",
     ["Allow the earlier type of “id” too", "Keep the earlier “type” of “id”"]),
    ("required", lambda d: d.update(required=["id", "count"]), Mode.BACKWARD,
     Policy.READER_WRITER, "required_added",
     ["Give “count” a default", "Make “count” optional"]),
    ("required no more", lambda d: d.pop("required"), Mode.FULL, Policy.READER_WRITER,
     "required_removed", ["Keep “id” required"]),
    ("new and required",
     lambda d: (d[PROPERTIES].update(plan={"enum": ["free"]}), d["required"].append("plan")),
     Mode.BACKWARD, Policy.READER_WRITER, "required_property_added",
     ["Give “plan” a default", "Make “plan” optional", "Leave “plan” out"]),
    ("new and required, deep",
     lambda d: d[PROPERTIES]["part"].update(
         properties={"sku": {"type": "string"}, "ean": {"type": "string"}}, required=["ean"]),
     Mode.BACKWARD, Policy.READER_WRITER, "required_property_added",
     ["Give “ean” a default", "Make “ean” optional", "Leave “ean” out"]),
    ("new in an open model", lambda d: d[PROPERTIES].update(plan={"type": "string"}),
     Mode.BACKWARD, Policy.STRICT, "property_added", ["Leave “plan” out"]),
    ("removed", lambda d: (d[PROPERTIES].pop("id"), d.pop("required")), Mode.FULL,
     Policy.READER_WRITER, "property_removed",
     ["Keep “id”, required as before, and mark it deprecated"]),
    ("closed", lambda d: d.update(additionalProperties=False), Mode.BACKWARD, Policy.STRICT,
     "content_model_closed", ["Leave out the new “additionalProperties”"]),
    ("an alternative", lambda d: d[PROPERTIES]["pay"].update(oneOf=[{"type": "string"}]),
     Mode.BACKWARD, Policy.READER_WRITER, "alternative_removed",
     ["Keep the alternative of “pay”"]),
]  # fmt: skip


@pytest.mark.parametrize(
    ("edit", "mode", "policy", "change", "labels"),
    [case[1:] for case in CASES],
    ids=[case[0] for case in CASES],
)
def test_each_remedy_that_is_offered_settles_its_difference(
    edit: Edit, mode: Mode, policy: Policy, change: str, labels: list[str]
) -> None:
    candidate = edited(edit)
    remedies = offered(candidate, mode, policy)[change]
    assert [one.label for one in remedies] == [*labels, "Open a compatibility group"]
    assert remedies[-1].id == OPEN_GROUP
    for one in remedies[:-1]:
        mended = apply_patch(candidate, one.patch)
        left = Question(mended, [OLD], mode, policy).refused(mended)
        assert left is not None
        assert change not in {kind for _, kind in left}
        assert len({item.id for item in remedies}) == len(remedies)


def test_a_default_is_a_value_that_the_property_takes() -> None:
    found = offered(
        edited(
            lambda d: (d[PROPERTIES].update(plan={"enum": ["free"]}), d["required"].append("plan"))
        )
    )
    (patch,) = found["required_property_added"][0].patch
    assert patch == {"op": "add", "path": "/properties/plan/default", "value": "free"}


def test_what_would_break_something_else_is_not_offered() -> None:
    # Keeping the earlier type alone would leave a minimum that narrows; both are refused before.
    candidate = edited(lambda d: d[PROPERTIES].update(id={"const": 5}))
    for remedies in offered(candidate).values():
        for one in remedies[:-1]:
            mended = apply_patch(candidate, one.patch)
            assert compare(mended, [OLD], policy=Policy.READER_WRITER).compatible


def test_without_time_only_a_group_is_offered() -> None:
    candidate = edited(lambda d: d[PROPERTIES]["kind"].update(enum=["web"]))
    question = Question(candidate, [OLD], Mode.BACKWARD, Policy.READER_WRITER)
    refused = question.refused(candidate)
    assert refused
    (row,) = compare(candidate, [OLD], policy=Policy.READER_WRITER).differences
    found = remedies_of(question, row.as_dict(), old=OLD, refused=refused, budget=Budget(seconds=0))
    assert [one.id for one in found] == [OPEN_GROUP]


# --- Applied to a change ------------------------------------------------------------------------


@pytest.fixture
def team(db: None) -> Any:
    return make_team()


@pytest.fixture
def ada(team: Any) -> Actor:
    return make_actor(Role.ENGINEER, team=team)


@pytest.fixture
def change(team: Any, ada: Actor) -> Change:
    """A breaking change of a production stream, measured."""
    stream = promote_stream(make_stream("shop.order_paid", team=team), actor=SYSTEM)
    made = propose_change(
        stream, Proposal(BREAKING, summary="Numbers.", reason="Because."), actor=ada
    )
    assert run_due_jobs() == 1
    made.refresh_from_db()
    return made


def ids_of(change: Change) -> dict[str, str]:
    """The ids of the remedies of the one refused difference, by label."""
    (row,) = [row for row in change.report["differences"] if row["refuses"]]
    return {one["label"]: one["id"] for one in row["remedies"]}


def test_the_report_lists_remedies_of_what_is_refused(change: Change) -> None:
    assert list(ids_of(change)) == [
        "Allow the earlier type of “order_id” too",
        "Keep the earlier “type” of “order_id”",
        "Open a compatibility group",
    ]
    others = [row for row in change.report["differences"] if not row["refuses"]]
    assert all("remedies" not in row for row in others)


def test_applying_one_proposes_the_mended_document_in_its_place(
    change: Change, ada: Actor, team: Any
) -> None:
    ben = make_actor(Role.ENGINEER, team=team)
    vote_on_change(change, Vote.APPROVE, actor=ben)
    label = "Allow the earlier type of “order_id” too"
    revised = apply_remedies(change, [ids_of(change)[label]], actor=ada)
    change.refresh_from_db()
    assert (change.state, change.closed_at is not None) == ("rejected", True)
    assert (revised.version.version, revised.revises_id) == (3, change.pk)
    assert (revised.summary, revised.reason, revised.state) == ("Numbers.", "Because.", "proposed")
    assert not revised.votes.exists(), "approvals were given to another document"
    kept = revised.version.document["properties"]["order_id"]
    assert kept["type"] == ["integer", "string"]
    assert run_due_jobs() == 1
    revised.refresh_from_db()
    assert revised.report["verdict"]["compatible"] is True
    assert AuditEntry.objects.filter(action="schema.mended").count() == 1
    vote_on_change(revised, Vote.APPROVE, actor=ben)
    activate_change(revised, actor=ada)
    with pytest.raises(InvalidStateError):
        vote_on_change(change, Vote.APPROVE, actor=ben)


def test_opening_a_group_stays_on_the_change_and_is_measured_again(
    change: Change, ada: Actor
) -> None:
    after = apply_remedies(change, [OPEN_GROUP], actor=ada)
    assert (after.pk, after.opens_group, after.state) == (change.pk, True, "proposed")
    assert Job.objects.filter(state="waiting").count() == 1
    assert run_due_jobs() == 1
    after.refresh_from_db()
    assert "Open a compatibility group" not in ids_of(after)


def test_a_replay_of_what_was_mended_ends(change: Change, ada: Actor) -> None:
    Job.objects.update(state="waiting", cursor={"replay": {}}, finished_at=None)
    apply_remedies(change, [ids_of(change)["Allow the earlier type of “order_id” too"]], actor=ada)
    assert run_due_jobs() == 2
    assert "revised candidate" in Job.objects.get(object_key=str(change.pk)).said


def test_what_the_report_does_not_offer_is_refused(change: Change, ada: Actor) -> None:
    with pytest.raises(InvalidError) as unknown:
        apply_remedies(change, [OPEN_GROUP, "nope"], actor=ada)
    assert [fault.pointer for fault in unknown.value.errors] == ["/remedies/1"]
    with pytest.raises(InvalidError):
        apply_remedies(change, [], actor=ada)
    Change.objects.filter(pk=change.pk).update(report={})
    with pytest.raises(ConflictError) as early:
        apply_remedies(change, [OPEN_GROUP], actor=ada)
    assert early.value.code == "not_measured"


def test_two_that_fit_nowhere_together_are_a_conflict(change: Change, ada: Actor) -> None:
    (row,) = [row for row in change.report["differences"] if row["refuses"]]
    row["remedies"].append(
        {"id": "made-up", "label": "Gone", "opens_group": False,
         "patch": [{"op": "remove", "path": "/properties/nothing"}]}
    )  # fmt: skip
    change.save()
    with pytest.raises(ConflictError) as clash:
        apply_remedies(change, ["made-up"], actor=ada)
    assert clash.value.code == "remedies_clash"


def test_a_remedy_is_judged_again_when_it_is_applied(change: Change, ada: Actor, team: Any) -> None:
    name = ids_of(change)["Allow the earlier type of “order_id” too"]
    narrower = {
        **ORDER_SCHEMA,
        "properties": {**ORDER_SCHEMA["properties"], "order_id": {"type": ["string", "boolean"]}},
    }
    stream = Stream.objects.get()
    Stream.objects.update(track="experimental")
    stream.refresh_from_db()
    publish_schema(stream, narrower, actor=SYSTEM)
    with pytest.raises(ConflictError) as stale:
        apply_remedies(change, [name], actor=ada)
    assert stale.value.code == "remedy_stale"
    change.refresh_from_db()
    assert change.state == "proposed", "nothing was done"


def test_an_editor_by_grant_mends_no_change_of_others(change: Change) -> None:
    person = make_person(Role.ENGINEER)
    make_grant(change.stream, person, Permission.EDIT)
    with pytest.raises(NotPermittedError):
        apply_remedies(change, [OPEN_GROUP], actor=actor_of(person))


def test_over_rest_a_remedy_makes_a_new_change(change: Change, team: Any) -> None:
    ben = Caller(Role.ENGINEER, team=team)
    report = ben.get(f"/changes/{change.pk}/report")
    (row,) = [row for row in report["differences"] if row["refuses"]]
    wanted = row["remedies"][0]
    assert set(wanted) == {"id", "label", "patch", "opens_group"}
    made = ben.post(f"/changes/{change.pk}/remedy", {"remedies": [wanted["id"]]}, 201)
    assert (made["version"], made["revises"]) == (3, str(change.pk))
    assert ben.get(f"/changes/{change.pk}")["revised_by"] == made["id"]
    ben.post(f"/changes/{change.pk}/remedy", {"remedies": [wanted["id"]]}, 409)
    run_due_jobs()
    bad = ben.post(f"/changes/{made['id']}/remedy", {"remedies": ["x"]}, 409)
    assert bad["code"] == "not_measured", "nothing is refused of it any more"


def test_over_rest_an_outsider_learns_nothing(change: Change) -> None:
    stranger = Caller(Role.ENGINEER)
    stranger.post(f"/changes/{change.pk}/remedy", {"remedies": [OPEN_GROUP]}, 403)
    Stream.objects.update(restricted=True)
    stranger.post(f"/changes/{change.pk}/remedy", {"remedies": [OPEN_GROUP]}, 404)
