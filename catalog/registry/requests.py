"""What clients of the registry send, read into values."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from catalog.registry.errors import RegistryError, invalid_schema, invalid_version
from catalog.registry.subjects import read_subject
from catalog.schema_safety import canonical, fingerprint
from portal.kernel import strict_json
from portal.kernel.errors import BadRequestError

MAX_NUMBER: Final = 2**31 - 1
_MAX_DIGITS: Final = 10
MAX_REFERENCES: Final = 100
MAX_NAME: Final = 500
LATEST: Final = "latest"
JSON: Final = "JSON"
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Reference:
    """What a schema calls a version of a subject in its `$ref`s."""

    name: str
    subject: str
    version: int

    def as_dict(self) -> dict[str, Any]:
        return {"name": self.name, "subject": self.subject, "version": self.version}


@dataclass(frozen=True, slots=True)
class SentSchema:
    """A schema as it was sent. `id` and `version` are wishes that only the mode IMPORT grants."""

    text: str
    document: dict[str, Any]
    references: tuple[Reference, ...] = ()
    metadata: dict[str, Any] | None = None
    rule_set: dict[str, Any] | None = None
    id: int | None = None
    version: int | None = None

    @property
    def fingerprint(self) -> bytes:
        """What makes it the same schema: the JSON value with what was sent beside it.

        Without references, metadata and rules it is the fingerprint of the document alone, so
        that versions made elsewhere in the portal have the same id. The order of members and
        white space never make another schema.
        """
        if not self.references and self.metadata is None and self.rule_set is None:
            return fingerprint(self.document)
        return fingerprint(
            {
                "schema": self.document,
                "references": sorted(
                    [one.name, one.subject, one.version] for one in self.references
                ),
                "metadata": self.metadata,
                "ruleSet": self.rule_set,
            }
        )


def read_schema(body: object, *, normalize: bool = False) -> SentSchema:
    """The schema in a request's body; `normalize` keeps it with its members sorted.

    Raises RegistryError 42201 for what is no JSON Schema in a text.
    """
    if not isinstance(body, Mapping):
        raise RegistryError(400, 400, "The body must be a JSON object.")
    kind = body.get("schemaType")
    if kind != JSON:
        named = f"not {str(kind)[:30]}" if kind else "and none named means Avro"
        raise invalid_schema(f'This registry takes JSON Schemas: schemaType is "JSON", {named}.')
    text = body.get("schema")
    if not isinstance(text, str) or not text.strip():
        raise invalid_schema('Empty schema: "schema" must be a text that holds a JSON Schema.')
    try:
        document = strict_json.decode_document(text.encode("utf-8", "surrogatepass"))
    except BadRequestError as error:
        raise invalid_schema(f"Invalid schema: {error.detail}") from error
    if not isinstance(document, dict):
        raise invalid_schema("Invalid schema: it must be a JSON object.")
    return SentSchema(
        text=canonical(document).decode() if normalize else text,
        document=document,
        references=_references(body.get("references")),
        metadata=_object(body, "metadata"),
        rule_set=_object(body, "ruleSet"),
        id=_wish(body, "id"),
        version=_wish(body, "version"),
    )


def _references(given: object) -> tuple[Reference, ...]:
    if given is None:
        return ()
    if not isinstance(given, list) or len(given) > MAX_REFERENCES:
        raise invalid_schema(f'"references" is a list of at most {MAX_REFERENCES}.')
    found = []
    for one in given:
        name, subject, version = (
            (one.get("name"), one.get("subject"), one.get("version"))
            if isinstance(one, Mapping)
            else (None, None, None)
        )
        if (
            not isinstance(name, str)
            or not 0 < len(name) <= MAX_NAME
            or not isinstance(subject, str)
            or not isinstance(version, int)
            or isinstance(version, bool)
        ):
            raise invalid_schema('A reference has a "name", a "subject" and a "version".')
        found.append(Reference(name, read_subject(subject), version))
    if len({one.name for one in found}) < len(found):
        raise invalid_schema("Two references have the same name.")
    return tuple(found)


def _object(body: Mapping[str, Any], name: str) -> dict[str, Any] | None:
    value = body.get(name)
    if value is None:
        return None
    if not isinstance(value, dict):
        raise invalid_schema(f'"{name}" must be an object.')
    return value


def _wish(body: Mapping[str, Any], name: str) -> int | None:
    """A number that a client asks for; absent, null, 0 and -1 leave it to the registry."""
    value = body.get(name)
    if value is None or value in (0, -1):
        return None
    if isinstance(value, bool) or not isinstance(value, int) or not 0 < value <= MAX_NUMBER:
        raise invalid_schema(f'"{name}" must be a whole number.')
    return value


def read_version(text: str) -> int | None:
    """The number of a version; None for the latest. Raises RegistryError 42202."""
    if text in (LATEST, "-1"):
        return None
    digits = text.lstrip("0")
    is_number = text.isascii() and text.isdecimal() and 0 < len(digits) <= _MAX_DIGITS
    if not is_number or int(digits) > MAX_NUMBER:
        raise invalid_version(text)
    return int(digits)


def read_flag(query: Mapping[str, str], *names: str) -> bool:
    """A boolean of the query, in any case; absent or anything else is false."""
    return any(query.get(name, "").lower() == "true" for name in names)


def read_number(query: Mapping[str, str], name: str, default: int) -> int:
    """A whole number of the query, cut to −1 … 2³¹ − 1. Raises RegistryError 400."""
    text = query.get(name, "")
    if not text:
        return default
    try:
        return max(min(int(text[:12]), MAX_NUMBER), -1)
    except ValueError:
        raise RegistryError(400, 400, f"{name} must be a whole number.") from None


def page(query: Mapping[str, str], items: Sequence[T]) -> list[T]:
    """The part of a list that `offset` and `limit` name; a negative limit means the rest."""
    offset, limit = read_number(query, "offset", 0), read_number(query, "limit", -1)
    start = max(offset, 0)
    return list(items[start:] if limit < 0 else items[start : start + limit])
