"""Running policies: over one thing when it changes, over all things every night, or to try one.

A whole run is long work (`governance.services.jobs`), chunk by chunk in the order of keys:

1. Read the facts of the next things, judge them by every policy of their kind that is on.
2. Open, bring up to date or close findings in two statements; what was judged later is left alone.
3. After the last thing of a kind, close the findings of things that are gone.
4. At the end keep how many were in order, and how many not, with each policy.

A policy that is changed meanwhile is run by its own run from the start.
"""

import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from django.db import transaction
from django.db.models import QuerySet

from governance import audit
from governance.errors import RoleNeededError
from governance.job_kinds import Step
from governance.models import Job, Policy, PolicyFinding
from governance.models.jobs import LIVE
from governance.policies import facts
from governance.policies.facts import Subject, Thing
from governance.policies.judging import Rule, Said, check_expression
from governance.selectors.policies import judged, live_rules, live_waivers
from governance.services.jobs import start_job
from governance.types import PolicyOutcome, ResourceRef, Severity
from portal.kernel import clock, rfc3339, sql
from portal.kernel.actor import SYSTEM, Actor

KIND: Final = "governance.policies"
ALL: Final = ResourceRef("policy", "*")
CHUNK: Final = 100
NIGHT_HOUR: Final = 2  # UTC
TRY_SECONDS: Final = 3.0
MAX_SHOWN: Final = 50
KEEP_CLOSED: Final = timedelta(days=400)
_OPEN: Final = sql.load("governance", "open_policy_findings")
_CLOSE: Final = sql.load("governance", "close_policy_findings")


def start_run(*, actor: Actor, policy: Policy | None = None) -> Job:
    """Shared step: run all policies, or one, over all their things; a run that lives is given."""
    ref = policy.ref if policy is not None else ALL
    title = f"Run the policy {policy.title}" if policy is not None else "Run all policies"
    return start_job(KIND, ref, actor=actor, title=title)


@transaction.atomic
def run_policies(*, actor: Actor, policy: Policy | None = None) -> Job:
    """Start a run of all policies or of one, by an admin."""
    if not actor.is_admin:
        raise RoleNeededError("Policies are run by admins, and every night.", "admin")
    job = start_run(actor=actor, policy=policy)
    audit.record(
        actor,
        "policy.run",
        policy.ref if policy is not None else ALL,
        summary=f"started: {job.title}",
    )
    return job


def run_nightly() -> bool:
    """Start the night's run unless one began since 02:00 UTC; also what a portal that slept missed.

    Forgets findings that were closed long ago.
    """
    now = clock.now().astimezone(UTC)
    night = now.replace(hour=NIGHT_HOUR, minute=0, second=0, microsecond=0)
    if night > now:
        night -= timedelta(days=1)
    mine = Job.objects.filter(kind=KIND, object_kind=ALL.kind, object_key=ALL.key)
    if mine.filter(created_at__gte=night).exists() or mine.filter(state__in=LIVE).exists():
        return False
    with transaction.atomic():
        start_run(actor=SYSTEM)
        PolicyFinding.objects.filter(closed_at__lt=now - KEEP_CLOSED).delete()
    return True


def run_step(job: Job) -> Step:
    """One step of the job `governance.policies`. Runs in the job's transaction."""
    slug = None if job.object_key == ALL.key else job.object_key
    rules = live_rules(slug=slug)
    cursor = dict(job.cursor)
    version = rules[0].version if slug is not None and rules else 0
    if not cursor or cursor["version"] != version:
        cursor = _begin(rules, version)
    place: int = cursor["place"]
    if place >= len(cursor["kinds"]):
        _keep_tallies(rules, cursor)
        return Step(cursor, cursor["done"], cursor["total"], _told(cursor), is_finished=True)
    subject = facts.subject_of(cursor["kinds"][place])
    mine = [rule for rule in rules if rule.subject == subject.kind]
    at = clock.now()
    things = subject.things(cursor["after"], CHUNK)
    said = judged(subject, things, mine, live_waivers(subject.kind, [one.key for one in things]))
    keep_findings(subject.kind, said, at=at)
    _count(cursor["tally"], said)
    cursor["done"] += len(things)
    if len(things) < CHUNK:
        _close_gone(mine, subject.kind, rfc3339.parse(cursor["began"]))
        cursor |= {"place": place + 1, "after": ""}
    else:
        cursor["after"] = things[-1].key
    return Step(cursor, cursor["done"], cursor["total"], f"{subject.many} judged")


def _begin(rules: Iterable[Rule], version: int) -> dict[str, Any]:
    kinds = [kind for kind in facts.kinds() if kind in {rule.subject for rule in rules}]
    return {
        "version": version,
        "kinds": kinds,
        "place": 0,
        "after": "",
        "began": rfc3339.spell(clock.now()),
        "done": 0,
        "total": sum(facts.subject_of(kind).count() for kind in kinds),
        "tally": {},
    }


def keep_findings(kind: str, said: Mapping[str, Sequence[Said]], *, at: datetime) -> None:
    """Shared step: open, bring up to date or close the findings of things judged by facts of `at`.

    Rows that are there are held first, in one order, so that a run and a change that meet at one
    thing wait for each other and neither is undone.
    """
    held = hold_findings(PolicyFinding.objects.filter(subject_kind=kind, subject_key__in=said))
    found = [(key, one) for key, all_of in said.items() for one in all_of if one.is_finding]
    fine = [
        (key, one)
        for key, all_of in said.items()
        for one in all_of
        if not one.is_finding and (one.policy_id, key) in held
    ]
    if found:
        sql.execute(_OPEN, {
            "kind": kind,
            "at": at,
            "policies": [one.policy_id for _, one in found],
            "keys": [key for key, _ in found],
            "outcomes": [str(one.outcome) for _, one in found],
            "details": [one.detail for _, one in found],
            "versions": [one.version for _, one in found],
        })  # fmt: skip
    if fine:
        sql.execute(_CLOSE, {
            "kind": kind,
            "at": at,
            "policies": [one.policy_id for _, one in fine],
            "keys": [key for key, _ in fine],
        })  # fmt: skip


def hold_findings(rows: QuerySet[PolicyFinding]) -> set[tuple[int, str]]:
    """Shared step: hold the open ones of these findings, in the order that everybody holds them
    in; gives policy and thing of each."""
    held = rows.filter(closed_at=None).select_for_update(of=("self",))
    return set(held.order_by("policy_id", "subject_key").values_list("policy_id", "subject_key"))


def close_findings(rows: QuerySet[PolicyFinding]) -> None:
    """Shared step: close the open ones of these findings."""
    hold_findings(rows)
    rows.filter(closed_at=None).update(closed_at=clock.now())


def _close_gone(rules: Iterable[Rule], kind: str, began: datetime) -> None:
    """Findings that this run did not meet are of things that are not there any more."""
    mine = PolicyFinding.objects.filter(policy_id__in=[rule.id for rule in rules])
    close_findings(mine.filter(subject_kind=kind, judged_at__lt=began))


def _count(tally: dict[str, dict[str, int]], said: Mapping[str, Sequence[Said]]) -> None:
    for all_of in said.values():
        for one in all_of:
            mine = tally.setdefault(one.policy, {})
            word = "waived" if one.waived_until is not None else str(one.outcome)
            mine[word] = mine.get(word, 0) + 1


def _keep_tallies(rules: Iterable[Rule], cursor: Mapping[str, Any]) -> None:
    words = (*(str(one) for one in PolicyOutcome), "waived")
    for rule in rules:
        counts = cursor["tally"].get(rule.slug, {})
        tally = {"at": rfc3339.spell(clock.now()), **{word: counts.get(word, 0) for word in words}}
        Policy.objects.filter(pk=rule.id, version=rule.version).update(tally=tally)


def _told(cursor: Mapping[str, Any]) -> str:
    counts: Counter[str] = Counter()
    for mine in cursor["tally"].values():
        counts.update(mine)
    return (
        f"{cursor['done']:,} things judged: {counts['breaks']:,} findings, "
        f"{counts['undecided']:,} could not be judged, {counts['waived']:,} waived"
    )


def try_policy(
    subject: str, expression: str, *, actor: Actor, policy: Policy | None = None
) -> dict[str, Any]:
    """What an expression would find today, nothing kept: counts, and the first things of it.

    Only things that the actor may know of are counted. It looks for three seconds; `judged` of
    `total` says how far it came. With `policy`, `news` are the things that the policy as it stands
    does not find. Raises InvalidError for an expression that cannot judge.
    """
    if not actor.is_admin:
        raise RoleNeededError("Policies are tried by admins.", "admin")
    kind = facts.subject_of(subject)
    check_expression(expression, kind)
    rule = Rule("", "", subject, expression, Severity.INFORM)
    already = set(
        PolicyFinding.objects.filter(policy=policy, closed_at=None).values_list(
            "subject_key", flat=True
        )
        if policy is not None
        else ()
    )
    counts: Counter[str] = Counter()
    hits: list[dict[str, Any]] = []
    for thing in _within(kind, actor, until=time.monotonic() + TRY_SECONDS):
        said = judged(kind, [thing], [rule], {})[thing.key][0]
        counts[str(said.outcome)] += 1
        counts["news"] += said.is_finding and thing.key not in already
        if said.is_finding and len(hits) < MAX_SHOWN:
            hits.append({
                "key": thing.key, "outcome": str(said.outcome), "detail": said.detail,
                "is_new": thing.key not in already,
            })  # fmt: skip
        elif said.outcome == PolicyOutcome.NOT_MEASURED:
            counts[f"lacks {said.detail}"] += 1
    titles = kind.titles(actor, [hit["key"] for hit in hits])
    return {
        "judged": sum(counts[str(one)] for one in PolicyOutcome),
        "total": kind.known(actor).count(),
        **{str(one): counts[str(one)] for one in PolicyOutcome},
        "news": counts["news"],
        "lacks": sorted(
            word.removeprefix("lacks ") for word in counts if word.startswith("lacks ")
        ),
        "first": [
            hit | {"title": titles[hit["key"]], "url": kind.address.format(key=hit["key"])}
            for hit in hits
        ],
    }


def _within(kind: Subject, actor: Actor, *, until: float) -> Iterable[Thing]:
    """The things of a kind that the actor may know of, until that moment."""
    after = ""
    while True:
        things = kind.things(after, CHUNK)
        known = kind.titles(actor, [thing.key for thing in things])
        yield from (thing for thing in things if thing.key in known)
        if len(things) < CHUNK or time.monotonic() >= until:
            return
        after = things[-1].key
