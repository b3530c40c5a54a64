"""The home page: the verdict of the day, what waits for this person, their streams."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from governance.middleware import request_actor
from portal.abilities import may_register
from portal.first_run import first_steps
from portal.home import home_page, is_empty


@require_GET
def home(request: HttpRequest) -> HttpResponse:
    actor = request_actor(request)
    if is_empty(actor):
        return render(
            request,
            "portal/first_run.html",
            {
                "steps": first_steps(actor),
                "endpoint": request.build_absolute_uri("/v1/events"),
                "may_register": may_register(actor),
            },
        )
    return render(request, "portal/home.html", {"page": home_page(actor)})
