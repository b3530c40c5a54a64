"""REST of how ingest is doing: what became of events, and how long they take."""

from typing import ClassVar, TypedDict
from uuid import UUID

from rest_framework.request import Request
from rest_framework.response import Response

from catalog.selectors.streams import get_stream
from governance.api.authentication import api_actor
from governance.api.base import ApiView
from ingest.log.latencies import Measure
from ingest.selectors import finder, health, latencies
from ingest.selectors.funnel import Funnel
from ingest.selectors.latencies import Percentiles
from portal.http import parameters
from portal.http.operations import Time, operation


class RefusedBody(TypedDict):
    """`untold`: refused before reasons were counted."""

    reason: str
    events: int


class FunnelBody(TypedDict):
    """received = accepted + duplicate + each of `refused`; stored = accepted + replayed.

    `repaired` of the replayed were changed before. `delivered` is null: not measured.
    """

    since: Time
    until: Time
    received: int
    accepted: int
    duplicate: int
    refused: list[RefusedBody]
    dead_lettered: int
    replayed: int
    repaired: int
    stored: int
    delivered: int | None


class PercentilesBody(TypedDict):
    """In seconds, null for nothing; good to a quarter. `events`: how many were counted."""

    events: int
    p50: float | None
    p95: float | None
    p99: float | None


class LatencyBody(TypedDict):
    """From receipt to judgement and to commit, from the event's time to readable, and how old the
    newest event was, each minute."""

    judged: PercentilesBody
    committed: PercentilesBody
    readable: PercentilesBody
    freshness: PercentilesBody


class TotalsBody(TypedDict):
    """Events by what became of them; `received` is the sum of the others."""

    received: int
    accepted: int
    duplicate: int
    dead_lettered: int


class FlowBody(TypedDict):
    """The last 24 hours over all streams, and the latencies of the last hour. `write` is a group's
    transaction in the writer, `group` how many events one has."""

    day: TotalsBody
    latency: LatencyBody
    write: PercentilesBody
    group: PercentilesBody


def funnel(found: Funnel) -> FunnelBody:
    """What became of a stream's events, as the API says it; `delivered` is null: not measured."""
    return {
        "since": found.since,
        "until": found.until,
        "received": found.received,
        "accepted": found.accepted,
        "duplicate": found.duplicate,
        "refused": [{"reason": one.reason, "events": one.events} for one in found.refused],
        "dead_lettered": found.dead_lettered,
        "replayed": found.replayed,
        "repaired": found.repaired,
        "stored": found.stored,
        "delivered": found.delivered,
    }


def percentiles(found: Percentiles) -> PercentilesBody:
    return {"events": found.events, "p50": found.p50, "p95": found.p95, "p99": found.p99}


def latency(found: dict[Measure, Percentiles]) -> LatencyBody:
    return {
        "judged": percentiles(found[Measure.JUDGE]),
        "committed": percentiles(found[Measure.COMMIT]),
        "readable": percentiles(found[Measure.AGE]),
        "freshness": percentiles(found[Measure.FRESHNESS]),
    }


class HitBody(TypedDict):
    """`kind` is `event` or `dead_letter`; `at` the event's time, else its receipt."""

    kind: str
    stream: str
    id: str
    at: Time
    dead_letter: UUID | None
    reason: str | None


class FoundBody(TypedDict):
    """Events were looked for from `since` to `until`; `made_at` is the moment in the id itself.
    Where `complete` is false, a look-up was given up: name a stream or a time."""

    items: list[HitBody]
    since: Time
    until: Time
    made_at: Time | None
    complete: bool


class FindEvent(ApiView):
    @operation(
        "Where an id is: an event of a stream you may read, a dead letter you may see. An event is "
        "looked for around `time`, or the moment in its id (UUIDv7), or a day around now. Without an id "
        "nothing is found.",
        takes={
            "id": parameters.text(128),
            "stream": parameters.text(255),
            "time": parameters.moment,
        },
        gives=FoundBody,
        refuses=(404,),
    )
    def get(self, request: Request) -> Response:
        actor, asked = api_actor(request), self.asked
        stream = get_stream(actor, asked["stream"]) if "stream" in asked else None
        found = finder.find(actor, asked.get("id", ""), stream=stream, at=asked.get("time"))
        return Response(
            {
                "items": [
                    {
                        "kind": hit.kind,
                        "stream": hit.stream,
                        "id": hit.id,
                        "at": hit.at,
                        "dead_letter": hit.letter,
                        "reason": hit.reason or None,
                    }
                    for hit in found.hits
                ],
                "since": found.since,
                "until": found.until,
                "made_at": found.made_at,
                "complete": found.is_complete,
            }
        )


class IngestFlow(ApiView):
    @operation(
        "What ingest took and refused in 24 hours, and how long events took in the last one.",
        gives=FlowBody,
    )
    def get(self, request: Request) -> Response:
        api_actor(request)
        day = health.last_day().totals
        hour = latencies.of_everything()
        return Response(
            {
                "day": {
                    "received": day.received,
                    "accepted": day.accepted,
                    "duplicate": day.duplicate,
                    "dead_lettered": day.dead_lettered,
                },
                "latency": latency(hour),
                "write": percentiles(hour[Measure.WRITE]),
                "group": percentiles(hour[Measure.GROUP]),
            }
        )
