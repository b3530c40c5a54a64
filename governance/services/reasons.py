"""Reasons for acts about a person. They stay in the audit log for good, so they name nobody."""

from collections.abc import Iterable
from typing import Final

from portal.kernel.errors import FieldError, InvalidError

SHORTEST: Final = 10
LONGEST: Final = 500
_NAME: Final = 4  # characters; a shorter text stands in many words


def checked_reason(text: str, names: Iterable[str] = ()) -> str:
    """A reason of 10 to 500 characters, without spaces around it.

    Raises InvalidError at `/reason` for one that is too short, too long, or holds one of the names.
    """
    why = text.strip()
    if len(why) < SHORTEST:
        raise _fault("too_short", "say why, in ten characters or more")
    if len(why) > LONGEST:
        raise _fault("too_long", "at most 500 characters")
    require_nameless(why, names)
    return why


def require_nameless(text: str, names: Iterable[str]) -> None:
    """Refuse a reason that holds one of the names of whom it is about."""
    folded = text.casefold()
    if any(len(name) >= _NAME and name.casefold() in folded for name in names):
        raise _fault("personal", "must not name them: it stays in the audit log for good")


def _fault(code: str, detail: str) -> InvalidError:
    return InvalidError("It needs a reason.", errors=[FieldError("/reason", code, detail)])
