"""The audit log as a sentence, its chain and its verification."""

from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from django.contrib import messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_GET, require_POST

from governance import audit_questions
from governance.middleware import request_actor
from governance.models import AuditEntry
from governance.selectors import audit_exports, audit_log, audit_verbs
from governance.selectors.audit_anchors import anchor_of
from governance.selectors.audit_out import outlet_states
from governance.selectors.audit_proofs import proof_of
from governance.selectors.views import visible_views
from governance.services.anchoring import anchor_for_export
from governance.services.verification import verify_chain
from governance.services.views import LONGEST_NAME, delete_view, save_view
from governance.view_kinds import address_of
from portal.http import parameters, words
from portal.http.pagination import paginate
from portal.http.rendering import dump
from portal.kernel.actor import Actor
from portal.kernel.errors import InvalidError, InvalidStateError

QUESTION = {**audit_questions.SENTENCE, **parameters.LIST}
SHOWN_QUESTIONS = 50

# Who takes a file from a page takes it for the truth; who looks into what happened uses the API.
HELD = (
    "The log does not hold, so nothing is taken out of it here. The API gives it as it is: "
    "/api/v1/audit/export."
)
FORMS = ("lines", "table")
LINES = "application/x-ndjson"
TABLE = "text/csv; charset=utf-8"


@require_GET
def log(request: HttpRequest) -> HttpResponse:
    """What the sentence finds, the newest first, behind how the chain stood at its last walk."""
    asked = parameters.read(request.GET, QUESTION)
    actor = request_actor(request)
    period = asked.get("period", audit_log.PERIOD)
    sentence = {name: asked[name] for name in audit_questions.SENTENCE if name in asked}
    questions = _questions(actor, sentence)
    page = paginate(
        _entries(_filters(asked)),
        order=("-seq",),
        limit=asked.get("limit"),
        cursor=asked.get("cursor"),
    )
    return render(
        request,
        "governance/audit.html",
        {
            "entries": page.items,
            "next": page.next,
            "asked": asked | {"period": period},
            "verbs": audit_verbs.VERBS,
            "periods": list(audit_log.PERIODS),
            "verification": audit_log.newest_verification(),
            "held": HELD,
            "outlets": outlet_states(),
            "questions": questions[:SHOWN_QUESTIONS],
            "has_more_questions": len(questions) > SHOWN_QUESTIONS,
            "sentence": sentence,
            "longest_name": LONGEST_NAME,
        },
    )


def _questions(actor: Actor, sentence: dict[str, str]) -> list[dict[str, Any]]:
    """The kept questions as links, one more than is shown, and which of them is asked just now."""
    rows = visible_views(actor, kind=audit_questions.KIND)[: SHOWN_QUESTIONS + 1]
    return [
        {
            "row": row,
            "url": address_of(row.kind, row.asked),
            "mine": row.owner_id == actor.id,
            "here": row.asked == sentence,
        }
        for row in rows
    ]


@require_POST
def save_question(request: HttpRequest) -> HttpResponse:
    """Keep the question that the page shows; what is wrong with it is said above the same page."""
    asked = {
        name: text for name in audit_questions.SENTENCE if (text := request.POST.get(name, ""))
    }
    try:
        row = save_view(
            audit_questions.KIND, request.POST.get("name", ""), asked,
            actor=request_actor(request), is_shared="shared" in request.POST,
        )  # fmt: skip
    except InvalidError as error:
        faults = [
            f"{words.capitalized(fault.pointer[1:])}: {fault.detail}" for fault in error.errors
        ]
        messages.error(request, " ".join(faults))
        is_odd = any(
            fault.pointer == "/asked" for fault in error.errors
        )  # the page would refuse it
        return redirect("audit" if is_odd else f"{reverse('audit')}?{urlencode(asked)}")
    messages.success(request, f"Kept “{row.name}”.")
    return redirect(address_of(row.kind, row.asked))


@require_POST
def delete_question(request: HttpRequest, view_id: UUID) -> HttpResponse:
    row = delete_view(view_id, actor=request_actor(request))
    messages.success(request, f"Deleted “{row.name}”.")
    return redirect("audit")


def _filters(asked: dict[str, Any]) -> dict[str, Any]:
    """What the sentence asks for, without the parts that leave nothing out."""
    since = audit_log.period_start(asked.get("period", audit_log.PERIOD))
    found = {name: asked[name] for name in ("verb", "object", "actor") if name in asked}
    if found.get("verb") == audit_verbs.TOUCHED:
        del found["verb"]
    return found | ({"from": since} if since else {})


def _entries(filters: dict[str, Any]) -> QuerySet[AuditEntry]:
    return audit_log.entries(
        verb=filters.get("verb", ""),
        object_key=filters.get("object", ""),
        actor=filters.get("actor", ""),
        since=filters.get("from"),
    )


@require_GET
def export(request: HttpRequest) -> StreamingHttpResponse:
    """What the sentence asks for as a file: JSON lines that prove themselves (`audit verify`), or a
    table for spreadsheets.

    Raises InvalidStateError while the chain is known not to hold, UnavailableError without a key.
    """
    verification = audit_log.newest_verification()
    if verification is not None and not verification.holds:
        raise InvalidStateError(HELD)
    asked = parameters.read(request.GET, QUESTION | {"form": parameters.choice(FORMS)})
    filters = _filters(asked)
    rows = _entries(filters)
    if asked.get("form") == "table":
        written, media, name = audit_exports.as_table(rows), TABLE, "audit.csv"
    else:
        anchor_for_export()
        written = audit_exports.as_sealed_lines(rows, audit_log.spelled(filters))
        media, name = LINES, "audit.jsonl"
    answer = StreamingHttpResponse(written, content_type=media)
    answer["Content-Disposition"] = f'attachment; filename="{name}"'
    return answer


@require_GET
def entry(request: HttpRequest, seq: int) -> HttpResponse:
    """One row as it was hashed, and what vouches for it."""
    found = audit_log.entry(seq)
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
