"""REST of a producer's limits: quotas of its keys, what it uses of them, and what was refused."""

from typing import Any, ClassVar, Final, TypedDict

from rest_framework.request import Request
from rest_framework.response import Response

from catalog.api.references import find_streams
from catalog.models import Producer
from catalog.selectors import parties
from catalog.services import quotas as services
from catalog.services.producers import require_team
from catalog.services.quotas import UNCHANGED, KeyQuota
from catalog.services.streams import MAX_EVENTS_PER_SECOND
from governance.api.authentication import api_actor
from governance.api.base import ApiView
from governance.selectors.key_uses import KeyUse
from ingest.selectors.limits import KeyLimits, limits_of
from portal.http import bodies
from portal.http.bodies import Body
from portal.http.conditional import etag, require_match
from portal.http.described import Described
from portal.http.operations import Time, operation
from portal.kernel.actor import Actor

_NUMBER: Final = bodies.nullable(bodies.integer(1, MAX_EVENTS_PER_SECOND))
_STREAM_QUOTA: Final = Body(required={"stream": bodies.text(255, 1), "events_per_second": _NUMBER})


def _list_of(body: Body, most: int) -> bodies.Reader:
    def reader(value: Any) -> list[dict[str, Any]]:
        if not isinstance(value, list):
            raise TypeError("must be a list")
        if len(value) > most:
            raise ValueError(f"may have {most} entries at most")
        return [body.read(item) for item in value]

    return Described(reader, {"type": "array", "maxItems": most, "items": body.schema})


_KEY_QUOTA: Final = Body(
    required={"key": bodies.text(8, 1)},
    optional={
        "events_per_second": _NUMBER,
        "streams": _list_of(_STREAM_QUOTA, services.MAX_STREAM_QUOTAS),
    },
)
CHANGES: Final = Body(required={"keys": _list_of(_KEY_QUOTA, 200)})


class RefusedBody(TypedDict):
    """Requests turned away before their bodies were read."""

    quota_key: int
    quota_stream: int
    busy: int


class KeyUseBody(TypedDict):
    """`events` that a key sent, whatever became of them; `refused` counts requests."""

    events: int
    refused: RefusedBody


class KeyUsesBody(TypedDict):
    """The last whole minute, the 60 up to its end, and 24 hours up to now."""

    minute: KeyUseBody
    hour: KeyUseBody
    day: KeyUseBody


class StreamQuotaBody(TypedDict):
    stream: str
    events_per_second: int


class KeyLimitsBody(TypedDict):
    """`is_default`: it has what every key has. `last_refused_at` is to the minute, of a day."""

    key: str
    name: str
    events_per_second: int
    is_default: bool
    streams: list[StreamQuotaBody]
    use: KeyUsesBody
    last_refused_at: Time | None


class UseBody(TypedDict):
    """Events of a producer by what became of them; `received` is the sum of the others."""

    received: int
    accepted: int
    duplicate: int
    dead_lettered: int


class UsesBody(TypedDict):
    """The minute, 60 minutes and 24 hours that end with the last whole minute."""

    minute: UseBody
    hour: UseBody
    day: UseBody


class LimitsBody(TypedDict):
    """`streams` are quotas over all keys, of streams it is permitted to by name. A minute is the
    last whole one; what keys used is some seconds behind."""

    producer: str
    default_events_per_second: int
    use: UsesBody
    streams: list[StreamQuotaBody]
    keys: list[KeyLimitsBody]


class ProducerLimits(ApiView):
    @operation(
        "How much a producer's keys may send, what they did send, and what was refused.",
        gives=LimitsBody,
    )
    def get(self, request: Request, name: str) -> Response:
        return _answer(api_actor(request), _managed(request, name))

    @operation(
        "Change quotas of its keys; what is not named stays, null takes a quota away.",
        body=CHANGES,
        gives=LimitsBody,
    )
    def patch(self, request: Request, name: str) -> Response:
        actor, row = api_actor(request), _managed(request, name)
        require_match(request.headers, _tag(row))
        said = self.said(request)
        changes = [
            KeyQuota(
                item["key"],
                item.get("events_per_second", UNCHANGED),
                tuple(
                    (find_streams(actor, [quota["stream"]])[0], quota["events_per_second"])
                    for quota in item.get("streams", [])
                ),
            )
            for item in said["keys"]
        ]
        return _answer(actor, services.set_quotas(row, changes, actor=actor, revision=row.revision))


def _managed(request: Request, name: str) -> Producer:
    row = parties.get_producer(name)
    require_team(row.team_id, api_actor(request))
    return row


def _tag(row: Producer) -> str:
    return etag(f"limits-{row.revision}")


def _answer(actor: Actor, row: Producer) -> Response:
    found = limits_of(row, actor)
    body: LimitsBody = {
        "producer": row.name,
        "default_events_per_second": found.default_per_second,
        "use": {name: found.use[name] for name in ("minute", "hour", "day")},  # type: ignore[typeddict-item]  # rows of that shape
        "streams": [_quota(name, number) for name, number in found.streams],
        "keys": [_key(limits) for limits in found.keys],
    }
    return Response(body, headers={"ETag": _tag(row)})


def _quota(stream: str, number: int) -> StreamQuotaBody:
    return {"stream": stream, "events_per_second": number}


def _key(limits: KeyLimits) -> KeyLimitsBody:
    return {
        "key": limits.key.pk,
        "name": limits.key.name,
        "events_per_second": limits.events_per_second,
        "is_default": limits.key.events_per_second is None,
        "streams": [_quota(name, number) for name, number in limits.streams],
        "use": {
            "minute": _use(limits.uses["minute"]),
            "hour": _use(limits.uses["hour"]),
            "day": _use(limits.uses["day"]),
        },
        "last_refused_at": limits.uses["day"].refused_at,
    }


def _use(use: KeyUse) -> KeyUseBody:
    refused = dict(use.refused)
    return {
        "events": use.events,
        "refused": {
            "quota_key": refused["quota_key"],
            "quota_stream": refused["quota_stream"],
            "busy": refused["busy"],
        },
    }
