"""The stream's tab *Access*: grants on it, ending and extending them, and granting without a request."""

from typing import Any, Final

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods

from governance import access
from governance.forms import GrantForm
from governance.forms_policies import place_faults
from governance.selectors.grantees import find_holder
from governance.selectors.requests import GrantRow, grants_page
from governance.services.grants import READS, grant_access
from governance.types import Permission
from governance.views_grants import rows_of
from portal.http import parameters, words
from portal.kernel.actor import Actor
from portal.kernel.errors import PortalError
from portal.views_stream import stream_frame

PAGE: Final = 50
_FIELDS: Final = 500


@require_http_methods(["GET", "POST"])
def stream_access(request: HttpRequest, name: str) -> HttpResponse:
    """For who may approve on the stream; everybody else is refused as elsewhere."""
    actor, stream, frame = stream_frame(request, name, "access")
    access.require(actor, Permission.APPROVE, stream)
    form = GrantForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            granted = _grant(stream, form, request.POST.getlist("field"), actor)
        except PortalError as error:
            place_faults(form, error)
        else:
            messages.success(
                request, f"Granted {granted.holder} until {words.day(granted.valid_until)}."
            )
            return redirect("stream_access", name=stream.name)
    asked = parameters.read(request.GET, {"cursor": parameters.text(2000)})
    page = grants_page(actor, ref=stream.ref, decides=True, limit=PAGE, cursor=asked.get("cursor"))
    known = access.fields_of(stream) or {}
    return render(
        request,
        "catalog/stream_access.html",
        frame
        | {
            "form": form,
            "rows": rows_of(actor, page.items),
            "next": page.next,
            "fields": list(known.items())[:_FIELDS],
            "ticked": set(request.POST.getlist("field")),
            "decides_domain": access.may(actor, Permission.APPROVE, stream.domain),
        },
        status=422 if form.errors else 200,
    )


def _grant(stream: Any, form: GrantForm, ticked: list[str], actor: Actor) -> GrantRow:
    permission = Permission(form.cleaned_data["permission"])
    known = access.fields_of(stream) or {}
    # All of them is said as none by name, so that it holds for fields that come later as well.
    fields = () if set(ticked) >= set(known) else tuple(ticked)
    return grant_access(
        stream.ref,
        actor=actor,
        permission=permission,
        holder=find_holder(form.cleaned_data["holder"].strip()),
        purpose=form.cleaned_data["purpose"],
        until=form.until_at,
        fields=fields if permission in READS else (),
        by_day=True,
    )
