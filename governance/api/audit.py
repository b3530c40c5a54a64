"""REST of the audit chain: reading, verifying and taking it out."""

from typing import Any, Final

from django.http import StreamingHttpResponse
from rest_framework.request import Request
from rest_framework.response import Response

from governance.api import render
from governance.api.base import ApiView
from governance.api.idempotency import idempotent
from governance.chain.walking import Verification
from governance.models import AuditVerification
from governance.selectors import audit_exports, audit_log
from governance.selectors.audit_proofs import proof_of
from governance.services.anchoring import anchor_for_export
from governance.services.verification import verify_chain, walk_chain
from portal.http import bodies, parameters
from portal.http.operations import listed, operation
from portal.http.pagination import paginate

QUESTION: Final[dict[str, parameters.Reader]] = {
    "actor": parameters.text(254),
    "action": parameters.text(60),
    "object": parameters.text(200),
    "from": parameters.moment,
    "to": parameters.moment,
}
LINES: Final = "application/x-ndjson"
TABLE: Final = "text/csv"


def _rows(asked: dict[str, Any]) -> Any:
    return audit_log.entries(
        actor=asked.get("actor", ""),
        action=asked.get("action", ""),
        object_key=asked.get("object", ""),
        since=asked.get("from"),
        until=asked.get("to"),
    )


class Audit(ApiView):
    @operation(
        "What was done, by whom, to what; the newest first.",
        takes={**QUESTION, **parameters.LIST},
        gives=listed(render.AuditBody),
    )
    def get(self, request: Request) -> Response:
        page = paginate(
            _rows(self.asked),
            order=("-seq",),
            limit=self.asked.get("limit"),
            cursor=self.asked.get("cursor"),
        )
        return Response(page.as_dict(audit_log.as_dict))


class AuditVerify(ApiView):
    @operation(
        "Recompute every hash of the chain beside what was signed, and say whether it holds.",
        gives=render.VerificationBody,
    )
    def get(self, request: Request) -> Response:
        return Response(_verification(walk_chain()))

    @operation(
        "The same, and keep what was found for the pages.",
        body=bodies.EMPTY,
        gives=render.VerificationBody,
    )
    @idempotent
    def post(self, request: Request) -> Response:
        self.said(request)
        return Response(_verification(verify_chain()))


def _verification(found: Verification | AuditVerification) -> render.VerificationBody:
    return {
        "holds": found.holds,
        "rows": found.rows,
        "first_bad": found.first_bad,
        "fault": found.fault,
        "head_hash": found.head_hash,
        "anchored_upto": found.anchored_upto,
        "anchored_at": found.anchored_at,
    }


class AuditRow(ApiView):
    @operation("One row of the log, as it was hashed.", gives=render.AuditBody)
    def get(self, request: Request, seq: int) -> Response:
        return Response(audit_log.as_dict(audit_log.entry(seq)))


class AuditProof(ApiView):
    @operation(
        "The proof that a row stands in the chain as it was signed; `manage.py audit verify FILE` "
        "checks it with nothing but the public key.",
        gives=render.ProofBody,
    )
    def get(self, request: Request, seq: int) -> Response:
        return Response(proof_of(seq))


class AuditExport(ApiView):
    @operation(
        "The chain as one JSON object a line, the oldest first, or what fits a question. With "
        "`sealed=true` lines with proofs and a seal stand behind the rows, by which `manage.py audit "
        "verify FILE --sealed` shows that each row is genuine and none was taken out.",
        takes={**QUESTION, "sealed": parameters.flag},
        media=LINES,
    )
    def get(self, request: Request) -> StreamingHttpResponse:
        question = dict(self.asked)
        rows = _rows(question)
        if question.pop("sealed", False):
            anchor_for_export()
            lines = audit_exports.as_sealed_lines(rows, audit_log.spelled(question))
        else:
            lines = audit_exports.as_lines(rows)
        response = StreamingHttpResponse(lines, content_type=LINES)
        response["Content-Disposition"] = 'attachment; filename="audit.jsonl"'
        return response


class AuditTable(ApiView):
    @operation(
        "The same as a table for spreadsheets, in which no cell is taken for a formula.",
        takes=QUESTION,
        media=TABLE,
    )
    def get(self, request: Request) -> StreamingHttpResponse:
        response = StreamingHttpResponse(
            audit_exports.as_table(_rows(self.asked)), content_type=f"{TABLE}; charset=utf-8"
        )
        response["Content-Disposition"] = 'attachment; filename="audit.csv"'
        return response
