"""Reading policies, what they say of things, waivers and findings, with visibility built in.

Which policies are on and which waivers hold is judged by the database's clock.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from django.db.models import Count, Exists, OuterRef, Q, QuerySet
from django.db.models.functions import Now

from governance.models import Policy, PolicyFinding, PolicyVersion, Waiver
from governance.policies import facts
from governance.policies.facts import Subject, Thing
from governance.policies.judging import Rule, Said, judge
from governance.types import PolicyOutcome, ResourceRef
from portal.kernel import rfc3339
from portal.kernel.actor import Actor
from portal.kernel.errors import NotFoundError

ON: Final = Q(off_until=None) | Q(off_until__lte=Now())
HOLDS: Final = Q(ended_at=None, until__gt=Now())  # of a waiver
Waived = Mapping[tuple[int, str], datetime]


def get_policy(slug: str) -> Policy:
    """One policy; what policies there are is no secret. Raises NotFoundError."""
    found = Policy.objects.filter(slug=slug).first()
    if found is None:
        raise NotFoundError
    return found


def rule_of(row: Policy) -> Rule:
    """What judging needs of a policy."""
    return Rule(
        row.slug, row.title, row.subject, row.expression, row.severity, row.remedy, row.version,
        row.pk,
    )  # fmt: skip


def live_rules(kind: str | None = None, *, slug: str | None = None) -> list[Rule]:
    """The policies that are on, by slug: all, of one kind of thing, or the one named."""
    rows = Policy.objects.filter(ON, subject__in=facts.kinds())
    if kind is not None:
        rows = rows.filter(subject=kind)
    if slug is not None:
        rows = rows.filter(slug=slug)
    return [rule_of(row) for row in rows.order_by("slug")]


def live_waivers(kind: str, keys: Sequence[str]) -> Waived:
    """Until when breaches are waived now, by policy and thing."""
    rows = Waiver.objects.filter(HOLDS, policy__subject=kind, subject_key__in=keys)
    return {
        (policy, key): until
        for policy, key, until in rows.values_list("policy_id", "subject_key", "until")
    }


def judged(
    subject: Subject, things: Sequence[Thing], rules: Iterable[Rule], waived: Waived
) -> dict[str, list[Said]]:
    """What the rules say of each thing, by its key; breaches that are waived say until when."""
    rules = list(rules)
    return {
        thing.key: [
            _with_waiver(judge(rule, subject, thing.facts), waived.get((rule.id, thing.key)))
            for rule in rules
        ]
        for thing in things
    }


def _with_waiver(said: Said, until: datetime | None) -> Said:
    if until is None or not said.is_finding:
        return said
    parts = {name: getattr(said, name) for name in said.__slots__}
    return Said(**parts | {"waived_until": rfc3339.spell(until)})


def judged_now(kind: str, thing: Thing) -> list[Said]:
    """What the policies that are on say of one thing, whose facts may be a candidate's."""
    subject = facts.subject_of(kind)
    rules = live_rules(kind)
    if not rules:
        return []
    subject.add_measured([thing])
    return judged(subject, [thing], rules, live_waivers(kind, [thing.key]))[thing.key]


def visible_findings(actor: Actor) -> QuerySet[PolicyFinding]:
    """The open findings on things that the actor may know of, with `waived`: whether a waiver holds."""
    known = Q(pk__in=[])
    for subject in facts.subjects():
        known |= Q(subject_kind=subject.kind, subject_key__in=subject.known(actor))
    return _open_findings().filter(known)


def _open_findings() -> QuerySet[Any]:
    waiver = Waiver.objects.filter(
        HOLDS, policy=OuterRef("policy"), subject_key=OuterRef("subject_key")
    )
    rows = PolicyFinding.objects.filter(closed_at=None).select_related("policy")
    return rows.annotate(waived=Exists(waiver))


def findings_on(actor: Actor, ref: ResourceRef) -> list[PolicyFinding]:
    """The open findings on one thing, what is worst first; none on what may not be known of."""
    if ref.key not in facts.subject_of(ref.kind).titles(actor, [ref.key]):
        return []
    order = ("block", "warn", "inform")
    rows = _open_findings().filter(subject_kind=ref.kind, subject_key=ref.key)
    return sorted(rows, key=lambda row: (row.waived, order.index(row.policy.severity), row.pk))


def counts_by_policy(actor: Actor) -> dict[int, dict[str, int]]:
    """The open findings that the actor may know of, counted by policy: breaks, undecided, waived."""
    rows = (
        visible_findings(actor)
        .order_by()
        .values("policy_id")
        .annotate(
            breaks=Count("pk", filter=Q(outcome=PolicyOutcome.BREAKS, waived=False)),
            undecided=Count("pk", filter=Q(outcome=PolicyOutcome.UNDECIDED, waived=False)),
            waived_count=Count("pk", filter=Q(waived=True)),
        )
    )
    return {
        row["policy_id"]: {
            "breaks": row["breaks"],
            "undecided": row["undecided"],
            "waived": row["waived_count"],
        }
        for row in rows
    }


def visible_waivers(actor: Actor) -> QuerySet[Waiver]:
    """Waivers for things that the actor may know of, those that ended too."""
    known = Q(pk__in=[])
    for subject in facts.subjects():
        known |= Q(policy__subject=subject.kind, subject_key__in=subject.known(actor))
    return Waiver.objects.filter(known).select_related("policy").order_by("-given_at", "id")


def get_waiver(actor: Actor, waiver_id: Any) -> Waiver:
    """One waiver. Raises NotFoundError for one on a thing that the actor may not know of."""
    found = visible_waivers(actor).filter(pk=waiver_id).first()
    if found is None:
        raise NotFoundError
    return found


def versions_of(policy: Policy) -> QuerySet[PolicyVersion]:
    """What a policy said over time, the newest first."""
    return PolicyVersion.objects.filter(policy=policy).order_by("-version")
