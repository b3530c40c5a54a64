"""The JSON shapes of access and audit, and the one function that makes each."""

from typing import Any, TypedDict
from uuid import UUID

from governance.access import Reason
from governance.models import AccessRequest, Delegation
from governance.selectors.requests import GrantRow
from portal.http.operations import Time


class ResourceBody(TypedDict):
    kind: str
    key: str


class GrantedBody(TypedDict):
    until: Time
    fields: list[str]
    personal: bool
    clear: list[str]


# `for` names the program that something is asked for, as `consumer:warehouse`.
_ForBody = TypedDict("_ForBody", {"for": str | None})


class WordBody(TypedDict):
    policy: str
    word: str
    sentence: str


class VerdictBody(TypedDict):
    """What policies said when it was asked. `stance`: agrees, objects or empty; `answer`: approve or
    deny where a policy (`by`) answered at once; `words`: each agrees, objects, grants, declines,
    term or undecided."""

    words: list[WordBody]
    stance: str
    answer: str
    by: str
    longest_days: int | None


class RequestBody(_ForBody):
    id: UUID
    resource: ResourceBody
    requester: str
    personal: bool
    fields: list[str]
    clear: list[str]
    purpose: str
    until: Time
    renews: str | None
    state: str
    created_at: Time
    decided_at: Time | None
    decided_by: str | None
    reason: str
    granted: GrantedBody | None
    policy: VerdictBody | None
    escalated_at: Time | None


def access_request(row: AccessRequest) -> RequestBody:
    """A request for access as the API gives it."""
    return {
        "id": row.pk,
        "resource": {"kind": row.resource_kind, "key": row.resource_key},
        "requester": row.requester.email,
        "for": row.holder or None,
        "personal": row.wants_personal,
        "fields": row.fields,
        "clear": row.clear,
        "purpose": row.purpose,
        "until": row.until,
        "renews": row.renews or None,
        "state": row.state,
        "created_at": row.created_at,
        "decided_at": row.decided_at,
        "decided_by": row.decided_by.email if row.decided_by else None,
        "reason": row.decision_reason,
        "granted": _granted(row),
        "policy": row.policy,
        "escalated_at": row.escalated_at,
    }


def _granted(row: AccessRequest) -> GrantedBody | None:
    if row.granted_until is None:
        return None
    return {
        "until": row.granted_until,
        "fields": row.granted_fields,
        "personal": bool(row.granted_personal),
        "clear": row.granted_clear,
    }


class DelegationBody(TypedDict):
    id: UUID
    person: str
    deputy: str
    since: Time
    until: Time
    note: str
    ended_at: Time | None


def delegation(row: Delegation) -> DelegationBody:
    """Who decides for whom, as the API gives it."""
    return {
        "id": row.pk,
        "person": row.person.email,
        "deputy": row.deputy.email,
        "since": row.since,
        "until": row.until,
        "note": row.note,
        "ended_at": row.ended_at,
    }


class RecertifiedBody(TypedDict):
    confirmed: int
    ended: int


class GrantBody(TypedDict):
    id: str
    resource: ResourceBody
    holder: str
    permission: str
    fields: list[str]
    purpose: str
    valid_from: Time
    valid_until: Time
    revoked_at: Time | None
    granted_by: str
    last_used_at: Time | None
    confirmed_at: Time | None


def grant(row: GrantRow) -> GrantBody:
    return {
        "id": row.id,
        "resource": {"kind": row.ref.kind, "key": row.ref.key},
        "holder": row.holder,
        "permission": row.permission,
        "fields": list(row.fields),
        "purpose": row.purpose,
        "valid_from": row.valid_from,
        "valid_until": row.valid_until,
        "revoked_at": row.revoked_at,
        "granted_by": row.granted_by,
        "last_used_at": row.last_used_at,
        "confirmed_at": row.confirmed_at,
    }


class ReasonBody(TypedDict):
    by: str
    text: str
    until: Time | None
    purpose: str


class UnseenBody(TypedDict):
    path: str
    how: str
    why: str


class ExplainBody(TypedDict):
    permission: str
    held: bool
    reasons: list[ReasonBody]
    why_not: list[str]
    fields: list[UnseenBody]
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
