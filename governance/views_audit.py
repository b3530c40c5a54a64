"""The audit log as a sentence, its chain and its verification."""

from typing import Any

from django.contrib import messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_POST

from governance.models import AuditEntry
from governance.selectors import audit_exports, audit_log
from governance.selectors.audit_anchors import anchor_of
from governance.selectors.audit_proofs import proof_of
from governance.services.verification import verify_chain
from portal.http import parameters
from portal.http.pagination import paginate
from portal.http.rendering import dump
from portal.kernel.errors import InvalidStateError, NotFoundError

QUESTION = {
    "verb": parameters.choice(audit_log.VERBS),
    "object": parameters.text(200),
    "actor": parameters.text(254),
    "period": parameters.choice(audit_log.PERIODS),
    **parameters.LIST,
}

# Who takes a file from a page takes it for the truth; who looks into what happened uses the API.
HELD = (
    "The log does not hold, so nothing is taken out of it here. The API gives it as it is: "
    "/api/v1/audit/export."
)
FORMS = {
    "lines": (audit_exports.as_lines, "application/x-ndjson", "audit.jsonl"),
    "table": (audit_exports.as_table, "text/csv; charset=utf-8", "audit.csv"),
}


@require_GET
def log(request: HttpRequest) -> HttpResponse:
    """What the sentence finds, the newest first, behind how the chain stood at its last walk."""
    asked = parameters.read(request.GET, QUESTION)
    period = asked.get("period", "30 days")
    page = paginate(
        _entries(asked), order=("-seq",), limit=asked.get("limit"), cursor=asked.get("cursor")
    )
    return render(
        request,
        "governance/audit.html",
        {
            "entries": page.items,
            "next": page.next,
            "asked": asked | {"period": period},
            "verbs": list(audit_log.VERBS),
            "periods": list(audit_log.PERIODS),
            "verification": audit_log.newest_verification(),
            "held": HELD,
        },
    )


def _entries(asked: dict[str, Any]) -> QuerySet[AuditEntry]:
    """What the sentence asks for."""
    return audit_log.entries(
        verb=asked.get("verb", ""),
        object_key=asked.get("object", ""),
        actor=asked.get("actor", ""),
        since=audit_log.period_start(asked.get("period", "30 days")),
    )


@require_GET
def export(request: HttpRequest) -> StreamingHttpResponse:
    """What the sentence asks for as a file: JSON lines, or a table for spreadsheets.

    Raises InvalidStateError while the chain is known not to hold.
    """
    verification = audit_log.newest_verification()
    if verification is not None and not verification.holds:
        raise InvalidStateError(HELD)
    asked = parameters.read(request.GET, QUESTION | {"form": parameters.choice(FORMS)})
    form = asked.get("form", "lines")
    written, media, name = FORMS[form]
    answer = StreamingHttpResponse(written(_entries(asked)), content_type=media)
    answer["Content-Disposition"] = f'attachment; filename="{name}"'
    return answer


@require_GET
def entry(request: HttpRequest, seq: int) -> HttpResponse:
    """One row as it was hashed, and what vouches for it."""
    found = AuditEntry.objects.filter(pk=seq).first()
    if found is None:
        raise NotFoundError
    return render(
        request,
        "governance/audit_entry.html",
        {
            "entry": found,
            "row": audit_log.as_dict(found),
            "anchor": anchor_of(seq),
            "verification": audit_log.newest_verification(),
        },
    )


@require_GET
def proof(request: HttpRequest, seq: int) -> HttpResponse:
    """The proof of a row as a file."""
    answer = HttpResponse(dump(proof_of(seq)), content_type="application/json")
    answer["Content-Disposition"] = f'attachment; filename="audit-{seq}-proof.json"'
    return answer


@require_POST
def verify(request: HttpRequest) -> HttpResponse:
    found = verify_chain()
    if found.holds:
        messages.success(request, f"Verified: {found.rows} links unbroken.")
    else:
        messages.error(request, f"Broken: row {found.first_bad} {found.fault}.")
    return redirect("audit")
