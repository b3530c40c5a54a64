"""Documents that a schema probably holds: few, small and different from each other.

They are guesses. Whoever uses one checks it first, by `values.accepts` or by a validator.
"""

from collections import Counter
from itertools import islice
from typing import Any, Final

from catalog.compatibility import patterns
from catalog.compatibility.joined import NOTHING, Joined, Joins, Key, whole_ceiling, whole_floor
from catalog.compatibility.values import accepts, covering, kind_of, position

MAX_DEPTH: Final = 12
MAX_SAMPLES: Final = 200
MAX_OF_KIND: Final = 100
_TEXTS: Final = ("", "a", "example", "A1", "0", "no such text", "https://example.org/a")
FORMATS: Final = {
    "date-time": "2026-01-31T12:00:00Z", "date": "2026-01-31", "time": "12:00:00Z",
    "duration": "P1D", "email": "ada@example.org", "idn-email": "ada@example.org",
    "hostname": "example.org", "idn-hostname": "example.org", "ipv4": "192.0.2.1",
    "ipv6": "2001:db8::1", "uri": "https://example.org/a", "uri-reference": "/a",
    "iri": "https://example.org/a", "iri-reference": "/a",
    "uuid": "0f0e0d0c-0b0a-4908-8706-050403020100", "uri-template": "/a/{b}",
    "json-pointer": "/a", "relative-json-pointer": "0/a", "regex": "a+",
}  # fmt: skip
OTHERS: Final[tuple[Any, ...]] = ("a", 1, 1.5, True, None, [], {}, ["a"], {"a": 1}, -1, "")


def samples(
    joins: Joins,
    key: Key,
    against: Key | None = None,
    depth: int = 0,
    focus: str | None = None,
) -> list[Any]:
    """Guesses for a key; `against` is a key whose limits they should reach beyond."""
    if depth > MAX_DEPTH:
        return []
    joined = joins[key]
    others = _limits(joins, against) if against is not None else []
    found: list[Any] = []
    for node in joined.values:
        found += (node.values or [])[:MAX_OF_KIND]
    for node in joined.nodes:
        told = node.raw.get("examples")
        found += told[:4] if isinstance(told, list) else []
        found += [node.raw["default"]] if "default" in node.raw else []
    for group in joined.groups[: 3 if depth <= 2 else 1]:
        for number in _applied(group.sum.members if group.sum else group.condition or ()):
            inner = key._replace(split=key.split | {group.name}).and_holds(number)
            found += samples(joins, inner, against, depth + 2)[:8]
    kinds = sorted(joined.kinds, key=_ORDER.index)
    for kind in kinds:
        found += _of_kind(joins, kind, joined, others, depth, focus)[:MAX_OF_KIND]
    return found[:MAX_SAMPLES]


def _limits(joins: Joins, key: Key) -> list[Joined]:
    """What a key says, and each schema that may apply in place with it: whence limits come."""
    found = [joins[key]]
    for node in islice(joins.in_place(key.holds, conditional=True), 24):
        found.append(joins[Key(frozenset({node.number}))])
        if node.negated is not None:
            found.append(joins[Key(frozenset({node.negated}))])
    return found


def _applied(numbers: tuple[int | None, ...]) -> list[int]:
    return [number for number in numbers if number is not None][:8]


_ORDER: Final = ["object", "string", "int", "fraction", "whole", "array", "boolean", "null"]


def varied(values: list[Any]) -> list[Any]:
    """The first three of each kind."""
    seen: Counter[str] = Counter()
    found = []
    for value in values:
        kind = kind_of(value)
        seen[kind] += 1
        if seen[kind] <= 3:
            found.append(value)
    return found


def least(joins: Joins, key: Key, depth: int = 0) -> tuple[Any, ...]:
    """One small document of a key that meets it, in a tuple; empty when none is found."""
    known: tuple[Any, ...] | None = joins.least.get(key)
    if known is None:
        joins.least[key] = ()  # a recursive schema that needs itself has no small document
        guesses = samples(joins, key, None, depth + 1)
        known = next(((one,) for one in guesses if accepts(joins, key, one)), ())
        joins.least[key] = known
    return known


def _of_kind(
    joins: Joins,
    kind: str,
    joined: Joined,
    others: list[Joined],
    depth: int,
    focus: str | None,
) -> list[Any]:
    if kind == "null":
        return [None]
    if kind == "boolean":
        return [True, False]
    if kind == "string":
        return list(_strings(joined, others))
    if kind == "array":
        return _arrays(joins, joined, others, depth)
    if kind == "object":
        return _objects(joins, joined, others, depth, focus)
    return _numbers(kind, joined, others)


def _numbers(kind: str, joined: Joined, others: list[Joined]) -> list[Any]:
    whole: dict[int, None] = {}
    for side in (joined, *others):
        for bound, _ in side.lower:
            floor = whole_floor(bound)
            whole |= dict.fromkeys((floor, floor - 1, floor + 1))
        for bound, _ in side.upper:
            ceiling = whole_ceiling(bound)
            whole |= dict.fromkeys((ceiling, ceiling + 1, ceiling - 1))
    whole |= dict.fromkeys((1, 0, 2, 3, 7, -1, 10, 1_000_003))
    for multiple, _ in joined.multiples:
        if multiple.denominator == 1:
            step = multiple.numerator
            whole |= dict.fromkeys(
                [step, *(n // step * step for n in list(whole)), -step, 3 * step]
            )
    listed = [one for one in whole if abs(one) < 10**15]
    if kind == "int":
        return list(whole)
    if kind == "whole":
        return [float(one) for one in listed]
    edges = [float(b.value) for s in (joined, *others) for b, _ in (*s.lower, *s.upper)
             if abs(b.value) < 10**15]  # fmt: skip
    steps = [float(m) * n for m, _ in joined.multiples for n in (1, 3, -1)]
    return [*steps, *edges, 0.5, *(e + 0.25 for e in edges), *(one + 0.5 for one in listed), 0.1]


def _strings(joined: Joined, others: list[Joined]) -> dict[str, None]:
    found: dict[str, None] = {}
    for name, _ in joined.formats:
        if name in FORMATS:
            found[FORMATS[name]] = None
    for pattern, _ in joined.patterns:
        found |= dict.fromkeys(patterns.texts_of(pattern))
    sizes: dict[int, None] = {}
    for side in (joined, *others):
        for keyword in ("minLength", "maxLength"):
            size = side.count(keyword)
            if size is not None and size < 5000:
                sizes |= dict.fromkeys((size, size + 1, max(0, size - 1)))
    texts = dict.fromkeys(_TEXTS)
    stretched = [text[:1] * size if text else "a" * size for size in sizes for text in ("a", "0")]
    return found | dict.fromkeys(stretched) | texts


def _property(joins: Joins, joined: Joined, name: str) -> Key:
    numbers = {one for shape in joined.objects for one in covering(shape, name) if one is not None}
    return joins.entry(numbers)


def _objects(
    joins: Joins, joined: Joined, others: list[Joined], depth: int, focus: str | None
) -> list[Any]:
    base: dict[str, Any] = {}
    for name in joined.required:
        got = least(joins, _property(joins, joined, name), depth)
        if got:
            base[name] = got[0]
    fewest = joined.count("minProperties") or 0
    names = [name for shape in joined.objects for name in shape.properties]
    fillers = [t for s in joined.objects for p in s.patterns for t in patterns.texts_of(p)]
    for name in [*names, *fillers, *(f"p{at}" for at in range(min(fewest, 64)))]:
        if len(base) >= fewest:
            break
        got = least(joins, _property(joins, joined, name), depth)
        if got:
            base[name] = got[0]
    found = [base]
    full = dict(base)
    for name in names[:64] if focus is None else [focus]:
        got = () if name in base else least(joins, _property(joins, joined, name), depth)
        if got:
            found.append({**base, name: got[0]})
            full[name] = got[0]
    found.insert(1, full)
    return found[:24] + _beyond(joins, joined, others, base, full, depth, focus)


def _beyond(
    joins: Joins,
    joined: Joined,
    others: list[Joined],
    base: dict[str, Any],
    full: dict[str, Any],
    depth: int,
    focus: str | None,
) -> list[Any]:
    """Objects with what the other side limits: its names, its patterns, its counts."""
    found: list[Any] = []
    if not others:
        return found
    if focus is not None:
        found = [{**base, focus: value} for value in OTHERS]
        found += [{name: value for name, value in full.items() if name != focus}]
        return found
    shapes = [shape for side in (*others, joined) for shape in side.objects]
    texts = [t for s in shapes for p in s.patterns for t in patterns.texts_of(p)[:3]]
    for side in (joined, *others):
        for number, _ in side.names[:4]:
            inner = Key(frozenset({number}), kinds=frozenset({"string"}))
            texts += [t for t in samples(joins, inner, None, depth + 2) if isinstance(t, str)]
    names = [name for shape in shapes for name in shape.properties]
    names += [name for side in others for name in side.required]
    extra = [*texts[:10], "undeclared", "a", "A", "0", "a very long name of a property"]
    for name in dict.fromkeys([*names[:24], *extra]):
        if name not in base:
            found += [{**base, name: value} for value in OTHERS[: 7 if name not in full else 3]]
    special: list[Any] = []
    triggers = [name for side in others for name, _, _ in side.dependent_required]
    triggers += [name for side in others for name, _, _ in side.dependent_schemas]
    for name in dict.fromkeys(triggers):
        special += least(joins, joined.key._replace(needs=joined.key.needs | {name}))
    for side in others:
        for name, needed, _ in side.dependent_required:
            whole = {**full, name: full.get(name, 1)}
            special += [{k: v for k, v in whole.items() if k not in needed}]
    for most in {side.count("maxProperties") for side in others} - {None}:
        padding = {f"p{at}": 1 for at in range(min(most or 0, 1000) + 1)}
        special += [
            {**base, **padding},
            {**full, **padding},
            {**base, **dict.fromkeys(padding, "a")},
        ]
    for name in names[:24]:
        if name in full:
            inner = _property(joins, joined, name)
            special += [
                {**base, name: one} for one in varied(samples(joins, inner, None, depth + 2))
            ]
    return special + found[:160]


def _arrays(joins: Joins, joined: Joined, others: list[Joined], depth: int) -> list[Any]:
    places = max((len(shape.prefix) for shape in joined.arrays), default=0)
    wanted = max((one for _, one, _, _ in joined.contains), default=0)
    fewest = max(joined.count("minItems") or 0, wanted)
    sizes = {fewest: None, places: None, places + 1: None, fewest + 1: None, 0: None}
    for side in (joined, *others):
        for keyword in ("minItems", "maxItems"):
            size = side.count(keyword)
            sizes |= {} if size is None else {size: None, size + 1: None, max(0, size - 1): None}
        for shape in side.arrays:
            sizes |= {len(shape.prefix): None, len(shape.prefix) + 1: None}
    found = [_items(joins, joined, size, depth) for size in sizes if size <= 300]
    for inside, count, _, _ in joined.contains:
        got = least(joins, joins.entry([inside]), depth)
        if got:
            found.append([got[0]] * count)
            found.append([got[0]] * (count + 1))
    for at in range(min(places + 1, 6) if others else 0):
        inner = _item(joins, joined, at)
        start = _items(joins, joined, max(at + 1, fewest), depth)
        if len(start) > at:
            guesses = varied(samples(joins, inner, None, depth + 2))
            found += [[*start[:at], one, *start[at + 1 :]] for one in guesses]
    if others:
        found += [[one] for one in OTHERS[:7]] + [[1, 1], ["a", "a"], ["a", 1]]
    for side in others:
        for inside, count, most, _ in side.contains:
            got = least(joins, joins.entry([inside]), depth)
            if got:
                found += [[got[0]] * n for n in {count, max(0, count - 1), (most or 0) + 1}]
    return found


def _item(joins: Joins, joined: Joined, at: int) -> Key:
    numbers = {position(shape, at) for shape in joined.arrays}
    return joins.entry(number for number in numbers if number is not None)


def _items(joins: Joins, joined: Joined, size: int, depth: int) -> list[Any]:
    found: list[Any] = []
    choices: dict[Key, list[Any]] = {}
    for at in range(size):
        key = _item(joins, joined, at)
        if key == NOTHING:
            break
        if joined.unique is not None:
            if key not in choices:
                guesses = samples(joins, key, None, depth + 2)
                choices[key] = [one for one in guesses if accepts(joins, key, one)]
            fresh = next((one for one in choices[key] if one not in found), None)
            found.append(fresh)
            continue
        got = least(joins, key, depth)
        if not got:
            break
        found.append(got[0])
    return found
