"""REST of experiments and metrics."""

from typing import Any, ClassVar

from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from experiments.api import parse, render
from experiments.models import Experiment
from experiments.selectors import experiments as selectors
from experiments.services import experiments as services
from experiments.services.metrics import create_metric
from experiments.types import State
from governance.api.authentication import api_actor
from governance.api.idempotency import idempotent
from portal.http import bodies, parameters
from portal.http.conditional import etag
from portal.http.pagination import paginate


def _whole(row: Experiment, *, status: int = 200) -> Response:
    headers = {"ETag": etag(row.revision)}
    if status == 201:
        headers["Location"] = f"/api/v1/experiments/{row.key}"
    return Response(render.experiment_whole(row), status=status, headers=headers)


class Experiments(APIView):
    policy: ClassVar = {"GET": "experiment.read", "POST": "experiment.write"}

    def get(self, request: Request) -> Response:
        asked = parameters.read(
            request.query_params,
            {
                "q": parameters.text(200),
                "state": parameters.choice(tuple(State.values)),
                **parameters.LIST,
            },
        )
        rows = selectors.search_experiments(
            api_actor(request), text=asked.get("q", ""), state=asked.get("state", "")
        )
        page = paginate(rows, order=("key",), limit=asked.get("limit"), cursor=asked.get("cursor"))
        return Response(page.as_dict(render.experiment))

    @idempotent
    def post(self, request: Request) -> Response:
        actor = api_actor(request)
        new = parse.new_experiment(request.data, actor)
        row = services.create_experiment(new, actor=actor)
        return _whole(row, status=201)


class ExperimentDetail(APIView):
    policy: ClassVar = {"GET": "experiment.read"}

    def get(self, request: Request, key: str) -> Response:
        parameters.read(request.query_params, {})
        return _whole(selectors.get_experiment(api_actor(request), key))


class ExperimentStart(APIView):
    policy: ClassVar = {"POST": "experiment.write"}

    @idempotent
    def post(self, request: Request, key: str) -> Response:
        bodies.read(request.data or {})
        actor = api_actor(request)
        row = services.start_experiment(selectors.get_experiment(actor, key), actor=actor)
        return _whole(row)


class ExperimentStop(APIView):
    policy: ClassVar = {"POST": "experiment.write"}

    @idempotent
    def post(self, request: Request, key: str) -> Response:
        body = bodies.read(request.data, required={"reason": bodies.text(2000)})
        actor = api_actor(request)
        row = services.stop_experiment(
            selectors.get_experiment(actor, key), actor=actor, reason=body["reason"]
        )
        return _whole(row)


class ExperimentResults(APIView):
    """Every snapshot of an experiment, the newest first."""

    policy: ClassVar = {"GET": "experiment.read"}

    def get(self, request: Request, key: str) -> Response:
        asked = parameters.read(request.query_params, {"daily": parameters.flag, **parameters.LIST})
        row = selectors.get_experiment(api_actor(request), key)
        rows = selectors.snapshots_of(row)
        if "daily" in asked:
            rows = rows.filter(is_daily=asked["daily"])
        page = paginate(
            rows, order=("-number",), limit=asked.get("limit"), cursor=asked.get("cursor")
        )
        body: dict[str, Any] = {"experiment": row.key, "state": row.state}
        return Response(body | page.as_dict(render.snapshot))


class Metrics(APIView):
    policy: ClassVar = {"GET": "experiment.read", "POST": "experiment.write"}

    def get(self, request: Request) -> Response:
        asked = parameters.read(
            request.query_params, {"stream": parameters.text(255), **parameters.LIST}
        )
        rows = selectors.visible_metrics(api_actor(request))
        if "stream" in asked:
            rows = rows.filter(stream__name=asked["stream"])
        page = paginate(
            rows, order=("key", "-version"), limit=asked.get("limit"), cursor=asked.get("cursor")
        )
        return Response(page.as_dict(render.metric))

    @idempotent
    def post(self, request: Request) -> Response:
        actor = api_actor(request)
        row = create_metric(parse.new_metric(request.data, actor), actor=actor)
        return Response(render.metric(row), status=201)
