"""Query parameters of lists, read strictly: unknown, repeated or unreadable ones are a 400.

A view names what it takes, each with a reader that turns the text into a value or raises
`ValueError` with the sentence the caller reads:

    given = parameters.read(request.GET, {"tier": parameters.choice(Tier.values), **parameters.LIST})
"""

from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, Final

from django.http import QueryDict
from django.utils.dateparse import parse_datetime

from portal.kernel.errors import BadRequestError, FieldError

Reader = Callable[[str], Any]

DEFAULT_LIMIT: Final = 50
MAX_LIMIT: Final = 500


def read(query: QueryDict, known: Mapping[str, Reader]) -> dict[str, Any]:
    """The given parameters by name, parsed; those not given are absent. Empty texts are kept out.

    Raises BadRequestError that names every fault, never a submitted value.
    """
    faults: list[FieldError] = []
    values: dict[str, Any] = {}
    for name in query:
        pointer = name if name in known else ""
        given = query.getlist(name)
        if name not in known:
            faults.append(
                FieldError(
                    pointer, "unknown", f"unknown parameter; known are {', '.join(sorted(known))}"
                )
            )
        elif len(given) > 1:
            faults.append(FieldError(pointer, "repeated", f"{name} may be given once"))
        elif given[0] != "":
            try:
                values[name] = known[name](given[0])
            except ValueError as error:
                faults.append(FieldError(pointer, "unreadable", f"{name} {error}"))
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

    return reader


def integer(least: int, most: int) -> Reader:
    def reader(raw: str) -> int:
        if not (raw.isascii() and raw.lstrip("-").isdigit() and len(raw) <= 20):
            raise ValueError("must be a whole number")
        value = int(raw)
        if not least <= value <= most:
            raise ValueError(f"must be from {least} to {most}")
        return value

    return reader


def choice(values: Iterable[str]) -> Reader:
    allowed = tuple(values)

    def reader(raw: str) -> str:
        if raw not in allowed:
            raise ValueError(f"must be one of {', '.join(allowed)}")
        return raw

    return reader


def flag(raw: str) -> bool:
    if raw not in ("true", "false"):
        raise ValueError("must be true or false")
    return raw == "true"


def moment(raw: str) -> datetime:
    """RFC 3339 with an offset; a plus sign that a browser turned into a space is forgiven."""
    try:
        value = parse_datetime(raw.replace(" ", "+") if "T" in raw else raw)
    except ValueError:
        value = None
    if value is None or value.tzinfo is None:
        raise ValueError("must be a time as in RFC 3339, with an offset")
    try:
        return value.astimezone(UTC)
    except OverflowError:
        raise ValueError("must be a time in years 1 to 9999") from None


LIST: Final[Mapping[str, Reader]] = {
    "limit": integer(1, MAX_LIMIT),
    "cursor": text(2000),
}
