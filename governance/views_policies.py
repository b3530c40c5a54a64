"""Pages of policies: the rules and what they find today, one rule, writing it, waivers."""

from typing import Any, Final
from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from governance.forms_policies import EditForm, NewForm, TermForm, WaiverForm, place_faults
from governance.middleware import request_actor
from governance.models import Policy
from governance.policies import facts
from governance.selectors import policies as selectors
from governance.selectors.jobs import newest_job
from governance.services import policies as services
from governance.services import policy_runs, waivers
from governance.types import Severity
from portal.http import parameters
from portal.http.pagination import paginate
from portal.kernel.actor import Actor
from portal.kernel.errors import NotFoundError, PortalError, PreconditionFailedError, sentence

SHOWS: Final = ("acting", "all", "off")
_ROWS: Final = 50
_HISTORY: Final = 20
_WAIVERS: Final = 50


@require_GET
def overview(request: HttpRequest) -> HttpResponse:
    """The rules in words with what each finds today, of what the reader may know of."""
    actor = request_actor(request)
    asked = parameters.read(
        request.GET, {"show": parameters.choice(SHOWS), "cursor": parameters.text(2000)}
    )
    show = asked.get("show", "all")
    counts = selectors.counts_by_policy(actor)
    rows = Policy.objects.all()
    if show == "acting":
        rows = rows.filter(selectors.ON, pk__in=counts)
    elif show == "off":
        rows = rows.exclude(selectors.ON)
    page = paginate(rows, order=("slug",), limit=_ROWS, cursor=asked.get("cursor"))
    return render(
        request,
        "governance/policies.html",
        {
            "title": _title(counts),
            "rows": [(row, counts.get(row.pk), _subject(row)) for row in page.items],
            "next": page.next,
            "show": show,
            "shows": SHOWS,
            "waivers": selectors.visible_waivers(actor).filter(selectors.HOLDS)[:_WAIVERS],
            "job": newest_job(policy_runs.KIND, policy_runs.ALL),
            "is_admin": actor.is_admin,
        },
    )


def _title(counts: dict[int, dict[str, int]]) -> str:
    acting = [pk for pk, found in counts.items() if found["breaks"] or found["undecided"]]
    blocking = Policy.objects.filter(selectors.ON, pk__in=acting, severity=Severity.BLOCK).count()
    if blocking:
        return f"{_policies(blocking)} block{'s' if blocking == 1 else ''} something today."
    if acting:
        return f"{_policies(len(acting))} find{'s' if len(acting) == 1 else ''} something today."
    return "No policy finds anything today."


def _policies(count: int) -> str:
    return "One policy" if count == 1 else f"{count} policies"


def _subject(row: Policy) -> str:
    """What a policy judges, in words; its code where the app that knew it is gone."""
    return facts.subject_of(row.subject).many if row.subject in facts.kinds() else row.subject


@require_GET
def policy(request: HttpRequest, slug: str) -> HttpResponse:
    """One rule: what it says, what it finds, its waivers and its history."""
    found = selectors.get_policy(slug)
    asked = parameters.read(
        request.GET, {"cursor": parameters.text(2000), "waive": parameters.text(120)}
    )
    forms = {"waiver": WaiverForm(initial={"key": asked.get("waive", "")}), "off": TermForm()}
    return _policy_page(request, found, cursor=asked.get("cursor"), forms=forms)


def _policy_page(
    request: HttpRequest,
    found: Policy,
    *,
    cursor: str | None = None,
    forms: dict[str, Any],
    status: int = 200,
) -> HttpResponse:
    actor = request_actor(request)
    rows = selectors.visible_findings(actor).filter(policy=found)
    page = paginate(rows, order=("-since", "id"), limit=_ROWS, cursor=cursor)
    context = {
        "policy": found,
        "subject": _subject(found),
        "findings": _shown(actor, found, page.items),
        "next": page.next,
        "counts": selectors.counts_by_policy(actor).get(found.pk),
        "waivers": selectors.visible_waivers(actor).filter(policy=found)[:_WAIVERS],
        "versions": selectors.versions_of(found)[:_HISTORY],
        "job": newest_job(policy_runs.KIND, found.ref),
        "is_admin": actor.is_admin,
        **forms,
    }
    return render(request, "governance/policy.html", context, status=status)


def _shown(actor: Actor, found: Policy, rows: list[Any]) -> list[dict[str, Any]]:
    """Findings with what their things are called and where they are."""
    if found.subject not in facts.kinds():
        return []
    subject = facts.subject_of(found.subject)
    titles = subject.titles(actor, [row.subject_key for row in rows])
    return [
        {
            "row": row,
            "title": titles.get(row.subject_key, row.subject_key),
            "url": subject.address.format(key=row.subject_key),
        }
        for row in rows
    ]


@require_http_methods(["GET", "POST"])
def new(request: HttpRequest) -> HttpResponse:
    """Write a policy; it can be tried before it is made."""
    services.require_admin(request_actor(request))
    form = NewForm(request.POST or None)
    tried = None
    if request.method == "POST" and form.is_valid():
        actor, said = request_actor(request), form.cleaned_data
        try:
            if request.POST.get("do") != "save":
                tried = policy_runs.try_policy(said["subject"], said["expression"], actor=actor)
            else:
                made = services.create_policy(actor=actor, **said)
                messages.success(request, f"{made.title} is on. A run looks what it finds.")
                return redirect("policy", slug=made.slug)
        except PortalError as error:
            place_faults(form, error)
    return _edit_page(request, form, None, tried)


@require_http_methods(["GET", "POST"])
def edit(request: HttpRequest, slug: str) -> HttpResponse:
    """Change a policy, with a preview of what the edit would find."""
    actor = request_actor(request)
    services.require_admin(actor)
    found = selectors.get_policy(slug)
    initial = {name: getattr(found, name) for name in (*services.CHANGEABLE, "revision")}
    form = EditForm(request.POST or None, initial=initial)
    tried = None
    if request.method == "POST" and form.is_valid():
        try:
            if request.POST.get("do") != "save":
                tried = policy_runs.try_policy(
                    found.subject, form.cleaned_data["expression"], actor=actor, policy=found
                )
            else:
                saved = _save(found, form, actor)
                messages.success(request, f"Saved as version {saved.version}.")
                return redirect("policy", slug=slug)
        except PreconditionFailedError:
            form.add_error(None, "Not saved: someone else changed it. Open it again to compare.")
        except PortalError as error:
            place_faults(form, error)
    return _edit_page(request, form, found, tried)


def _save(found: Policy, form: EditForm, actor: Actor) -> Policy:
    said = dict(form.cleaned_data)
    note, revision = said.pop("note"), said.pop("revision")
    return services.change_policy(found, said, actor=actor, revision=revision, note=note)


def _edit_page(
    request: HttpRequest, form: Any, found: Policy | None, tried: dict[str, Any] | None
) -> HttpResponse:
    context = {"form": form, "policy": found, "tried": tried, "subjects": facts.subjects()}
    status = 422 if form.errors else 200
    return render(request, "governance/policy_edit.html", context, status=status)


@require_POST
def switch(request: HttpRequest, slug: str) -> HttpResponse:
    """Switch a policy off until a day with a reason, or on again."""
    actor, found = request_actor(request), selectors.get_policy(slug)
    services.require_admin(actor)
    form = TermForm(request.POST)
    try:
        if request.POST.get("do") == "on":
            services.switch_on(found, actor=actor)
            messages.success(request, "It is on. A run looks what it finds.")
            return redirect("policy", slug=slug)
        if form.is_valid():
            services.switch_off(
                found, actor=actor, reason=form.cleaned_data["reason"], until=form.until_at
            )
            messages.success(request, f"It is off until {form.cleaned_data['until']}.")
            return redirect("policy", slug=slug)
    except PortalError as error:
        place_faults(form, error)
    return _policy_page(request, found, forms={"waiver": WaiverForm(), "off": form}, status=422)


@require_POST
def waive(request: HttpRequest, slug: str) -> HttpResponse:
    """Waive a policy for one thing."""
    actor, found = request_actor(request), selectors.get_policy(slug)
    services.require_admin(actor)
    form = WaiverForm(request.POST)
    if form.is_valid():
        said = form.cleaned_data
        try:
            waivers.waive(
                found, said["key"], actor=actor, reason=said["reason"], until=form.until_at
            )
        except PortalError as error:
            place_faults(form, error)
        else:
            messages.success(request, f"Waived for {said['key']} until {said['until']}.")
            return redirect("policy", slug=slug)
    return _policy_page(request, found, forms={"waiver": form, "off": TermForm()}, status=422)


@require_POST
def end_waiver(request: HttpRequest, waiver_id: UUID) -> HttpResponse:
    actor = request_actor(request)
    services.require_admin(actor)
    found = selectors.get_waiver(actor, waiver_id)
    try:
        waivers.end_waiver(found, actor=actor)
    except PortalError as error:
        messages.error(request, sentence(error))
    else:
        messages.success(request, f"The waiver for {found.subject_key} has ended.")
    return redirect("policy", slug=found.policy.slug)


@require_POST
def run(request: HttpRequest) -> HttpResponse:
    """Run all policies over everything, or the one that is named."""
    actor = request_actor(request)
    slug = request.POST.get("policy", "")
    if len(slug) > 60:
        raise NotFoundError
    found = selectors.get_policy(slug) if slug else None
    job = policy_runs.run_policies(actor=actor, policy=found)
    return redirect("job", job_id=job.pk)
