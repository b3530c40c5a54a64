"""The page of break-glass access: taking it, giving it back, saying afterwards whether it was right."""

from typing import Any
from uuid import UUID

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods, require_POST

from governance.forms import BreakGlassForm
from governance.middleware import request_actor
from governance.selectors import break_glass as selectors
from governance.services import break_glass as services
from governance.sudo import sudo
from governance.types import BreakGlassVerdict, ResourceRef, Role
from portal.http import words
from portal.http.pagination import paginate
from portal.http.problem import remember
from portal.kernel.actor import Actor
from portal.kernel.errors import NotFoundError, PortalError


@require_http_methods(["GET", "POST"])
@sudo
def overview(request: HttpRequest) -> HttpResponse:
    """What holds now, what waits for a review, what was said; and the form, for who may take it."""
    actor = request_actor(request)
    form = BreakGlassForm(request.POST or None, initial={"stream": request.GET.get("stream", "")})
    if request.method == "POST" and form.is_valid():
        try:
            taken = services.break_glass(
                ResourceRef("stream", form.cleaned_data["stream"]),
                actor=actor,
                reason=form.cleaned_data["reason"],
            )
        except PortalError as error:
            remember(request, error)
            _show(form, error)
        else:
            messages.warning(
                request,
                f"You read {taken.resource_key} in clear until {taken.ends_at:%H:%M} UTC. Its "
                "owners and all admins were told.",
            )
            return redirect("break_glass")
    page = paginate(
        selectors.visible_glasses(actor),
        order=("-taken_at", "id"),
        limit=selectors.SHOWN,
        cursor=request.GET.get("cursor"),
    )
    waiting = selectors.waiting_for(actor)
    count = waiting.count()
    return render(
        request,
        "governance/break_glass.html",
        {
            "form": form,
            "title": _headline(count),
            "may_take": may_take(actor),
            "live": selectors.live(selectors.visible_glasses(actor)).order_by("ends_at")[:20],
            "waiting": waiting[:20],
            "waiting_count": count,
            "rows": page.items,
            "next": page.next,
        },
        status=422 if form.errors else 200,
    )


def may_take(actor: Actor) -> bool:
    """Whether the form is shown."""
    return actor.is_admin or actor.has_role(Role.ON_CALL)


def _headline(waiting: int) -> str:
    if not waiting:
        return "No broken glass waits for your review."
    verb = "waits" if waiting == 1 else "wait"
    return words.capitalized(
        f"{words.counted(waiting, 'emergency', 'emergencies')} {verb} for your review."
    )


def _show(form: forms.Form, error: PortalError) -> None:
    """Put a refusal at its field; the rest above the form."""
    for fault in error.errors:
        form.add_error(fault.pointer.strip("/"), fault.detail)
    if isinstance(error, NotFoundError):
        form.add_error("stream", "There is no stream of this name that you may know of.")
    elif not error.errors:
        form.add_error(None, error.detail)


def _said(error: PortalError) -> str:
    """A refusal in one line; what a field lacks is said in its own words."""
    return words.capitalized(f"{error.errors[0].detail}.") if error.errors else error.detail


@require_POST
def give_back(request: HttpRequest, glass_id: UUID) -> HttpResponse:
    return _done(
        request,
        lambda: services.give_back(glass_id, actor=request_actor(request)),
        "Ended. What is read from now on is masked again.",
    )


@require_POST
def review(request: HttpRequest, glass_id: UUID) -> HttpResponse:
    """Confirm or object, by the pressed button."""
    is_right = request.POST.get("verdict") == "confirmed"
    return _done(
        request,
        lambda: services.review_glass(
            glass_id,
            actor=request_actor(request),
            verdict=BreakGlassVerdict.CONFIRMED if is_right else BreakGlassVerdict.OBJECTED,
            sentence=request.POST.get("sentence", ""),
        ),
        "Kept. They will read what you said.",
    )


def _done(request: HttpRequest, act: Any, said: str) -> HttpResponse:
    try:
        act()
    except NotFoundError:
        raise
    except PortalError as error:
        remember(request, error)
        messages.error(request, _said(error))
    else:
        messages.success(request, said)
    return redirect("break_glass")
