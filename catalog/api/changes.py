"""REST of changes, and of the steps in the life of a schema version."""

from collections.abc import Callable
from datetime import datetime
from typing import Any, ClassVar, Final
from uuid import UUID

from rest_framework.request import Request
from rest_framework.response import Response

from catalog.api import render
from catalog.models import Change, SchemaVersion, Vote
from catalog.selectors import changes as selectors
from catalog.selectors.streams import find_version, get_stream
from catalog.services import changes as services
from catalog.services import lifecycle
from catalog.services.remedies import MAX_APPLIED, apply_remedies
from governance.api.authentication import api_actor
from governance.api.base import ApiView
from governance.api.idempotency import idempotent
from governance.selectors.jobs import newest_job
from portal.http import bodies, parameters
from portal.http.bodies import Body
from portal.http.conditional import etag
from portal.http.described import Described
from portal.http.operations import listed, operation
from portal.http.pagination import paginate
from portal.kernel.actor import Actor
from portal.kernel.errors import InvalidStateError

_TEXT: Final = bodies.text(services.MAX_COMMENT)
NEW_COMMENT: Final = Body(required={"text": _TEXT}, optional={"path": bodies.text(500)})
APPROVAL: Final = Body(optional={"comment": _TEXT})
WISH: Final = Body(required={"comment": _TEXT})
REJECTION: Final = Body(required={"reason": _TEXT})
ACTIVATION: Final = Body(optional={"opens_group": bodies.boolean, "default": bodies.boolean})
REMEDIES: Final = Body(required={"remedies": bodies.texts(MAX_APPLIED, 60)})
CORRECTION: Final = Body(required={"corrects": bodies.integer(1, 1_000_000)})


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


_TIME: Final = {"type": "string", "format": "date-time"}
DEPRECATION: Final = Body(
    required={"sunset_at": bodies.moment, "migration": bodies.text(lifecycle.MAX_NOTE)},
    optional={
        "brownouts": Described(
            _windows,
            {
                "type": "array",
                "items": {
                    "type": "object",
                    "properties": {"from": _TIME, "until": _TIME},
                    "required": ["from", "until"],
                    "additionalProperties": False,
                },
            },
        )
    },
)


def change_answer(change: Change, *, status: int = 200) -> Response:
    """A change with its votes; a new one says where it is."""
    headers = {"ETag": etag(change.revision)}
    if status == 201:
        headers["Location"] = f"/api/v1/changes/{change.pk}"
    return Response(render.change_detail(change), status=status, headers=headers)


class Changes(ApiView):
    @operation(
        "Proposed schema versions, the newest first; `waiting` are those you may decide on.",
        takes={
            "state": parameters.choice(selectors.STATES),
            "stream": parameters.text(255),
            "mine": parameters.flag,
            "waiting": parameters.flag,
            **parameters.LIST,
        },
        gives=listed(render.ChangeBody),
    )
    def get(self, request: Request) -> Response:
        asked, actor = self.asked, api_actor(request)
        rows = selectors.visible_changes(actor)
        if asked.get("waiting"):
            rows = selectors.waiting_for(actor)
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


class ChangeDetail(ApiView):
    @operation("One change with its votes.", gives=render.ChangeDetailBody)
    def get(self, request: Request, change_id: UUID) -> Response:
        return change_answer(selectors.get_change(api_actor(request), change_id))


class ChangeReport(ApiView):
    @operation(
        "What workers found out about a change so far, and how far they are.",
        gives=render.ReportBody,
    )
    def get(self, request: Request, change_id: UUID) -> Response:
        change = selectors.get_change(api_actor(request), change_id)
        job = newest_job(services.REPORT, change.ref)
        tag = f"{change.revision}.{job.revision if job else 0}"
        return Response(render.report(change, job), headers={"ETag": etag(tag)})


class ChangeComments(ApiView):
    @operation(
        "The conversation on a change, the oldest first.",
        takes=parameters.LIST,
        gives=listed(render.CommentBody),
    )
    def get(self, request: Request, change_id: UUID) -> Response:
        change = selectors.get_change(api_actor(request), change_id)
        page = paginate(
            change.comments.all(),
            order=("at", "id"),
            limit=self.asked.get("limit"),
            cursor=self.asked.get("cursor"),
        )
        return Response(page.as_dict(render.comment))

    @operation(
        "Say something about a change, or about one of its fields.",
        body=NEW_COMMENT,
        gives=render.CommentBody,
        status=201,
    )
    @idempotent
    def post(self, request: Request, change_id: UUID) -> Response:
        actor = api_actor(request)
        change = selectors.get_change(actor, change_id)
        body = self.said(request)
        row = services.comment_on_change(
            change, body["text"], actor=actor, path=body.get("path", "")
        )
        return Response(render.comment(row), status=201)


class ChangeRerun(ApiView):
    @operation("Measure an open change again.", gives=render.ChangeDetailBody, status=202)
    @idempotent
    def post(self, request: Request, change_id: UUID) -> Response:
        actor = api_actor(request)
        change = selectors.get_change(actor, change_id)
        bodies.EMPTY.read(request.data)
        services.rerun_report(change, actor=actor)
        return change_answer(change, status=202)


class ChangeRemedy(ApiView):
    @operation(
        "Apply remedies of the report: a revised change in the place of this one (201), or this "
        "one, where it only opens a compatibility group (200).",
        body=REMEDIES,
        gives=render.ChangeDetailBody,
        status=201,
        also=(200,),
    )
    @idempotent
    def post(self, request: Request, change_id: UUID) -> Response:
        actor = api_actor(request)
        change = selectors.get_change(actor, change_id)
        after = apply_remedies(change, self.said(request)["remedies"], actor=actor)
        found = selectors.get_change(actor, after.pk)
        return change_answer(found, status=200 if after.pk == change.pk else 201)


def _version(actor: Actor, name: str, version: str) -> SchemaVersion:
    return find_version(get_stream(actor, name), version)


def _change_of(actor: Actor, name: str, version: str) -> Change:
    """The change behind a version; a version that was never proposed has none."""
    row = _version(actor, name, version)
    found = Change.objects.filter(version=row).first()
    if found is None:
        raise InvalidStateError(f"Version {row.version} was not proposed; it is {row.state}.")
    return selectors.get_change(actor, found.pk)


class ApproveVersion(ApiView):
    @operation(
        "Approve a proposed version; never one's own.",
        body=APPROVAL,
        gives=render.ChangeDetailBody,
    )
    @idempotent
    def post(self, request: Request, name: str, version: str) -> Response:
        actor = api_actor(request)
        change = _change_of(actor, name, version)
        comment = self.said(request).get("comment", "")
        return change_answer(
            services.vote_on_change(change, Vote.APPROVE, actor=actor, comment=comment)
        )


class AskForChanges(ApiView):
    @operation(
        "Ask for changes to a proposed version; this holds it until you approve.",
        body=WISH,
        gives=render.ChangeDetailBody,
    )
    @idempotent
    def post(self, request: Request, name: str, version: str) -> Response:
        actor = api_actor(request)
        change = _change_of(actor, name, version)
        comment = self.said(request)["comment"]
        return change_answer(
            services.vote_on_change(change, Vote.ASK, actor=actor, comment=comment)
        )


class RejectVersion(ApiView):
    @operation(
        "Reject a proposed version, or withdraw one's own.",
        body=REJECTION,
        gives=render.ChangeDetailBody,
    )
    @idempotent
    def post(self, request: Request, name: str, version: str) -> Response:
        actor = api_actor(request)
        change = _change_of(actor, name, version)
        reason = self.said(request)["reason"]
        return change_answer(services.reject_change(change, actor=actor, reason=reason))


class ActivateVersion(ApiView):
    @operation(
        "Make an approved version active; an incompatible one is a 409 unless it opens a group.",
        body=ACTIVATION,
        gives=render.SchemaBody,
    )
    @idempotent
    def post(self, request: Request, name: str, version: str) -> Response:
        actor = api_actor(request)
        change = _change_of(actor, name, version)
        body = self.said(request)
        services.activate_change(
            change,
            actor=actor,
            opens_group=body.get("opens_group"),
            makes_default=body.get("default", True),
        )
        return version_answer(_version(actor, name, version))


def _step(
    view: ApiView,
    request: Request,
    name: str,
    version: str,
    act: Callable[[SchemaVersion, Actor, dict[str, Any]], SchemaVersion],
) -> Response:
    """Find the version first: who may not know of it learns nothing from a bad body."""
    actor = api_actor(request)
    row = _version(actor, name, version)
    return version_answer(act(row, actor, view.said(request)))


class DefaultVersion(ApiView):
    @operation(
        "Have events that name no version mean this one.",
        body=bodies.EMPTY,
        gives=render.SchemaBody,
    )
    @idempotent
    def post(self, request: Request, name: str, version: str) -> Response:
        return _step(
            self, request, name, version,
            lambda row, actor, _: lifecycle.set_default_version(row, actor=actor),
        )  # fmt: skip


class DeprecateVersion(ApiView):
    @operation(
        "Say until when a version is taken, and how to move on.",
        body=DEPRECATION,
        gives=render.SchemaBody,
    )
    @idempotent
    def post(self, request: Request, name: str, version: str) -> Response:
        return _step(
            self, request, name, version,
            lambda row, actor, body: lifecycle.deprecate_version(row, actor=actor, **body),
        )  # fmt: skip


class RetireVersion(ApiView):
    @operation(
        "End a deprecated version before its day.", body=bodies.EMPTY, gives=render.SchemaBody
    )
    @idempotent
    def post(self, request: Request, name: str, version: str) -> Response:
        return _step(
            self, request, name, version,
            lambda row, actor, _: lifecycle.retire_version(row, actor=actor),
        )  # fmt: skip


class SupersedeVersion(ApiView):
    @operation(
        "Declare that a version corrects an older one, whose events it judges from now on.",
        body=CORRECTION,
        gives=render.SchemaBody,
    )
    @idempotent
    def post(self, request: Request, name: str, version: str) -> Response:
        return _step(
            self, request, name, version,
            lambda row, actor, body: lifecycle.supersede_version(
                row, corrects=body["corrects"], actor=actor
            ),
        )  # fmt: skip


def version_answer(row: SchemaVersion) -> Response:
    return Response(render.schema(row), headers={"ETag": version_tag(row)})


def version_tag(row: SchemaVersion) -> str:
    """A version never changes but in its state and what is said of its end."""
    sunset = int(row.sunset_at.timestamp()) if row.sunset_at else 0
    said = (row.version, row.state, row.compatibility_group, row.supersedes or 0, sunset)
    return etag("-".join(str(part) for part in said))
