"""Asking to move a stream to the other track, and deciding on it. Each step is one audited transaction.

open ──the last approval──▶ done (the stream is moved, in the same step)
  └──reject, withdraw──▶ rejected, withdrawn

There and back go the same way. What the move asks for is judged when it is asked for and again when
it is done. Who asked never approves, nor who decides in their place.
"""

from typing import Any, Final

from django.db import IntegrityError, transaction

from catalog.errors import NotReadyError
from catalog.models import Promotion, PromotionApproval, PromotionState, Stream
from catalog.selectors.promotions import checks_of
from catalog.services.schemas import lock
from catalog.services.telling import (
    tell_asker_of_move,
    tell_of_move,
    tell_of_move_asked,
)
from catalog.services.tracks import move_stream, record_move
from catalog.types import Tier, Track
from governance import access, audit
from governance.deciding import require_other
from governance.errors import NotOwnRequestError, PeopleOnlyError, RequestOpenError
from governance.types import Permission
from portal.kernel import clock
from portal.kernel.actor import Actor
from portal.kernel.errors import FieldError, InvalidError, InvalidStateError

MAX_TEXT: Final = 1_000
_NEEDED: Final = {Tier.T1: 2}  # approvals, by tier; else one


def approvals_needed(stream: Stream) -> int:
    """How many others approve of a move of this stream: two of a T1 stream, else one."""
    return _NEEDED.get(Tier(stream.tier), 1)


def is_asked(stream: Stream) -> bool:
    """Whether a request to move the stream waits for approvals."""
    return stream.promotions.filter(state=PromotionState.OPEN).exists()


@transaction.atomic
def ask_to_move(stream: Stream, to: Track, *, actor: Actor, reason: str = "") -> Promotion:
    """Ask to move a stream to a track; who may approve is told that it waits for them.

    Raises InvalidStateError where it is there already, RequestOpenError while another request is
    open, NotReadyError with what does not hold yet.
    """
    access.require(actor, Permission.EDIT, stream)
    _check_text(reason, "/reason")
    held = lock(stream)
    if held.track == to:
        raise InvalidStateError(f"The stream is on the {to} track already.")
    _require_ready(held, to)
    try:
        with transaction.atomic():
            asked = Promotion.objects.create(
                stream=held,
                to_track=to,
                reason=reason.strip(),
                needed_approvals=approvals_needed(held),
                asked_by_id=actor.id if actor.is_person else None,
                opened_by=actor.label,
            )
    except IntegrityError as error:
        raise RequestOpenError("A request to move this stream is open already.") from error
    tell_of_move_asked(asked, by=actor)
    audit.record(
        actor,
        "stream.move_asked",
        held.ref,
        summary=f"asked to move {held.name} to the {to} track",
        after=_facts(asked),
    )
    return asked


@transaction.atomic
def approve_move(promotion: Promotion, *, actor: Actor, comment: str = "") -> Promotion:
    """Approve of a move; with the last approval the stream is moved in the same step.

    Never by who asked or their deputy, and once by each. Raises InvalidStateError when it is not
    open any more, NotReadyError with what does not hold any more, PolicyError where a policy stops it.
    """
    _require_decider(promotion, actor)
    _check_text(comment, "/comment")
    stream, held = _held(promotion)
    _require_ready(stream, held.to_track)
    _approval, is_first = PromotionApproval.objects.get_or_create(
        promotion=held, user_id=actor.id, defaults={"comment": comment.strip()}
    )
    if not is_first:
        raise InvalidStateError("You approved of it already.")
    is_last = held.approvals.count() >= held.needed_approvals
    moment = move_stream(stream, Track(held.to_track)) if is_last else None
    if is_last:
        _close(held, PromotionState.DONE, actor, moves_at=moment)
        tell_of_move(held, by=actor)
    tell_asker_of_move(held, f"{actor.label} approved it.", comment, by=actor)
    audit.record(
        actor,
        "stream.move_approved",
        stream.ref,
        summary=f"approved that {stream.name} moves to the {held.to_track} track",
        after={**_facts(held), "comment": comment.strip()},
    )
    if is_last:
        record_move(stream, moment, actor=actor)
    return held


@transaction.atomic
def reject_move(promotion: Promotion, *, actor: Actor, reason: str) -> Promotion:
    """Decline a move with a reason, which who asked will read; by who may approve it."""
    _require_decider(promotion, actor)
    if not reason.strip():
        fault = FieldError("/reason", "required", "say why, in one line")
        raise InvalidError("Say why.", errors=[fault])
    _check_text(reason, "/reason")
    stream, held = _held(promotion)
    _close(held, PromotionState.REJECTED, actor, closing_reason=reason.strip())
    tell_asker_of_move(held, f"{actor.label} declined it.", reason, by=actor)
    audit.record(
        actor,
        "stream.move_rejected",
        stream.ref,
        summary=f"declined that {stream.name} moves to the {held.to_track} track",
        after={**_facts(held), "reason": reason.strip()},
    )
    return held


@transaction.atomic
def withdraw_move(promotion: Promotion, *, actor: Actor) -> Promotion:
    """Take one's own request back, while it is open."""
    access.require(actor, Permission.EDIT, promotion.stream)
    stream, held = _held(promotion)
    if not actor.is_person or held.asked_by_id != actor.id:
        raise NotOwnRequestError(
            "Only the person who asked can withdraw the request.",
            "request.withdraw",
            _page_of(stream),
        )
    _close(held, PromotionState.WITHDRAWN, actor)
    audit.record(
        actor,
        "stream.move_withdrawn",
        stream.ref,
        summary=f"took back that {stream.name} moves to the {held.to_track} track",
        after=_facts(held),
    )
    return held


def _require_decider(promotion: Promotion, actor: Actor) -> None:
    access.require(actor, Permission.APPROVE, promotion.stream)
    if not actor.is_person:
        raise PeopleOnlyError("stream.approve")
    require_other(
        actor,
        promotion.asked_by_id,
        permission="stream.approve",
        request_at=_page_of(promotion.stream),
        about=promotion.stream.ref,
    )


def _page_of(stream: Stream) -> str:
    return f"/streams/{stream.name}/promote/"


def _require_ready(stream: Stream, to: str) -> None:
    if missing := [check for check in checks_of(stream, to) if check.stops]:
        raise NotReadyError(
            "The move asks for what does not hold yet: "
            + " ".join(check.sentence for check in missing[:3]),
            errors=[FieldError("", f"check:{check.key}", check.sentence) for check in missing[:20]],
        )


def _held(promotion: Promotion) -> tuple[Stream, Promotion]:
    """Stream and request as they are now, held until the end; the stream first, as everywhere."""
    stream = lock(promotion.stream)
    held = Promotion.objects.select_for_update().get(pk=promotion.pk)
    held.stream = stream
    if held.state != PromotionState.OPEN:
        raise InvalidStateError("The request is no longer open.")
    return stream, held


def _close(held: Promotion, state: PromotionState, actor: Actor, **changes: Any) -> None:
    closed = {"state": state, "closed_at": clock.now(), "closed_by": actor.label, **changes}
    if Promotion.objects.filter(pk=held.pk, state=PromotionState.OPEN).update(**closed) != 1:
        raise InvalidStateError("The request is no longer open.")
    for name, value in closed.items():
        setattr(held, name, value)


def _facts(promotion: Promotion) -> dict[str, Any]:
    return {
        "request": str(promotion.pk),
        "to": str(promotion.to_track),
        "needed_approvals": promotion.needed_approvals,
    }


def _check_text(text: str, pointer: str) -> None:
    if len(text) > MAX_TEXT or "\0" in text:
        fault = FieldError(pointer, "too_long", f"at most {MAX_TEXT:,} characters")
        raise InvalidError("The text cannot be kept.", errors=[fault])
