"""`/.well-known/security.txt` (RFC 9116): whom to tell of a weakness of this installation."""

from datetime import timedelta
from typing import Final

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_safe

from portal.http.operations import operation
from portal.kernel import clock
from portal.kernel.errors import NotFoundError

# Written anew with each answer, so it tells that somebody still runs this, no more.
_GOOD_FOR: Final = timedelta(days=90)
ADDRESS: Final = "/.well-known/security.txt"


@csrf_exempt
@require_safe
@operation("Whom to tell of a weakness (RFC 9116); 404 where nobody is named.", gives=str)
def security_txt(request: HttpRequest) -> HttpResponse:
    if not settings.SECURITY_CONTACT:
        raise NotFoundError("Nobody is named here; tell who runs this portal.")
    until = (clock.now() + _GOOD_FOR).replace(hour=0, minute=0, second=0, microsecond=0)
    lines = [f"Contact: {contact}" for contact in settings.SECURITY_CONTACT]
    lines.append(f"Expires: {until:%Y-%m-%dT%H:%M:%SZ}")
    lines.append("Preferred-Languages: en")
    lines.append(f"Canonical: {settings.PUBLIC_URL}{ADDRESS}")
    return HttpResponse("\n".join(lines) + "\n", content_type="text/plain; charset=utf-8")
