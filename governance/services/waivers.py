"""Waivers: one thing need not be in order by a policy, for a reason and until a day."""

from datetime import datetime

from django.db import transaction
from django.db.models import F
from django.db.models.functions import Now

from governance import audit
from governance.models import Policy, Waiver
from governance.policies import facts
from governance.services.policies import checked_term, require_admin
from portal.kernel import clock
from portal.kernel.actor import Actor
from portal.kernel.errors import FieldError, InvalidError, InvalidStateError
from portal.kernel.once import only_once


@transaction.atomic
def waive(policy: Policy, key: str, *, actor: Actor, reason: str, until: datetime) -> Waiver:
    """Waive a policy for one thing, by its key, a year at most; it ends by itself.

    Raises InvalidError for a thing there is not, ConflictError while a waiver holds for it.
    """
    require_admin(actor)
    said = checked_term(reason, until)
    subject = facts.subject_of(policy.subject)
    if key not in subject.titles(actor, [key]):
        raise InvalidError(
            "There is no such thing.",
            errors=[FieldError("/key", "unknown", f"must name a {subject.one}")],
        )
    over = Waiver.objects.filter(policy=policy, subject_key=key, ended_at=None, until__lte=Now())
    over.update(ended_at=F("until"))
    with only_once("It is waived already; end that waiver first.", code="waived"):
        waiver = Waiver.objects.create(
            policy=policy,
            subject_key=key,
            reason=said,
            until=until,
            given_at=clock.now(),
            given_by=actor.label,
            given_by_user_id=actor.id if actor.is_person else None,
        )
    audit.record(
        actor,
        "policy.waived",
        policy.ref,
        summary=f"waived the policy {policy.title} for {key} until {until:%Y-%m-%d}",
        after={"for": key, "reason": said, "until": until},
    )
    return waiver


@transaction.atomic
def end_waiver(waiver: Waiver, *, actor: Actor) -> Waiver:
    """End a waiver before its day. InvalidStateError when it ended already."""
    require_admin(actor)
    moved = Waiver.objects.filter(pk=waiver.pk, ended_at=None, until__gt=Now()).update(
        ended_at=clock.now(), ended_by=actor.label
    )
    if not moved:
        raise InvalidStateError("The waiver has ended.")
    waiver.refresh_from_db()
    audit.record(
        actor,
        "policy.waiver_ended",
        waiver.policy.ref,
        summary=f"ended the waiver of {waiver.policy.title} for {waiver.subject_key}",
        after={"for": waiver.subject_key},
    )
    return waiver
