from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from catalog.models import Change, Stream
from catalog.services.changes import Proposal, propose_change
from catalog.services.reports import static_report
from portal.kernel.actor import SYSTEM
from quality.selectors.trust import trust_of
from quality.trust import CheckFact, State, TrustFacts, trust_of_facts
from quality.verdicts import stream_verdict
from tests.support.factories import make_stream

NOW = datetime(2026, 11, 17, 14, 0, tzinfo=UTC)
FINE = TrustFacts(
    now=NOW,
    owner="Checkout",
    owner_people=3,
    reviewed_at=NOW - timedelta(days=10),
    versions=7,
    first_version_at=NOW - timedelta(days=400),
    fields=12,
    personal_fields=1,
    checks={
        "validity": CheckFact(0, "ok", "Fine."),
        "freshness": CheckFact(0, "ok", "Fresh."),
        "volume": CheckFact(0, "ok", "Usual."),
    },
)


def with_check(kind: str, level: int | None, state: str) -> TrustFacts:
    return replace(FINE, checks={**(FINE.checks or {}), kind: CheckFact(level, state, "Said so.")})


def test_all_fine_is_trusted() -> None:
    trust = trust_of_facts(FINE)
    assert trust.word == "Trusted"
    assert [part.name for part in trust.parts] == ["Owned", "Stable", "Fresh", "Clean", "Cleared"]


@pytest.mark.parametrize(
    ("facts", "part", "state"),
    [
        (replace(FINE, owner=""), 0, State.FAILING),
        (replace(FINE, owner_people=0), 0, State.FAILING),
        (replace(FINE, reviewed_at=NOW - timedelta(days=366)), 0, State.CARE),
        (replace(FINE, reviewed_at=NOW - timedelta(days=364)), 0, State.FINE),
        (replace(FINE, tier="T1", reviewed_at=NOW - timedelta(days=91)), 0, State.CARE),
        (replace(FINE, tier="T1", reviewed_at=NOW - timedelta(days=89)), 0, State.FINE),
        (replace(FINE, is_personal=True, reviewed_at=NOW - timedelta(days=181)), 0, State.CARE),
        (replace(FINE, is_personal=True, reviewed_at=NOW - timedelta(days=181)), 4, State.CARE),
        (replace(FINE, is_personal=True, reviewed_at=NOW - timedelta(days=179)), 4, State.FINE),
        (replace(FINE, reviewed_at=NOW - timedelta(days=366)), 4, State.FINE),
        (replace(FINE, versions=0), 1, State.UNKNOWN),
        (replace(FINE, lifecycle="deprecated"), 1, State.CARE),
        (replace(FINE, lifecycle="deprecated", sunset_at=NOW), 1, State.FAILING),
        (replace(FINE, breaking_changes=1), 1, State.CARE),
        (with_check("freshness", 1, "ok"), 2, State.CARE),
        (with_check("freshness", 2, "alarm"), 2, State.FAILING),
        (with_check("freshness", None, "ok"), 2, State.UNKNOWN),
        (with_check("volume", 1, "suspect"), 3, State.CARE),
        (with_check("validity", 2, "alarm"), 3, State.FAILING),
        (replace(FINE, checks={}), 3, State.UNKNOWN),
        (replace(FINE, privacy_suggestions=1), 4, State.CARE),
        (replace(FINE, untreated_fields=1), 4, State.FAILING),
        (replace(FINE, fields=0), 4, State.UNKNOWN),
    ],
)
def test_each_fact_moves_its_part(facts: TrustFacts, part: int, state: State) -> None:
    found = trust_of_facts(facts).parts[part]
    assert found.state is state
    assert found.sentence.endswith(".")


def test_a_failing_part_is_never_averaged_away() -> None:
    assert trust_of_facts(replace(FINE, untreated_fields=1, checks={})).word == "Not ready"
    assert trust_of_facts(with_check("volume", 1, "suspect")).word == "Use with care"
    assert trust_of_facts(replace(FINE, checks={})).word == "Unproven"


@pytest.mark.parametrize("consumers", [0, 1, 9])
@pytest.mark.parametrize(
    ("facts", "kind"),
    [(FINE, "ok"), (replace(FINE, checks={}), "warn"), (replace(FINE, owner=""), "bad")],
)
def test_verdicts_are_short_and_have_reasons(facts: TrustFacts, kind: str, consumers: int) -> None:
    verdict = stream_verdict(trust_of_facts(facts), lifecycle="active", consumers=consumers)
    assert verdict.kind == kind
    assert len(verdict.say) <= 90
    assert verdict.because


@pytest.mark.parametrize(
    ("facts", "say"),
    [
        (replace(FINE, owner=""), "Do not build on this today: nobody answers for it."),
        (
            replace(with_check("validity", 2, "alarm"), untreated_fields=1),
            "Do not build on this today: an alarm is open and personal fields are untreated.",
        ),
        (with_check("freshness", 1, "ok"), "Usable with care: it is later than usual."),
        (
            replace(FINE, checks={}, fields=0),
            "Unproven: three signals are not measured yet.",
        ),
    ],
)
def test_a_verdict_says_what_is_the_matter(facts: TrustFacts, say: str) -> None:
    verdict = stream_verdict(trust_of_facts(facts), lifecycle="active", consumers=1)
    assert verdict.say == say
    assert verdict.because.endswith("One consumer relies on it.")


def test_one_alarm_that_fails_two_signals_is_told_once() -> None:
    parts = trust_of_facts(with_check("freshness", 2, "alarm")).parts
    assert [part.state for part in parts[2:4]] == [State.FAILING, State.FAILING]
    verdict = stream_verdict(
        trust_of_facts(with_check("freshness", 2, "alarm")), lifecycle="active", consumers=1
    )
    assert verdict.because == f"{parts[2].sentence} One consumer relies on it."


def test_a_check_that_is_only_watched_does_not_contradict_the_signal_it_is_of() -> None:
    parts = trust_of_facts(with_check("freshness", 0, "suspect")).parts
    assert [(part.name, part.state) for part in parts[2:4]] == [
        ("Fresh", State.FINE),
        ("Clean", State.CARE),
    ]
    assert parts[3].sentence == "Its freshness was over a limit lately, and is watched."
    assert trust_of_facts(with_check("volume", 1, "suspect")).parts[3].sentence == "Said so."


def test_freshness_is_said_of_this_moment_while_all_is_well() -> None:
    seen = replace(FINE, last_event_at=NOW - timedelta(minutes=9))
    assert trust_of_facts(seen).parts[2].sentence == "Last event 9\u00a0min ago, within its rhythm."
    late = replace(with_check("freshness", 2, "alarm"), last_event_at=NOW - timedelta(hours=9))
    assert trust_of_facts(late).parts[2].sentence == "Said so."


@pytest.mark.django_db
def test_a_breaking_change_that_is_proposed_moves_stable_and_no_other() -> None:
    text, number = {"type": "string"}, {"type": "number"}
    base = {"type": "object", "properties": {"n": text}, "required": ["n"]}
    broken, regrouped, wider = (make_stream(schema=base) for _ in range(3))

    def propose(
        stream: Stream, document: Mapping[str, object], *, opens_group: bool = False
    ) -> None:
        change = propose_change(stream, Proposal(document, opens_group=opens_group), actor=SYSTEM)
        Change.objects.filter(pk=change.pk).update(report=static_report(stream, document))

    propose(broken, base | {"properties": {"n": number}})
    propose(regrouped, base | {"properties": {"n": number}}, opens_group=True)
    propose(wider, base | {"properties": {"n": text, "note": text}})
    found = trust_of([broken, regrouped, wider])
    said = {stream.pk: found[stream.pk].parts[1] for stream in (broken, regrouped, wider)}
    assert [part.state for part in said.values()] == [State.CARE, State.CARE, State.FINE]
    assert said[broken.pk].sentence == "1\u00a0breaking change proposed."
