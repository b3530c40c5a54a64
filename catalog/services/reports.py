"""The change report: what a proposed version would do, found out by workers and kept with it.

First what the catalog knows (verdict, differences, readers, declared and observed, what depends on its fields, style and
privacy), which takes a moment; then what a machine could do about each refused difference; then the
replay of stored events, a stated sample first and then
every event of the last seven days, step by step.
"""

from collections.abc import Collection, Mapping
from typing import Any, Final
from uuid import UUID

from django.db import transaction

from catalog import impact
from catalog.compatibility.budget import Budget
from catalog.compatibility.engine import compare
from catalog.compatibility.types import Direction, Mode, Policy, Verdict
from catalog.field_index import FieldRow, fields_of
from catalog.models import Change, Consumer, ConsumerMapping, Stream
from catalog.selectors.observed import described_readers, latest_of, seen_readers
from catalog.services.policing import said_of_candidate
from catalog.services.remedies import offer_remedies
from catalog.services.schemas import compared_versions
from catalog.style_lint import lint
from catalog.touched import BREAKS, Touched, effect_on, is_about, touched_fields
from governance.job_kinds import Step
from governance.models import Job
from portal.kernel import clock
from portal.kernel.errors import InvalidStateError

STEP_SECONDS: Final = 1.0
MAX_DIFFERENCES: Final = 200
MAX_READERS: Final = 500
EFFECTS: Final = ("breaks", "unknown", "care", "safe")  # on a reader, the worst first
_OTHER_MODES: Final = (
    Mode.BACKWARD, Mode.FORWARD, Mode.FULL, Mode.FULL_TRANSITIVE,
)  # fmt: skip


def change_report_step(job: Job) -> Step:
    """One step of the job `catalog.change_report`. Runs in the job's transaction."""
    change = (
        Change.objects.select_for_update(of=("self",))
        .select_related("version__stream", "stream__owner_team")
        .filter(pk=UUID(job.object_key))
        .first()
    )
    if change is None:
        raise InvalidStateError("The change is gone.")
    cursor = dict(job.cursor)
    if change.revisions.exists():
        return Step({}, job.done, job.total, "a revised candidate took its place", True)
    if not cursor:
        change.report = static_report(change.stream, change.version.document, change=change)
        change.replay = {}
        _keep(change)
        return Step({"remedies": 0}, 0, None, "trying remedies")
    if "remedies" in cursor:
        place = offer_remedies(change, cursor["remedies"], budget_seconds=STEP_SECONDS)
        _keep(change)
        if place is not None:
            return Step({"remedies": place}, 0, None, "trying remedies")
        is_finished = impact.replayer() is None
        return Step({"replay": {}}, 0, None, "replaying stored events", is_finished=is_finished)
    replayer = impact.replayer()
    assert replayer is not None  # the step before ended the job without one
    step = replayer(
        change.stream,
        change.version.document,
        cursor=cursor["replay"],
        tally=change.replay,
        budget_seconds=STEP_SECONDS,
    )
    change.replay = dict(step.tally)
    _keep(change)
    said = f"{step.done:,} of {step.total:,} events replayed"
    # It names an event: nobody goes on from the last one.
    after = {} if step.is_finished else {"replay": dict(step.cursor)}
    return Step(after, step.done, step.total, said, step.is_finished)


def _keep(change: Change) -> None:
    change.updated_at = clock.now()
    change.revision += 1
    change.save(update_fields=["report", "replay", "updated_at", "revision"])


@transaction.atomic
def static_report(
    stream: Stream,
    document: Mapping[str, Any],
    *,
    budget: Budget | None = None,
    change: Change | None = None,
) -> dict[str, Any]:
    """Everything about a candidate that needs no stored event, as JSON.

    `budget` bounds what other modes and policies would say, where somebody waits for the answer.
    `change` is the proposal that the candidate is of, if it is one already.
    """
    compared = compared_versions(stream)
    earlier = [version.document for version in compared]
    old = fields_of(earlier[-1]) if earlier else []
    new = fields_of(document)
    verdict = compare(
        document,
        earlier,
        mode=Mode(stream.compatibility_mode),
        policy=Policy(stream.compatibility_policy),
    )
    touched = touched_fields(old, new)
    differences = _differences(
        verdict,
        [version.version for version in compared],
        Mode(stream.compatibility_mode).directions,
    )
    return {
        "computed_at": clock.now().isoformat(),
        "compared_with": [version.version for version in compared],
        "verdict": {
            "mode": stream.compatibility_mode,
            "policy": stream.compatibility_policy,
            "compatible": verdict.compatible,
            "undecided": verdict.undecided,
        },
        "differences": differences[:MAX_DIFFERENCES],
        "more_differences": max(len(differences) - MAX_DIFFERENCES, 0),
        "others": _other_verdicts(document, earlier, budget),
        "fields": [item.as_dict() for item in touched],
        "consumers": _readers(stream, touched),
        "observed": _observed(stream, touched),
        "dependents": _dependents(stream, touched),
        "style": _new_findings(earlier[-1] if earlier else None, old, document, new),
        "privacy": _privacy(old, new),
        "policies": said_of_candidate(
            stream, document, new, compatible=verdict.compatible, change=change
        ),
    }


def _differences(
    verdict: Verdict, numbers: list[int], asked: Collection[Direction]
) -> list[dict[str, Any]]:
    """Each difference once, with the versions it stands against; what the mode refuses (it breaks
    a direction that is asked for) comes first, then what breaks the other one.

    Of those that break nothing only the ones against the newest version are of interest.
    """
    found: dict[tuple[str, ...], dict[str, Any]] = {}
    for difference in verdict.differences:
        if not difference.breaks and difference.version != len(numbers) - 1:
            continue
        row = difference.as_dict()
        number = numbers[row.pop("version")]
        key = (difference.path, difference.change, difference.detail, *difference.breaks)
        refuses = not set(asked).isdisjoint(difference.breaks)
        row |= {"versions": [], "refuses": refuses}
        found.setdefault(key, row)["versions"].append(number)
    return sorted(found.values(), key=lambda row: (not row["refuses"], not row["breaks"]))


def _other_verdicts(
    document: Mapping[str, Any], earlier: list[dict[str, Any]], budget: Budget | None
) -> list[dict[str, Any]]:
    """What each mode would say under each policy."""
    found = []
    for policy in Policy:
        for mode in _OTHER_MODES:
            verdict = compare(document, earlier, mode=mode, policy=policy, budget=budget)
            found.append(
                {
                    "mode": str(mode),
                    "policy": str(policy),
                    "compatible": verdict.compatible,
                    "undecided": verdict.undecided,
                }
            )
    return found


def _readers(stream: Stream, touched: list[Touched]) -> list[dict[str, Any]]:
    """Each declared consumer with the effect on it; the broken ones first."""
    rows = []
    mappings = ConsumerMapping.objects.filter(stream=stream).select_related("consumer__team")
    for mapping in mappings.order_by("consumer__name")[:MAX_READERS]:
        effect, causes = effect_on(touched, mapping.fields)
        if not mapping.fields:
            effect = "unknown" if any(item.effect == BREAKS for item in touched) else "safe"
        rows.append(
            {
                **_named(mapping.consumer),
                "fields": mapping.fields,
                "effect": effect,
                "causes": [item.as_dict() for item in causes],
            }
        )
    return _worst_first(rows)


def _observed(stream: Stream, touched: list[Touched]) -> list[dict[str, Any]]:
    """Each consumer whose key was seen to read the stream, with the effect on it.

    When and how much it read is said of the touched fields among those it was given, else of the
    stream; where only its events could be counted, nobody knows what it would feel.
    """
    seen = seen_readers(stream).order_by("name")[:MAX_READERS]
    rows = []
    for reader in described_readers(stream, list(seen)):
        observed = reader.observed
        if observed is None:
            continue  # the last of it was let go meanwhile
        effect, causes = effect_on(touched, [read.path for read in observed.fields])
        if not observed.fields:
            effect = "unknown" if any(item.effect == BREAKS for item in touched) else "safe"
        events, last_at = latest_of(
            read for read in observed.fields if any(is_about(c.path, read.path) for c in causes)
        ) or (observed.events, observed.last_at)
        rows.append(
            {
                **_named(reader.consumer),
                "declared": reader.mapping is not None,
                "fields": [read.path for read in observed.fields],
                "effect": effect,
                "causes": [item.as_dict() for item in causes],
                "last_read_at": last_at.isoformat(),
                "events_30_days": events,
            }
        )
    return _worst_first(rows)


def _named(consumer: Consumer) -> dict[str, Any]:
    return {
        "consumer": consumer.name,
        "title": consumer.title or consumer.name,
        "kind": consumer.kind,
        "team": consumer.team.slug if consumer.team else None,
    }


def _worst_first(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return sorted(rows, key=lambda row: (EFFECTS.index(row["effect"]), row["consumer"]))


def _dependents(stream: Stream, touched: list[Touched]) -> dict[str, Any]:
    """By kind the things above that read fields of the stream; null: not measured yet."""
    found: dict[str, Any] = {}
    for kind, things in impact.dependents_of(stream).items():
        found[kind] = None if things is None else [
            {
                "key": thing.key,
                "title": thing.title,
                "url": thing.url,
                "fields": list(thing.fields),
                "running": thing.is_running,
                "effect": effect_on(touched, thing.fields)[0],
            }
            for thing in things
        ]  # fmt: skip
    return found


def _new_findings(
    earlier: Mapping[str, Any] | None,
    old: list[FieldRow],
    document: Mapping[str, Any],
    new: list[FieldRow],
) -> list[dict[str, Any]]:
    """What the house rules say of the candidate, and which of it is new with it."""
    known = {(f.rule, f.path) for f in lint(old, earlier)} if earlier is not None else set()
    return [
        finding.as_dict() | {"new": (finding.rule, finding.path) not in known}
        for finding in lint(new, document)
    ]


def _privacy(old: list[FieldRow], new: list[FieldRow]) -> list[dict[str, Any]]:
    """Fields whose classification rises with the candidate: they need privacy approval."""
    before = {row.path: row.classification for row in old}
    personal = ("personal", "sensitive")
    return [
        {"path": row.path, "classification": row.classification, "privacy": row.privacy or None}
        for row in new
        if row.classification in personal and before.get(row.path) not in personal
    ]
