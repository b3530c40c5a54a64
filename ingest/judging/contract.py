"""The contract of one schema version, compiled once: its validator and what it sets aside.

`check` answers in about a microsecond for a valid event; only a refused one pays for the list of
what is wrong with it, and that list names places, rules and limits, never a submitted value.
"""

import base64
from collections.abc import Callable, Sequence
from itertools import islice
from typing import Any, Final

import jsonschema_rs

from ingest.judging import deprecations
from ingest.judging.deprecations import DeprecatedFields
from ingest.judging.drift import DriftPlan, plan_of
from ingest.privacy import field_plan
from ingest.privacy.field_plan import FieldPlan
from ingest.types import Envelope
from portal.kernel.errors import FieldError
from portal.kernel.json_schema import compile_schema, listing_cost
from portal.kernel.strict_json import MAX_FINDINGS, pointer_part

# Listing what is wrong under nested alternatives multiplies; beyond this only the place is said.
_MAX_LISTING_COST: Final = 10_000

_Sentence = Callable[[Any], str]


def _plural(count: object, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def _types(value: Any) -> str:
    names = value if isinstance(value, list) else [value]
    return "must be of type " + " or ".join(str(name) for name in names)


_SENTENCES: Final[dict[str, _Sentence]] = {
    "additionalItems": lambda _: "has more items than the contract knows",
    "additionalProperties": lambda _: "has properties that the contract does not know",
    "anyOf": lambda _: "must fit at least one of the alternatives",
    "const": lambda _: "must be the one value that the contract names",
    "contains": lambda _: "must contain an item that the contract asks for",
    "contentEncoding": lambda value: f"must be encoded as {value}",
    "contentMediaType": lambda value: f"must hold {value}",
    "dependencies": lambda _: "lacks what one of its properties needs beside it",
    "dependentRequired": lambda _: "lacks what one of its properties needs beside it",
    "enum": lambda value: f"must be one of the {len(value)} values that the contract lists",
    "exclusiveMaximum": lambda value: f"must be less than {value}",
    "exclusiveMinimum": lambda value: f"must be more than {value}",
    "format": lambda value: f"must have the format {value}",
    "items": lambda _: "has more items than the contract knows",
    "maximum": lambda value: f"must be at most {value}",
    "maxItems": lambda value: f"must have at most {_plural(value, 'item')}",
    "maxLength": lambda value: f"must have at most {_plural(value, 'character')}",
    "maxProperties": lambda value: f"must have at most {_plural(value, 'property')}".replace(
        "propertys", "properties"
    ),
    "minimum": lambda value: f"must be at least {value}",
    "minItems": lambda value: f"must have at least {_plural(value, 'item')}",
    "minLength": lambda value: f"must have at least {_plural(value, 'character')}",
    "minProperties": lambda value: f"must have at least {_plural(value, 'property')}".replace(
        "propertys", "properties"
    ),
    "multipleOf": lambda value: f"must be a multiple of {value}",
    "not": lambda _: "must not be what the contract rules out",
    "oneOf": lambda _: "must fit exactly one of the alternatives",
    "pattern": lambda value: f"must match the pattern {value}",
    "propertyNames": lambda _: "has a property whose name the contract does not allow",
    "required": lambda value: f"must have the property {value}",
    "type": _types,
    "unevaluatedItems": lambda _: "has items that the contract does not know",
    "unevaluatedProperties": lambda _: "has properties that the contract does not know",
    "uniqueItems": lambda _: "must not hold the same item twice",
}
_MISSING: Final = FieldError("/data", "required", "must have data, as the contract says")


class Contract:
    """A compiled schema version. Immutable, so one instance serves all threads."""

    __slots__ = (
        "_document",
        "_lists_cheaply",
        "_stored",
        "_takes_null",
        "_validator",
        "deprecated",
        "drift",
        "is_valid",
        "privacy",
        "version",
    )

    def __init__(self, document: Any, *, version: int, sets_aside: bool) -> None:
        self.version = version
        self._document = document
        self._validator = compile_schema(document)
        self._takes_null = self._validator.is_valid(None)
        self._lists_cheaply = listing_cost(document) <= _MAX_LISTING_COST
        self.is_valid: Callable[[Any], bool] = self._validator.is_valid
        self.drift: DriftPlan | None = plan_of(document) if sets_aside else None
        self.deprecated: DeprecatedFields | None = deprecations.plan_of(document)
        self.privacy: FieldPlan | None = field_plan.plan_of(document)
        self._stored: Contract | None = None

    def check(self, envelope: Envelope) -> tuple[FieldError, ...]:
        """What of the event breaks the contract, at most 20 places; empty when it holds.

        Bytes that are not JSON are judged as the base64 text that a reader gets.
        """
        data = envelope.data
        if envelope.data_bytes is not None:
            data = base64.b64encode(envelope.data_bytes).decode("ascii")
        if envelope.came_treated and self.privacy is not None:
            return self.of_stored().check_data(data, has_data=envelope.has_data)
        return self.check_data(data, has_data=envelope.has_data)

    def of_stored(self) -> "Contract":
        """The contract that events fulfil once their personal fields were treated."""
        if self.privacy is None:
            return self
        if self._stored is None:
            document = field_plan.stored_form(self._document)
            self._stored = Contract(document, version=self.version, sets_aside=False)
        return self._stored

    def check_data(self, data: Any, *, has_data: bool = True) -> tuple[FieldError, ...]:
        """As `check`, of data alone: for events that are stored already."""
        if not has_data:
            return () if self._takes_null else (_MISSING,)
        if self.is_valid(data):
            return ()
        return self._list(data)

    def set_aside(self, data: Any) -> tuple[Any, dict[str, Any] | None]:
        """The data in its writer form, and by pointer what it carried beyond; None for nothing."""
        return self.drift.split(data) if self.drift is not None else (data, None)

    def _list(self, data: Any) -> tuple[FieldError, ...]:
        if not self._lists_cheaply:
            return (FieldError("/data", "schema", "breaks the contract; too much to list where"),)
        errors = islice(self._validator.iter_errors(data), MAX_FINDINGS)
        return tuple(_field_error(error) for error in errors)


def _field_error(error: jsonschema_rs.ValidationError) -> FieldError:
    code = error.kind.name
    if code not in _SENTENCES:
        code = _last_keyword(error.schema_path)
    sentence = _SENTENCES.get(code)
    detail = sentence(error.kind.value) if sentence else "is not allowed by the contract"
    pointer = "".join(f"/{pointer_part(part)}" for part in error.instance_path)
    return FieldError(f"/data{pointer}", code, detail)


def _last_keyword(schema_path: Sequence[str | int]) -> str:
    for part in reversed(schema_path):
        if isinstance(part, str) and part in _SENTENCES:
            return part
    return "false"
