"""Request bodies of the API, read strictly: unknown members and wrong types are a 400."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from django.utils.dateparse import parse_datetime

from portal.kernel.errors import BadRequestError, FieldError, InvalidError

Reader = Callable[[Any], Any]


def read(
    body: object,
    *,
    required: Mapping[str, Reader] | None = None,
    optional: Mapping[str, Reader] | None = None,
) -> dict[str, Any]:
    """The members of a JSON object, parsed. Raises BadRequestError or, for a missing or
    rule-breaking member, InvalidError; every fault is named."""
    needed, known = required or {}, {**(required or {}), **(optional or {})}
    if not isinstance(body, Mapping):
        raise BadRequestError("The body must be a JSON object.")
    unreadable, broken, values = [], [], {}
    for name, value in body.items():
        if name not in known:
            unreadable.append(FieldError("", "unknown", "unknown member; see the API's page"))
            continue
        try:
            values[name] = known[name](value)
        except TypeError as error:
            unreadable.append(FieldError(f"/{name}", "type", str(error)))
        except ValueError as error:
            broken.append(FieldError(f"/{name}", "value", str(error)))
    if unreadable:
        raise BadRequestError("The body cannot be read.", errors=unreadable)
    broken += [FieldError(f"/{n}", "required", "is needed") for n in needed if n not in body]
    if broken:
        raise InvalidError("The body breaks a rule.", errors=broken)
    return values


def text(longest: int) -> Reader:
    def reader(value: Any) -> str:
        if not isinstance(value, str):
            raise TypeError("must be a text")
        if len(value) > longest:
            raise ValueError(f"may have {longest} characters at most")
        return value

    return reader


def boolean(value: Any) -> bool:
    if not isinstance(value, bool):
        raise TypeError("must be true or false")
    return value


def choice(values: tuple[str, ...]) -> Reader:
    def reader(value: Any) -> str:
        if not isinstance(value, str):
            raise TypeError("must be a text")
        if value not in values:
            raise ValueError(f"must be one of {', '.join(values)}")
        return value

    return reader


def moment(value: Any) -> datetime:
    if not isinstance(value, str):
        raise TypeError("must be a text with a time")
    try:
        found = parse_datetime(value)
        if found is None or found.tzinfo is None:
            raise ValueError
        return found.astimezone(UTC)
    except (ValueError, OverflowError):
        raise ValueError("must be a time as in RFC 3339, with an offset") from None


def integer(least: int, most: int) -> Reader:
    def reader(value: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, int):
            raise TypeError("must be a whole number")
        if not least <= value <= most:
            raise ValueError(f"must be from {least} to {most}")
        return value

    return reader


def document(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise TypeError("must be a JSON object")
    return value


def texts(most: int, longest: int) -> Reader:
    """A list of at most `most` texts."""
    one = text(longest)

    def reader(value: Any) -> list[str]:
        if not isinstance(value, list):
            raise TypeError("must be a list of texts")
        if len(value) > most:
            raise ValueError(f"may have {most} entries at most")
        return [one(item) for item in value]

    return reader


def nullable(reader: Reader) -> Reader:
    return lambda value: None if value is None else reader(value)
