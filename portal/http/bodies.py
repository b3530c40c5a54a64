"""Request bodies of the API, read strictly: unknown members and wrong types are a 400.

A view declares its body once; the same declaration refuses and is described in OpenAPI:

    NEW_TEAM = bodies.Body(required={"slug": bodies.text(60)}, optional={"name": bodies.text(120)})
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from portal.http.described import Described, Schema, schema_of
from portal.kernel import rfc3339
from portal.kernel.errors import BadRequestError, FieldError, InvalidError

Reader = Callable[[Any], Any]


@dataclass(frozen=True, slots=True)
class Body:
    """The members of a JSON object and how each is read."""

    required: Mapping[str, Reader] = field(default_factory=dict)
    optional: Mapping[str, Reader] = field(default_factory=dict)

    def read(self, body: object) -> dict[str, Any]:
        """The members that were given, parsed. Raises BadRequestError or, for a missing or
        rule-breaking member, InvalidError; every fault is named."""
        known = {**self.required, **self.optional}
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
        broken += [
            FieldError(f"/{name}", "required", "is needed")
            for name in self.required
            if name not in body
        ]
        if broken:
            raise InvalidError("The body breaks a rule.", errors=broken)
        return values

    @property
    def schema(self) -> Schema:
        """The JSON Schema of the object."""
        readers = {**self.required, **self.optional}
        schema: Schema = {
            "type": "object",
            "properties": {name: schema_of(reader) for name, reader in readers.items()},
            "additionalProperties": False,
        }
        return schema | ({"required": list(self.required)} if self.required else {})


EMPTY = Body()


def text(longest: int, shortest: int = 0) -> Reader:
    """A text of `shortest` to `longest` characters."""

    def reader(value: Any) -> str:
        if not isinstance(value, str):
            raise TypeError("must be a text")
        if len(value) > longest:
            raise ValueError(f"may have {longest} characters at most")
        if len(value) < shortest:
            raise ValueError("must not be empty")
        return value

    schema = {"type": "string", "maxLength": longest}
    return Described(reader, schema | ({"minLength": shortest} if shortest else {}))


def name(pattern: str, longest: int) -> Reader:
    """A text whose rule its service judges; the pattern is for the description."""
    return Described(
        text(longest), {"type": "string", "pattern": f"^{pattern}$", "maxLength": longest}
    )


def _boolean(value: Any) -> bool:
    if not isinstance(value, bool):
        raise TypeError("must be true or false")
    return value


def choice(values: Sequence[str]) -> Reader:
    def reader(value: Any) -> str:
        if not isinstance(value, str):
            raise TypeError("must be a text")
        if value not in values:
            raise ValueError(f"must be one of {', '.join(values)}")
        return value

    return Described(reader, {"type": "string", "enum": [str(value) for value in values]})


def _moment(value: Any) -> Any:
    if not isinstance(value, str):
        raise TypeError("must be a text with a time")
    return rfc3339.parse(value)


def _uuid(value: Any) -> UUID:
    if not isinstance(value, str):
        raise TypeError("must be a text with a UUID")
    try:
        return UUID(value)
    except ValueError as error:
        raise ValueError("must be a UUID") from error


def integer(least: int, most: int) -> Reader:
    """A whole number from `least` to `most`, both included; a boolean is none."""

    def reader(value: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, int):
            raise TypeError("must be a whole number")
        if not least <= value <= most:
            raise ValueError(f"must be from {least} to {most}")
        return value

    return Described(reader, {"type": "integer", "minimum": least, "maximum": most})


def _document(value: Any) -> dict[str, Any]:
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

    return Described(reader, {"type": "array", "maxItems": most, "items": schema_of(one)})


def choices(values: Sequence[str]) -> Reader:
    """A list of some of the values, each once."""
    one = choice(values)

    def reader(value: Any) -> list[str]:
        if not isinstance(value, list):
            raise TypeError("must be a list of texts")
        return sorted({one(item) for item in value[: len(values) + 1]})

    return Described(reader, {"type": "array", "items": schema_of(one)})


def nullable(reader: Reader) -> Reader:
    """Null, or what the reader takes."""
    return Described(
        lambda value: None if value is None else reader(value),
        {"anyOf": [schema_of(reader), {"type": "null"}]},
    )


boolean: Reader = Described(_boolean, {"type": "boolean"})
moment: Reader = Described(_moment, {"type": "string", "format": "date-time"})
uuid: Reader = Described(_uuid, {"type": "string", "format": "uuid"})
document: Reader = Described(_document, {"type": "object"})
