"""What a request for access is about, field by field, as forms show it and give it back."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from governance import access
from governance.models import AccessRequest
from governance.services.requests import Wanted
from governance.types import ResourceRef
from portal.kernel.errors import FieldError, InvalidError, NotFoundError

PERSONAL: Final = frozenset({"personal", "sensitive"})


@dataclass(frozen=True, slots=True)
class Sight:
    """One field: whether it is shown at all, and of a personal one whether as it is."""

    path: str
    classification: str
    is_shown: bool
    is_clear: bool

    @property
    def is_personal(self) -> bool:
        return self.classification in PERSONAL


def sights(thing: Any, wanted: Wanted) -> list[Sight]:
    """The fields of a thing as somebody would see them; none where it is granted whole."""
    fields = access.fields_of(thing) or {}
    return [
        Sight(
            path,
            classification,
            is_shown=not wanted.fields or path in wanted.fields,
            is_clear=wanted.personal and (not wanted.clear or path in wanted.clear),
        )
        for path, classification in fields.items()
    ]


def sights_of(request: AccessRequest) -> list[Sight]:
    """As `sights`, of a request: only what was asked for; nothing is seen by who publishes."""
    if request.is_to_publish:
        return []
    try:
        thing = access.find_resource(ResourceRef(request.resource_kind, request.resource_key))
    except NotFoundError:  # it is gone, and with it what there was to decide
        return []
    wanted = Wanted(tuple(request.fields), request.wants_personal, tuple(request.clear))
    return [sight for sight in sights(thing, wanted) if sight.is_shown]


def chosen(posted: Mapping[str, Sequence[str]], offered: Sequence[Sight]) -> Wanted | None:
    """What a form gives back: boxes `field`, and `clear` of the personal ones. None where the form
    showed no fields. All of what was offered is said as none by name, so that it holds for fields
    that come later as well. Raises InvalidError where none is left."""
    if "sights" not in posted:
        return None
    shown = tuple(sight.path for sight in offered if sight.path in posted.get("field", ()))
    if offered and not shown:
        fault = FieldError("/fields", "required", "leave at least one ticked")
        raise InvalidError("None of the fields is left.", errors=[fault])
    clear = tuple(
        sight.path
        for sight in offered
        if sight.is_personal and sight.path in shown and sight.path in posted.get("clear", ())
    )
    is_all = len(shown) == len(offered)
    personal_ones = [sight for sight in offered if sight.is_personal and sight.path in shown]
    return Wanted(
        () if is_all else shown,
        personal=bool(clear),
        clear=() if is_all and len(clear) == len(personal_ones) else clear,
    )
