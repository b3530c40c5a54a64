"""The keys on a page of a producer or consumer: made, rotated and revoked by its team."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from django.contrib import messages
from django.db.models import QuerySet
from django.http import HttpRequest

from catalog.services.keys import rotate_key
from governance.forms import RotateForm
from governance.middleware import request_actor
from governance.models import Key
from governance.rotation import GRACES
from governance.selectors.keys import key_rows
from governance.services.keys import revoke_key
from portal.kernel.errors import ConflictError, InvalidError, NotFoundError, sentence

_MOST: Final = 100


@dataclass(frozen=True, slots=True)
class Done:
    """What became of a form: the text of a new key, shown this once, and which one it replaces."""

    text: str = ""
    replaced: Key | None = None


def act(request: HttpRequest, keys: QuerySet[Key], make: Callable[[], str]) -> Done:
    """Do what the pressed button says, for who may; without a word for it, make a key.

    NotFoundError for a key that is none of these.
    """
    do = request.POST.get("do", "make")
    if do == "make":
        return Done(make())
    key = keys.filter(pk=request.POST.get("key", "")[:8]).first()
    if key is None or do not in ("rotate", "revoke"):
        raise NotFoundError
    actor = request_actor(request)
    if do == "revoke":
        revoke_key(key.pk, actor=actor)
        messages.success(request, f"The key {key.pk} is revoked: it is refused from now on.")
        return Done()
    form = RotateForm(request.POST)
    if not form.is_valid():
        raise InvalidError("Say when the old key ends.")
    try:
        rotated = rotate_key(key.pk, actor=actor, rotation=form.rotation)
    except (ConflictError, InvalidError) as error:
        messages.error(request, sentence(error))
        return Done()
    return Done(rotated.text, rotated.old)


def shown(keys: QuerySet[Key], done: Done) -> dict[str, Any]:
    """What `catalog/_keys.html` needs, the newest key first."""
    rows = key_rows(keys.order_by("-created_at", "pk")[:_MOST])
    return {"keys": rows, "graces": GRACES, "text": done.text, "replaced": done.replaced}
