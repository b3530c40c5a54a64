"""Remedies of a change: found out by workers as part of its report, applied by people.

Applying makes a revised candidate: the next version, proposed in the place of the one it mends,
which is closed. Approvals do not carry over, because they were given to another document. Opening
a compatibility group changes no document, so it is kept on the change itself.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from django.db import transaction

from catalog.compatibility.budget import Budget
from catalog.compatibility.types import Mode, Policy
from catalog.fixes import apply_patch
from catalog.models import Change, Stream
from catalog.remedies import GROUP, OPEN_GROUP, Question, is_mended, remedies_of
from catalog.services.changes import (
    Proposal,
    hold_open,
    move_version,
    open_change,
    start_report,
    touch,
)
from catalog.services.schemas import compared_versions, lock
from catalog.services.telling import tell_of_proposal
from catalog.types import VersionState
from governance import access, audit
from governance.types import Permission
from portal.kernel import clock
from portal.kernel.actor import Actor
from portal.kernel.errors import ConflictError, FieldError, InvalidError, NotPermittedError

MAX_DIFFERENCES: Final = 50
MAX_APPLIED: Final = 20


def offer_remedies(change: Change, place: int, *, budget_seconds: float) -> int | None:
    """Add remedies to the refused differences of the report from `place` on, until the time is
    over; gives where to go on, None when all have theirs. The caller keeps the report."""
    rows = [row for row in change.report["differences"] if row["refuses"]][:MAX_DIFFERENCES]
    compared = compared_versions(change.stream)
    documents = {version.version: version.document for version in compared}
    question = _question(change.stream, change.version.document, list(documents.values()))
    refused = question.refused(question.candidate) if rows[place:] else None
    budget = Budget(seconds=budget_seconds)
    for number, row in enumerate(rows[place:], start=place):
        old = documents.get(max(row["versions"]))
        found = [GROUP]
        if refused is not None and old is not None:
            found = remedies_of(question, row, old=old, refused=refused, budget=budget)
        row["remedies"] = [one.as_dict() for one in found if one.patch or not change.opens_group]
        if not budget.has_time():
            return number + 1 if number + 1 < len(rows) else None
    return None


def _question(
    stream: Stream, candidate: Mapping[str, Any], earlier: Sequence[Mapping[str, Any]]
) -> Question:
    return Question(
        candidate,
        earlier,
        Mode(stream.compatibility_mode),
        Policy(stream.compatibility_policy),
    )


@dataclass(frozen=True, slots=True)
class _Chosen:
    """What was chosen of a report: patches in order, the differences they are for, a group."""

    patch: tuple[Mapping[str, Any], ...]
    targets: frozenset[tuple[str, str]]
    opens_group: bool
    labels: tuple[str, ...]


@transaction.atomic
def apply_remedies(change: Change, ids: Sequence[str], *, actor: Actor) -> Change:
    """Mend an open change by remedies of its report; gives the change to go on with.

    That is a new one with the mended document, in the place of this one, or this one when it only
    opens a compatibility group. Raises InvalidError for a remedy that the report does not offer,
    ConflictError when they do not fit together or the contract has moved on since.
    """
    access.require(actor, Permission.EDIT, change.stream)
    if not (actor.is_person and change.asked_by_id == actor.id):
        _require_decider(actor, change)
    stream = lock(change.stream)
    locked = hold_open(change)
    chosen = _chosen(locked, ids)
    if not chosen.patch:
        return _open_group(locked, actor)
    mended = _mended(stream, locked, chosen)
    move_version(locked.version, VersionState(locked.version.state), VersionState.REJECTED)
    locked.closed_at = clock.now()
    touch(locked)
    revised = open_change(
        stream,
        Proposal(
            mended,
            label=locked.version.label,
            summary=locked.summary,
            reason=locked.reason,
            opens_group=locked.opens_group or chosen.opens_group,
        ),
        actor=actor,
    )
    revised.revises = locked
    revised.save(update_fields=["revises"])
    tell_of_proposal(revised, by=actor)
    audit.record(
        actor,
        "schema.mended",
        stream.ref,
        summary=f"mended {stream.name} v{locked.version.version} as v{revised.version.version}",
        after={"remedies": list(chosen.labels), "version": revised.version.version},
    )
    start_report(revised, actor=actor)
    return revised


def _require_decider(actor: Actor, change: Change) -> None:
    """Mending closes the change as it was: that is for its author and for who may reject it."""
    if not access.may(actor, Permission.APPROVE, change.stream):
        raise NotPermittedError(
            "A change is mended by its author, or by who may decide on it. Propose your own.",
            code="permission_missing",
            permission=Permission.APPROVE.value,
            request_at=access.ask_url(change.stream.ref),
        )


def _chosen(change: Change, ids: Sequence[str]) -> _Chosen:
    offered: dict[str, list[tuple[Mapping[str, Any], Mapping[str, Any]]]] = {}
    for row in change.report.get("differences", []):
        for remedy in row.get("remedies", []):
            offered.setdefault(remedy["id"], []).append((row, remedy))
    if not offered:
        raise ConflictError(
            "Its report names no remedy. Wait until it is measured, or run it again.",
            code="not_measured",
        )
    wanted = list(dict.fromkeys(ids))
    unknown = [place for place, name in enumerate(ids) if name not in offered]
    if unknown or not wanted:
        raise InvalidError(
            "The report offers no such remedy.",
            errors=[
                FieldError(f"/remedies/{place}", "unknown", "is not offered by the report")
                for place in unknown
            ]
            or [FieldError("/remedies", "required", "name one at least")],
        )
    rows = [pair for name in wanted for pair in offered[name]]
    patches = [offered[name][0][1] for name in wanted]
    return _Chosen(
        patch=tuple(operation for remedy in patches for operation in remedy["patch"]),
        targets=frozenset((row["path"], row["change"]) for row, one in rows if one["patch"]),
        opens_group=OPEN_GROUP in wanted,
        labels=tuple(str(remedy["label"]) for remedy in patches),
    )


def _mended(stream: Stream, change: Change, chosen: _Chosen) -> dict[str, Any]:
    """The candidate after the remedies, judged again by the engine as things are now."""
    earlier = [version.document for version in compared_versions(stream)]
    question = _question(stream, change.version.document, earlier)
    try:
        mended: dict[str, Any] = apply_patch(question.candidate, chosen.patch)
        holds = is_mended(question, mended, chosen.targets)
    except InvalidError as error:
        raise ConflictError(
            "These remedies do not fit together. Apply one, look, and go on.", code="remedies_clash"
        ) from error
    if not holds:
        raise ConflictError(
            "They would not settle what they are for any more. Run the report again.",
            code="remedy_stale",
        )
    return mended


def _open_group(change: Change, actor: Actor) -> Change:
    change.opens_group = True
    touch(change)
    audit.record(
        actor,
        "schema.group_wanted",
        change.stream.ref,
        summary=f"{change.stream.name} v{change.version.version} opens a compatibility group",
    )
    start_report(change, actor=actor)
    return change
