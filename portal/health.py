"""Liveness and readiness for supervisors and load balancers."""

from datetime import timedelta
from typing import Final, TypedDict

from django.db import connection
from django.http import HttpRequest, JsonResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_safe

from governance.erasure_ledger import LedgerError
from governance.selectors.erasures import unreplayed
from ingest.log import partitions
from portal.http.operations import operation
from portal.kernel import clock


class StatusBody(TypedDict):
    status: str


class ReadyBody(TypedDict):
    """`degraded` names what is not as it should be while events are still taken."""

    status: str
    degraded: list[str]


@csrf_exempt
@require_safe
@operation("The process answers; nothing else is asked.", gives=StatusBody)
def livez(request: HttpRequest) -> JsonResponse:
    return JsonResponse({"status": "alive"})


@csrf_exempt
@require_safe
@operation("The database answers and has its tables.", gives=ReadyBody)
def readyz(request: HttpRequest) -> JsonResponse:
    with connection.cursor() as cursor:
        cursor.execute("SELECT seq FROM governance_audit_head")
        cursor.fetchone()
    degraded = ["partitions"] if days_run_out() else []
    if erasures_wait():
        degraded.append("erasures")
    return JsonResponse({"status": "ready", "degraded": degraded})


def days_run_out() -> bool:
    """Whether one of the days that must be ahead is missing."""
    with connection.cursor() as cursor:
        cursor.execute(_SOON, {"leaves": _leaves_soon()})
        return bool(cursor.fetchone()[0])


def erasures_wait() -> bool:
    """Whether the ledger knows of erasures that this database has to do again, or cannot be read."""
    try:
        return bool(unreplayed())
    except (LedgerError, OSError):
        return True


_SOON: Final = """
SELECT EXISTS (
    SELECT 1 FROM unnest(%(leaves)s::text[]) AS wanted (name)
    WHERE NOT EXISTS (SELECT 1 FROM pg_class WHERE relname = wanted.name AND relispartition))
"""


def _leaves_soon() -> list[str]:
    """The days that must be there: today and the fewest that may be ahead."""
    today = clock.now().date()
    days = [today + timedelta(days=ahead) for ahead in range(partitions.FEWEST_AHEAD + 1)]
    return [partitions.leaf_name(parent, day) for parent in partitions.PARENTS for day in days]
