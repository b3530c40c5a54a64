"""What bodies name: teams and streams, found for the caller or refused with the place."""

from catalog.models import Stream
from catalog.selectors.streams import get_stream
from governance.models import Team
from portal.kernel.actor import Actor
from portal.kernel.errors import FieldError, InvalidError


def find_team(slug: str | None, pointer: str = "/owner") -> Team | None:
    """The team of a slug; none for none. InvalidError for an unknown one."""
    if slug is None:
        return None
    found = Team.objects.filter(slug=slug).first()
    if found is None:
        raise InvalidError(
            "The team is not known.",
            errors=[FieldError(pointer, "unknown", "give the slug of a team")],
        )
    return found


def find_streams(actor: Actor, names: list[str]) -> list[Stream]:
    """The streams of these names, as far as the actor may know of them; NotFoundError otherwise."""
    return [get_stream(actor, name) for name in names]
