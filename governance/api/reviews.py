"""REST of reviews."""

from collections.abc import Mapping
from typing import Any, Final, TypedDict
from uuid import UUID

from rest_framework.request import Request
from rest_framework.response import Response

from governance import access
from governance.api.authentication import api_actor
from governance.api.base import ApiView
from governance.api.idempotency import idempotent
from governance.api.render import ResourceBody
from governance.models import Review
from governance.reviewed import kind_of
from governance.selectors import reviews as selectors
from governance.services import reviews as services
from governance.services.reviews import Answer
from governance.types import ReviewOutcome, ReviewPoint
from portal.http import bodies, parameters
from portal.http.bodies import Body
from portal.http.described import Described
from portal.http.operations import Time, listed, operation
from portal.http.pagination import paginate
from portal.kernel.errors import FieldError, InvalidError

_ONE: Final = {
    "type": "object",
    "properties": {
        "outcome": {"type": "string", "enum": [str(value) for value in ReviewOutcome.values]},
        "note": {"type": "string", "maxLength": services.MAX_NOTE},
    },
    "required": ["outcome"],
    "additionalProperties": False,
}
_POINTS: Final = {
    "type": "object",
    "properties": {str(point): _ONE for point in ReviewPoint.values},
    "required": [str(point) for point in ReviewPoint.values],
    "additionalProperties": False,
}
COMPLETION: Final = Body(required={"points": Described(bodies.document, _POINTS)})


class PointBody(TypedDict):
    """`says` and `lines` are what the portal knows of it: now, or when it was completed. `outcome`
    and `note` are what was said, null and empty while the review is open."""

    point: str
    says: str
    lines: list[str]
    outcome: str | None
    note: str


class ReviewRowBody(TypedDict):
    """`state` is open, overdue or completed."""

    id: UUID
    resource: ResourceBody
    state: str
    due_at: Time
    opened_at: Time
    escalated_at: Time | None
    completed_at: Time | None
    completed_by: str | None


class ReviewBody(ReviewRowBody):
    points: list[PointBody]


def row_of(row: Review) -> ReviewRowBody:
    """One review as lists give it."""
    state = "overdue" if row.is_overdue else "open"
    return {
        "id": row.pk,
        "resource": {"kind": row.resource_kind, "key": row.resource_key},
        "state": state if row.is_open else "completed",
        "due_at": row.due_at,
        "opened_at": row.opened_at,
        "escalated_at": row.escalated_at,
        "completed_at": row.completed_at,
        "completed_by": row.completed_label or None,
    }


def body_of(row: Review) -> ReviewBody:
    """One review with what is known of each point."""
    return {**row_of(row), "points": points_of(row)}


def points_of(row: Review) -> list[PointBody]:
    """Its points: as they were kept, or as they stand now while it is open."""
    if not row.is_open:
        said = {one["point"]: one for one in row.points}
        return [
            {"point": str(point), "says": row.snapshot[point]["says"],
             "lines": row.snapshot[point]["lines"], "outcome": said[point]["outcome"],
             "note": said[point]["note"]}
            for point in ReviewPoint
        ]  # fmt: skip
    stands = kind_of(row.about).stands(access.find_resource(row.about))
    return [
        {"point": str(point), "says": stands[point].says, "lines": list(stands[point].lines),
         "outcome": None, "note": ""}
        for point in ReviewPoint
    ]  # fmt: skip


def answers_of(points: Mapping[str, Any]) -> dict[ReviewPoint, Answer]:
    """What was sent of each point. Raises InvalidError that names each place."""
    faults, answers = [], {}
    for name, said in points.items():
        place = f"/points/{name}"
        if name not in ReviewPoint.values:
            faults.append(FieldError("/points", "unknown", "names what is no point of a review"))
        elif not isinstance(said, dict) or said.keys() - {"outcome", "note"}:
            faults.append(FieldError(place, "type", "must hold an outcome, and may hold a note"))
        elif said.get("outcome") not in ReviewOutcome.values:
            faults.append(FieldError(f"{place}/outcome", "choice", "must be confirmed or changed"))
        elif not isinstance(said.get("note", ""), str):
            faults.append(FieldError(f"{place}/note", "type", "must be a text"))
        else:
            outcome = ReviewOutcome(said["outcome"])
            answers[ReviewPoint(name)] = Answer(outcome, said.get("note", ""))
    if faults:
        raise InvalidError("A review answers each of the six points.", errors=faults)
    return answers


class Reviews(ApiView):
    @operation(
        "Reviews of what you may know of: `mine` wait for your teams, the longest due first; `done` "
        "the newest first.",
        takes={
            "show": parameters.choice(selectors.SHOWS),
            "key": parameters.text(120),
            **parameters.LIST,
        },
        gives=listed(ReviewRowBody),
    )
    def get(self, request: Request) -> Response:
        asked = self.asked
        show = asked.get("show", "open")
        rows = selectors.shown(api_actor(request), show)
        if "key" in asked:
            rows = rows.filter(resource_key=asked["key"])
        page = paginate(
            rows,
            order=selectors.order_of(show),
            limit=asked.get("limit"),
            cursor=asked.get("cursor"),
        )
        return Response(page.as_dict(row_of))


class ReviewDetail(ApiView):
    @operation(
        "One review with what the portal knows of each point, or knew when it was completed.",
        gives=ReviewBody,
    )
    def get(self, request: Request, review_id: UUID) -> Response:
        return Response(body_of(selectors.get_review(api_actor(request), review_id)))


class CompleteReview(ApiView):
    @operation(
        "Confirm each of the six points, or say what was changed.",
        body=COMPLETION,
        gives=ReviewBody,
    )
    @idempotent
    def post(self, request: Request, review_id: UUID) -> Response:
        body = self.said(request)
        row = services.complete_review(
            review_id, actor=api_actor(request), answers=answers_of(body["points"])
        )
        return Response(body_of(row))
