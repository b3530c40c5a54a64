"""Taking in what a file states of a stream: set once, repeatable, within what the actor may."""

from datetime import timedelta
from typing import Any

import pytest

from catalog.exchange.documents import OutsideStream, OutsideVersion, Unreadable
from catalog.exchange.plans import Action, Step
from catalog.models import Change, Consumer, Producer, SchemaVersion, Stream
from catalog.services.exchange import import_streams
from catalog.services.import_taking import slug_of
from catalog.services.imports import import_stream
from catalog.services.streams import change_stream
from catalog.services.tracks import promote_stream
from governance.models import AuditEntry
from governance.services.verification import walk_chain
from governance.types import Role
from portal.kernel import clock, rfc3339
from portal.kernel.actor import SYSTEM
from portal.kernel.errors import ConflictError, NotPermittedError
from tests.catalog.exchange_services.conftest import BREAKING, FIRST, SECOND, outside
from tests.support.factories import make_actor, make_stream, make_team

pytestmark = pytest.mark.django_db


def full(**changes: Any) -> OutsideStream:
    return outside(
        "Shop/RefundIssued",
        FIRST,
        SECOND,
        **{
            "title": "Refund issued",
            "description": "Money went back.",
            "tier": "T2",
            "classification": "internal",
            "compatibility_mode": "FULL",
            "compatibility_policy": "lenient",
            "retention_days": 90,
            "tags": ("Money Back", "refunds"),
            "aliases": ("refund-issued",),
            "producers": ("Checkout Service",),
            "consumers": ("billing",),
            "extensions": {"asyncapi": {"x-kept": [1]}, "portal": {"enforcement": "warn"}},
            **changes,
        },
    )


def test_a_stream_comes_in_with_everything_its_file_states() -> None:
    taken = import_stream(full(), actor=SYSTEM)
    assert (taken.is_new, taken.new_versions, taken.versions) == (True, 2, (1, 2))
    stream = Stream.objects.get(name="shop.refund_issued")
    assert (stream.title, stream.description) == ("Refund issued", "Money went back.")
    assert (stream.tier, stream.retention_days, stream.enforcement) == ("T2", 90, "warn")
    assert (stream.compatibility_mode, stream.compatibility_policy) == ("FULL", "lenient")
    assert sorted(stream.tags.values_list("slug", flat=True)) == ["money-back", "refunds"]
    assert sorted(stream.aliases.values_list("alias", flat=True)) == [
        "Shop/RefundIssued",
        "refund-issued",
    ]
    assert stream.extensions == {"asyncapi": {"x-kept": [1]}}
    producer = Producer.objects.get(name="checkout-service")
    assert producer.permitted.get().stream == stream
    assert Consumer.objects.get(name="billing").mappings.get().stream == stream


def test_the_same_again_changes_nothing() -> None:
    import_stream(full(), actor=SYSTEM)
    before = list(Stream.objects.values()), list(SchemaVersion.objects.values())
    rows = AuditEntry.objects.count()
    plan = import_streams([full()], actor=SYSTEM)
    assert [one.action for one in plan.streams] == [Action.UNCHANGED]
    assert plan.streams[0].changes == ()
    assert (list(Stream.objects.values()), list(SchemaVersion.objects.values())) == before
    assert AuditEntry.objects.count() == rows


def test_what_a_file_does_not_state_stays_and_what_differs_is_told_old_and_new() -> None:
    import_stream(full(), actor=SYSTEM)
    bare = outside("Shop/RefundIssued", FIRST, SECOND, title="Refund paid out")
    (plan,) = import_streams([bare], actor=SYSTEM).streams
    assert plan.action is Action.CHANGE
    assert [change.line() for change in plan.changes] == ["title: Refund issued → Refund paid out"]
    stream = Stream.objects.get()
    assert (stream.description, stream.tier) == ("Money went back.", "T2")


def test_a_version_that_breaks_opens_a_group_and_says_what_breaks() -> None:
    (plan,) = import_streams([outside("a/b", FIRST, BREAKING, SECOND)], actor=SYSTEM).streams
    groups = SchemaVersion.objects.order_by("version").values_list("compatibility_group", flat=True)
    assert list(groups) == [1, 2, 3]
    assert [version.opens_group for version in plan.versions] == [False, True, True]
    assert "amount_minor" in plan.versions[1].breaking[0].detail


def test_facts_that_do_not_fit_are_left_out_and_noted() -> None:
    odd = full(
        owner="Data Platform",
        tier="gold",
        retention_days=0,
        description="x" * 5_000,
        producers=("",),
    )
    (plan,) = import_streams([odd], actor=SYSTEM).streams
    assert plan.action is Action.CREATE
    notes = " ".join(plan.notes)
    for said in (
        "no team Data Platform",
        "tier must be",
        "retention_days must be",
        "is cut",
        "The producer",
    ):
        assert said in notes
    stream = Stream.objects.get()
    assert (stream.tier, stream.retention_days, len(stream.description)) == ("T3", 30, 4_000)


def test_an_import_never_makes_a_stream_less_sensitive() -> None:
    import_stream(full(classification="sensitive"), actor=SYSTEM)
    (plan,) = import_streams([full(classification="public")], actor=SYSTEM).streams
    assert plan.action is Action.UNCHANGED
    assert Stream.objects.get().classification == "sensitive"


def test_a_deprecated_version_stays_deprecated() -> None:
    sunset = clock.now() + timedelta(days=30)
    said = {
        "portal": {
            "state": "deprecated", "sunset_at": rfc3339.spell(sunset), "migration": "Use 1.1.0."
        }
    }  # fmt: skip
    versions = (OutsideVersion("1.0.0", FIRST, extensions=said), OutsideVersion("1.1.0", SECOND))
    import_stream(outside("a/b", versions=versions), actor=SYSTEM)
    old = SchemaVersion.objects.get(version=1)
    assert (old.state, old.sunset_at, old.migration_note) == ("deprecated", sunset, "Use 1.1.0.")
    (plan,) = import_streams([outside("a/b", versions=versions)], actor=SYSTEM).streams
    assert plan.action is Action.UNCHANGED


def test_a_production_stream_gets_a_proposal_from_a_person_and_only_one() -> None:
    team = make_team()
    stream = make_stream("shop.refund_issued", team=team, schema=FIRST)
    promote_stream(stream, actor=SYSTEM)
    engineer = make_actor(Role.ENGINEER, team=team)
    told = outside("shop.refund_issued", versions=(OutsideVersion("2", BREAKING),))
    (plan,) = import_streams([told], actor=engineer).streams
    assert [(one.step, one.opens_group) for one in plan.versions] == [(Step.PROPOSE, True)]
    assert plan.versions[0].breaking
    change = Change.objects.get()
    assert (change.state, change.opens_group) == ("proposed", True)
    (again,) = import_streams([told], actor=engineer).streams
    assert (again.action, Change.objects.count()) == (Action.UNCHANGED, 1)
    assert stream.versions.get(state="active").version == 1


def test_a_stranger_changes_nothing_and_learns_nothing_of_a_restricted_stream() -> None:
    stream = make_stream("shop.refund_issued", team=make_team(), schema=FIRST)
    stranger = make_actor(Role.ENGINEER, team=make_team())
    changed = outside("shop.refund_issued", FIRST, title="Mine now")
    with pytest.raises(NotPermittedError):
        import_stream(changed, actor=stranger)
    change_stream(stream, {"restricted": True}, actor=SYSTEM)
    for attempt in (changed, outside("shop.refund_issued", FIRST)):
        with pytest.raises(ConflictError) as caught:
            import_stream(attempt, actor=stranger)
        assert (caught.value.code, caught.value.detail) == ("name_taken", "The name is taken.")
    stream.refresh_from_db()
    assert stream.title == ""


def test_who_may_not_register_imports_nothing() -> None:
    (plan,) = import_streams([outside()], actor=make_actor(Role.ANALYST)).streams
    assert (plan.action, Stream.objects.count()) == (Action.REFUSED, 0)
    assert "engineer" in plan.refused


def test_what_nobody_owns_in_the_file_is_the_importers_team_s() -> None:
    team = make_team()
    import_stream(outside(), actor=make_actor(Role.ENGINEER, team=team))
    assert Stream.objects.get().owner_team == team


def test_another_team_s_producer_is_not_given_the_stream() -> None:
    team, other = make_team(), make_team()
    Producer.objects.create(name="theirs", team=other)
    (plan,) = import_streams(
        [outside(producers=("theirs",))], actor=make_actor(Role.ENGINEER, team=team)
    ).streams
    assert plan.action is Action.CREATE
    (note,) = plan.notes
    assert note.startswith("The producer theirs: Only its team and admins may do this.")
    assert not Producer.objects.get().permitted.exists()


def test_a_dry_run_says_what_would_be_and_leaves_no_trace() -> None:
    found: list[OutsideStream | Unreadable] = [
        full(),
        Unreadable("b.yaml", "is no contract"),
        outside("Shop/RefundIssued", FIRST, SECOND, BREAKING),
    ]
    rows = AuditEntry.objects.count()
    plan = import_streams(found, actor=SYSTEM, dry_run=True)
    assert [one.action for one in plan.streams] == [Action.CREATE, Action.REFUSED, Action.CHANGE]
    assert plan.streams[2].new_versions[0].opens_group
    assert (plan.is_applied, Stream.objects.count(), Producer.objects.count()) == (False, 0, 0)
    assert AuditEntry.objects.count() == rows
    assert plan.summary() == "Plan: 1 to add, 1 to change, 0 to remove, 1 refused."
    done = import_streams(found, actor=SYSTEM)
    assert [one.action for one in done.streams] == [one.action for one in plan.streams]


def test_the_audit_rows_of_a_held_block_are_appended_at_its_end_and_the_chain_holds() -> None:
    import_stream(full(), actor=SYSTEM)
    actions = list(AuditEntry.objects.order_by("seq").values_list("action", flat=True))
    assert actions[0] == "domain.created"
    assert "stream.registered" in actions
    assert walk_chain().holds


@pytest.mark.parametrize(
    ("said", "slug"),
    [
        ("Data Platform", "data-platform"),
        ("ok-1", "ok-1"),
        ("__", ""),
        ("é/ü", ""),
        ("a" * 70, "a" * 60),
    ],
)
def test_foreign_names_become_slugs(said: str, slug: str) -> None:
    assert slug_of(said) == slug
