"""REST of stored events and dead letters."""

from typing import ClassVar, Final
from uuid import UUID

from rest_framework.request import Request
from rest_framework.response import Response

from catalog.selectors.streams import get_stream
from governance import access
from governance.api.authentication import api_actor
from governance.api.base import ApiView
from ingest.api import render
from ingest.selectors import dead_letters, events
from ingest.selectors.event_life import life_of, life_of_letter
from ingest.services.reveal import MAX_REASON, reveal_event, reveal_letter
from ingest.types import Reason
from portal.http import parameters
from portal.http.operations import listed, operation
from portal.http.pagination import paginate

STATES: Final = ("open", "replayed", "discarded")


class StreamEvents(ApiView):
    @operation(
        "Stored events of a stream, the newest first; a grant to the payload is needed. With "
        "`restored` those that a restore has loaded out of the archive.",
        takes={
            "from": parameters.moment,
            "to": parameters.moment,
            "restored": parameters.uuid,
            **parameters.LIST,
        },
        gives=listed(render.EventBody),
    )
    def get(self, request: Request, name: str) -> Response:
        actor, asked = api_actor(request), self.asked
        page = events.stored_events(
            actor,
            get_stream(actor, name),
            since=asked.get("from"),
            until=asked.get("to"),
            limit=asked.get("limit"),
            cursor=asked.get("cursor"),
            restored=asked.get("restored"),
        )
        return Response(page.as_dict(events.StoredEvent.as_cloudevent))


class StreamEvent(ApiView):
    @operation(
        "One stored event by id, with its life: each stage and how long it took. `time` spares the "
        "search.",
        takes={"time": parameters.moment},
        gives=render.EventLifeBody,
    )
    def get(self, request: Request, name: str, event_id: str) -> Response:
        actor = api_actor(request)
        stream = get_stream(actor, name)
        found = events.stored_event(actor, stream, event_id, occurred_at=self.asked.get("time"))
        life = life_of(stream, found)
        body = found.as_cloudevent()
        body["portal"] |= {
            "readable": life.is_readable,
            "life": [render.stage(stage) for stage in life.stages],
        }
        return Response(body)


class RevealedEvent(ApiView):
    @operation(
        "One stored event with its tokens and encrypted values in clear; each look is audited.",
        takes={"time": parameters.moment},
        gives=render.RevealedBody,
        refuses=(503,),
    )
    def get(self, request: Request, name: str, event_id: str) -> Response:
        actor = api_actor(request)
        event, places = reveal_event(
            get_stream(actor, name), event_id, actor=actor, occurred_at=self.asked.get("time")
        )
        return Response({"event": event, "revealed": places})


class DeadLetters(ApiView):
    @operation(
        "Refused events of the last 30 days, the newest first.",
        takes={
            "reason": parameters.choice(tuple(Reason)),
            "stream": parameters.text(255),
            "producer": parameters.text(60),
            "group": parameters.text(2000),
            "state": parameters.choice(STATES),
            **parameters.LIST,
        },
        gives=listed(render.DeadLetterBody),
        refuses=(404,),
    )
    def get(self, request: Request) -> Response:
        actor, asked = api_actor(request), self.asked
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
        return Response(page.as_dict(render.letter))


class DeadLetterGroups(ApiView):
    @operation(
        "Refused events by their cause, the largest group first.",
        takes={"state": parameters.choice(STATES), **parameters.LIST},
        gives=listed(render.GroupBody),
    )
    def get(self, request: Request) -> Response:
        actor, asked = api_actor(request), self.asked
        state = asked.get("state", "open")
        page = paginate(
            dead_letters.grouped(actor, state=state),
            order=("-count", "group_key"),
            limit=asked.get("limit"),
            cursor=asked.get("cursor"),
        )
        rows = dead_letters.describe(actor, page.items, state=state)
        return Response({"items": [render.group(row) for row in rows], "next": page.next})


class DeadLetterDetail(ApiView):
    @operation(
        "One refused event; its bytes only for who may read the payload of its stream.",
        gives=render.DeadLetterDetailBody,
    )
    def get(self, request: Request, letter_id: UUID) -> Response:
        actor = api_actor(request)
        row = dead_letters.get_dead_letter(actor, letter_id)
        said = dead_letters.readable_body(actor, row)
        is_shown = said is not None
        body: render.DeadLetterDetailBody = {
            **render.letter(row),
            "body": said,
            "body_shown": is_shown,
            "permission": None if is_shown else dead_letters.needed_permission(row),
            "request_at": None if is_shown else access.ask_url(dead_letters.ref_of(row)),
            "life": [render.stage(stage) for stage in life_of_letter(row)],
        }
        return Response(body)


class RevealedLetter(ApiView):
    # A GET as the other look is: the answer of a POST may be kept for a repeat, and this never is.
    @operation(
        "One refused event, unsealed and with its tokens and encrypted values in clear; each look is"
        " audited with its reason.",
        takes={"reason": parameters.text(MAX_REASON)},
        gives=render.RevealedLetterBody,
        refuses=(422, 503),
    )
    def get(self, request: Request, letter_id: UUID) -> Response:
        actor = api_actor(request)
        letter = dead_letters.get_dead_letter(actor, letter_id)
        event, places = reveal_letter(letter, reason=self.asked.get("reason", ""), actor=actor)
        body: render.RevealedLetterBody = {"event": event, "revealed": places}
        return Response(body)
