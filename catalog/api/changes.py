"""REST of changes, and of the steps in the life of a schema version."""

from datetime import datetime
from typing import Any, ClassVar
from uuid import UUID

from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from catalog.api import render
from catalog.models import Change, SchemaVersion, Stream, Vote
from catalog.selectors import changes as selectors
from catalog.selectors.streams import get_stream, get_version
from catalog.services import changes as services
from catalog.services import lifecycle
from governance.api.authentication import api_actor
from governance.api.idempotency import idempotent
from governance.selectors.jobs import newest_job
from portal.http import bodies, parameters
from portal.http.conditional import etag
from portal.http.pagination import paginate
from portal.kernel.errors import InvalidStateError, NotFoundError

_COMMENT = bodies.text(services.MAX_COMMENT)


def answer(change: Change, *, status: int = 200) -> Response:
    """A change with its votes; a new one says where it is."""
    headers = {"ETag": etag(change.revision)}
    if status == 201:
        headers["Location"] = f"/api/v1/changes/{change.pk}"
    return Response(render.change(change, votes=True), status=status, headers=headers)


class Changes(APIView):
    policy: ClassVar = {"GET": "stream.discover"}

    def get(self, request: Request) -> Response:
        asked = parameters.read(
            request.query_params,
            {
                "state": parameters.choice(selectors.STATES),
                "stream": parameters.text(255),
                "mine": parameters.flag,
                "waiting": parameters.flag,
            }
            | dict(parameters.LIST),
        )
        actor = api_actor(request)
        rows = selectors.waiting_for(actor) if asked.get("waiting") else None
        if rows is None:
            rows = selectors.visible_changes(actor)
        if "state" in asked:
            rows = rows.filter(version__state=asked["state"])
        if "stream" in asked:
            rows = rows.filter(stream=get_stream(actor, asked["stream"]))
        if asked.get("mine"):
            rows = rows.filter(asked_by_id=actor.id if actor.is_person else None)
        page = paginate(
            rows,
            order=("-opened_at", "id"),
            limit=asked.get("limit"),
            cursor=asked.get("cursor"),
        )
        return Response(page.as_dict(render.change))


class ChangeDetail(APIView):
    policy: ClassVar = {"GET": "stream.discover"}

    def get(self, request: Request, change_id: UUID) -> Response:
        parameters.read(request.query_params, {})
        return answer(selectors.get_change(api_actor(request), change_id))


class ChangeReport(APIView):
    """What workers found out about a change, and how far they are."""

    policy: ClassVar = {"GET": "stream.discover"}

    def get(self, request: Request, change_id: UUID) -> Response:
        parameters.read(request.query_params, {})
        change = selectors.get_change(api_actor(request), change_id)
        job = newest_job(services.REPORT, change.ref)
        body = render.report(change, job)
        tag = f"{change.revision}.{job.revision if job else 0}"
        return Response(body, headers={"ETag": etag(tag)})


class ChangeComments(APIView):
    """The conversation on a change, oldest first."""

    policy: ClassVar = {"GET": "stream.discover", "POST": "stream.discover"}

    def get(self, request: Request, change_id: UUID) -> Response:
        asked = parameters.read(request.query_params, parameters.LIST)
        change = selectors.get_change(api_actor(request), change_id)
        page = paginate(
            change.comments.all(),
            order=("at", "id"),
            limit=asked.get("limit"),
            cursor=asked.get("cursor"),
        )
        return Response(page.as_dict(render.comment))

    @idempotent
    def post(self, request: Request, change_id: UUID) -> Response:
        actor = api_actor(request)
        change = selectors.get_change(actor, change_id)
        body = bodies.read(
            request.data, required={"text": _COMMENT}, optional={"path": bodies.text(500)}
        )
        row = services.comment_on_change(
            change, body["text"], actor=actor, path=body.get("path", "")
        )
        return Response(render.comment(row), status=201)


class ChangeRerun(APIView):
    """Measure an open change again."""

    policy: ClassVar = {"POST": "stream.edit"}

    @idempotent
    def post(self, request: Request, change_id: UUID) -> Response:
        bodies.read(request.data or {})
        actor = api_actor(request)
        change = selectors.get_change(actor, change_id)
        services.rerun_report(change, actor=actor)
        return answer(change, status=202)


def _change_of(actor: Any, name: str, version: int) -> Change:
    """The change behind a version; a version that was never proposed has none."""
    row = get_version(get_stream(actor, name), version)
    found = Change.objects.filter(version=row).first()
    if found is None:
        raise InvalidStateError(f"Version {version} was not proposed; it is {row.state}.")
    return selectors.get_change(actor, found.pk)


class ApproveVersion(APIView):
    policy: ClassVar = {"POST": "stream.approve"}

    @idempotent
    def post(self, request: Request, name: str, version: int) -> Response:
        actor = api_actor(request)
        proposed = _change_of(actor, name, version)
        body = bodies.read(request.data or {}, optional={"comment": _COMMENT})
        change = services.vote_on_change(
            proposed,
            Vote.APPROVE,
            actor=actor,
            comment=body.get("comment", ""),
        )
        return answer(change)


class AskForChanges(APIView):
    policy: ClassVar = {"POST": "stream.approve"}

    @idempotent
    def post(self, request: Request, name: str, version: int) -> Response:
        actor = api_actor(request)
        proposed = _change_of(actor, name, version)
        body = bodies.read(request.data, required={"comment": _COMMENT})
        change = services.vote_on_change(proposed, Vote.ASK, actor=actor, comment=body["comment"])
        return answer(change)


class RejectVersion(APIView):
    policy: ClassVar = {"POST": "stream.edit"}

    @idempotent
    def post(self, request: Request, name: str, version: int) -> Response:
        actor = api_actor(request)
        proposed = _change_of(actor, name, version)
        body = bodies.read(request.data, required={"reason": _COMMENT})
        change = services.reject_change(proposed, actor=actor, reason=body["reason"])
        return answer(change)


class ActivateVersion(APIView):
    """Make an approved version active; incompatible is a 409 unless it opens a group."""

    policy: ClassVar = {"POST": "stream.edit"}

    @idempotent
    def post(self, request: Request, name: str, version: int) -> Response:
        actor = api_actor(request)
        row = get_version(get_stream(actor, name), version)
        body = bodies.read(
            request.data or {},
            optional={"opens_group": bodies.boolean, "default": bodies.boolean},
        )
        change = Change.objects.filter(version=row).first()
        if change is None or row.state not in ("proposed", "approved"):
            raise InvalidStateError(f"Version {version} is {row.state}.")
        services.activate_change(
            selectors.get_change(actor, change.pk),
            actor=actor,
            opens_group=body.get("opens_group"),
            makes_default=body.get("default", True),
        )
        return _version_answer(actor, name, version)


class DefaultVersion(APIView):
    policy: ClassVar = {"POST": "stream.edit"}

    @idempotent
    def post(self, request: Request, name: str, version: int) -> Response:
        actor = api_actor(request)
        row = _version(actor, name, version)
        bodies.read(request.data or {})
        lifecycle.set_default_version(row, actor=actor)
        return _version_answer(actor, name, version)


class DeprecateVersion(APIView):
    policy: ClassVar = {"POST": "stream.edit"}

    @idempotent
    def post(self, request: Request, name: str, version: int) -> Response:
        actor = api_actor(request)
        row = _version(actor, name, version)
        body = bodies.read(
            request.data,
            required={
                "sunset_at": bodies.moment,
                "migration": bodies.text(lifecycle.MAX_NOTE),
            },
            optional={"brownouts": _windows},
        )
        lifecycle.deprecate_version(row, actor=actor, **body)
        return _version_answer(actor, name, version)


class RetireVersion(APIView):
    policy: ClassVar = {"POST": "stream.edit"}

    @idempotent
    def post(self, request: Request, name: str, version: int) -> Response:
        actor = api_actor(request)
        row = _version(actor, name, version)
        bodies.read(request.data or {})
        lifecycle.retire_version(row, actor=actor)
        return _version_answer(actor, name, version)


class SupersedeVersion(APIView):
    """Declare that a version corrects an older one."""

    policy: ClassVar = {"POST": "stream.edit"}

    @idempotent
    def post(self, request: Request, name: str, version: int) -> Response:
        actor = api_actor(request)
        row = _version(actor, name, version)
        body = bodies.read(request.data, required={"corrects": bodies.integer(1, 1_000_000)})
        lifecycle.supersede_version(row, corrects=body["corrects"], actor=actor)
        return _version_answer(actor, name, version)


def _version(actor: Any, name: str, version: int) -> SchemaVersion:
    return get_version(get_stream(actor, name), version)


def _version_answer(actor: Any, name: str, version: int) -> Response:
    stream: Stream = get_stream(actor, name)
    row = stream.versions.select_related("stream").filter(version=version).first()
    if row is None:
        raise NotFoundError
    return Response(render.version(row), headers={"ETag": etag(f"{row.version}.{stream.revision}")})


def _windows(value: Any) -> list[tuple[datetime, datetime]]:
    """`[{"from": time, "until": time}, …]`."""
    if not isinstance(value, list):
        raise TypeError("must be a list of windows")
    found = []
    for window in value:
        if not isinstance(window, dict) or set(window) != {"from", "until"}:
            raise TypeError("must hold objects with from and until")
        found.append((bodies.moment(window["from"]), bodies.moment(window["until"])))
    return found
