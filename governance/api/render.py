"""The JSON shapes of access and audit, and the one function that makes each."""

from typing import Any, TypedDict
from uuid import UUID

from governance.access import Reason
from governance.models import AccessRequest
from governance.selectors.requests import GrantRow
from portal.http.operations import Time


class ResourceBody(TypedDict):
    kind: str
    key: str


class RequestBody(TypedDict):
    id: UUID
    resource: ResourceBody
    requester: str
    personal: bool
    purpose: str
    until: Time
    state: str
    created_at: Time
    decided_at: Time | None
    decided_by: str | None
    reason: str


def access_request(row: AccessRequest) -> RequestBody:
    """A request for access as the API gives it."""
    return {
        "id": row.pk,
        "resource": {"kind": row.resource_kind, "key": row.resource_key},
        "requester": row.requester.email,
        "personal": row.wants_personal,
        "purpose": row.purpose,
        "until": row.until,
        "state": row.state,
        "created_at": row.created_at,
        "decided_at": row.decided_at,
        "decided_by": row.decided_by.email if row.decided_by else None,
        "reason": row.decision_reason,
    }


class GrantBody(TypedDict):
    id: str
    resource: ResourceBody
    holder: str
    permission: str
    purpose: str
    valid_from: Time
    valid_until: Time
    revoked_at: Time | None
    granted_by: str


def grant(row: GrantRow) -> GrantBody:
    return {
        "id": row.id,
        "resource": {"kind": row.ref.kind, "key": row.ref.key},
        "holder": row.holder,
        "permission": row.permission,
        "purpose": row.purpose,
        "valid_from": row.valid_from,
        "valid_until": row.valid_until,
        "revoked_at": row.revoked_at,
        "granted_by": row.granted_by,
    }


class ReasonBody(TypedDict):
    by: str
    text: str
    until: Time | None
    purpose: str


class ExplainBody(TypedDict):
    permission: str
    held: bool
    reasons: list[ReasonBody]
    request_at: str


def reason(row: Reason) -> ReasonBody:
    return {"by": row.by, "text": row.text, "until": row.until, "purpose": row.purpose}


class AuditActorBody(TypedDict):
    kind: str
    id: int
    name: str


class AuditBody(TypedDict):
    seq: int
    at: Time
    actor: AuditActorBody
    action: str
    object: ResourceBody
    summary: str
    detail: dict[str, Any]
    request_id: str
    prev_hash: str
    hash: str
    format: int


class SignedBody(TypedDict):
    statement: dict[str, Any]
    key: str
    signature: str


class ProofBody(TypedDict):
    row: AuditBody
    anchor: SignedBody
    path: list[str]


class VerificationBody(TypedDict):
    holds: bool
    rows: int
    first_bad: int | None
    fault: str
    head_hash: str
    anchored_upto: int
    anchored_at: Time | None
