"""REST of checks, alarms and the trust of streams."""

from datetime import timedelta
from typing import ClassVar, Final

from rest_framework.request import Request
from rest_framework.response import Response

from catalog.selectors import parties
from catalog.selectors.streams import get_stream
from governance.api.authentication import api_actor
from governance.api.base import ApiView
from ingest.api import flow
from ingest.selectors import funnel, latencies
from portal.http import parameters
from portal.http.operations import listed, operation
from portal.http.pagination import paginate
from quality.api import render
from quality.models import CheckKind
from quality.models.checks import CheckState
from quality.selectors import checks as selectors
from quality.selectors.trust import trust_of
from quality.verdicts import RULES, stream_verdict

_DAY: Final = timedelta(days=1)


class StreamHealth(ApiView):
    @operation(
        "What the checks of a stream say now, their last 28 days, and its open alarms; what became "
        "of the events of 24 hours, and how long those of the last hour took.",
        gives=render.HealthBody,
    )
    def get(self, request: Request, name: str) -> Response:
        actor = api_actor(request)
        stream = get_stream(actor, name)
        checks = selectors.checks_of(stream)
        days = selectors.check_days([stream.pk])
        return Response(
            {
                "stream": stream.name,
                "state": selectors.health_of(checks),
                "last_event_at": stream.last_event_at,
                "checks": [
                    render.check(row)
                    | {
                        "days": days[stream.pk, row.kind],
                        "passing_ratio": selectors.passing_ratio(stream, row.kind),
                    }
                    for row in checks
                ],
                "alarms": [
                    render.alarm(row) for row in selectors.open_alarms(actor).filter(stream=stream)
                ],
                "funnel": flow.funnel(funnel.last(stream.pk, _DAY)),
                "latency": flow.latency(latencies.of_stream(stream.pk)),
            }
        )


class StreamFacts(ApiView):
    @operation(
        "The trust signals of a stream, each with its evidence, and the verdict they make.",
        gives=render.FactsBody,
    )
    def get(self, request: Request, name: str) -> Response:
        stream = get_stream(api_actor(request), name)
        trust = trust_of([stream])[stream.pk]
        consumers = parties.readers_of(stream).count()
        spoken = stream_verdict(trust, lifecycle=stream.lifecycle, consumers=consumers)
        return Response(
            {
                "stream": stream.name,
                "trust": render.trust(trust),
                "verdict": render.verdict(spoken),
                "consumers": consumers,
                "last_event_at": stream.last_event_at,
                "reviewed_at": stream.reviewed_at,
            }
        )


class Checks(ApiView):
    @operation(
        "The checks of the streams you may know of.",
        takes={
            "stream": parameters.text(255),
            "kind": parameters.choice(CheckKind.values),
            "state": parameters.choice(CheckState.values),
            **parameters.LIST,
        },
        gives=listed(render.CheckBody),
        refuses=(404,),
    )
    def get(self, request: Request) -> Response:
        actor, asked = api_actor(request), self.asked
        rows = selectors.visible_checks(actor)
        if "stream" in asked:
            rows = rows.filter(stream=get_stream(actor, asked["stream"]))
        for name in ("kind", "state"):
            if name in asked:
                rows = rows.filter(**{name: asked[name]})
        page = paginate(
            rows, order=("stream_id", "id"), limit=asked.get("limit"), cursor=asked.get("cursor")
        )
        return Response(page.as_dict(render.check))


class Alarms(ApiView):
    @operation(
        "Alarms of the streams you may know of, the newest first.",
        takes={
            "stream": parameters.text(255),
            "kind": parameters.choice(CheckKind.values),
            "open": parameters.flag,
            **parameters.LIST,
        },
        gives=listed(render.AlarmBody),
        refuses=(404,),
    )
    def get(self, request: Request) -> Response:
        actor, asked = api_actor(request), self.asked
        rows = selectors.visible_alarms(actor)
        if "stream" in asked:
            rows = rows.filter(stream=get_stream(actor, asked["stream"]))
        if "kind" in asked:
            rows = rows.filter(kind=asked["kind"])
        if "open" in asked:
            rows = rows.filter(closed_at__isnull=asked["open"])
        page = paginate(
            rows, order=("-opened_at", "id"), limit=asked.get("limit"), cursor=asked.get("cursor")
        )
        return Response(page.as_dict(render.alarm))


class AlarmDetail(ApiView):
    @operation("One alarm with the rule that fired it.", gives=render.AlarmDetailBody)
    def get(self, request: Request, alarm_id: int) -> Response:
        row = selectors.get_alarm(api_actor(request), alarm_id)
        return Response(render.alarm(row) | {"rule": RULES[row.kind]})
