"""The page of a stream's track: what a move to the other one asks for, who approves, when it was."""

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods, require_POST

from catalog.models import Promotion, Stream
from catalog.selectors import promotions as selectors
from catalog.selectors.streams import get_stream
from catalog.services import promotions as services
from catalog.services.tracks import next_moment
from catalog.tracks import as_on, other
from governance import access
from governance.middleware import request_actor
from governance.types import Permission
from portal.http.problem import remember
from portal.kernel import clock
from portal.kernel.actor import Actor
from portal.kernel.errors import InvalidStateError, PortalError
from portal.views_stream import stream_frame


@require_http_methods(["GET", "POST"])
def promote(request: HttpRequest, name: str) -> HttpResponse:
    """The page; sent, it asks for a move, or takes one's own request back."""
    if request.method != "POST":
        return _page(request, name)
    actor = request_actor(request)
    stream = get_stream(actor, name)
    access.require(actor, Permission.EDIT, stream)
    try:
        if request.POST.get("do") == "withdraw":
            services.withdraw_move(_named(request, stream), actor=actor)
            messages.success(request, "Your request is taken back.")
        else:
            reason = request.POST.get("reason", "")
            asked = services.ask_to_move(stream, other(stream.track), actor=actor, reason=reason)
            messages.success(request, f"Asked for. {_missing(asked)}")
    except PortalError as error:
        remember(request, error)
        return _page(request, name, error)
    return redirect("stream_promote", name=stream.name)


@require_POST
def decide(request: HttpRequest, name: str) -> HttpResponse:
    """Approve of the request that was looked at, or decline it."""
    actor = request_actor(request)
    stream = get_stream(actor, name)
    access.require(actor, Permission.APPROVE, stream)
    text = request.POST.get("text", "")
    try:
        found = _named(request, stream)
        if request.POST.get("do") == "reject":
            services.reject_move(found, actor=actor, reason=text)
            messages.success(request, "Declined.")
        else:
            held = services.approve_move(found, actor=actor, comment=text)
            messages.success(request, _approved(held))
    except PortalError as error:
        remember(request, error)
        return _page(request, name, error)
    return redirect("stream_promote", name=stream.name)


def _named(request: HttpRequest, stream: Stream) -> Promotion:
    """The request to move that the form is about; one that is gone is no longer open."""
    try:
        number = UUID(request.POST.get("request", ""))
    except ValueError as error:
        raise InvalidStateError("The request is no longer open.") from error
    return selectors.get_promotion(stream, number)


def _missing(promotion: Promotion) -> str:
    more = promotion.needed_approvals - promotion.approvals.count()
    return f"{more} {'person has' if more == 1 else 'people have'} to approve."


def _approved(promotion: Promotion) -> str:
    if promotion.state == "open":
        return f"Approved. {_missing(promotion)}"
    if promotion.moves_at is None:
        return f"Approved, and moved to the {promotion.to_track} track."
    since = f"{promotion.moves_at:%-d %b %Y %H:%M} UTC"
    return f"Approved. Events of after {since} go to the {promotion.to_track} track."


def _page(request: HttpRequest, name: str, error: PortalError | None = None) -> HttpResponse:
    actor, stream, frame = stream_frame(request, name, "promote")
    faults = {fault.pointer.strip("/"): fault.detail for fault in error.errors} if error else {}
    wrong = faults.get("reason") or faults.get("comment") or ""  # each form has one text
    context = frame | _move(actor, stream) | {
        "problem": error.detail if error and not wrong else "",
        "wrong": wrong,
        "said": {key: request.POST.get(key, "") for key in ("reason", "text")},
    }  # fmt: skip
    status = error.status if error else 200
    return render(request, "catalog/stream_promote.html", context, status=status)


def _move(actor: Actor, stream: Stream) -> dict[str, Any]:
    to = other(stream.track)
    checks = selectors.checks_of(stream, to)
    found = selectors.open_promotion(stream)
    moved = as_on(stream, to)
    approvals = list(selectors.approvals_of(found)) if found is not None else []
    is_mine = found is not None and actor.is_person and found.asked_by_id == actor.id
    has_approved = any(one.user_id == actor.id for one in approvals)
    last = stream.track_moments[-1] if stream.track_moments else None
    return {
        "to": to,
        "checks": checks,
        "stops": sum(check.stops for check in checks),
        "asked": found,
        "approvals": approvals,
        "needed": found.needed_approvals if found else services.approvals_needed(stream),
        "is_mine": is_mine,
        "may_decide": _may_decide(actor, stream) and not is_mine and not has_approved,
        "earlier": selectors.promotions_of(stream).exclude(state="open")[: selectors.SHOWN],
        "next_moment": next_moment(stream),
        "moved": moved,
        "keeps_days": moved.retention_days == stream.retention_days,
        "keeps_mode": moved.compatibility_mode == stream.compatibility_mode,
        "last": last,
        "is_ahead": last is not None and last > clock.now(),
        "was": other(stream.track),
    }


def _may_decide(actor: Actor, stream: Stream) -> bool:
    """Whether this person may approve of moves of the stream at all."""
    return actor.is_person and access.may(actor, Permission.APPROVE, stream)
