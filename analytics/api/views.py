"""REST of rollups: what is counted, and the counts of one stream as a series."""

from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar, Final

from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from analytics.selectors import volume
from analytics.types import ROLLUPS, Rollup
from catalog.selectors.streams import get_stream
from governance.api.authentication import api_actor
from portal.http import parameters
from portal.kernel import clock
from portal.kernel.errors import BadRequestError, FieldError, NotFoundError

MAX_POINTS: Final = 5_000
MAX_STEP: Final = 31 * 86_400
EARLIEST: Final = datetime(1970, 1, 1, tzinfo=UTC)
_DAY: Final = timedelta(days=1)


def _rollup(name: str) -> Rollup:
    if name not in ROLLUPS:
        raise NotFoundError
    return ROLLUPS[name]


def _definition(rollup: Rollup) -> dict[str, Any]:
    return asdict(rollup) | {"moved_at": volume.rolled_up_at()}


class Rollups(APIView):
    """What the portal counts, and when each count moved last."""

    policy: ClassVar = {"GET": "signed_in"}

    def get(self, request: Request) -> Response:
        parameters.read(request.query_params, parameters.LIST)
        return Response({"items": [_definition(row) for row in ROLLUPS.values()], "next": None})


class RollupDetail(APIView):
    policy: ClassVar = {"GET": "signed_in"}

    def get(self, request: Request, name: str) -> Response:
        parameters.read(request.query_params, {})
        return Response(_definition(_rollup(name)))


class RollupQuery(APIView):
    """A series of one stream, zeros included; the last day in whole buckets unless said otherwise."""

    policy: ClassVar = {"GET": "stream.discover"}

    def get(self, request: Request, name: str) -> Response:
        rollup = _rollup(name)
        asked = parameters.read(
            request.query_params,
            {
                "stream": parameters.text(255),
                "from": parameters.moment,
                "to": parameters.moment,
                "step_seconds": parameters.integer(rollup.bucket_seconds, MAX_STEP),
            },
        )
        if "stream" not in asked:
            raise _refused("stream", "missing", "say of which stream")
        stream = get_stream(api_actor(request), asked["stream"])
        end = asked.get("to", clock.now())
        start = asked.get("from") or (end - _DAY if end > EARLIEST + _DAY else EARLIEST)
        step = asked.get("step_seconds", rollup.bucket_seconds)
        _require_sane(start, end, step, rollup.bucket_seconds)
        points = volume.series(stream.pk, start=start, end=end, step=timedelta(seconds=step))
        return Response(
            {
                "rollup": rollup.name,
                "stream": stream.name,
                "measure": rollup.measure,
                "step_seconds": step,
                "moved_at": volume.rolled_up_at(),
                "total": sum(point.events for point in points),
                "points": [{"start": point.start, "events": point.events} for point in points],
            }
        )


def _require_sane(start: datetime, end: datetime, step: int, bucket: int) -> None:
    if not EARLIEST <= start < end:
        raise _refused("from", "range", "must lie before `to` and after 1970")
    if step % bucket:
        raise _refused("step_seconds", "step", f"must be a multiple of {bucket}")
    if (end - start).total_seconds() / step > MAX_POINTS:
        raise _refused("step_seconds", "range", f"gives more than {MAX_POINTS} points; widen it")


def _refused(name: str, code: str, text: str) -> BadRequestError:
    return BadRequestError(
        "The question cannot be answered as it is put.",
        code="parameter",
        errors=[FieldError(name, code, f"{name} {text}")],
    )
