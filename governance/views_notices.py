"""Pages of notifications: the list, the bell in the top bar, and how mail is wanted."""

from typing import Final
from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.http import require_GET, require_POST

from governance.middleware import request_actor
from governance.models import User
from governance.selectors import notices as selectors
from governance.services import notices as services
from governance.types import MailWish
from portal.http import parameters, words
from portal.http.pagination import paginate
from portal.kernel import rfc3339
from portal.kernel.errors import BadRequestError

SHOWN: Final = ("unread", "all")
_ROWS: Final = 30


@require_GET
def overview(request: HttpRequest) -> HttpResponse:
    """What the person was told, the newest first; unread ones unless all are asked for."""
    actor = request_actor(request)
    asked = parameters.read(
        request.GET, {"show": parameters.choice(SHOWN), "cursor": parameters.text(2000)}
    )
    show = asked.get("show", "unread")
    rows = selectors.visible_notices(actor)
    page = paginate(
        rows.filter(read_at=None) if show == "unread" else rows,
        order=("-created_at", "id"),
        limit=_ROWS,
        cursor=asked.get("cursor"),
    )
    count = selectors.unread_count(actor)
    return render(
        request,
        "governance/notifications.html",
        {
            "notices": page.items,
            "next": page.next,
            "show": show,
            "count": count,
            "title": _headline(count),
            "newest": rfc3339.spell(page.items[0].created_at) if page.items else "",
            "wishes": MailWish.choices,
            "wish": User.objects.values_list("notice_mail", flat=True).get(pk=actor.id),
            "is_mail_on": services.is_mail_on(),
        },
    )


def _headline(count: int) -> str:
    if count == 0:
        return "Nothing new."
    if count > selectors.MOST_COUNTED:
        return f"More than {selectors.MOST_COUNTED} things are new."
    verb = "is" if count == 1 else "are"
    return words.capitalized(f"{words.counted(count, 'thing')} {verb} new.")


@require_GET
def bell(request: HttpRequest) -> HttpResponse:
    """The bell alone, which pages fetch again each minute."""
    return render(request, "governance/_bell.html")


@require_POST
def read_one(request: HttpRequest, notice_id: UUID) -> HttpResponse:
    """Mark one as read and, when it was opened, go to what it is about."""
    notice = services.mark_read(notice_id, actor=request_actor(request))
    if request.POST.get("go") and url_has_allowed_host_and_scheme(notice.url, allowed_hosts=None):
        return redirect(notice.url)
    return redirect(_back(request))


@require_POST
def read_all(request: HttpRequest) -> HttpResponse:
    """Mark as read what the page showed; what came since stays unread."""
    asked = parameters.read(request.POST, {**_FORM, "until": parameters.moment})
    count = services.mark_all_read(actor=request_actor(request), until=asked.get("until"))
    messages.success(request, f"{words.plural(count, 'notification')} marked as read.")
    return redirect(_back(request))


@require_POST
def choose_mail(request: HttpRequest) -> HttpResponse:
    asked = parameters.read(request.POST, {**_FORM, "mail": parameters.choice(MailWish.values)})
    if "mail" not in asked:
        raise BadRequestError("Choose one of the three.")
    services.choose_mail(MailWish(asked["mail"]), actor=request_actor(request))
    messages.success(request, "Saved.")
    return redirect("notifications")


_FORM: Final = {
    "csrfmiddlewaretoken": parameters.text(200),
    "show": parameters.choice(SHOWN),
}


def _back(request: HttpRequest) -> str:
    """The list as it was shown."""
    return "/notifications/?show=all" if request.POST.get("show") == "all" else "/notifications/"
