"""REST of stored events and dead letters."""

from typing import Any, ClassVar
from uuid import UUID

from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from catalog.selectors.streams import get_stream
from governance import access
from governance.api.authentication import api_actor
from governance.types import Permission
from ingest.models import DeadLetter
from ingest.selectors import dead_letters, events
from ingest.types import Reason
from portal.http import parameters
from portal.http.pagination import paginate


class StreamEvents(APIView):
    """Stored events of a stream, newest first; a grant to the payload is needed."""

    policy: ClassVar = {"GET": "stream.read_payload"}

    def get(self, request: Request, name: str) -> Response:
        asked = parameters.read(
            request.query_params,
            {"from": parameters.moment, "to": parameters.moment, **parameters.LIST},
        )
        actor = api_actor(request)
        page = events.stored_events(
            actor,
            get_stream(actor, name),
            since=asked.get("from"),
            until=asked.get("to"),
            limit=asked.get("limit"),
            cursor=asked.get("cursor"),
        )
        return Response(page.as_dict(events.StoredEvent.as_cloudevent))


class StreamEvent(APIView):
    """One stored event by id; `?time=` spares the search."""

    policy: ClassVar = {"GET": "stream.read_payload"}

    def get(self, request: Request, name: str, event_id: str) -> Response:
        asked = parameters.read(request.query_params, {"time": parameters.moment})
        actor = api_actor(request)
        found = events.stored_event(
            actor, get_stream(actor, name), event_id, occurred_at=asked.get("time")
        )
        return Response(found.as_cloudevent())


def letter_dict(row: DeadLetter) -> dict[str, Any]:
    return {
        "id": row.id,
        "received_at": row.received_at,
        "reason": row.reason,
        "type": row.type,
        "event_id": row.event_id,
        "time": row.occurred_at,
        "source": row.source,
        "errors": row.errors,
        "state": row.state,
        "group": dead_letters.group_id(row.group_key),
        "content_type": row.content_type,
        "body_sha256": bytes(row.body_sha256).hex(),
    }


class DeadLetters(APIView):
    policy: ClassVar = {"GET": "dead_letter.read"}

    def get(self, request: Request) -> Response:
        asked = parameters.read(
            request.query_params,
            {
                "reason": parameters.choice(tuple(Reason)),
                "stream": parameters.text(255),
                "producer": parameters.text(60),
                "group": parameters.text(2000),
                "state": parameters.choice(("open", "replayed", "discarded")),
                **parameters.LIST,
            },
        )
        actor = api_actor(request)
        rows = dead_letters.visible_dead_letters(actor)
        if "reason" in asked:
            rows = rows.filter(reason=asked["reason"])
        if "state" in asked:
            rows = rows.filter(state=asked["state"])
        if "stream" in asked:
            rows = rows.filter(stream_id=get_stream(actor, asked["stream"]).pk)
        if "producer" in asked:
            rows = rows.filter(producer_id=dead_letters.producer_id(asked["producer"]))
        if "group" in asked:
            rows = rows.filter(group_key=dead_letters.key_of(asked["group"]))
        page = paginate(
            rows,
            order=("-received_at", "id"),
            limit=asked.get("limit"),
            cursor=asked.get("cursor"),
        )
        return Response(page.as_dict(letter_dict))


class DeadLetterGroups(APIView):
    """Dead letters by their cause, the largest group first."""

    policy: ClassVar = {"GET": "dead_letter.read"}

    def get(self, request: Request) -> Response:
        asked = parameters.read(
            request.query_params,
            {**parameters.LIST, "state": parameters.choice(("open", "replayed", "discarded"))},
        )
        actor, state = api_actor(request), asked.get("state", "open")
        page = paginate(
            dead_letters.grouped(actor, state=state),
            order=("-count", "group_key"),
            limit=asked.get("limit"),
            cursor=asked.get("cursor"),
        )
        items = [
            group_dict(group) for group in dead_letters.describe(actor, page.items, state=state)
        ]
        return Response({"items": items, "next": page.next})


def group_dict(group: dead_letters.Group) -> dict[str, object]:
    return {
        "group": group.id,
        "reason": group.reason,
        "type": group.type,
        "stream": group.stream,
        "producers": group.producers,
        "count": group.count,
        "first_at": group.first_at,
        "last_at": group.last_at,
        "detail": group.detail,
    }


class DeadLetterDetail(APIView):
    """One dead letter; its bytes only for who may read the payload of its stream."""

    policy: ClassVar = {"GET": "dead_letter.read"}

    def get(self, request: Request, letter_id: UUID) -> Response:
        parameters.read(request.query_params, {})
        actor = api_actor(request)
        row = dead_letters.get_dead_letter(actor, letter_id)
        body = letter_dict(row)
        body["body"] = dead_letters.readable_body(actor, row)
        body["body_shown"] = body["body"] is not None
        if body["body"] is None:
            body["request_at"] = access.ask_url(dead_letters.ref_of(row))
            body["permission"] = Permission.READ_PAYLOAD
        return Response(body)
