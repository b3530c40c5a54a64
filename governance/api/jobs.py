"""REST of long work: list, look, pause, resume, stop."""

from collections.abc import Callable
from typing import ClassVar, TypedDict
from uuid import UUID

from rest_framework.request import Request
from rest_framework.response import Response

from governance.api.authentication import api_actor
from governance.api.base import ApiView
from governance.api.idempotency import idempotent
from governance.models import Job, JobState
from governance.selectors.jobs import get_job, visible_jobs
from governance.services import jobs as services
from portal.http import bodies, parameters
from portal.http.conditional import etag
from portal.http.operations import Time, listed, operation
from portal.http.pagination import paginate


class AboutBody(TypedDict):
    kind: str
    key: str


class JobBody(TypedDict):
    id: UUID
    kind: str
    about: AboutBody
    title: str
    state: str
    wish: str | None
    done: int
    total: int | None
    percent: int | None
    said: str
    created_by: str
    created_at: Time
    started_at: Time | None
    finished_at: Time | None
    updated_at: Time


def job_body(row: Job) -> JobBody:
    return {
        "id": row.pk,
        "kind": row.kind,
        "about": {"kind": row.object_kind, "key": row.object_key},
        "title": row.title,
        "state": row.state,
        "wish": row.wish or None,
        "done": row.done,
        "total": row.total,
        "percent": row.percent,
        "said": row.said,
        "created_by": row.created_by,
        "created_at": row.created_at,
        "started_at": row.started_at,
        "finished_at": row.finished_at,
        "updated_at": row.updated_at,
    }


class Jobs(ApiView):
    @operation(
        "Long work that you started, or that is your teams'; the newest first.",
        takes={
            "state": parameters.choice(JobState.values),
            "kind": parameters.text(40),
            **parameters.LIST,
        },
        gives=listed(JobBody),
    )
    def get(self, request: Request) -> Response:
        asked = self.asked
        rows = visible_jobs(api_actor(request))
        rows = rows.filter(**{name: asked[name] for name in ("state", "kind") if name in asked})
        page = paginate(
            rows,
            order=("-created_at", "id"),
            limit=asked.get("limit"),
            cursor=asked.get("cursor"),
        )
        return Response(page.as_dict(job_body))


class JobDetail(ApiView):
    @operation("One piece of long work and how far it is.", gives=JobBody)
    def get(self, request: Request, job_id: UUID) -> Response:
        return _answer(get_job(api_actor(request), job_id))


def _steer(request: Request, job_id: UUID, step: Callable[..., Job]) -> Response:
    actor = api_actor(request)
    job = get_job(actor, job_id)
    bodies.EMPTY.read(request.data)
    return _answer(step(job, actor=actor))


class Pause(ApiView):
    @operation("Let it rest after its present step.", gives=JobBody)
    @idempotent
    def post(self, request: Request, job_id: UUID) -> Response:
        return _steer(request, job_id, services.pause_job)


class Resume(ApiView):
    @operation("Go on with paused or failed work where it was.", gives=JobBody)
    @idempotent
    def post(self, request: Request, job_id: UUID) -> Response:
        return _steer(request, job_id, services.resume_job)


class Stop(ApiView):
    @operation("End it after its present step, for good; what it did stays.", gives=JobBody)
    @idempotent
    def post(self, request: Request, job_id: UUID) -> Response:
        return _steer(request, job_id, services.stop_job)


def _answer(job: Job) -> Response:
    return Response(job_body(job), headers={"ETag": etag(job.revision)})
