"""Whom a text names that a grant is to be given to."""

from governance import programs
from governance.models import Team, User
from governance.programs import Program
from portal.kernel.errors import FieldError, InvalidError


def find_holder(name: str) -> User | Team | Program:
    """A person by address, a team by slug, a program as `consumer:NAME` or `producer:NAME`.

    Raises InvalidError at `/holder` for anybody who is not here.
    """
    found: User | Team | Program | None = programs.find(name, pointer="/holder")
    if found is None and "@" in name:
        found = User.objects.filter(email=name.lower(), is_active=True).first()
    elif found is None:
        found = Team.objects.filter(slug=name).first()
    if found is None:
        fault = FieldError(
            "/holder", "unknown",
            "give a person's address, a team's slug, consumer:NAME or producer:NAME",
        )  # fmt: skip
        raise InvalidError("The holder is not known.", errors=[fault])
    return found
