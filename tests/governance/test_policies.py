"""Policies: who writes them, what an expression may be, versions, switching off, waivers."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction

from governance.errors import RoleNeededError
from governance.models import AuditEntry, Job, Policy, PolicyFinding, PolicyVersion, Waiver
from governance.policies import facts
from governance.policies.built_in import BUILT_IN
from governance.policies.judging import Rule, Said, check_expression, judge
from governance.selectors.policies import judged_now, live_rules
from governance.services.policies import (
    change_policy,
    create_policy,
    switch_off,
    switch_on,
    sync_built_in,
)
from governance.services.waivers import end_waiver, waive
from governance.types import PolicyOutcome, Role
from portal.kernel import clock
from portal.kernel.actor import SYSTEM, Actor
from portal.kernel.errors import (
    ConflictError,
    InvalidError,
    InvalidStateError,
    PreconditionFailedError,
)
from tests.support.factories import make_actor, make_stream

pytestmark = pytest.mark.django_db
T1_TITLED = 'stream.tier != "T1" || stream.title != ""'


@pytest.fixture
def dot() -> Actor:
    """Dot is an admin."""
    return make_actor(Role.ADMIN)


def titled(actor: Actor, slug: str = "titled", **fields: Any) -> Policy:
    values = {
        "title": "Streams have a title",
        "sentence": "Whoever lists streams reads a name.",
        "subject": "stream",
        "expression": 'stream.title != ""',
        "remedy": "Give it a title.",
    }
    return create_policy(slug, actor=actor, **values | fields)


def rule(expression: str, subject: str = "stream") -> Rule:
    return Rule("one", "One", subject, expression, "warn")


def said(expression: str, found: dict[str, Any], subject: str = "stream") -> Said:
    return judge(rule(expression, subject), facts.subject_of(subject), found)


# What an expression says


def test_true_and_no_names_are_in_order_false_and_names_are_not() -> None:
    stream = {"stream": {"title": "", "tags": ["a", "b"]}}
    assert said('stream.title == ""', stream).outcome == PolicyOutcome.IN_ORDER
    assert said('stream.tags.filter(t, t == "c")', stream).outcome == PolicyOutcome.IN_ORDER
    assert said('stream.title != ""', stream).outcome == PolicyOutcome.BREAKS
    named = said("stream.tags", stream)
    assert (named.outcome, named.detail) == (PolicyOutcome.BREAKS, "a, b")


def test_many_names_are_told_in_part_with_their_number() -> None:
    found = said("stream.tags", {"stream": {"tags": [f"t{number}" for number in range(13)]}})
    assert found.detail.endswith("t9 and 3 more")


def test_a_fact_that_nobody_measures_is_said_and_neither_passes_nor_fails() -> None:
    found = said("stream.review_overdue_days <= 0", {"stream": {"tier": "T1"}})
    assert found.outcome == PolicyOutcome.NOT_MEASURED
    assert found.detail == "stream.review_overdue_days"
    assert not found.is_finding


def test_a_fact_that_is_not_needed_need_not_be_measured() -> None:
    found = said('stream.tier != "T1" || stream.approvers >= 2', {"stream": {"tier": "T3"}})
    assert found.outcome == PolicyOutcome.IN_ORDER


@pytest.mark.parametrize(
    ("expression", "why"),
    [
        ("stream.owmer == ''", "it reads owmer, which is not among the facts"),
        ("stream.tier + 1 == 2", "overload"),
        ("stream.tier", "neither true, false nor a list of names"),
        ("[1, 2]", "neither true, false nor a list of names"),
        ("stream.title.matches('[')", ""),
    ],
)
def test_what_fails_is_a_finding_of_its_own_that_says_why(expression: str, why: str) -> None:
    found = said(expression, {"stream": {"tier": "T1", "title": "x"}})
    assert found.outcome == PolicyOutcome.UNDECIDED
    assert found.is_finding
    assert why in found.detail


@pytest.mark.parametrize(
    "expression",
    ["stream.tier ==", "nobody.x == 1", "stream.owmer == ''", "stream.tier", "", "x" * 1_001],
)
def test_an_expression_that_cannot_judge_is_refused_at_its_field(
    expression: str, dot: Actor
) -> None:
    with pytest.raises(InvalidError) as refused:
        titled(dot, expression=expression)
    assert [fault.pointer for fault in refused.value.errors] == ["/expression"]


def test_every_built_in_policy_judges_an_example_of_everything() -> None:
    for one in BUILT_IN:
        check_expression(one.expression, facts.subject_of(one.subject))
        assert judge(
            rule(one.expression, one.subject),
            facts.subject_of(one.subject),
            facts.subject_of(one.subject).example(),
        ).outcome in (PolicyOutcome.IN_ORDER, PolicyOutcome.BREAKS)


# Writing


def test_only_admins_write_policies_and_waive_them(dot: Actor) -> None:
    cy = make_actor(Role.ENGINEER)
    policy, stream = titled(dot), make_stream()
    until = clock.now() + timedelta(days=9)
    tries: list[Callable[[], object]] = [
        lambda: titled(cy, "another"),
        lambda: change_policy(policy, {"title": "Other"}, actor=cy),
        lambda: switch_off(policy, actor=cy, reason="Noise.", until=until),
        lambda: switch_on(policy, actor=cy),
        lambda: waive(policy, stream.name, actor=cy, reason="Later.", until=until),
    ]
    for attempt in tries:
        with pytest.raises(RoleNeededError):
            attempt()


def test_each_change_is_a_version_that_stays_with_who_and_why(dot: Actor) -> None:
    policy = titled(dot)
    change_policy(policy, {"severity": "block"}, actor=dot, note="It is time.")
    change_policy(policy, {"severity": "block"}, actor=dot)
    versions = list(PolicyVersion.objects.filter(policy=policy).order_by("version"))
    assert [(one.version, one.severity, one.note) for one in versions] == [
        (1, "warn", ""),
        (2, "block", "It is time."),
    ]
    assert {one.by for one in versions} == {dot.label}
    entry = AuditEntry.objects.filter(action="policy.changed").latest("seq")
    assert entry.detail["before"] == {"severity": "warn"}


def test_a_version_is_never_altered(dot: Actor) -> None:
    version = titled(dot).versions.get()
    with pytest.raises(IntegrityError, match="never altered"), transaction.atomic():
        PolicyVersion.objects.filter(pk=version.pk).update(note="Something else.")


def test_who_read_an_older_revision_changes_nothing(dot: Actor) -> None:
    policy = titled(dot)
    change_policy(policy, {"title": "Newer"}, actor=dot, revision=1)
    with pytest.raises(PreconditionFailedError):
        change_policy(policy, {"title": "Stale"}, actor=dot, revision=1)
    policy.refresh_from_db()
    assert policy.title == "Newer"


def test_a_name_is_had_once_and_some_are_pages(dot: Actor) -> None:
    titled(dot)
    with pytest.raises(ConflictError):
        titled(dot)
    with pytest.raises(InvalidError):
        titled(dot, "new")


@pytest.mark.parametrize(
    ("fields", "pointer"),
    [
        ({"title": " "}, "/title"),
        ({"sentence": "x" * 1_001}, "/sentence"),
        ({"severity": "shout"}, "/severity"),
        ({"subject": "cat"}, "/subject"),
        ({"note": "n" * 1_001}, "/note"),
        ({"remedy": "a\0b"}, "/remedy"),
    ],
)
def test_what_breaks_a_rule_is_said_at_its_field(
    fields: dict[str, Any], pointer: str, dot: Actor
) -> None:
    with pytest.raises(InvalidError) as refused:
        titled(dot, **fields)
    assert pointer in [fault.pointer for fault in refused.value.errors]


def test_what_changes_what_is_found_starts_a_run_of_that_policy(dot: Actor) -> None:
    policy = titled(dot)
    job = Job.objects.get(kind="governance.policies")
    assert job.object_key == policy.slug


# Switching off


def test_a_policy_is_off_with_a_reason_until_a_day_and_on_by_itself(dot: Actor) -> None:
    policy = titled(dot)
    make_stream()
    assert PolicyFinding.objects.filter(policy=policy, closed_at=None).exists()
    switch_off(policy, actor=dot, reason="Too early.", until=clock.now() + timedelta(days=9))
    assert policy.slug not in {one.slug for one in live_rules("stream")}
    assert not PolicyFinding.objects.filter(policy=policy, closed_at=None).exists()
    with connection.cursor() as cursor:  # its day has come, by the database's clock
        cursor.execute("UPDATE governance_policy SET off_until = now() WHERE id = %s", [policy.pk])
    assert policy.slug in {one.slug for one in live_rules("stream")}


def test_switching_off_needs_a_reason_and_an_end_within_a_year(dot: Actor) -> None:
    policy = titled(dot)
    now = clock.now()
    for reason, days in (("", 9), ("Noise.", -1), ("Noise.", 400)):
        with pytest.raises(InvalidError):
            switch_off(policy, actor=dot, reason=reason, until=now + timedelta(days=days))
    with pytest.raises(InvalidStateError):
        switch_on(policy, actor=dot)
    switch_off(policy, actor=dot, reason="Noise.", until=now + timedelta(days=9))
    assert not switch_on(policy, actor=dot).is_off


# Waivers


def test_a_waived_breach_is_told_as_waived_and_stops_nothing(dot: Actor) -> None:
    policy = titled(dot, severity="block", expression=T1_TITLED)
    stream = make_stream()
    until = clock.now() + timedelta(days=9)
    waive(policy, stream.name, actor=dot, reason="The title is being chosen.", until=until)
    found = {one.policy: one for one in _judged(stream.name, tier="T1")}["titled"]
    assert found.outcome == PolicyOutcome.BREAKS
    assert found.waived_until is not None
    assert not found.blocks


def test_a_waiver_ends_by_itself_and_by_hand(dot: Actor) -> None:
    policy = titled(dot, severity="block", expression=T1_TITLED)
    stream = make_stream()
    until = clock.now() + timedelta(days=9)
    first = waive(policy, stream.name, actor=dot, reason="Soon.", until=until)
    with pytest.raises(ConflictError):
        waive(policy, stream.name, actor=dot, reason="Again.", until=until)
    Waiver.objects.filter(pk=first.pk).update(
        given_at=clock.now() - timedelta(days=9), until=clock.now() - timedelta(seconds=1)
    )
    assert {one.policy: one for one in _judged(stream.name, tier="T1")}["titled"].blocks
    second = waive(policy, stream.name, actor=dot, reason="Once more.", until=until)
    end_waiver(second, actor=dot)
    assert {one.policy: one for one in _judged(stream.name, tier="T1")}["titled"].blocks
    with pytest.raises(InvalidStateError):
        end_waiver(second, actor=dot)
    actions = AuditEntry.objects.filter(action__startswith="policy.waive").order_by("seq")
    assert [row.action for row in actions] == [
        "policy.waived",
        "policy.waived",
        "policy.waiver_ended",
    ]


def test_a_thing_that_is_not_there_cannot_be_waived(dot: Actor) -> None:
    with pytest.raises(InvalidError) as refused:
        waive(
            titled(dot), "no.such_stream", actor=dot, reason="Why not.",
            until=clock.now() + timedelta(days=1),
        )  # fmt: skip
    assert refused.value.errors[0].pointer == "/key"


def _judged(name: str, **stated: Any) -> list[Said]:
    thing = next(one for one in facts.subject_of("stream").after("", 500) if one.key == name)
    thing.facts["stream"].update(stated)
    return judged_now("stream", thing)


# Built-in ones


def test_built_in_policies_are_there_once_and_follow_the_release_until_somebody_edits_them(
    dot: Actor,
) -> None:
    assert Policy.objects.filter(built_in=True).count() == len(BUILT_IN)
    assert sync_built_in() == 0
    Policy.objects.filter(slug="described").update(remedy="Of an older release.")
    assert sync_built_in() == 1
    described = Policy.objects.get(slug="described")
    assert described.versions.filter(by=SYSTEM.label).count() == 2
    change_policy(described, {"severity": "block"}, actor=dot)
    Policy.objects.filter(slug="described").update(remedy="As our house says it.")
    assert sync_built_in() == 0, "an edited one is the house's own"


def test_no_built_in_policy_blocks_by_itself() -> None:
    assert {one.severity for one in BUILT_IN} <= {"inform", "warn"}
