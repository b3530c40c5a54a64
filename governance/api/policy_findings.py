"""REST of what policies find, and of waivers."""

from typing import Any, Final, TypedDict
from uuid import UUID

from django.db.models import QuerySet
from rest_framework.request import Request
from rest_framework.response import Response

from governance.api.authentication import api_actor
from governance.api.base import ApiView
from governance.api.idempotency import idempotent
from governance.models import PolicyFinding, Waiver
from governance.policies import facts
from governance.selectors import policies as selectors
from governance.services import waivers as services
from governance.services.policies import MAX_REASON
from governance.types import Severity
from portal.http import bodies, parameters
from portal.http.bodies import Body
from portal.http.operations import Time, listed, operation
from portal.http.pagination import paginate


class FindingBody(TypedDict):
    """`outcome` is breaks or undecided; `detail` names what is not in order, or why it failed."""

    policy: str
    title: str
    severity: str
    subject: str
    key: str
    url: str
    outcome: str
    detail: str
    remedy: str
    waived: bool
    since: Time
    judged_at: Time


class WaiverBody(TypedDict):
    id: UUID
    policy: str
    subject: str
    key: str
    reason: str
    until: Time
    state: str
    given_by: str
    given_at: Time
    ended_by: str | None
    ended_at: Time | None


NEW_WAIVER: Final = Body(
    required={
        "key": bodies.text(120),
        "reason": bodies.text(MAX_REASON),
        "until": bodies.moment,
    }
)
_ORDER: Final = ("-since", "id")


def finding_body(row: Any) -> FindingBody:
    return {
        "policy": row.policy.slug,
        "title": row.policy.title,
        "severity": row.policy.severity,
        "subject": row.subject_kind,
        "key": row.subject_key,
        "url": facts.subject_of(row.subject_kind).address.format(key=row.subject_key),
        "outcome": row.outcome,
        "detail": row.detail,
        "remedy": row.policy.remedy,
        "waived": row.waived,
        "since": row.since,
        "judged_at": row.judged_at,
    }


def waiver_body(row: Waiver) -> WaiverBody:
    return {
        "id": row.pk,
        "policy": row.policy.slug,
        "subject": row.policy.subject,
        "key": row.subject_key,
        "reason": row.reason,
        "until": row.until,
        "state": "open" if row.is_open else "ended",
        "given_by": row.given_by,
        "given_at": row.given_at,
        "ended_by": row.ended_by or None,
        "ended_at": row.ended_at,
    }


class Findings(ApiView):
    @operation(
        "What is not in order today, of what you may know of; the newest first.",
        takes={
            "policy": parameters.text(60),
            "severity": parameters.choice(Severity.values),
            "subject": parameters.text(20),
            "key": parameters.text(120),
            **parameters.LIST,
        },
        gives=listed(FindingBody),
    )
    def get(self, request: Request) -> Response:
        asked = self.asked
        columns = {
            "policy": "policy__slug",
            "severity": "policy__severity",
            "subject": "subject_kind",
            "key": "subject_key",
        }
        rows: QuerySet[PolicyFinding] = selectors.visible_findings(api_actor(request)).filter(
            **{column: asked[name] for name, column in columns.items() if name in asked}
        )
        page = paginate(rows, order=_ORDER, limit=asked.get("limit"), cursor=asked.get("cursor"))
        return Response(page.as_dict(finding_body))


class Waivers(ApiView):
    @operation(
        "Waivers for what you may know of, those that ended too; the newest first.",
        takes={"policy": parameters.text(60), **parameters.LIST},
        gives=listed(WaiverBody),
    )
    def get(self, request: Request) -> Response:
        asked = self.asked
        rows = selectors.visible_waivers(api_actor(request))
        if "policy" in asked:
            rows = rows.filter(policy__slug=asked["policy"])
        page = paginate(
            rows,
            order=("-given_at", "id"),
            limit=asked.get("limit"),
            cursor=asked.get("cursor"),
        )
        return Response(page.as_dict(waiver_body))


class PolicyWaivers(ApiView):
    @operation(
        "Waive a policy for one thing, by its key, for a reason and until a day within a year.",
        body=NEW_WAIVER,
        gives=WaiverBody,
        status=201,
    )
    @idempotent
    def post(self, request: Request, slug: str) -> Response:
        body = self.said(request)
        row = services.waive(
            selectors.get_policy(slug),
            body["key"],
            actor=api_actor(request),
            reason=body["reason"],
            until=body["until"],
        )
        place = {"Location": f"/api/v1/policies/waivers/{row.pk}"}
        return Response(waiver_body(row), status=201, headers=place)


class WaiverDetail(ApiView):
    @operation("One waiver.", gives=WaiverBody)
    def get(self, request: Request, waiver_id: UUID) -> Response:
        return Response(waiver_body(selectors.get_waiver(api_actor(request), waiver_id)))


class EndWaiver(ApiView):
    @operation("End a waiver before its day.", gives=WaiverBody)
    @idempotent
    def post(self, request: Request, waiver_id: UUID) -> Response:
        actor = api_actor(request)
        bodies.EMPTY.read(request.data)
        row = services.end_waiver(selectors.get_waiver(actor, waiver_id), actor=actor)
        return Response(waiver_body(row))
