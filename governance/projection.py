"""What of a thing's payload somebody may see: all of its fields or some, which of them as they are.

A grant may be about some fields. Several grants add up, each for its own term. Who holds a thing
without a grant (its team, an admin) sees every field, personal ones masked. The values are judged
after the rows were read, so a grant that was revoked before the read shows nothing.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from django.db.models.functions import Now

from governance import access
from governance.types import Governed, Permission
from portal.kernel import clock
from portal.kernel.actor import Actor

# How exactly it is told when a grant was last used.
_NOTED_EACH: Final = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Projection:
    """`fields` are the paths that are shown at all, `clear` the personal ones shown as they are;
    None means each there is. A path stands for all that is below it."""

    fields: frozenset[str] | None
    clear: frozenset[str] | None

    @property
    def is_whole(self) -> bool:
        """Whether nothing is left out and nothing masked."""
        return self.fields is None and self.clear is None

    def shows(self, path: str) -> bool:
        """Whether a field is shown, as it is or masked."""
        return self.fields is None or covers(self.fields, path)

    def leads_to_shown(self, path: str) -> bool:
        """Whether a field below this one is shown."""
        return self.fields is None or any(_is_below(one, path) for one in self.fields)

    def is_clear(self, path: str) -> bool:
        """Whether a personal field is shown as it is."""
        return self.clear is None or covers(self.clear, path)


NOTHING: Final = Projection(frozenset(), frozenset())
WHOLE: Final = Projection(None, None)
MASKED: Final = Projection(None, frozenset())


def covers(paths: Iterable[str], path: str) -> bool:
    """Whether a path is one of some, or below one."""
    return any(path == one or _is_below(path, one) for one in paths)


def _is_below(path: str, above: str) -> bool:
    return path.startswith((f"{above}.", f"{above}[]"))


def projection(actor: Actor, thing: Governed) -> Projection:
    """What somebody, or a program by its key, sees of a thing's payload now; NOTHING without a grant."""
    if actor.is_system:
        return WHOLE
    if actor.is_person and "read" not in actor.scopes:
        return NOTHING
    rows = access.live_rows(actor, Permission.READ_PAYLOAD, thing)
    personal = [row for row in rows if _is_personal(row)]
    clear = _union(personal) if personal else frozenset[str]()
    if access.holds_all(actor, Permission.READ_PAYLOAD, thing):
        return Projection(None, clear)
    return Projection(_union(rows), clear) if rows else NOTHING


def note_use(actor: Actor, thing: Governed) -> None:
    """Keep when somebody's grants to read were last used, to the hour."""
    if actor.is_system:
        return
    before = clock.now() - _NOTED_EACH
    for row in access.live_rows(actor, Permission.READ_PAYLOAD, thing):
        if row.last_used_at is None or row.last_used_at < before:
            type(row)._default_manager.filter(pk=row.pk).update(last_used_at=Now())


def _is_personal(row: Any) -> bool:
    return str(row.permission.codename).startswith(Permission.READ_PERSONAL)


def _union(rows: Iterable[Any]) -> frozenset[str] | None:
    """The paths of several grants together; None as soon as one is about all."""
    lists = [row.fields for row in rows]
    return None if any(not each for each in lists) else frozenset().union(*lists)
