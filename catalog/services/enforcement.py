"""The ladder of enforcement: observe, warn, enforce. Moved by people, or by the worker that judges.

Who measures is above the catalog (`ingest.services.ladder`); here stands what may be written: the
rule, a move with its reason, and the automatic step, which only holds if the stream still stands
where it was judged.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from django.db import transaction
from django.db.models import F

from catalog.models import EnforcementRule, Stream
from catalog.types import Enforcement, LadderMode
from governance import access, audit
from governance.types import Permission
from portal.kernel import clock
from portal.kernel.actor import SYSTEM, Actor
from portal.kernel.errors import (
    FieldError,
    InvalidError,
    InvalidStateError,
    PreconditionFailedError,
)

LADDER: Final = (Enforcement.OBSERVE, Enforcement.WARN, Enforcement.ENFORCE)
MAX_REASON: Final = 1_000
MAX_DAYS: Final = 90
MAX_LEAST: Final = 10_000_000
RULE_MEMBERS: Final = frozenset({"mode", "violation_bound", "days", "least_events"})
MOVED: Final = "stream.enforcement_moved"
ADVANCED: Final = "stream.enforcement_advanced"


def rule_of(stream: Stream) -> EnforcementRule:
    """The stream's rule, or the defaults since its registration, not saved."""
    found = EnforcementRule.objects.filter(stream=stream).first()
    return found or EnforcementRule(stream=stream, rung_since=stream.created_at)


def next_rung(rung: str) -> Enforcement | None:
    """The rung above; None at the top."""
    place = LADDER.index(Enforcement(rung)) + 1
    return LADDER[place] if place < len(LADDER) else None


@transaction.atomic
def move_enforcement(stream: Stream, *, to: str, reason: str, actor: Actor) -> Stream:
    """Put a stream on another rung, up or down, for a reason; its days count from now on.

    Raises InvalidError without a reason, InvalidStateError when it stands there already.
    """
    access.require(actor, Permission.EDIT, stream)
    said = reason.strip()
    faults = []
    if to not in Enforcement.values:
        faults.append(
            FieldError("/to", "choice", f"must be one of {', '.join(Enforcement.values)}")
        )
    if not said or len(said) > MAX_REASON:
        faults.append(FieldError("/reason", "required", "say why, in 1 to 1,000 characters"))
    if faults:
        raise InvalidError("The move breaks a rule.", errors=faults)
    stream = _held(stream)
    before = stream.enforcement
    if before == to:
        raise InvalidStateError(f"The stream stands at {to} already.")
    _put(stream, to)
    audit.record(
        actor,
        MOVED,
        stream.ref,
        summary=f"moved {stream.name} from {before} to {to}: {said}",
        before={"enforcement": before},
        after={"enforcement": to, "reason": said},
    )
    return stream


@transaction.atomic
def set_rule(
    stream: Stream, changes: Mapping[str, Any], *, actor: Actor, revision: int | None = None
) -> EnforcementRule:
    """Change when a stream takes its next step. The days it has stood stay.

    With `revision`, only if nobody changed the stream since: else PreconditionFailedError.
    """
    access.require(actor, Permission.EDIT, stream)
    _check_rule(changes)
    stream = _held(stream)
    if revision is not None and stream.revision != revision:
        raise PreconditionFailedError("It was changed since you read it. Read it again and retry.")
    rule = rule_of(stream)
    before = {name: getattr(rule, name) for name in changes}
    for name, value in changes.items():
        setattr(rule, name, value)
    rule.save()
    _touch(stream)
    audit.record(
        actor,
        "stream.enforcement_rule_changed",
        stream.ref,
        summary=f"changed when {stream.name} is enforced more",
        before=before,
        after=dict(changes),
    )
    return rule


@transaction.atomic
def advance_enforcement(
    stream: Stream, *, judged: EnforcementRule, rung: str, evidence: Mapping[str, Any]
) -> bool:
    """Take the step that a judgement called for; False when the stream or its rule moved since.

    Two workers that judged the same take one step: the second finds the stream a rung higher.
    """
    stream = _held(stream)
    rule = rule_of(stream)
    above = next_rung(rung)
    if stream.enforcement != rung or above is None or _terms(rule) != _terms(judged):
        return False
    _put(stream, above)
    audit.record(
        SYSTEM,
        ADVANCED,
        stream.ref,
        summary=f"moved {stream.name} up from {rung} to {above}: {evidence.get('said', '')}",
        before={"enforcement": rung},
        after={"enforcement": str(above), **evidence},
    )
    return True


def begin_rung(stream: Stream) -> None:
    """Shared step of every move: the days on a rung count from its beginning."""
    EnforcementRule.objects.update_or_create(stream=stream, defaults={"rung_since": clock.now()})


def _held(stream: Stream) -> Stream:
    return Stream.objects.select_for_update().get(pk=stream.pk)


def _put(stream: Stream, rung: str) -> None:
    stream.enforcement = rung
    _touch(stream, enforcement=rung)
    begin_rung(stream)


def _touch(stream: Stream, **facts: Any) -> None:
    Stream.objects.filter(pk=stream.pk).update(
        revision=F("revision") + 1, updated_at=clock.now(), **facts
    )
    stream.revision += 1


def _terms(rule: EnforcementRule) -> tuple[str, float, int, int, datetime]:
    return (rule.mode, rule.violation_bound, rule.days, rule.least_events, rule.rung_since)


def _check_rule(changes: Mapping[str, Any]) -> None:
    faults = [
        FieldError(f"/{name}", "unknown", "is no part of the rule")
        for name in changes
        if name not in RULE_MEMBERS
    ]
    if changes.get("mode", LadderMode.OFF) not in LadderMode.values:
        faults.append(
            FieldError("/mode", "choice", f"must be one of {', '.join(LadderMode.values)}")
        )
    bound = changes.get("violation_bound", 0)
    if isinstance(bound, bool) or not isinstance(bound, int | float) or not 0 <= bound <= 1:
        faults.append(FieldError("/violation_bound", "range", "must be a share from 0 to 1"))
    for name, most in (("days", MAX_DAYS), ("least_events", MAX_LEAST)):
        value = changes.get(name, 1)
        if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= most:
            faults.append(FieldError(f"/{name}", "range", f"must be from 1 to {most}"))
    if faults:
        raise InvalidError("The rule breaks a rule.", errors=faults)
