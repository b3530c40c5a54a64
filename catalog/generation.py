"""Data made from a contract: random by a seed, and always accepted by the contract's validator.

1. A value is built along the schema: references and `allOf` are laid together, one alternative of
   each sum and one side of each condition is chosen, optional fields come as often as the profile
   says. A profile holds what was learned of stored events (`Learned` by place); without one the
   schema alone decides.
2. What is classified as personal or sensitive, or treated by `x-privacy`, never comes from a
   profile: it is made of its format, with addresses that belong to nobody.
3. Every value is judged by the validator. What it refuses is taken out where it may be left out;
   then other choices are tried, then fewer fields, then the contract's own example
   (`catalog.examples`). When nothing passes, InvalidError says that no event could be made.

Equal documents, profiles and random states make equal values, on every machine.
"""

import copy
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from random import Random
from typing import Any, Final, NamedTuple

from catalog.examples import example_of
from catalog.generated_texts import FORMATS, Texts, fit, fits, mask_digits
from catalog.references import target_of
from catalog.types import Classification
from portal.kernel.errors import InvalidError
from portal.kernel.json_schema import compile_schema

MAX_DEPTH: Final = 10
MAX_STEPS: Final = 4_000
ATTEMPTS: Final = 6
MENDINGS: Final = 8
OPTIONAL_SHARE: Final = 0.7
_PROTECTED: Final = frozenset({Classification.PERSONAL, Classification.SENSITIVE})
_FOLLOWED: Final = frozenset({"$ref", "allOf", "oneOf", "anyOf", "if", "then", "else"})


@dataclass(frozen=True, slots=True)
class Learned:
    """What stored events say of one place of the data (`/items/*/sku`).

    `presence_ratio` is of the objects it may stand in. `quantiles` are of its numbers, `values` its
    categories with their weights, `masks` shapes of its texts (`9` a digit, `a` and `A` letters, all
    else itself) with theirs, `sizes` quantiles of the lengths of its arrays.
    """

    presence_ratio: float | None = None
    quantiles: tuple[float, ...] = ()
    values: tuple[tuple[Any, float], ...] = ()
    masks: tuple[tuple[str, float], ...] = ()
    sizes: tuple[float, ...] = ()


Profile = Mapping[str, Learned]


def is_protected(schema: Mapping[str, Any]) -> bool:
    """Whether values of the schema are of nobody's business: never copied, always made."""
    return schema.get("x-classification") in _PROTECTED or "x-privacy" in schema


@dataclass(slots=True)
class Generator:
    """Makes data of one contract. `now` is the moment that made-up dates lie around."""

    document: Any
    profile: Profile = field(default_factory=dict)
    now: datetime | None = None
    _validator: Any = None
    _spare: Any = None
    _lacks_spare: bool = False

    def __post_init__(self) -> None:
        self._validator = compile_schema(self.document)

    def value(self, rng: Random) -> Any:
        """Data that the contract accepts. Raises InvalidError where none is found."""
        for attempt in range(ATTEMPTS):
            share = OPTIONAL_SHARE if attempt < ATTEMPTS // 2 else 0.0
            builder = _Builder(self, rng, share, uses_profile=attempt < ATTEMPTS - 1)
            made = builder.value(self.document, _At())
            if self._is_mended(made):
                return made
        return self._example()

    def _example(self) -> Any:
        if self._spare is None and not self._lacks_spare:
            self._spare = example_of(self.document) if isinstance(self.document, Mapping) else None
            self._lacks_spare = self._spare is None
        if self._lacks_spare:
            raise InvalidError(
                "No event could be made that this contract accepts. It may rule out everything; "
                "an example in the contract (`examples`) would be taken.",
                code="contract_unsatisfiable",
            )
        return copy.deepcopy(self._spare)

    def _is_mended(self, made: Any) -> bool:
        """Whether the validator accepts it, once what it refuses and may be left out is gone."""
        for _ in range(MENDINGS):
            if self._validator.is_valid(made):
                return True
            error = next(iter(self._validator.iter_errors(made)))
            path = list(error.instance_path)
            if not _drop(made, path):
                return False
        return bool(self._validator.is_valid(made))


def _drop(made: Any, path: Sequence[str | int]) -> bool:
    """Take out the named place; False where it is the whole."""
    if not path:
        return False
    holder = made
    for step in path[:-1]:
        holder = holder[step]
    del holder[path[-1]]
    return True


class _At(NamedTuple):
    """Where a value stands: its place, how deep, under which references, and whether nothing that
    was learned may be used there."""

    place: str = ""
    depth: int = 0
    refs: tuple[str, ...] = ()
    hidden: bool = False

    def within(self, name: str) -> "_At":
        return self._replace(place=f"{self.place}/{name}", depth=self.depth + 1)


class _Builder:
    """One attempt at a value."""

    def __init__(
        self, generator: Generator, rng: Random, share: float, *, uses_profile: bool
    ) -> None:
        self.document = generator.document
        self.profile: Profile = generator.profile if uses_profile else {}
        self.rng = rng
        self.texts = Texts(rng, generator.now)
        self.share = share
        self.steps = 0

    def value(self, given: Any, at: _At) -> Any:
        """A value along a schema; the validator has the last word on it."""
        self.steps += 1
        if not isinstance(given, Mapping):
            return self.texts.word()
        schema, refs = self._merged(given, at.refs)
        at = at._replace(refs=refs, hidden=at.hidden or is_protected(schema))
        if "const" in schema:
            return copy.deepcopy(schema["const"])
        listed = schema.get("enum")
        if isinstance(listed, list) and listed:
            return self._of_list(listed, at)
        kind = self._kind(schema, at.place)
        if kind == "object":
            return self._object(schema, at)
        if kind == "array":
            return self._array(schema, at)
        if kind in ("integer", "number"):
            return self._number(schema, at, whole=kind == "integer")
        if kind == "boolean":
            known_flag = self._of_values(at, bool)
            return self.rng.random() < 0.5 if known_flag is None else known_flag
        if kind == "null":
            return None
        return self._text(schema, at)

    def _of_list(self, listed: Sequence[Any], at: _At) -> Any:
        known = self._known(at)
        if known is not None and known.values:
            fitting = [(value, weight) for value, weight in known.values if value in listed]
            if fitting:
                return self._weighted(fitting)
        return copy.deepcopy(listed[self.rng.randrange(len(listed))])

    def _weighted(self, pairs: Sequence[tuple[Any, float]]) -> Any:
        return self.rng.choices([one for one, _ in pairs], [weight for _, weight in pairs])[0]

    def _known(self, at: _At) -> Learned | None:
        """What was learned of a place, and may be used there."""
        return None if at.hidden else self.profile.get(at.place)

    def _of_values(self, at: _At, kinds: type) -> Any:
        """A category that was learned; None where there is none."""
        known = self._known(at)
        if known is None:
            return None
        fitting = [pair for pair in known.values if isinstance(pair[0], kinds)]
        return self._weighted(fitting) if fitting else None

    def _kind(self, schema: Mapping[str, Any], place: str) -> str:
        kind = schema.get("type")
        if isinstance(kind, list):
            kinds = [one for one in kind if isinstance(one, str)]
            if self.share == 0.0 and "null" in kinds:
                return "null"
            solid = [one for one in kinds if one != "null"] or ["null"]
            if "null" in kinds and self.rng.random() < 0.15:
                return "null"
            return solid[self.rng.randrange(len(solid))]
        if isinstance(kind, str):
            return kind
        if isinstance(schema.get("properties"), Mapping) or {"required", "patternProperties"} & set(
            schema
        ):
            return "object"
        if {"items", "prefixItems", "contains", "minItems", "uniqueItems"} & set(schema):
            return "array"
        if {"minimum", "maximum", "multipleOf", "exclusiveMinimum", "exclusiveMaximum"} & set(
            schema
        ):
            return "number"
        return "object" if not place else "string"

    # Objects and arrays

    def _object(
        self,
        schema: Mapping[str, Any],
        at: _At,
    ) -> dict[str, Any]:
        properties = _mapping(schema.get("properties"))
        required = [name for name in schema.get("required") or () if isinstance(name, str)]
        is_deep = at.depth >= MAX_DEPTH or self.steps > MAX_STEPS
        found: dict[str, Any] = {}
        for name in dict.fromkeys([*properties, *required]):
            given = properties.get(name, self._open(schema, name))
            needed = name in required
            if given is False or (not needed and (is_deep or _recurs(given, at.refs))):
                continue
            inner = at.within(name)
            if not needed and self.rng.random() >= self._presence(inner.place, properties, name):
                continue
            found[name] = self.value(given, inner)
        self._depend(schema, found, at)
        self._fill(schema, found, at)
        return found

    def _presence(self, place: str, properties: Mapping[str, Any], name: str) -> float:
        if self.share == 0.0:
            return 0.0
        known = self.profile.get(place)
        if known is not None and known.presence_ratio is not None:
            return known.presence_ratio
        given = properties.get(name)
        if isinstance(given, Mapping) and (given.get("deprecated") or "x-sunset" in given):
            return 0.0
        # A profile that never saw a field says that it does not come.
        return 0.0 if self.profile else self.share

    def _open(self, schema: Mapping[str, Any], name: str) -> Any:
        """The schema of a property that is not declared."""
        for pattern, part in _mapping(schema.get("patternProperties")).items():
            if fits(pattern, name):
                return part
        more = schema.get("additionalProperties")
        return more if isinstance(more, Mapping) else True

    def _depend(
        self,
        schema: Mapping[str, Any],
        found: dict[str, Any],
        at: _At,
    ) -> None:
        """What some properties need beside them."""
        properties = _mapping(schema.get("properties"))
        for word in ("dependentRequired", "dependencies"):
            for name, needed in _mapping(schema.get(word)).items():
                if name not in found or not isinstance(needed, list):
                    continue
                for other in needed:
                    if other not in found:
                        given = properties.get(other, self._open(schema, other))
                        found[other] = self.value(given, at.within(other))

    def _fill(
        self,
        schema: Mapping[str, Any],
        found: dict[str, Any],
        at: _At,
    ) -> None:
        """As many properties as are asked for at least, and some of an open map."""
        properties = _mapping(schema.get("properties"))
        least = schema.get("minProperties")
        least = least if isinstance(least, int) and not isinstance(least, bool) else 0
        more = schema.get("additionalProperties")
        is_map = not properties and (isinstance(more, Mapping) or "patternProperties" in schema)
        wanted = max(least, self.rng.randint(1, 3) if is_map and self.share and at.depth < 6 else 0)
        for name in properties:
            if len(found) >= min(least, 64):
                break
            if name not in found and properties[name] is not False:
                found[name] = self.value(properties[name], at.within(name))
        names = [self.texts.matching(one) for one in _mapping(schema.get("patternProperties"))]
        makers = [*(name for name in names if name), *(f"key_{at}" for at in range(1, 65))]
        for name in makers:
            if len(found) >= min(wanted, 64):
                break
            given = self._open(schema, name)
            if (name not in found and more is not False) or name in names:
                found[name] = self.value(given, at.within("*"))

    def _array(
        self,
        schema: Mapping[str, Any],
        at: _At,
    ) -> list[Any]:
        first, items = schema.get("prefixItems"), schema.get("items")
        if isinstance(items, list):
            first, items = items, schema.get("additionalItems")
        inner = at.within("*")
        found = [self.value(one, inner) for one in first or ()]
        least, most = _count(schema, "minItems", 0), _count(schema, "maxItems", 1_000)
        known = self._known(at)
        if known is not None and known.sizes:
            wanted = round(self._quantile(known.sizes))
        else:
            wanted = self.rng.randint(0 if self.share == 0.0 else 1, 3)
        if (
            at.depth >= MAX_DEPTH
            or self.steps > MAX_STEPS
            or _recurs(items, at.refs)
            or items is False
        ):
            wanted = 0
        wanted = min(max(wanted, least), most, 200)
        holds = schema.get("contains")
        if isinstance(holds, Mapping):
            found += [
                self.value(holds, inner) for _ in range(min(_count(schema, "minContains", 1), 50))
            ]
        unique = schema.get("uniqueItems") is True
        tries = 0
        while len(found) < wanted and tries < 4 * wanted + 20:
            tries += 1
            given = items if items is not None else True
            made = self.value(given, inner)
            if not unique or made not in found:
                found.append(made)
        return found

    # Numbers and texts

    def _number(self, schema: Mapping[str, Any], at: _At, *, whole: bool) -> int | float:
        low, high, above, below = _bounds(schema)
        known = self._known(at)
        step = schema.get("multipleOf")
        step = step if isinstance(step, int | float) and step > 0 else None
        if known is not None and known.quantiles:
            found = self._quantile(known.quantiles)
            whole = whole or all(float(one).is_integer() for one in known.quantiles)
        else:
            found = self._plain_number(low, high)
        found = min(max(found, low), high)
        if step is not None:
            return _stepped(found, step, low, high, whole=whole)
        if whole:
            exact = math.floor(found + 0.5)
            exact = max(exact, math.ceil(low)) if math.isfinite(low) else exact
            exact = min(exact, math.floor(high)) if math.isfinite(high) else exact
            exact += above and exact <= low
            exact -= below and exact >= high
            return int(exact)
        if (above and found <= low) or (below and found >= high):
            found = (
                (low + high) / 2
                if math.isfinite(low) and math.isfinite(high)
                else (low + 1 if math.isfinite(low) else high - 1)
            )
        rounded = round(found, 4)
        inside = (rounded > low or (rounded == low and not above)) and (
            rounded < high or (rounded == high and not below)
        )
        return rounded if inside else found

    def _plain_number(self, low: float, high: float) -> float:
        """Lognormal above a floor, even between bounds that lie near each other."""
        if math.isfinite(low) and math.isfinite(high) and high - low <= 1_000_000:
            return low + (high - low) * self.rng.random()
        grown = self.rng.lognormvariate(math.log(120), 1.0)
        if math.isfinite(low):
            return low + grown
        return high - grown if math.isfinite(high) else grown

    def _quantile(self, quantiles: Sequence[float]) -> float:
        """A number between two neighbouring quantiles."""
        at = self.rng.random() * (len(quantiles) - 1)
        low = min(int(at), len(quantiles) - 2) if len(quantiles) > 1 else 0
        if len(quantiles) == 1:
            return quantiles[0]
        return quantiles[low] + (quantiles[low + 1] - quantiles[low]) * (at - low)

    def _text(self, schema: Mapping[str, Any], at: _At) -> str:
        name = at.place.rpartition("/")[2].lower()
        least, most = _count(schema, "minLength", 0), _count(schema, "maxLength", 10_000)
        form = str(schema.get("format", ""))
        if form in FORMATS:
            return FORMATS[form](self.texts)
        known = self._known(at)
        if known is not None:
            found = self._of_values(at, str)
            if found is not None:
                return str(found)
            if known.masks and "pattern" not in schema:
                return fit(self.texts.unmask(self._weighted(known.masks)), least, most)
        pattern = schema.get("pattern")
        if isinstance(pattern, str):
            return self.texts.matching(pattern, least, most) or self._example_text(schema)
        told = schema.get("examples")
        if isinstance(told, list) and told and not at.hidden and self.rng.random() < 0.5:
            picked = told[self.rng.randrange(len(told))]
            if isinstance(picked, str):
                return fit(self.texts.unmask(mask_digits(picked)), least, most)
        return fit(self.texts.by_name(name, hidden=at.hidden), least, most)

    def _example_text(self, schema: Mapping[str, Any]) -> str:
        found = example_of({"type": "object", "properties": {"a": dict(schema)}, "required": ["a"]})
        made = found["a"] if isinstance(found, dict) else ""
        return made if isinstance(made, str) else ""

    # Laying schemas together

    def _merged(
        self, given: Mapping[str, Any], refs: tuple[str, ...]
    ) -> tuple[dict[str, Any], tuple[str, ...]]:
        merged = {word: part for word, part in given.items() if word not in _FOLLOWED}
        for part in self._parts(given, refs):
            self.steps += 1
            reference = given.get("$ref")
            inner_refs = refs
            if isinstance(reference, str):
                inner_refs = (*refs, reference)
            if isinstance(part, Mapping) and len(inner_refs) <= 40 and self.steps < 2 * MAX_STEPS:
                inner, refs = self._merged(part, inner_refs)
                _lay(merged, inner)
        return merged, refs

    def _parts(self, given: Mapping[str, Any], refs: tuple[str, ...]) -> Iterator[Any]:
        reference = given.get("$ref")
        if isinstance(reference, str) and refs.count(reference) < 3:
            yield self.document if reference == "#" else target_of(self.document, reference)
        branches = given.get("allOf")
        yield from branches if isinstance(branches, list) else ()
        for word in ("oneOf", "anyOf"):
            branches = given.get(word)
            if isinstance(branches, list) and branches:
                yield branches[self.rng.randrange(len(branches))]
        if "if" in given:
            if self.rng.random() < 0.5:
                yield given["if"]
                yield given.get("then", True)
            else:
                yield given.get("else", True)


def _lay(into: dict[str, Any], other: Mapping[str, Any]) -> None:
    """Lay a schema into another, so that both hold as far as plain keywords can say it."""
    for word, part in other.items():
        mine = into.get(word)
        if word not in into:
            into[word] = part
        elif word == "properties" and isinstance(mine, Mapping) and isinstance(part, Mapping):
            both = {
                name: {"allOf": [mine[name], part[name]]}
                for name in part
                if name in mine and mine[name] != part[name]
            }
            into[word] = {**part, **mine, **both}
        elif word == "required" and isinstance(mine, list) and isinstance(part, list):
            into[word] = list(dict.fromkeys([*mine, *part]))
        elif word == "type":
            narrowed = [one for one in _listed(mine) if one in _types_within(part)]
            narrowed += [
                one for one in _listed(part) if one not in narrowed and one in _types_within(mine)
            ]
            into[word] = (narrowed[0] if len(narrowed) == 1 else narrowed) or mine
        elif word == "enum" and isinstance(mine, list) and isinstance(part, list):
            into[word] = [one for one in mine if one in part] or mine
        elif word in ("minimum", "minLength", "minItems", "minProperties", "exclusiveMinimum"):
            into[word] = max(mine, part)
        elif word in ("maximum", "maxLength", "maxItems", "maxProperties", "exclusiveMaximum"):
            into[word] = min(mine, part)


def _listed(kind: Any) -> list[str]:
    return kind if isinstance(kind, list) else [kind]


def _types_within(kind: Any) -> set[str]:
    """The types that values of these types may be said to have."""
    found = set(_listed(kind))
    return found | {"integer"} if "number" in found else found


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _recurs(given: Any, refs: tuple[str, ...]) -> bool:
    return isinstance(given, Mapping) and given.get("$ref") in (*refs, "#")


def _count(schema: Mapping[str, Any], word: str, otherwise: int) -> int:
    found = schema.get(word)
    is_number = isinstance(found, int | float) and not isinstance(found, bool)
    return int(found) if is_number and found is not None else otherwise


def _bounds(schema: Mapping[str, Any]) -> tuple[float, float, bool, bool]:
    """The lowest and highest number, and whether each is itself left out; of every draft."""

    def bound(word: str) -> float | None:
        found = schema.get(word)
        is_number = isinstance(found, int | float) and not isinstance(found, bool)
        return found if is_number else None

    low, high = bound("minimum"), bound("maximum")
    above, below = schema.get("exclusiveMinimum") is True, schema.get("exclusiveMaximum") is True
    more, less = bound("exclusiveMinimum"), bound("exclusiveMaximum")
    if more is not None and (low is None or more >= low):
        low, above = more, True
    if less is not None and (high is None or less <= high):
        high, below = less, True
    return (
        -math.inf if low is None else low,
        math.inf if high is None else high,
        above,
        below,
    )


def _stepped(found: float, step: float, low: float, high: float, *, whole: bool) -> int | float:
    count = round(found / step)
    if count * step < low:
        count += 1
    if count * step > high:
        count -= 1
    made = count * step
    if whole:
        return int(made)
    return made if isinstance(step, int) else round(made, 10)
