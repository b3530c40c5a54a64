"""Liveness and readiness for supervisors and load balancers."""

from typing import TypedDict

from django.db import connection
from django.http import HttpRequest, JsonResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_safe

from portal.http.operations import operation
from portal.http.policy import declare


class StatusBody(TypedDict):
    status: str


@csrf_exempt
@require_safe
@declare(GET="public")
@operation("The process answers; nothing else is asked.", gives=StatusBody)
def livez(request: HttpRequest) -> JsonResponse:
    return JsonResponse({"status": "alive"})


@csrf_exempt
@require_safe
@declare(GET="public")
@operation("The database answers and has its tables.", gives=StatusBody)
def readyz(request: HttpRequest) -> JsonResponse:
    with connection.cursor() as cursor:
        cursor.execute("SELECT seq FROM governance_audit_head")
        cursor.fetchone()
    return JsonResponse({"status": "ready"})
