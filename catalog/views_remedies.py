"""Applying remedies of a change: one button each, and each press is a revised candidate."""

from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_POST

from catalog.selectors.changes import get_change
from catalog.services.remedies import MAX_APPLIED, apply_remedies
from governance.middleware import request_actor
from portal.kernel.errors import PortalError


@require_POST
def apply(request: HttpRequest, change_id: UUID) -> HttpResponse:
    """Apply the pressed remedy and go to the change that carries it."""
    actor = request_actor(request)
    found = get_change(actor, change_id)
    wanted = [name[:60] for name in request.POST.getlist("remedy")[:MAX_APPLIED]]
    try:
        after = apply_remedies(found, wanted, actor=actor)
    except PortalError as error:
        messages.error(request, f"Not done: {error.detail}")
        return redirect("change", change_id=found.pk)
    if after.pk == found.pk:
        messages.success(request, "It opens a compatibility group now.")
    else:
        messages.success(
            request,
            f"v{after.version.version} takes the place of v{found.version.version}. "
            "It is measured now.",
        )
    return redirect("change", change_id=after.pk)
