"""Pages of quality: all checks as a grid, and one alarm."""

from datetime import timedelta

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from governance.middleware import request_actor
from ingest.models import DeadLetter
from portal.http import parameters, words
from portal.http.pagination import paginate
from portal.http.policy import declare
from quality.models import Check
from quality.selectors import checks as selectors
from quality.verdicts import RULES

_ROWS = 30


@require_GET
@declare(GET="signed_in")
def overview(request: HttpRequest) -> HttpResponse:
    actor = request_actor(request)
    asked = parameters.read(request.GET, {"cursor": parameters.text(2000)})
    page = paginate(
        selectors.visible_checks(actor), order=("stream_id", "id"), limit=_ROWS,
        cursor=asked.get("cursor"),
    )  # fmt: skip
    days = selectors.check_days({check.stream_id for check in page.items})
    alarms = list(selectors.open_alarms(actor)[:20])
    return render(
        request,
        "quality/overview.html",
        {
            "title": _headline(len(alarms)),
            "alarms": alarms,
            "recent": selectors.visible_alarms(actor).exclude(closed_at=None)[:10],
            "rows": [(check, days[check.stream_id, check.kind]) for check in page.items],
            "next": page.next,
        },
    )


def _headline(count: int) -> str:
    if not count:
        return "No alarm is open."
    return f"{words.plural(count, 'alarm')} {'is' if count == 1 else 'are'} open."


@require_GET
@declare(GET="stream.discover")
def alarm(request: HttpRequest, alarm_id: int) -> HttpResponse:
    """Why an alarm fired: the rule, the numbers, the first bad event."""
    found = selectors.get_alarm(request_actor(request), alarm_id)
    check = Check.objects.filter(stream=found.stream, kind=found.kind).first()
    first_bad = (
        DeadLetter.objects.filter(
            stream_id=found.stream_id, received_at__gte=found.opened_at - timedelta(hours=1)
        )
        .order_by("received_at")
        .first()
        if found.kind == "validity"
        else None
    )
    return render(
        request,
        "quality/alarm.html",
        {"alarm": found, "check": check, "first_bad": first_bad, "rule": RULES[found.kind]},
    )
