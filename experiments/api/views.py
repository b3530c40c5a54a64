"""REST of experiments and metrics."""

from typing import ClassVar, Final

from rest_framework.request import Request
from rest_framework.response import Response

from experiments.api import parse, render
from experiments.models import Experiment, Metric
from experiments.selectors import experiments as selectors
from experiments.services import experiments as services
from experiments.services.metrics import create_metric
from experiments.types import State
from governance.api.authentication import api_actor
from governance.api.base import ApiView
from governance.api.idempotency import idempotent
from portal.http import bodies, parameters
from portal.http.bodies import Body
from portal.http.conditional import etag
from portal.http.operations import listed, operation
from portal.http.pagination import paginate

STOP: Final = Body(required={"reason": bodies.text(2000)})


def _whole(row: Experiment, *, status: int = 200) -> Response:
    headers = {"ETag": etag(row.revision)}
    if status == 201:
        headers["Location"] = f"/api/v1/experiments/{row.key}"
    return Response(render.experiment_whole(row), status=status, headers=headers)


class Experiments(ApiView):
    @operation(
        "Find experiments.",
        takes={
            "q": parameters.text(200),
            "state": parameters.choice(State.values),
            **parameters.LIST,
        },
        gives=listed(render.ExperimentBody),
    )
    def get(self, request: Request) -> Response:
        asked = self.asked
        rows = selectors.search_experiments(
            api_actor(request), text=asked.get("q", ""), state=asked.get("state", "")
        )
        page = paginate(rows, order=("key",), limit=asked.get("limit"), cursor=asked.get("cursor"))
        return Response(page.as_dict(render.experiment))

    @operation(
        "Make an experiment, as a draft.",
        body=parse.NEW_EXPERIMENT,
        gives=render.ExperimentDetailBody,
        status=201,
    )
    @idempotent
    def post(self, request: Request) -> Response:
        actor = api_actor(request)
        new = parse.new_experiment(request.data, actor)
        return _whole(services.create_experiment(new, actor=actor), status=201)


class ExperimentDetail(ApiView):
    @operation(
        "One experiment with its variants and what it measures.",
        gives=render.ExperimentDetailBody,
    )
    def get(self, request: Request, key: str) -> Response:
        return _whole(selectors.get_experiment(api_actor(request), key))


class ExperimentStart(ApiView):
    @operation("Start a draft.", body=bodies.EMPTY, gives=render.ExperimentDetailBody)
    @idempotent
    def post(self, request: Request, key: str) -> Response:
        actor = api_actor(request)
        experiment = selectors.get_experiment(actor, key)
        self.said(request)
        return _whole(services.start_experiment(experiment, actor=actor))


class ExperimentStop(ApiView):
    @operation("End it without a decision.", body=STOP, gives=render.ExperimentDetailBody)
    @idempotent
    def post(self, request: Request, key: str) -> Response:
        actor = api_actor(request)
        experiment = selectors.get_experiment(actor, key)
        reason = self.said(request)["reason"]
        return _whole(services.stop_experiment(experiment, actor=actor, reason=reason))


class ExperimentResults(ApiView):
    @operation(
        "Every snapshot of an experiment, the newest first.",
        takes={"daily": parameters.flag, **parameters.LIST},
        gives=render.ResultsBody,
    )
    def get(self, request: Request, key: str) -> Response:
        asked = self.asked
        row = selectors.get_experiment(api_actor(request), key)
        rows = selectors.snapshots_of(row)
        if "daily" in asked:
            rows = rows.filter(is_daily=asked["daily"])
        page = paginate(
            rows, order=("-number",), limit=asked.get("limit"), cursor=asked.get("cursor")
        )
        return Response(
            {"experiment": row.key, "state": row.state, **page.as_dict(render.snapshot)}
        )


def _metric(row: Metric, *, status: int = 200) -> Response:
    headers = {"ETag": etag(row.version)}
    if status == 201:
        headers["Location"] = f"/api/v1/metrics/{row.key}"
    return Response(render.metric(row), status=status, headers=headers)


class Metrics(ApiView):
    @operation(
        "Metrics in all their versions, the newest of each first.",
        takes={"stream": parameters.text(255), **parameters.LIST},
        gives=listed(render.MetricBody),
    )
    def get(self, request: Request) -> Response:
        asked = self.asked
        rows = selectors.visible_metrics(api_actor(request))
        if "stream" in asked:
            rows = rows.filter(stream__name=asked["stream"])
        page = paginate(
            rows, order=("key", "-version"), limit=asked.get("limit"), cursor=asked.get("cursor")
        )
        return Response(page.as_dict(render.metric))

    @operation(
        "Make a metric, or its next version.",
        body=parse.NEW_METRIC,
        gives=render.MetricBody,
        status=201,
    )
    @idempotent
    def post(self, request: Request) -> Response:
        actor = api_actor(request)
        row = create_metric(parse.new_metric(request.data, actor), actor=actor)
        return _metric(row, status=201)


class MetricDetail(ApiView):
    @operation(
        "The newest version of a metric, or the one asked for.",
        takes={"version": parameters.integer(1, 2**31 - 1)},
        gives=render.MetricBody,
    )
    def get(self, request: Request, key: str) -> Response:
        version = self.asked.get("version")
        return _metric(selectors.get_metric(api_actor(request), key, version=version))
