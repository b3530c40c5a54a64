"""Pages of drafts: the list, one reopened, and keeping what a form holds, with a script or not."""

from dataclasses import dataclass
from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_POST

from catalog import draft_pages, views_changes, views_register
from catalog.draft_pages import Saved
from catalog.models import Draft, DraftKind
from catalog.selectors.drafts import get_draft, visible_drafts
from catalog.selectors.streams import get_stream
from catalog.services import drafts as services
from governance.middleware import request_actor
from governance.models import Team, User
from portal.http import parameters
from portal.http.pagination import paginate
from portal.kernel import clock
from portal.kernel.actor import Actor
from portal.kernel.errors import InvalidError, PortalError, PreconditionFailedError

SHOWN_WHEN_LEFT_DAYS = 14


@require_GET
def overview(request: HttpRequest) -> HttpResponse:
    actor = request_actor(request)
    asked = parameters.read(request.GET, {"cursor": parameters.text(2000)})
    rows = visible_drafts(actor).defer("content", "page")
    page = paginate(rows, order=("-updated_at", "id"), limit=25, cursor=asked.get("cursor"))
    soon = clock.now() - services.UNTOUCHED
    drafts = [
        {
            "row": row,
            "is_mine": row.owner_id == actor.id,
            "goes_at": services.goes_at(row)
            if (row.updated_at - soon).days < SHOWN_WHEN_LEFT_DAYS
            else None,
        }
        for row in page.items
    ]
    context = {
        "drafts": drafts,
        "next": page.next,
        "days": services.UNTOUCHED.days,
        "most": services.MAX_DRAFTS,
    }
    return render(request, "catalog/drafts.html", context)


@require_GET
def draft(request: HttpRequest, draft_id: UUID) -> HttpResponse:
    """The page that the draft was kept on, as it was, with whom it is shared."""
    actor = request_actor(request)
    found = get_draft(actor, draft_id)
    saved = Saved(found, found.revision)
    frame = {"sharing": _sharing(actor, found)}
    if found.kind == DraftKind.CHANGE:
        return views_changes.reopen(request, actor, saved, frame)
    try:
        contract = draft_pages.contract_of(found)
    except InvalidError as error:
        context = frame | {"draft": found, "fault": error.errors[0] if error.errors else None}
        return render(request, "catalog/draft_unreadable.html", context)
    return views_register.reopen(request, actor, saved, contract, frame)


@dataclass(frozen=True, slots=True)
class Sharing:
    """What the panel below a draft shows."""

    draft: Draft
    is_mine: bool
    users: str
    team_slugs: frozenset[str]
    teams: list[Team]
    names: list[str]
    days: int


def _sharing(actor: Actor, found: Draft) -> Sharing:
    shares = list(found.shares.select_related("user", "team"))
    users = sorted(share.user.email for share in shares if share.user)
    teams = [share.team for share in shares if share.team]
    mine = list(Team.objects.filter(pk__in=actor.team_ids).order_by("name"))
    return Sharing(
        draft=found,
        is_mine=found.owner_id == actor.id,
        users=" ".join(users),
        team_slugs=frozenset(team.slug for team in teams),
        teams=[*mine, *(team for team in teams if team not in mine)],
        names=[*users, *(team.name for team in teams)],
        days=services.UNTOUCHED.days,
    )


@require_POST
def save(request: HttpRequest) -> HttpResponse:
    """Keep what a form holds: a fragment for the page that saves by itself, else the draft."""
    actor = request_actor(request)
    given = request.POST.dict()
    kind = DraftKind.CHANGE if given.get("draft_kind") == "change" else DraftKind.REGISTRATION
    try:
        saved = _save(kind, {name: str(value) for name, value in given.items()}, actor)
    except PortalError as error:
        return _not_saved(request, actor, kind, _why(error))
    if request.headers.get("HX-Request"):
        return render(request, "catalog/_draft_saved.html", {"saved": saved})
    messages.success(request, "The draft is saved.")
    return redirect("draft", draft_id=saved.draft.pk)


def _save(kind: DraftKind, given: dict[str, str], actor: Actor) -> Saved:
    kept = draft_pages.kept_of(kind, given)
    if not given.get("draft"):
        stream = get_stream(actor, given.get("draft_stream", "")) if kind == "change" else None
        made = services.create_draft(kind, kept.content, actor=actor, stream=stream, page=kept.page)
        return Saved(made, made.revision)
    named = draft_pages.saved_in(actor, given)
    if named is None or named.draft.kind != kind:
        raise InvalidError("This draft is gone: it was published or discarded meanwhile.")
    try:
        found = services.change_draft(
            named.draft, actor=actor, content=kept.content, page=kept.page, revision=named.revision
        )
    except PreconditionFailedError as error:
        now = get_draft(actor, named.draft.pk)
        raise PreconditionFailedError(
            f"Not saved: {now.updated_by} changed it at {now.updated_at:%H:%M} UTC."
        ) from error
    return Saved(found, found.revision)


def _why(error: PortalError) -> str:
    detail = f"{error.detail} {error.errors[0].detail}" if error.errors else error.detail
    return detail if detail.startswith("Not saved") else f"Not saved. {detail}"


def _not_saved(request: HttpRequest, actor: Actor, kind: DraftKind, why: str) -> HttpResponse:
    """The fragment that says so, or the whole form again: what was typed is never lost."""
    saved = draft_pages.saved_in(actor, {k: str(v) for k, v in request.POST.items()})
    if request.headers.get("HX-Request"):
        context = {"saved": saved, "problem": why}
        return render(request, "catalog/_draft_saved.html", context)
    if kind == DraftKind.CHANGE:
        stream = get_stream(actor, request.POST.get("draft_stream", ""))
        return views_changes.keep_open(request, stream, saved, why)
    return views_register.keep_open(request, actor, why)


@require_POST
def share(request: HttpRequest, draft_id: UUID) -> HttpResponse:
    actor = request_actor(request)
    found = get_draft(actor, draft_id)
    wanted = request.POST.get("users", "")[:20_000].replace(",", " ").lower().split()
    users = list(User.objects.filter(email__in=wanted))
    teams = list(Team.objects.filter(slug__in=request.POST.getlist("team")[:100]))
    unknown = sorted(set(wanted) - {user.email.lower() for user in users})
    try:
        if unknown:
            raise InvalidError(f"Nobody here is {', '.join(unknown[:3])}.")
        services.share_draft(found, actor=actor, users=users, teams=teams)
    except PortalError as error:
        messages.error(request, f"Not shared. {error.detail}")
    else:
        is_shared = found.shares.exists()
        messages.success(request, "Shared." if is_shared else "It is private again.")
    return redirect("draft", draft_id=draft_id)


@require_POST
def discard(request: HttpRequest, draft_id: UUID) -> HttpResponse:
    actor = request_actor(request)
    services.discard_draft(get_draft(actor, draft_id), actor=actor)
    messages.success(request, "The draft is discarded.")
    return redirect("drafts")
