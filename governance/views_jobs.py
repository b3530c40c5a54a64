"""Pages of long work: what is under way and what ended, one piece of it, and the hand on it."""

from collections.abc import Callable, Mapping
from typing import Any, Final
from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.http import require_GET, require_POST

from governance import job_kinds
from governance.middleware import request_actor
from governance.models import Job
from governance.models.jobs import LIVE, JobState
from governance.selectors.jobs import get_job, visible_jobs, wishes_of
from governance.services import jobs as services
from portal.http import parameters
from portal.http.pagination import paginate
from portal.kernel.actor import Actor
from portal.kernel.errors import NotFoundError, PortalError

TABS: Final = ("all", "live", "ended")
STEERED: Final[Mapping[str, tuple[Callable[..., Job], str]]] = {
    "pause": (services.pause_job, "It rests after its present step."),
    "resume": (services.resume_job, "It goes on where it was."),
    "stop": (services.stop_job, "It ends after its present step."),
}


@require_GET
def overview(request: HttpRequest) -> HttpResponse:
    return render(request, "governance/jobs.html", _list(request))


@require_GET
def listed(request: HttpRequest) -> HttpResponse:
    """The list alone, for the page that follows it live."""
    return render(request, "governance/_jobs.html", _list(request))


def _list(request: HttpRequest) -> dict[str, Any]:
    actor = request_actor(request)
    asked = parameters.read(
        request.GET, {"show": parameters.choice(TABS), "cursor": parameters.text(2000)}
    )
    show, rows = asked.get("show", "all"), visible_jobs(actor)
    if show == "live":
        rows = rows.filter(state__in=LIVE)
    elif show == "ended":
        rows = rows.exclude(state__in=LIVE)
    page = paginate(
        rows.defer("cursor"), order=("-created_at", "id"), limit=25, cursor=asked.get("cursor")
    )
    jobs = [_shown(actor, row) for row in page.items]
    return {
        "jobs": jobs,
        "next": page.next,
        "show": show,
        "tabs": TABS,
        "live_count": visible_jobs(actor).filter(state__in=LIVE).count(),
        "is_live": any(item["row"].is_live for item in jobs),
        "query": request.GET.urlencode(),
        "is_admin": actor.is_admin,
    }


def _shown(actor: Actor, row: Job) -> dict[str, Any]:
    """A piece of work as pages show it: what of it the person may press."""
    may_steer = services.may_steer(actor, row)
    return {
        "row": row,
        "kind": job_kinds.name_of(row.kind),
        "address": job_kinds.address_of(row),
        "may_pause": may_steer and row.state in (JobState.WAITING, JobState.RUNNING),
        "may_resume": may_steer and row.state in (JobState.PAUSED, JobState.FAILED),
        "may_stop": may_steer and row.is_live,
    }


@require_GET
def job(request: HttpRequest, job_id: UUID) -> HttpResponse:
    return render(request, "governance/job.html", _one(request, job_id))


@require_GET
def state(request: HttpRequest, job_id: UUID) -> HttpResponse:
    """How far it is, alone, for the page that follows it live."""
    return render(request, "governance/_job.html", _one(request, job_id))


def _one(request: HttpRequest, job_id: UUID) -> dict[str, Any]:
    actor = request_actor(request)
    found = get_job(actor, job_id)
    return {
        "job": _shown(actor, found),
        "wishes": wishes_of(found),
        "most_attempts": services.MAX_ATTEMPTS,
    }


@require_POST
def steer(request: HttpRequest, job_id: UUID) -> HttpResponse:
    """Pause, resume or stop it, as the button says; `back` is the page that the button stood on."""
    actor = request_actor(request)
    found = get_job(actor, job_id)
    step = STEERED.get(request.POST.get("do", ""))
    if step is None:
        raise NotFoundError
    try:
        step[0](found, actor=actor)
    except PortalError as error:
        messages.error(request, f"Not done: {error.detail}")
    else:
        messages.success(request, step[1])
    back = request.POST.get("back", "")
    if back.startswith("/") and url_has_allowed_host_and_scheme(back, allowed_hosts=None):
        return redirect(back)
    return redirect("job", job_id=job_id)
