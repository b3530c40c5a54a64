"""Pages of people and teams, and what a person sets for themselves."""

from typing import Any, Final

from django.contrib import messages
from django.db.models import Count, Q
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from governance.forms import TokenForm
from governance.middleware import request_actor
from governance.models import Key, Team, User
from governance.second_factor import has_one
from governance.selectors.sign_in import sessions_of, sign_in_of
from governance.services.accounts import choose_density, roles_of
from governance.services.keys import create_key, revoke_key
from governance.services.notices import is_mail_on
from governance.sudo import sudo
from governance.types import Density, MailWish, Role
from portal.http import parameters
from portal.http.pagination import paginate
from portal.http.theme import THEMES, keep_theme
from portal.kernel.errors import BadRequestError, NotFoundError

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
def team(request: HttpRequest, slug: str) -> HttpResponse:
    found = Team.objects.filter(slug=slug).first()
    if found is None:
        raise NotFoundError
    people = found.memberships.select_related("user").order_by("-is_lead", "user__name")[:200]
    return render(request, "governance/team.html", {"team": found, "people": people})


@require_GET
def person(request: HttpRequest, user_id: int) -> HttpResponse:
    found = User.objects.filter(pk=user_id).first()
    if found is None:
        raise NotFoundError
    page: dict[str, Any] = {
        "person": found,
        "roles": found.groups.filter(team__isnull=True).order_by("name"),
        "teams": Team.objects.filter(memberships__user=found),
    }
    actor = request_actor(request)
    if actor.is_admin:
        held = roles_of(found)
        page |= {
            "all_roles": [(role.value, role.value in held) for role in Role],
            "sessions": sessions_of(found),
            "is_self": found.pk == actor.id,
            "has_factor": has_one(found.pk),
        }
    return render(request, "governance/person.html", page)


@require_http_methods(["GET", "POST"])
@sudo
def settings_page(request: HttpRequest) -> HttpResponse:
    """What the signed-in person sets for themselves. A new token's text is shown this once."""
    actor = request_actor(request)
    user = User.objects.get(pk=actor.id)
    form = TokenForm(request.POST or None)
    text = ""
    if request.method == "POST" and form.is_valid():
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
            "tokens": tokens,
            "text": text,
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
