"""What a person sets about their own sign-in: sessions, second factors, saying again who they are."""

from uuid import UUID

from allauth.account import views as library
from allauth.core.exceptions import ReauthenticationRequired
from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from governance import second_factor
from governance.middleware import request_actor
from governance.services import sessions as services
from governance.services.notices import is_mail_on
from governance.sudo import is_fresh, sudo
from portal.http import words


@require_POST
@sudo
def end_session(request: HttpRequest, session_id: UUID) -> HttpResponse:
    """Sign one other browser out; of the present one the way is “Sign out”."""
    ended = services.end_session(session_id, actor=request_actor(request))
    messages.success(request, f"{ended.browser} is signed out.")
    return redirect("settings")


@require_POST
@sudo
def end_other_sessions(request: HttpRequest) -> HttpResponse:
    ended = services.end_other_sessions(
        actor=request_actor(request), but=request.session.session_key or ""
    )
    said = words.capitalized(words.counted(ended, "session"))
    messages.success(request, f"{said} ended. You are signed in here alone.")
    return redirect("settings")


@require_GET
def second_factor_page(request: HttpRequest) -> HttpResponse:
    """Where whoever needs a second factor sets one up, before anything else."""
    actor = request_actor(request)
    if second_factor.has_one(actor.id):
        return redirect("settings")
    return render(
        request,
        "governance/second_factor.html",
        {"is_needed": second_factor.is_missing(request, actor)},
    )


@require_GET
def confirm(request: HttpRequest) -> HttpResponse:
    """Ask again who it is, and let dangerous acts through for the next 15 minutes; then back to the
    page that `next` names."""
    if not is_fresh(request):
        raise ReauthenticationRequired
    messages.success(request, "Confirmed. Dangerous acts ask nothing for a quarter of an hour.")
    back = request.GET.get("next", "")
    is_ours = back.startswith("/") and url_has_allowed_host_and_scheme(back, allowed_hosts=None)
    return redirect(back if is_ours else "settings")


@require_http_methods(["GET", "POST"])
@sudo
def set_password(request: HttpRequest) -> HttpResponse:
    """A first password, for who signs in another way: as dangerous as a second factor."""
    answer: HttpResponse = library.password_set(request)
    return answer


@require_http_methods(["GET", "POST"])
def reset_password(request: HttpRequest) -> HttpResponse:
    """Ask for a link by mail, where the portal sends mail and passwords let people in."""
    if settings.OIDC_ONLY or not is_mail_on():
        return render(request, "account/password_reset.html", {"is_off": True})
    answer: HttpResponse = library.password_reset(request)
    return answer


@require_GET
def factors(request: HttpRequest) -> HttpResponse:
    """The library's list of factors is a part of our settings page."""
    return redirect("settings")
