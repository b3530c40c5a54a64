"""Query parameters, read strictly: unknown, repeated or unreadable ones are a 400.

A view names what it takes, each with a reader that turns the text into a value or raises
`ValueError` with the sentence the caller reads:

    given = parameters.read(request.GET, {"tier": parameters.choice(Tier.values), **parameters.LIST})
"""

import re
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from django.http import QueryDict

from portal.http.described import Described
from portal.kernel import rfc3339
from portal.kernel.errors import BadRequestError, FieldError

Reader = Callable[[str], Any]

DEFAULT_LIMIT: Final = 50
MAX_LIMIT: Final = 500
NEVER_EMPTY: Final = frozenset({"limit"})
_WHOLE: Final = re.compile(r"-?[0-9]{1,19}")


def read(query: QueryDict, known: Mapping[str, Reader]) -> dict[str, Any]:
    """The given parameters by name, parsed; those not given are absent.

    Empty texts count as not given, as an empty field of a form; an empty number is unreadable.
    Raises BadRequestError that names every fault, never a submitted value.
    """
    faults: list[FieldError] = []
    values: dict[str, Any] = {}
    for name in query:
        given = query.getlist(name)
        if name not in known:
            taken = f"known are {', '.join(sorted(known))}" if known else "none are known here"
            faults.append(FieldError("", "unknown", f"unknown parameter; {taken}"))
        elif len(given) > 1:
            faults.append(FieldError(f"/{name}", "repeated", f"{name} may be given once"))
        elif given[0] != "" or name in NEVER_EMPTY:
            try:
                values[name] = known[name](given[0])
            except ValueError as error:
                faults.append(FieldError(f"/{name}", "unreadable", f"{name} {error}"))
    if faults:
        raise BadRequestError(
            f"Of the parameters, {len(faults)} cannot be taken.", code="parameter", errors=faults
        )
    return values


def text(longest: int = 200) -> Reader:
    """A text of at most `longest` characters without control characters."""

    def reader(raw: str) -> str:
        if len(raw) > longest:
            raise ValueError(f"may have {longest} characters at most")
        if any(ord(char) < 32 or 0xD800 <= ord(char) <= 0xDFFF for char in raw):
            raise ValueError("holds a character that cannot be stored")
        return raw

    return Described(reader, {"type": "string", "maxLength": longest})


def integer(least: int, most: int) -> Reader:
    """A whole number from `least` to `most`, both included."""

    def reader(raw: str) -> int:
        if not _WHOLE.fullmatch(raw):
            raise ValueError("must be a whole number")
        value = int(raw)
        if not least <= value <= most:
            raise ValueError(f"must be from {least} to {most}")
        return value

    return Described(reader, {"type": "integer", "minimum": least, "maximum": most})


def choice(values: Iterable[str]) -> Reader:
    allowed = tuple(values)

    def reader(raw: str) -> str:
        if raw not in allowed:
            raise ValueError(f"must be one of {', '.join(allowed)}")
        return raw

    return Described(reader, {"type": "string", "enum": list(allowed)})


def any_of(values: Iterable[str] = ()) -> Reader:
    """One value or several joined by commas, of those allowed if any are named: a frozenset."""
    allowed = tuple(values)
    one = choice(allowed) if allowed else text(120)

    def reader(raw: str) -> frozenset[str]:
        return frozenset(one(part) for part in raw.split(","))

    said = f"One of {', '.join(allowed)}, or" if allowed else "One value, or"
    return Described(reader, {"type": "string", "description": f"{said} several joined by commas."})


def _flag(raw: str) -> bool:
    if raw not in ("true", "false"):
        raise ValueError("must be true or false")
    return raw == "true"


def _moment(raw: str) -> datetime:
    """RFC 3339; a plus sign that a browser turned into a space is forgiven."""
    return rfc3339.parse(raw.replace(" ", "+"))


def _uuid(raw: str) -> UUID:
    try:
        return UUID(raw)
    except ValueError:
        raise ValueError("must be a UUID") from None


uuid: Final[Reader] = Described(_uuid, {"type": "string", "format": "uuid"})
flag: Final[Reader] = Described(_flag, {"type": "boolean"})
moment: Final[Reader] = Described(_moment, {"type": "string", "format": "date-time"})

LIST: Final[Mapping[str, Reader]] = {
    "limit": Described(
        integer(1, MAX_LIMIT),
        {"type": "integer", "minimum": 1, "maximum": MAX_LIMIT, "default": DEFAULT_LIMIT},
    ),
    "cursor": Described(
        text(2000),
        {"type": "string", "maxLength": 2000, "description": "`next` of the page before."},
    ),
}
