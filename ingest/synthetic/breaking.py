"""Data broken on purpose: it says which rule it breaks, and is proved to break that one alone.

What breaks the contract is found by trying: places of valid data are changed one at a time, the
door's own contract judges, and only a change whose whole list of faults is one fault of the wanted
keyword at that place counts. What the privacy plan can do nothing for is found in the same way.
"""

import copy
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from random import Random
from typing import Any, Final

from catalog.applying import Gatherer, of_item, of_property
from ingest.judging.contract import Contract
from ingest.privacy.field_plan import BUCKET, TOKENIZE, TRUNCATE, Treatment
from ingest.privacy.treatments import InapplicableError, bucket, must_be_plain, truncate
from portal.kernel.errors import FieldError
from portal.kernel.strict_json import pointer_part

MAX_PLACES: Final = 200
_WRONG: Final[Mapping[str, tuple[Any, ...]]] = {
    "pattern": ("~", "", "not this shape"),
    "format": ("not of this format",),
    "enum": ("not one of them", -987_654),
    "const": ("not this", -987_654),
}
_TYPES: Final[tuple[Any, ...]] = ("no such type", 7, True, {}, [], None, 0.5)
_UNTREATABLE: Final[tuple[Any, ...]] = (True, [], {}, "not a date", {"a": 1}, ["a"], 7)


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


def break_privacy(contract: Contract, data: Any, rng: Random, *, enforces: bool) -> Broken | None:
    """The data with one value that its privacy plan can do nothing for; None where there is none.

    Where the stream enforces, the contract takes it all the same: a violation would be named first.
    """
    tries = [
        _Try(path, "privacy", value)
        for path in _treated(contract, data, with_holders=not enforces)
        for value in _UNTREATABLE
    ]
    rng.shuffle(tries)
    for one in tries:
        broken = _changed(data, one)
        is_odd = bool(contract.check_data(broken))
        if is_odd and enforces:
            continue
        faults = privacy_faults(contract, broken, is_odd=is_odd)
        if [fault.pointer for fault in faults] == [_pointer(one.path, "/data")]:
            return Broken(broken, faults[0])
    return None


def privacy_faults(contract: Contract, data: Any, *, is_odd: bool = False) -> list[FieldError]:
    """What of the data the privacy plan can do nothing for; `is_odd` when it breaks the contract.

    As `ingest.privacy.treating` judges, of events whose subject's key lives.
    """
    found: list[FieldError] = []

    def look(treatment: Treatment | None, value: Any, pointer: str) -> Any:
        if is_odd if treatment is None else not _is_treatable(treatment, value):
            found.append(FieldError(pointer, "privacy", "can't be treated"))
        return value

    if contract.privacy is not None:
        contract.privacy.walk(data, look)
    return found


def _is_treatable(treatment: Treatment, value: Any) -> bool:
    try:
        if treatment.word == TRUNCATE:
            truncate(value, treatment.options)
        elif treatment.word == BUCKET:
            bucket(value, treatment.options)
        elif treatment.word == TOKENIZE:
            must_be_plain(value)
    except InapplicableError:
        return False
    return True


def _treated(contract: Contract, data: Any, *, with_holders: bool) -> list[tuple[str | int, ...]]:
    """The places of the data that are treated, with what holds them where that is asked for."""
    pointers: list[str] = []

    def note(treatment: Treatment | None, value: Any, pointer: str) -> Any:
        if treatment is not None:
            pointers.append(pointer)
        return value

    if contract.privacy is not None:
        contract.privacy.walk(data, note)
    paths = [_path(pointer, data) for pointer in pointers]
    if with_holders:
        paths += [path[:length] for path in paths for length in range(len(path))]
    return list(dict.fromkeys(paths))


def _path(pointer: str, data: Any) -> tuple[str | int, ...]:
    steps: list[str | int] = []
    for part in pointer.split("/")[2:]:
        key = part.replace("~1", "/").replace("~0", "~")
        steps.append(int(key) if isinstance(data, list) else key)
        data = data[steps[-1]]
    return tuple(steps)


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
