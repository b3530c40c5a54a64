"""The JSON shapes of moves between the tracks, and the functions that make them."""

from collections.abc import Iterable
from typing import NotRequired, TypedDict
from uuid import UUID

from catalog.models import Promotion, PromotionApproval, Stream
from catalog.selectors import promotions as selectors
from catalog.services.promotions import approvals_needed
from catalog.services.tracks import next_moment
from catalog.tracks import other
from portal.http.operations import Time


class CheckBody(TypedDict):
    """One thing that a move asks for. `state`: ok, bad (stops the move), warn or info. `policy`:
    whether it is a policy, whose slug `key` is."""

    key: str
    title: str
    state: str
    detail: str
    remedy: str
    policy: bool


class ApprovalBody(TypedDict):
    by: str
    comment: str
    at: Time


class PromotionBody(TypedDict):
    """A request to move a stream. `moves_at`: events whose own time is later lie on `to`."""

    id: UUID
    to: str
    state: str
    reason: str
    needed_approvals: int
    approvals: NotRequired[list[ApprovalBody]]
    opened_by: str
    opened_at: Time
    closed_by: str | None
    closed_at: Time | None
    closing_reason: str
    moves_at: Time | None


class MoveBody(TypedDict):
    """On which track a stream is, what a move to the other one asks for, and requests for one.

    `moments` are those at which it moved so far, the oldest first; `next_moment` is the one that a
    move would set that is done now. `open` waits for approvals; `earlier` are at most 20.
    """

    stream: str
    track: str
    moments: list[Time]
    to: str
    needed_approvals: int
    next_moment: Time
    checks: list[CheckBody]
    ready: bool
    open: PromotionBody | None
    earlier: list[PromotionBody]


def move(stream: Stream) -> MoveBody:
    """What a move of a stream to the other track asks for."""
    to = other(stream.track)
    checks = selectors.checks_of(stream, to)
    found = selectors.open_promotion(stream)
    earlier = selectors.promotions_of(stream).exclude(state="open")[: selectors.SHOWN]
    return {
        "stream": stream.name,
        "track": stream.track,
        "moments": stream.track_moments,
        "to": to,
        "needed_approvals": approvals_needed(stream),
        "next_moment": next_moment(stream),
        "checks": [check_body(check) for check in checks],
        "ready": not any(check.stops for check in checks),
        "open": promotion(found, selectors.approvals_of(found)) if found is not None else None,
        "earlier": [promotion(row) for row in earlier],
    }


def check_body(check: selectors.Check) -> CheckBody:
    """One thing that a move asks for."""
    return {
        "key": check.key,
        "title": check.title,
        "state": check.state,
        "detail": check.detail,
        "remedy": check.remedy,
        "policy": check.is_policy,
    }


def promotion(
    row: Promotion, approvals: Iterable[PromotionApproval] | None = None
) -> PromotionBody:
    """A request to move a stream, with who approved of it where that is at hand."""
    body: PromotionBody = {
        "id": row.pk,
        "to": row.to_track,
        "state": row.state,
        "reason": row.reason,
        "needed_approvals": row.needed_approvals,
        "opened_by": row.opened_by,
        "opened_at": row.opened_at,
        "closed_by": row.closed_by or None,
        "closed_at": row.closed_at,
        "closing_reason": row.closing_reason,
        "moves_at": row.moves_at,
    }
    if approvals is not None:
        body["approvals"] = [
            {"by": one.user.email, "comment": one.comment, "at": one.at} for one in approvals
        ]
    return body
