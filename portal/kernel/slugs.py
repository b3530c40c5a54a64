"""Slugs: the short names of domains, teams, producers, consumers and tags."""

import re
from typing import Final

from portal.kernel.errors import FieldError, InvalidError

LONGEST: Final = 60
SLUG: Final = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")


def check_slug(slug: str, *, pointer: str = "/slug") -> None:
    """Refuse what is not lower case letters, digits and single dashes between them."""
    if len(slug) > LONGEST or not SLUG.fullmatch(slug):
        raise InvalidError(
            "The name breaks a rule.",
            code="name",
            errors=[
                FieldError(
                    pointer,
                    "slug",
                    f"must be lower case letters, digits and dashes, at most {LONGEST}",
                )
            ],
        )
