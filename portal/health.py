"""Liveness and readiness for supervisors and load balancers."""

from django.db import connection
from django.http import HttpRequest, JsonResponse

from portal.http.policy import declare


@declare(GET="public")
def livez(request: HttpRequest) -> JsonResponse:
    """The process answers; nothing else is asked."""
    return JsonResponse({"status": "alive"})


@declare(GET="public")
def readyz(request: HttpRequest) -> JsonResponse:
    """The database answers and has its tables. A failure leaves as a 503 problem."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT seq FROM governance_audit_head")
        cursor.fetchone()
    return JsonResponse({"status": "ready"})
