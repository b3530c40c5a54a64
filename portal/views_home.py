"""The home page: the verdict of the day, what waits for this person, their streams."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from governance.middleware import request_actor
from portal.home import home_page
from portal.http.policy import declare


@require_GET
@declare(GET="signed_in")
def home(request: HttpRequest) -> HttpResponse:
    return render(request, "portal/home.html", {"page": home_page(request_actor(request))})
