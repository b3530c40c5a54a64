"""Pages of people and teams, and what a person sets for themselves."""

from typing import Final

from django.contrib import messages
from django.db.models import Count, Q
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from governance.forms import RotateForm, TokenForm
from governance.middleware import request_actor
from governance.models import Key, Team, User
from governance.rotation import GRACES
from governance.selectors import people as selectors
from governance.selectors.keys import key_rows
from governance.selectors.sign_in import sign_in_of
from governance.services.accounts import choose_density
from governance.services.key_rotation import Rotated, rotate_token
from governance.services.keys import create_key, revoke_key
from governance.services.notices import is_mail_on
from governance.sudo import sudo
from governance.types import Density, MailWish
from portal.http import parameters
from portal.http.pagination import paginate
from portal.http.theme import THEMES, keep_theme
from portal.kernel.errors import (
    BadRequestError,
    ConflictError,
    InvalidError,
    NotFoundError,
    sentence,
)

SCOPE_TEXTS: Final = {
    "read": "what you may read",
    "write": "register, change and publish",
    "approve": "decide requests of your teams",
    "admin": "what admins may, if you are one",
    "metrics": "the portal’s own metrics",
}


@require_GET
def teams(request: HttpRequest) -> HttpResponse:
    page = paginate(
        Team.objects.annotate(people=Count("memberships", distinct=True)),
        order=("name", "id"),
        cursor=request.GET.get("cursor"),
    )
    return render(request, "governance/teams.html", {"teams": page.items, "next": page.next})


@require_GET
def people(request: HttpRequest) -> HttpResponse:
    """Everybody with an account, by address; admins make another here."""
    asked = parameters.read(request.GET, parameters.LIST)
    page = paginate(selectors.people(), order=("email",), cursor=asked.get("cursor"))
    rows = [(row, selectors.role_names(row)) for row in page.items]
    is_admin = request_actor(request).is_admin
    return render(
        request, "governance/people.html", {"rows": rows, "next": page.next, "is_admin": is_admin}
    )


@require_http_methods(["GET", "POST"])
@sudo
def settings_page(request: HttpRequest) -> HttpResponse:
    """What the signed-in person sets for themselves. A new token's text is shown this once."""
    actor = request_actor(request)
    user = User.objects.get(pk=actor.id)
    form = TokenForm(request.POST or None)
    text, replaced = "", None
    if request.POST.get("do") == "rotate":
        form, rotated = TokenForm(), _rotate(request)
        text, replaced = (rotated.text, rotated.old) if rotated is not None else ("", None)
    elif request.method == "POST" and form.is_valid():
        _, text = create_key(
            actor=actor,
            kind="user",
            name=form.cleaned_data["name"],
            user=user,
            scopes=form.cleaned_data["scopes"],
        )
        form = TokenForm()
    tokens = Key.objects.filter(Q(user=user), revoked_at=None).order_by("-created_at")[:100]
    return render(
        request,
        "governance/settings.html",
        {
            "form": form,
            "tokens": key_rows(tokens),
            "graces": GRACES,
            "text": text,
            "replaced": replaced,
            "person": user,
            "scope_texts": SCOPE_TEXTS,
            "themes": (("", "As the system has it"), ("light", "Light"), ("dark", "Dark")),
            "densities": Density.choices,
            "mail_wish": MailWish(user.notice_mail).label,
            "is_mail_on": is_mail_on(),
            "sign_in": sign_in_of(user, session_key=request.session.session_key or ""),
        },
        status=422 if form.errors else 200,
    )


def _rotate(request: HttpRequest) -> Rotated | None:
    """Replace one of the person's tokens; None where it was said why not."""
    form, actor = RotateForm(request.POST), request_actor(request)
    if not form.is_valid():
        raise InvalidError("Say when the old token ends.")
    key_id = form.cleaned_data["key"]
    if not Key.objects.filter(pk=key_id, user_id=actor.id).exists():
        raise NotFoundError
    try:
        return rotate_token(key_id, actor=actor, rotation=form.rotation)
    except (ConflictError, InvalidError) as error:
        messages.error(request, sentence(error))
        return None


@require_POST
def revoke_token(request: HttpRequest, key_id: str) -> HttpResponse:
    actor = request_actor(request)
    if not Key.objects.filter(pk=key_id, user_id=actor.id).exists():
        raise NotFoundError
    revoke_key(key_id, actor=actor)
    messages.success(request, "Revoked. Whatever used it is refused from now on.")
    return redirect("settings")


@require_POST
def look(request: HttpRequest) -> HttpResponse:
    """Keep light or dark with the browser, as the top bar does, and the density with the person."""
    asked = parameters.read(request.POST, _LOOK)
    if "density" not in asked:
        raise BadRequestError("Choose how dense tables and lists are.")
    choose_density(Density(asked["density"]), actor=request_actor(request))
    messages.success(request, "Saved.")
    response = redirect("settings")
    keep_theme(response, request, asked.get("theme", ""))
    return response


_LOOK: Final = {
    "csrfmiddlewaretoken": parameters.text(200),
    "theme": parameters.choice(THEMES),
    "density": parameters.choice(Density.values),
}


@require_POST
def shortcuts(request: HttpRequest) -> HttpResponse:
    """Switch single-letter keys on or off (WCAG 2.1.4)."""
    wanted = request.POST.get("single_key_shortcuts") == "on"
    User.objects.filter(pk=request_actor(request).id).update(single_key_shortcuts=wanted)
    messages.success(request, "Saved.")
    return redirect("settings")
