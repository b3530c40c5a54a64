"""REST of erasures: asking for one, deciding, how far it is, its receipt. No answer says whom it is
about."""

from typing import Any, ClassVar, Final, TypedDict
from uuid import UUID

from rest_framework.request import Request
from rest_framework.response import Response

from governance.api.authentication import api_actor
from governance.api.base import ApiView
from governance.api.idempotency import idempotent
from governance.models import Erasure, ErasureBasis, ErasureState
from governance.selectors import erasures as selectors
from governance.services import erasures as services
from portal.http import bodies, parameters
from portal.http.bodies import Body
from portal.http.conditional import etag, require_match
from portal.http.operations import Time, listed, operation
from portal.http.pagination import paginate

NEW: Final = Body(
    required={
        "identifiers": bodies.texts(services.MOST, services.LONGEST),
        "basis": bodies.choice(ErasureBasis.values),
        "reason": bodies.text(services.MAX_REASON, 1),
    }
)
APPROVAL: Final = Body(optional={"reason": bodies.text(services.MAX_REASON)})
DENIAL: Final = Body(required={"reason": bodies.text(services.MAX_REASON, 1)})


class SweptBody(TypedDict):
    """What was done in one store so far."""

    key: str
    name: str
    looked_at: int
    erased: int
    cleared: int
    passes: int


class ErasureBody(TypedDict):
    """`identifiers` counts them. `at` is the moment from which on they must not come back."""

    id: UUID
    state: str
    basis: str
    reason: str
    identifiers: int
    requested_by: str
    created_at: Time
    decided_by: str | None
    decided_at: Time | None
    decision: str
    at: Time | None
    job: UUID | None
    job_state: str | None
    said: str
    percent: int | None
    stores: list[SweptBody]
    finished_at: Time | None
    revision: int


class SignatureBody(TypedDict):
    key_id: str
    public_key: str
    value: str


class ReceiptBody(TypedDict):
    receipt: dict[str, Any]
    signature: SignatureBody


def erasure_body(row: Erasure) -> ErasureBody:
    job = row.job
    return {
        "id": row.pk,
        "state": row.state,
        "basis": row.basis,
        "reason": row.reason,
        "identifiers": row.identifiers,
        "requested_by": row.requested_by,
        "created_at": row.created_at,
        "decided_by": row.decided_by or None,
        "decided_at": row.decided_at,
        "decision": row.decision,
        "at": row.at,
        "job": row.job_id,
        "job_state": job.state if job is not None else None,
        "said": job.said if job is not None else "",
        "percent": job.percent if job is not None else None,
        "stores": [
            {
                "key": one.key, "name": one.name, "looked_at": one.looked_at,
                "erased": one.erased, "cleared": one.cleared, "passes": one.passes,
            }
            for one in selectors.swept(row)
        ],
        "finished_at": row.finished_at,
        "revision": row.revision,
    }  # fmt: skip


def _answer(row: Erasure, *, status: int = 200) -> Response:
    headers = {"ETag": etag(row.revision)}
    if status == 201:
        headers["Location"] = f"/api/v1/erasures/{row.pk}"
    return Response(erasure_body(row), status=status, headers=headers)


class Erasures(ApiView):
    sudo: ClassVar = {"POST"}

    @operation(
        "Erasures of persons, the newest first; nobody is named.",
        takes={"state": parameters.choice(ErasureState.values), **parameters.LIST},
        gives=listed(ErasureBody),
    )
    def get(self, request: Request) -> Response:
        rows = selectors.visible_erasures(api_actor(request))
        if "state" in self.asked:
            rows = rows.filter(state=self.asked["state"])
        page = paginate(
            rows,
            order=("-created_at", "id"),
            limit=self.asked.get("limit"),
            cursor=self.asked.get("cursor"),
        )
        return Response(page.as_dict(erasure_body))

    @operation(
        "Ask for the erasure of a person by all that they are known by; another admin decides.",
        body=NEW,
        gives=ErasureBody,
        status=201,
    )
    @idempotent
    def post(self, request: Request) -> Response:
        row = services.request_erasure(actor=api_actor(request), **self.said(request))
        return _answer(row, status=201)


class ErasureDetail(ApiView):
    @operation("One erasure: what was done in which store so far.", gives=ErasureBody)
    def get(self, request: Request, erasure_id: UUID) -> Response:
        return _answer(selectors.get_erasure(api_actor(request), erasure_id))


class ApproveErasure(ApiView):
    sudo: ClassVar = {"POST"}

    @operation(
        "Have it done; it cannot be taken back. Never by who asked for it.",
        body=APPROVAL,
        gives=ErasureBody,
    )
    @idempotent
    def post(self, request: Request, erasure_id: UUID) -> Response:
        note = self.said(request).get("reason", "")
        _require_current(request, erasure_id)
        return _answer(services.approve_erasure(erasure_id, actor=api_actor(request), note=note))


class DenyErasure(ApiView):
    @operation("Decline it, and say why.", body=DENIAL, gives=ErasureBody)
    @idempotent
    def post(self, request: Request, erasure_id: UUID) -> Response:
        note = self.said(request)["reason"]
        _require_current(request, erasure_id)
        return _answer(services.deny_erasure(erasure_id, actor=api_actor(request), note=note))


class WithdrawErasure(ApiView):
    @operation("Take back what you asked for.", body=bodies.EMPTY, gives=ErasureBody)
    @idempotent
    def post(self, request: Request, erasure_id: UUID) -> Response:
        self.said(request)
        _require_current(request, erasure_id)
        return _answer(services.withdraw_erasure(erasure_id, actor=api_actor(request)))


class ErasureReceipt(ApiView):
    @operation("The signed receipt of an erasure that is done.", gives=ReceiptBody)
    def get(self, request: Request, erasure_id: UUID) -> Response:
        return Response(selectors.get_receipt(api_actor(request), erasure_id))


def _require_current(request: Request, erasure_id: UUID) -> None:
    """Heed If-Match where it is sent; the decision itself moves only what still waits."""
    if "If-Match" in request.headers:
        row = selectors.get_erasure(api_actor(request), erasure_id)
        require_match(request.headers, etag(row.revision))
