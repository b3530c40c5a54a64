"""Pages of synthetic events: what to send, five of them beforehand, and what came of runs."""

from typing import Any
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_http_methods

from catalog.selectors.streams import get_stream
from catalog.types import Track
from governance.middleware import request_actor
from governance.services.jobs import may_steer
from ingest.pages.synthetic_pages import RunForm, Sample, ShownRun, sample_of
from ingest.selectors.synthetic_runs import (
    MAX_CHOICES,
    get_run,
    jobs_of_runs,
    streams_to_fill,
    visible_runs,
)
from ingest.services.synthetic_runs import preview, start_run
from portal.http import parameters
from portal.http.pagination import paginate
from portal.kernel.actor import Actor
from portal.kernel.errors import NotFoundError, PortalError, sentence


@require_http_methods(["GET", "POST"])
def synthetic(request: HttpRequest) -> HttpResponse:
    """The form, the runs, and after `do=preview` five events; `do=start` begins a run."""
    actor = request_actor(request)
    asked = parameters.read(request.GET, {"stream": parameters.text(255), **parameters.LIST})
    streams = streams_to_fill(actor)
    said = request.POST if request.method == "POST" else None
    form = RunForm(streams, said, chosen=asked.get("stream", ""))
    samples: list[Sample] = []
    joins: list[str] = []
    refused = ""
    if said is not None:
        stream = None
        try:
            stream = get_stream(actor, said.get("stream", ""))
        except NotFoundError:
            if not streams:  # the form was not offered at all
                raise
            refused = "There is no stream of this name that you may send to."
        if stream is not None and form.is_valid():
            try:
                further = [(get_stream(actor, name), ratio) for name, ratio in form.further()]
                if said.get("do") == "start":
                    run = start_run(stream, form.wanted(), actor=actor, further=further)
                    return redirect("synthetic_run", run_id=run.pk)
                made, joins = preview(stream, form.wanted(), actor=actor, further=further)
                samples = [sample_of(one) for one in made]
            except NotFoundError:
                refused = "There is no stream of one of these names that you may send to."
            except PortalError as error:
                refused = sentence(error)
    context = {
        "form": form, "samples": samples, "joins": joins, "refused": refused,
        "was_asked": said is not None, "has_further": bool(said is not None and form.is_valid()
                                                          and form.further()),
        "faults": [
            f"{name}: {fault}" for part in (form, *form.rows)
            for name, faults in part.errors.items() for fault in faults
        ] if said is not None else [],
    }  # fmt: skip
    if request.headers.get("HX-Request") == "true" and said is not None:
        return render(request, "ingest/_synthetic_preview.html", context)
    page = paginate(
        visible_runs(actor), order=("-started_at", "id"), limit=asked.get("limit", 20),
        cursor=asked.get("cursor"),
    )  # fmt: skip
    jobs = jobs_of_runs(page.items)
    context |= {
        "streams": streams,
        "has_production": len(streams) == MAX_CHOICES
        or any(one.track == Track.PRODUCTION for one in streams),
        "runs": [ShownRun(row, jobs.get(str(row.pk))) for row in page.items],
        "next": page.next,
    }
    status = 422 if refused or context["faults"] else 200
    return render(request, "ingest/synthetic.html", context, status=status)


@require_GET
def synthetic_run(request: HttpRequest, run_id: UUID) -> HttpResponse:
    return render(request, "ingest/synthetic_run.html", _one(request_actor(request), run_id))


@require_GET
def synthetic_state(request: HttpRequest, run_id: UUID) -> HttpResponse:
    """How far it is, alone, for the page that follows it live."""
    return render(request, "ingest/_synthetic_run.html", _one(request_actor(request), run_id))


def _one(actor: Actor, run_id: UUID) -> dict[str, Any]:
    row = get_run(actor, run_id)
    job = jobs_of_runs([row]).get(str(row.pk))
    return {"one": ShownRun(row, job), "may_steer": job is not None and may_steer(actor, job)}
