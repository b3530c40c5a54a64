"""What the steps of taking a stream in share: who, how strictly, and what was done so far."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from catalog.exchange.documents import OutsideStream
from catalog.exchange.plans import FieldChange, VersionPlan
from catalog.exchange.portal_keys import portal_facts
from catalog.models import Stream
from governance import access
from governance.types import Permission
from portal.kernel.actor import Actor
from portal.kernel.errors import InvalidError, PortalError
from portal.kernel.slugs import LONGEST, SLUG

NOTE: Final = "imported"
_NOT_IN_SLUGS: Final = re.compile(r"[^a-z0-9]+")


@dataclass(slots=True)
class Taking:
    """One stream on its way in. `declared`: by a portal file, which is taken at its word."""

    outside: OutsideStream
    actor: Actor
    declared: bool
    is_new: bool = False
    changes: list[FieldChange] = field(default_factory=list)
    versions: list[VersionPlan] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def own(self) -> Mapping[str, Any]:
        """What the file says under the portal's own key."""
        return portal_facts(self.outside.extensions)

    @property
    def note(self) -> str:
        """The note of a version whose file has none."""
        return "" if self.declared else NOTE

    def require_edit(self, stream: Stream) -> None:
        """Refuse who may not change a known stream; who registered one just now may."""
        if not self.is_new:
            access.require(self.actor, Permission.EDIT, stream)

    def leave_out(self, why: str, error: PortalError | None = None) -> None:
        """Note what of a file of another tool is left out; a declaration is refused for it."""
        if self.declared:
            raise error or InvalidError(why, code="not_fitting")
        if why not in self.notes:
            self.notes.append(why)


def slug_of(said: str) -> str:
    """A foreign name as a slug; a slug is itself, and what leaves nothing is empty."""
    slug = said if SLUG.fullmatch(said) else _NOT_IN_SLUGS.sub("-", said.lower())
    return slug.strip("-")[:LONGEST].strip("-")
