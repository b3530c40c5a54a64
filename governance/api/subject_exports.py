"""REST of exports of what is kept about a person."""

from typing import ClassVar, Final, TypedDict
from uuid import UUID

from django.http import StreamingHttpResponse
from rest_framework.request import Request
from rest_framework.response import Response

from governance.api.authentication import api_actor
from governance.api.base import ApiView
from governance.api.idempotency import idempotent
from governance.api.jobs import JobBody, job_body
from governance.models import ExportState, SubjectExport
from governance.selectors import persons
from governance.selectors.subject_exports import get_export, visible_exports
from governance.services import subject_exports as services
from portal.http import bodies, parameters
from portal.http.bodies import Body
from portal.http.conditional import etag, require_match
from portal.http.operations import Time, listed, operation
from portal.http.pagination import paginate
from portal.http.streaming import in_parts

LINES: Final = "application/x-ndjson"
ASKING: Final = Body(
    required={
        "identifiers": bodies.texts(persons.MOST, persons.LONGEST),
        "reason": bodies.text(500),
    }
)


class StoreCount(TypedDict):
    key: str
    name: str
    looked_at: int
    items: int


class SubjectExportBody(TypedDict):
    id: UUID
    state: str
    ended: str | None
    reason: str
    identifiers: int
    requested_by: str
    created_at: Time
    finished_at: Time | None
    expires_at: Time
    gone_at: Time | None
    items: int
    size_bytes: int
    downloads: int
    stores: list[StoreCount]
    job: JobBody | None


def export_body(row: SubjectExport) -> SubjectExportBody:
    """One export as the API gives it; whose it is is not told."""
    return {
        "id": row.pk,
        "state": row.state,
        "ended": row.ended or None,
        "reason": row.reason,
        "identifiers": row.identifiers,
        "requested_by": row.requested_by,
        "created_at": row.created_at,
        "finished_at": row.finished_at,
        "expires_at": row.expires_at,
        "gone_at": row.gone_at,
        "items": row.items,
        "size_bytes": row.size_bytes,
        "downloads": row.downloads,
        "stores": row.stores,
        "job": job_body(row.job) if row.job is not None else None,
    }


class SubjectExports(ApiView):
    sudo: ClassVar = {"POST"}

    @operation(
        "Exports of what is kept about persons, the newest first.",
        takes={"state": parameters.choice(ExportState.values), **parameters.LIST},
        gives=listed(SubjectExportBody),
    )
    def get(self, request: Request) -> Response:
        rows = visible_exports(api_actor(request))
        if "state" in self.asked:
            rows = rows.filter(state=self.asked["state"])
        page = paginate(
            rows,
            order=("-created_at", "id"),
            limit=self.asked.get("limit"),
            cursor=self.asked.get("cursor"),
        )
        return Response(page.as_dict(export_body))

    @operation(
        "Have what is kept about a person gathered into a sealed file; the other admins are told.",
        body=ASKING,
        gives=SubjectExportBody,
        status=202,
    )
    @idempotent
    def post(self, request: Request) -> Response:
        said = self.said(request)
        row = services.request_export(
            said["identifiers"], reason=said["reason"], actor=api_actor(request)
        )
        headers = {"ETag": etag(row.revision), "Location": f"/api/v1/subject-exports/{row.pk}"}
        return Response(export_body(row), status=202, headers=headers)


class SubjectExportDetail(ApiView):
    sudo: ClassVar = {"DELETE"}

    @operation("One export and how far it is.", gives=SubjectExportBody)
    def get(self, request: Request, export_id: UUID) -> Response:
        row = get_export(api_actor(request), export_id)
        return Response(export_body(row), headers={"ETag": etag(row.revision)})

    @operation("Remove its file and destroy its key before its days are over.", status=204)
    def delete(self, request: Request, export_id: UUID) -> Response:
        actor = api_actor(request)
        require_match(request.headers, etag(get_export(actor, export_id).revision))
        services.delete_export(export_id, actor=actor)
        return Response(status=204)


class SubjectExportDownload(ApiView):
    sudo: ClassVar = {"GET"}

    @operation(
        "The file in clear, one JSON object a line; each download is a row of the audit log.",
        media=LINES,
        refuses=(409,),
    )
    def get(self, request: Request, export_id: UUID) -> StreamingHttpResponse:
        return downloaded(services.download_export(export_id, actor=api_actor(request)), export_id)


def downloaded(parts: services.Parts, export_id: UUID) -> StreamingHttpResponse:
    """A file that is sent as it is unsealed, and kept by nobody on its way."""
    response = StreamingHttpResponse(in_parts(parts), content_type=LINES)
    response["Content-Disposition"] = f'attachment; filename="subject-export-{export_id}.jsonl"'
    response["Cache-Control"] = "no-store"
    return response
