"""Events broken on purpose: each says which rule it breaks, and is proved to break that one alone.

A rule is a reason of refusal, or `schema_violation:<keyword>`. What breaks the contract is found by
trying: places of valid data are changed one at a time, the door's own contract judges, and only
a change whose whole list of faults is one fault of the wanted keyword at that place counts.
"""

import copy
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from random import Random
from typing import Any, Final

from catalog.applying import Gatherer, of_item, of_property
from ingest.judging.contract import Contract
from ingest.types import Reason
from portal.kernel.errors import FieldError, InvalidError
from portal.kernel.strict_json import pointer_part

MAX_PLACES: Final = 200
ENVELOPE_RULES: Final = (
    Reason.UNPARSABLE, Reason.ENVELOPE_INVALID, Reason.LIMIT_EXCEEDED, Reason.UNKNOWN_STREAM,
    Reason.NOT_PERMITTED, Reason.OUT_OF_WINDOW, Reason.SCHEMA_UNKNOWN, Reason.ID_CONFLICT,
)  # fmt: skip
KEYWORDS: Final = (
    "required", "type", "enum", "const", "minimum", "maximum", "exclusiveMinimum",
    "exclusiveMaximum", "multipleOf", "minLength", "maxLength", "pattern", "format", "minItems",
    "maxItems", "uniqueItems", "additionalProperties",
)  # fmt: skip
RULES: Final = (
    *(reason.value for reason in ENVELOPE_RULES),
    Reason.SCHEMA_VIOLATION.value,
    *(f"{Reason.SCHEMA_VIOLATION}:{word}" for word in KEYWORDS),
)
_WRONG: Final[Mapping[str, tuple[Any, ...]]] = {
    "pattern": ("~", "", "not this shape"),
    "format": ("not of this format",),
    "enum": ("not one of them", -987_654),
    "const": ("not this", -987_654),
}
_TYPES: Final[tuple[Any, ...]] = ("no such type", 7, True, {}, [], None, 0.5)


@dataclass(frozen=True, slots=True)
class Broken:
    """Data that breaks one rule, with the fault that the door will name."""

    data: Any
    fault: FieldError


@dataclass(frozen=True, slots=True)
class _Try:
    path: tuple[str | int, ...]
    word: str
    value: Any = None
    removes: bool = False


def check_rule(rule: str) -> str:
    """The rule, when there is such a one. Raises InvalidError."""
    if rule not in RULES:
        raise InvalidError(
            f"No rule is named {rule[:60]}. Rules are {', '.join(RULES[:9])}, and "
            "schema_violation:KEYWORD.",
            code="unknown_rule",
        )
    return rule


def break_data(
    contract: Contract,
    document: Any,
    data: Any,
    rng: Random,
    *,
    keyword: str = "",
    pointer: str = "",
) -> Broken | None:
    """The valid data with one fault of the keyword (any, where none is named), at the pointer where
    one is named; None where no change breaks just that."""
    tries = [
        one
        for one in _tries(document, data)
        if (not keyword or one.word == keyword)
        and (not pointer or _pointer(one.path, "/data").startswith(pointer))
    ]
    rng.shuffle(tries)
    words = sorted({one.word for one in tries})
    rng.shuffle(words)  # first a keyword, so that rare ones come as often as `type`
    for one in sorted(tries, key=lambda one: words.index(one.word)):
        broken = _changed(data, one)
        faults = contract.check_data(broken)
        at = one.path[:-1] if one.word in ("required", "additionalProperties") else one.path
        if len(faults) == 1 and (faults[0].code, faults[0].pointer) == (
            one.word,
            _pointer(at, "/data"),
        ):
            return Broken(broken, faults[0])
    return None


def _pointer(path: tuple[str | int, ...], start: str) -> str:
    return start + "".join(f"/{pointer_part(part)}" for part in path)


def _changed(data: Any, one: _Try) -> Any:
    if not one.path:
        return one.value
    made = copy.deepcopy(data)
    holder = made
    for step in one.path[:-1]:
        holder = holder[step]
    if one.removes:
        del holder[one.path[-1]]
    else:
        holder[one.path[-1]] = one.value
    return made


def _tries(document: Any, data: Any) -> list[_Try]:
    """Changes that may break a rule, at each place of the data with what the contract says there."""
    if not isinstance(document, Mapping):
        return []
    gatherer = Gatherer()
    found: list[_Try] = []
    todo: list[tuple[tuple[str | int, ...], Any, list[tuple[Any, Any]]]] = [
        ((), data, [(document, document)])
    ]
    for _ in range(MAX_PLACES):
        if not todo:
            break
        path, value, schemas = todo.pop(0)
        applying = gatherer.gather(schemas)
        for schema, _document in applying:
            found += _of_place(schema, path, value)
        if isinstance(value, dict):
            todo += [
                ((*path, name), inner, list(of_property(applying, name)))
                for name, inner in value.items()
            ]
        elif isinstance(value, list):
            todo += [
                ((*path, at), inner, list(of_item(applying, at)))
                for at, inner in enumerate(value[:3])
            ]
    return list({repr(one): one for one in found}.values())


def _of_place(schema: Mapping[str, Any], path: tuple[str | int, ...], value: Any) -> Iterator[_Try]:
    if "type" in schema:
        yield from (_Try(path, "type", wrong) for wrong in _TYPES)
    for word, wrongs in _WRONG.items():
        if word in schema:
            yield from (_Try(path, word, wrong) for wrong in wrongs)
    if isinstance(value, dict):
        for name in schema.get("required") or ():
            if name in value:
                yield _Try((*path, name), "required", removes=True)
        if schema.get("additionalProperties") is False:
            yield _Try((*path, "not_in_the_contract"), "additionalProperties", 1)
    elif isinstance(value, list):
        yield from _of_array(schema, path, value)
    elif isinstance(value, str):
        least, most = _whole(schema.get("minLength")), _whole(schema.get("maxLength"))
        if least:
            yield _Try(path, "minLength", value[: least - 1])
        if most is not None and most < 60_000:
            yield _Try(path, "maxLength", (value or "a") + "a" * (most + 1 - len(value)))
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield from _of_number(schema, path, value)


def _of_array(
    schema: Mapping[str, Any], path: tuple[str | int, ...], value: list[Any]
) -> Iterator[_Try]:
    least, most = _whole(schema.get("minItems")), _whole(schema.get("maxItems"))
    if least:
        yield _Try(path, "minItems", value[: least - 1])
    if most is not None and most < 500 and value:
        yield _Try(path, "maxItems", (value * (most + 2))[: most + 1])
    if schema.get("uniqueItems") is True and value:
        yield _Try(path, "uniqueItems", [*value, value[0]])


def _of_number(
    schema: Mapping[str, Any], path: tuple[str | int, ...], value: float
) -> Iterator[_Try]:
    for word, by in (("minimum", -1), ("maximum", 1)):
        bound = schema.get(word)
        if isinstance(bound, int | float) and not isinstance(bound, bool):
            yield from (_Try(path, word, bound + by * step) for step in (1, 2, 10, 60))
    for word in ("exclusiveMinimum", "exclusiveMaximum"):
        bound = schema.get(word)
        if isinstance(bound, int | float) and not isinstance(bound, bool):
            yield _Try(path, word, bound)
    step = schema.get("multipleOf")
    if isinstance(step, int | float) and step > 0:
        yield _Try(path, "multipleOf", value + step / 2)
        yield _Try(path, "multipleOf", value + 1)


def _whole(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None
