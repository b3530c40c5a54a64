"""REST of long work: list, look, pause, resume, stop."""

from typing import Any, ClassVar
from uuid import UUID

from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from governance.api.authentication import api_actor
from governance.api.idempotency import idempotent
from governance.models import Job, JobState
from governance.selectors.jobs import get_job, visible_jobs
from governance.services import jobs as services
from portal.http import bodies, parameters
from portal.http.conditional import etag
from portal.http.pagination import paginate


def job_dict(row: Job) -> dict[str, Any]:
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


class Jobs(APIView):
    policy: ClassVar = {"GET": "job.read"}

    def get(self, request: Request) -> Response:
        asked = parameters.read(
            request.query_params,
            {"state": parameters.choice(JobState.values), "kind": parameters.text(40)}
            | dict(parameters.LIST),
        )
        rows = visible_jobs(api_actor(request))
        rows = rows.filter(**{name: asked[name] for name in ("state", "kind") if name in asked})
        page = paginate(
            rows,
            order=("-created_at", "id"),
            limit=asked.get("limit"),
            cursor=asked.get("cursor"),
        )
        return Response(page.as_dict(job_dict))


class JobDetail(APIView):
    policy: ClassVar = {"GET": "job.read"}

    def get(self, request: Request, job_id: UUID) -> Response:
        parameters.read(request.query_params, {})
        return _answer(get_job(api_actor(request), job_id))


class JobStep(APIView):
    """One wish for a job: pause, resume or stop."""

    policy: ClassVar = {"POST": "job.steer"}
    step: str = ""

    @idempotent
    def post(self, request: Request, job_id: UUID) -> Response:
        bodies.read(request.data or {})
        actor = api_actor(request)
        steps = {
            "pause": services.pause_job,
            "resume": services.resume_job,
            "stop": services.stop_job,
        }
        return _answer(steps[self.step](get_job(actor, job_id), actor=actor))


def _answer(job: Job) -> Response:
    return Response(job_dict(job), headers={"ETag": etag(job.revision)})
