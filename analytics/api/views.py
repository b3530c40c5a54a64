"""REST of rollups: what is counted, and the counts of one stream as a series."""

from datetime import UTC, datetime, timedelta
from typing import ClassVar, Final, TypedDict

from rest_framework.request import Request
from rest_framework.response import Response

from analytics.selectors import volume
from analytics.types import ROLLUPS, Rollup
from catalog.selectors.streams import get_stream
from governance.api.authentication import api_actor
from governance.api.base import ApiView
from portal.http import parameters
from portal.http.operations import Time, listed, operation
from portal.http.pagination import paginate_rows
from portal.kernel import clock
from portal.kernel.errors import BadRequestError, FieldError, NotFoundError

MAX_POINTS: Final = 5_000
MIN_STEP: Final = min(rollup.bucket_seconds for rollup in ROLLUPS.values())
MAX_STEP: Final = 31 * 86_400
EARLIEST: Final = datetime(1970, 1, 1, tzinfo=UTC)
_DAY: Final = timedelta(days=1)


class RollupBody(TypedDict):
    """What is counted; `moved_at` is when counts moved last, null before the first time."""

    name: str
    title: str
    description: str
    measure: str
    bucket_seconds: int
    dimensions: list[str]
    moved_at: Time | None


class PointBody(TypedDict):
    start: Time
    events: int


class SeriesBody(TypedDict):
    """`points` begin `step_seconds` apart, oldest first, zeros included; `total` is their sum."""

    rollup: str
    stream: str
    measure: str
    step_seconds: int
    moved_at: Time | None
    total: int
    points: list[PointBody]


def _rollup(name: str) -> Rollup:
    if name not in ROLLUPS:
        raise NotFoundError
    return ROLLUPS[name]


def _definition(rollup: Rollup) -> RollupBody:
    return {
        "name": rollup.name,
        "title": rollup.title,
        "description": rollup.description,
        "measure": rollup.measure,
        "bucket_seconds": rollup.bucket_seconds,
        "dimensions": list(rollup.dimensions),
        "moved_at": volume.rolled_up_at(),
    }


class Rollups(ApiView):
    @operation(
        "What the portal counts, and when each count moved last.",
        takes=parameters.LIST,
        gives=listed(RollupBody),
    )
    def get(self, request: Request) -> Response:
        page = paginate_rows(
            list(ROLLUPS.values()),
            key=lambda row: [row.name],
            made_for="rollups",
            limit=self.asked.get("limit"),
            cursor=self.asked.get("cursor"),
        )
        return Response(page.as_dict(_definition))


class RollupDetail(ApiView):
    @operation("What one rollup counts.", gives=RollupBody)
    def get(self, request: Request, name: str) -> Response:
        return Response(_definition(_rollup(name)))


class RollupQuery(ApiView):
    @operation(
        "The counts of one `stream` as a series, zeros included; the last day in whole buckets "
        "unless said otherwise.",
        takes={
            "stream": parameters.text(255),
            "from": parameters.moment,
            "to": parameters.moment,
            "step_seconds": parameters.integer(MIN_STEP, MAX_STEP),
        },
        gives=SeriesBody,
    )
    def get(self, request: Request, name: str) -> Response:
        rollup, asked = _rollup(name), self.asked
        if "stream" not in asked:
            raise _refused("stream", "missing", "say of which stream")
        stream = get_stream(api_actor(request), asked["stream"])
        end = asked.get("to", clock.now())
        start = asked.get("from") or (end - _DAY if end > EARLIEST + _DAY else EARLIEST)
        step = asked.get("step_seconds", rollup.bucket_seconds)
        _require_sane(start, end, step, rollup.bucket_seconds)
        points = volume.series(stream.pk, start=start, end=end, step=timedelta(seconds=step))
        body: SeriesBody = {
            "rollup": rollup.name,
            "stream": stream.name,
            "measure": rollup.measure,
            "step_seconds": step,
            "moved_at": volume.rolled_up_at(),
            "total": sum(point.events for point in points),
            "points": [{"start": point.start, "events": point.events} for point in points],
        }
        return Response(body)


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
        errors=[FieldError(f"/{name}", code, f"{name} {text}")],
    )
