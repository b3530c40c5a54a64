"""Pages of access: who asks, who decides, and the overview of both."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from governance import access, programs
from governance.explaining import unseen_fields, why_not
from governance.forms import AskForm, end_of_day
from governance.middleware import request_actor
from governance.models import AccessRequest
from governance.models.access import RequestState
from governance.policies.verdicts import Verdict
from governance.programs import Program
from governance.selectors import requests as selectors
from governance.selectors.audit_log import entries
from governance.selectors.delegations import delegations_of
from governance.selectors.requests import GrantRow
from governance.services import requests as services
from governance.services.requests import Wanted
from governance.sights import Sight, chosen, sights, sights_of
from governance.types import Permission, ResourceRef
from governance.views_grants import rows_of
from portal.http import words
from portal.http.pagination import paginate
from portal.http.problem import remember
from portal.kernel import clock
from portal.kernel.actor import Actor, ActorKind
from portal.kernel.errors import InvalidError, NotFoundError, PortalError

SOON: Final = timedelta(days=30)
_SHOWN_REQUESTS: Final = 10
_A_PRODUCER: Final = f"{ActorKind.PRODUCER}:"


@require_GET
def overview(request: HttpRequest) -> HttpResponse:
    actor = request_actor(request)
    waiting = [
        (each, sights_of(each))
        for each in selectors.requests_to_decide(actor).order_by("created_at")[:_SHOWN_REQUESTS]
    ]
    waiting_count = selectors.requests_to_decide(actor).count()
    agreed = [
        each
        for each, _ in waiting
        if (each.policy or {}).get("stance") == "agrees" and not each.wants_personal
    ]
    now = clock.now()
    grants = selectors.live_grants(actor)
    mine = selectors.live_grants(actor, mine=True)
    return render(
        request,
        "governance/access.html",
        {
            "title": _headline(
                waiting_count, len(agreed), actor_decides=bool(actor.is_admin or actor.team_ids)
            ),
            "waiting": waiting,
            "waiting_count": waiting_count,
            "agreed": agreed,
            "mine": selectors.visible_requests(actor)
            .filter(requester_id=actor.id)
            .order_by("-created_at")[:_SHOWN_REQUESTS],
            "my_grants": [grant for grant in mine if not grant.is_of_program][:20],
            "program_grants": [grant for grant in mine if grant.is_of_program][:20],
            "deputies": delegations_of(actor),
            "decides": bool(selectors.live_grants(actor, decides=True, limit=1)),
            "ending": rows_of(
                actor, [grant for grant in grants if grant.valid_until < now + SOON][:10]
            ),
            "grants": grants[:20],
            "log": entries(verb="granted").order_by("-seq")[:8] if actor.is_admin else [],
        },
    )


def _headline(waiting: int, agreed: int, *, actor_decides: bool) -> str:
    if waiting:
        verb = "waits" if waiting == 1 else "wait"
        said = words.capitalized(f"{words.counted(waiting, 'request')} {verb} for you.")
        return (
            f"{said} Policy agrees with {words.counted(agreed, 'of them', 'of them')}."
            if agreed
            else said
        )
    return (
        "Nobody waits for your decision." if actor_decides else "What you may read, and until when."
    )


@require_GET
def request_list(request: HttpRequest) -> HttpResponse:
    actor = request_actor(request)
    page = paginate(
        selectors.visible_requests(actor),
        order=("-created_at", "id"),
        cursor=request.GET.get("cursor"),
    )
    return render(request, "governance/requests.html", {"requests": page.items, "next": page.next})


@require_http_methods(["GET", "POST"])
def ask(request: HttpRequest) -> HttpResponse:
    """Ask for access to the stream (or domain) in the query."""
    actor = request_actor(request)
    ref = _asked_for(request)
    thing: Any = access.find_resource(ref)
    access.require(actor, Permission.DISCOVER, thing)
    renewed = _renewed(request, actor, ref)
    asked = Wanted(tuple(renewed.fields)) if renewed is not None else Wanted()
    chosen_program, choices = _programs(request, actor, renewed)
    form = AskForm(request.POST or None, renewed=renewed, programs=choices, chosen=chosen_program)
    is_to_publish = renewed is not None and renewed.permission == Permission.PUBLISH
    offered = [] if is_to_publish else sights(thing, asked)
    is_for_producer = request.POST.get("for", "").startswith(_A_PRODUCER)
    wanted = None if is_for_producer else _wanted(request, form, offered)
    if (
        request.method == "POST"
        and form.is_valid()
        and not form.faults_of_fields
        and request.POST.get("do") != "try"
    ):
        try:
            asked_now = _ask(ref, actor, form, wanted, renewed)
        except PortalError as error:
            remember(request, error)
            _show(form, error)
        else:
            _tell_outcome(request, asked_now)
            return redirect("access")
    return render(
        request,
        "governance/access_new.html",
        {
            "form": form,
            "ref": ref,
            "thing": thing,
            "reasons": access.explain(actor, Permission.READ_PAYLOAD, thing),
            "why_not": why_not(actor, Permission.READ_PAYLOAD, thing),
            "unseen": unseen_fields(actor, thing),
            "renewed": renewed,
            "is_to_publish": is_to_publish,
            "sights": sights(thing, wanted) if wanted is not None else offered,
            "said": _said(ref, actor, form, wanted, renewed),
        },
        status=422 if form.errors or form.faults_of_fields else 200,
    )


def _asked_for(request: HttpRequest) -> ResourceRef:
    for kind in ("stream", "domain"):
        key = request.GET.get(kind, "") or request.POST.get(kind, "")
        if key:
            return ResourceRef(kind, key[:255])
    raise NotFoundError("Open a stream and press “Ask for access” there.")


def _programs(
    request: HttpRequest, actor: Actor, renewed: GrantRow | None
) -> tuple[str, list[str]]:
    """Which program is chosen, if any, and for which it can be asked: those of the person's teams and
    the one in the address. A grant is prolonged for who holds it: there is nothing to choose."""
    if renewed is not None:
        return "", []
    named = request.GET.get("for", "")[:80]
    if named:
        programs.require_team(programs.get(named, pointer="/for"), actor)
    choices = [str(one.ref) for one in programs.of_teams(actor.team_ids)]
    return named, choices if not named or named in choices else [named, *choices]


def _ask(
    ref: ResourceRef, actor: Actor, form: AskForm, wanted: Wanted | None, renewed: GrantRow | None
) -> AccessRequest:
    """Ask for what the page says."""
    return services.ask_for_access(
        ref,
        actor=actor,
        purpose=form.cleaned_data["purpose"],
        until=form.until_at,
        wanted=_seen(form, wanted, renewed),
        renews=renewed.id if renewed is not None else "",
        holder=_holder(form, renewed),
        by_day=True,
    )


def _seen(form: AskForm, wanted: Wanted | None, renewed: GrantRow | None) -> Wanted:
    """What is asked to be read. A producer sees nothing, whatever is ticked."""
    if _whom(form, renewed).startswith(_A_PRODUCER):
        return Wanted()
    return wanted or Wanted(personal=form.wants_personal)


def _whom(form: AskForm, renewed: GrantRow | None) -> str:
    """For which program; a grant is prolonged for who holds it, whatever is chosen."""
    return renewed.holder if renewed is not None and renewed.is_of_program else form.whom


def _holder(form: AskForm, renewed: GrantRow | None) -> Program | None:
    whom = _whom(form, renewed)
    return programs.get(whom, pointer="/for") if whom else None


def _said(
    ref: ResourceRef, actor: Actor, form: AskForm, wanted: Wanted | None, renewed: GrantRow | None
) -> Verdict | None:
    """What policies would say of what stands in the form; None while it cannot be read."""
    if form.is_bound and (not form.is_valid() or form.faults_of_fields):
        return None
    return services.verdict_before(
        ref,
        actor=actor,
        purpose=form.purpose_now,
        until=form.until_now,
        wanted=_seen(form, wanted, renewed),
        renews=renewed.id if renewed is not None else "",
        holder=_holder(form, renewed),
    )


def _tell_outcome(request: HttpRequest, asked: AccessRequest) -> None:
    """In a message: who decides, or what a policy answered."""
    if asked.state == RequestState.APPROVED:
        said = f"Granted at once until {words.day(asked.until)}: {asked.decision_reason}"
        messages.success(request, said)
    elif asked.state == RequestState.DENIED:
        messages.error(request, f"Declined by a policy: {asked.decision_reason}")
    else:
        messages.success(
            request, f"Asked. The owner of {asked.resource_key} decides; you will see it here."
        )


def _renewed(request: HttpRequest, actor: Actor, ref: ResourceRef) -> GrantRow | None:
    """The grant that is to be prolonged, if the address names one of theirs on this thing."""
    named = request.GET.get("renews", "") or request.POST.get("renews", "")
    if not named:
        return None
    found = selectors.get_grant(actor, named[:60])
    if found.ref != ref:
        raise NotFoundError
    return found


def _wanted(request: HttpRequest, form: AskForm, offered: Sequence[Sight]) -> Wanted | None:
    """Which fields are ticked; None where the page shows none, or what is wrong stands at them."""
    try:
        return chosen({name: request.POST.getlist(name) for name in request.POST}, offered)
    except InvalidError as error:
        _show(form, error)
        return None


def _show(form: AskForm, error: PortalError) -> None:
    """Put a refusal at its fields; the rest above the form."""
    placed = False
    for fault in error.errors:
        name, _, rest = fault.pointer.lstrip("/").partition("/")
        if name in form.fields and not rest:
            form.add_error(name, fault.detail)
        elif name in {"fields", "clear"}:
            said = f"{rest or 'The fields'}: {fault.detail}."
            form.faults_of_fields = [*form.faults_of_fields, said]
        else:
            continue
        placed = True
    if not placed:
        form.add_error(None, error.detail)


@require_POST
def decide(request: HttpRequest, request_id: UUID) -> HttpResponse:
    """Approve or decline, by the pressed button."""
    actor = request_actor(request)
    reason = request.POST.get("reason", "")[:1000]
    try:
        if request.POST.get("decision") == "approve":
            asked = selectors.get_request(actor, request_id)
            posted = {name: request.POST.getlist(name) for name in request.POST}
            found = services.approve_request(
                request_id,
                actor=actor,
                reason=reason,
                until=end_of_day(request.POST.get("until", "")),
                part=chosen(posted, sights_of(asked)),
            )
            messages.success(
                request,
                f"Granted {found.holder or found.requester.email} {found.resource_key} "
                f"until {words.day(found.granted_until or found.until)}.",
            )
        else:
            found = services.deny_request(request_id, actor=actor, reason=reason)
            messages.success(request, f"Declined. {found.requester.email} will read why.")
    except NotFoundError:
        raise
    except PortalError as error:
        remember(request, error)
        messages.error(request, error.detail)
    return redirect("access")


@require_POST
def accept(request: HttpRequest) -> HttpResponse:
    """Approve those of the shown requests with which policies agree."""
    chosen_ids = [text for text in request.POST.getlist("request") if _is_uuid(text)]
    try:
        count = services.accept_agreed(
            [UUID(text) for text in chosen_ids], actor=request_actor(request)
        )
    except NotFoundError:
        raise
    except PortalError as error:
        messages.error(request, error.detail)
    else:
        messages.success(request, f"Granted {words.counted(count, 'request')}, as policies agree.")
    return redirect("access")


def _is_uuid(text: str) -> bool:
    try:
        UUID(text)
    except ValueError:
        return False
    return True


@require_POST
def withdraw(request: HttpRequest, request_id: UUID) -> HttpResponse:
    services.withdraw_request(request_id, actor=request_actor(request))
    messages.success(request, "Withdrawn.")
    return redirect("access")
