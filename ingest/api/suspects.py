"""REST of privacy suggestions: what the detector found in a stream, and deciding on it."""

from typing import ClassVar, Final, TypedDict
from uuid import UUID

from rest_framework.request import Request
from rest_framework.response import Response

from catalog.selectors.streams import get_stream
from governance.api.authentication import api_actor
from governance.api.base import ApiView
from governance.api.idempotency import idempotent
from ingest.models import PrivacySuggestion
from ingest.models.privacy import SuggestionState
from ingest.privacy.field_plan import STRICTNESS
from ingest.selectors.suspects import get_suggestion, suggestions_of
from ingest.services.suspects import KEEP, accept_suggestion, dismiss_suggestion
from portal.http import bodies, parameters
from portal.http.bodies import Body
from portal.http.operations import Time, listed, operation
from portal.http.pagination import paginate

ACCEPT: Final = Body(required={"treatment": bodies.choice((*STRICTNESS, KEEP))})
DISMISS: Final = Body(required={"reason": bodies.text(500)})


class SuggestionBody(TypedDict):
    """`share`, 0 to 1, is of the `events` looked at that carry the field: those in which the kind
    was found. `reason` says why it was dismissed."""

    number: int
    path: str
    kind: str
    share: float
    events: int
    first_seen_at: Time
    last_seen_at: Time
    state: str
    reason: str


class AcceptedBody(TypedDict):
    draft: UUID
    suggestion: SuggestionBody


def suggestion_body(row: PrivacySuggestion) -> SuggestionBody:
    return {
        "number": row.pk,
        "path": row.path,
        "kind": row.kind,
        "share": row.share,
        "events": row.events,
        "first_seen_at": row.first_seen_at,
        "last_seen_at": row.last_seen_at,
        "state": row.state,
        "reason": row.reason,
    }


class PrivacySuggestions(ApiView):
    @operation(
        "Fields of a stream in whose stored events personal values were found, never the values.",
        takes={"state": parameters.choice(SuggestionState.values), **parameters.LIST},
        gives=listed(SuggestionBody),
    )
    def get(self, request: Request, name: str) -> Response:
        asked = self.asked
        rows = suggestions_of(
            get_stream(api_actor(request), name), state=asked.get("state", SuggestionState.OPEN)
        )
        page = paginate(
            rows, order=("path", "id"), limit=asked.get("limit"), cursor=asked.get("cursor")
        )
        return Response(page.as_dict(suggestion_body))


class AcceptSuggestion(ApiView):
    @operation(
        "Begin a draft of a change that labels and treats the field.",
        body=ACCEPT, gives=AcceptedBody, status=201, refuses=(409, 422),
    )  # fmt: skip
    @idempotent
    def post(self, request: Request, name: str, number: int) -> Response:
        actor = api_actor(request)
        found = get_suggestion(get_stream(actor, name), number)
        draft = accept_suggestion(found, self.said(request)["treatment"], actor=actor)
        found.refresh_from_db()
        body: AcceptedBody = {"draft": draft.pk, "suggestion": suggestion_body(found)}
        return Response(body, status=201)


class DismissSuggestion(ApiView):
    @operation(
        "Say why it is nothing personal.", body=DISMISS, gives=SuggestionBody, refuses=(409, 422)
    )
    @idempotent
    def post(self, request: Request, name: str, number: int) -> Response:
        actor = api_actor(request)
        found = get_suggestion(get_stream(actor, name), number)
        dismiss_suggestion(found, self.said(request)["reason"], actor=actor)
        found.refresh_from_db()
        return Response(suggestion_body(found))
