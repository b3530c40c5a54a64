"""Pages of reviews: what waits, and answering one."""

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_http_methods

from governance import access
from governance.forms_reviews import ReviewForm
from governance.middleware import request_actor
from governance.models import Review
from governance.reviewed import kind_of
from governance.selectors import reviews as selectors
from governance.services import reviews as services
from governance.types import Permission, ReviewPoint
from portal.http import parameters, words
from portal.http.pagination import paginate
from portal.kernel.errors import InvalidError, InvalidStateError

_HISTORY = 10
_ICONS = {
    ReviewPoint.OWNER: "people",
    ReviewPoint.DESCRIPTION: "catalog",
    ReviewPoint.CLASSIFICATION: "privacy",
    ReviewPoint.CONSUMERS: "dn",
    ReviewPoint.RETENTION: "clock",
    ReviewPoint.ACCESS: "key",
}


@require_GET
def overview(request: HttpRequest) -> HttpResponse:
    """Reviews of what the reader may know of: those that wait for them first."""
    actor = request_actor(request)
    asked = parameters.read(
        request.GET, {"show": parameters.choice(selectors.SHOWS), **parameters.LIST}
    )
    show = asked.get("show", "mine")
    page = paginate(
        selectors.shown(actor, show),
        order=selectors.order_of(show),
        limit=asked.get("limit"),
        cursor=asked.get("cursor"),
    )
    mine = selectors.shown(actor, "mine").count()
    verb = "waits" if mine in (0, 1) else "wait"
    title = f"{words.capitalized(words.counted(mine, 'review'))} {verb} for you."
    return render(
        request,
        "governance/reviews.html",
        {"title": title, "rows": page.items, "next": page.next, "show": show,
         "shows": selectors.SHOWS},
    )  # fmt: skip


@require_http_methods(["GET", "POST"])
def review(request: HttpRequest, review_id: UUID) -> HttpResponse:
    """One review: what the portal knows of each point, and the form for who answers it."""
    actor = request_actor(request)
    row = selectors.get_review(actor, review_id)
    thing: Any = access.find_resource(row.about)
    form = ReviewForm(request.POST if request.method == "POST" else None)
    if request.method == "POST":
        access.require(actor, Permission.APPROVE, thing)
        if form.is_valid():
            try:
                services.complete_review(review_id, actor=actor, answers=form.answers)
            except InvalidStateError:
                messages.warning(request, "Somebody else completed it meanwhile.")
                return redirect("review", review_id=review_id)
            except InvalidError as error:
                form.place(error)
            else:
                messages.success(request, f"Kept. {row.resource_key} is reviewed.")
                return redirect("reviews")
    may_answer = row.is_open and access.may(actor, Permission.APPROVE, thing)
    context = {
        "review": row,
        "points": _points(row, thing, form),
        "form": form,
        "may_answer": may_answer,
        "url": kind_of(row.about).address(row.resource_key),
        "history": selectors.history_of(row.about).exclude(pk=row.pk)[:_HISTORY],
        "patience": services.PATIENCE.days,
    }
    return render(request, "governance/review.html", context, status=422 if form.errors else 200)


def _points(row: Review, thing: Any, form: ReviewForm) -> list[dict[str, Any]]:
    """Each point with what is or was known of it, what was said, and its two fields."""
    if row.is_open:
        stands = kind_of(row.about).stands(thing)
        return [
            {
                "point": point,
                "icon": _ICONS[point],
                "says": stands[point].says,
                "lines": stands[point].lines,
                "url": stands[point].url,
                "outcome": form[point],
                "note": form[f"{point}_note"],
            }
            for point in ReviewPoint
        ]
    said = {one["point"]: one for one in row.points}
    return [
        {"point": point, "icon": _ICONS[point], **row.snapshot[point], "said": said[point]}
        for point in ReviewPoint
    ]
