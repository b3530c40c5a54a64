"""What the events of several streams of one run have in common, so that they join and make funnels.

1. The first stream leads: each of its places begins a journey, done by a subject. A place of another
   stream goes on with a journey of the nearest stream before it that has at least as many events,
   else of the first; in the order of the places, each one as often as the counts allow.
2. All streams of a run lie along one curve, so that an event comes after the one it goes on from: its
   place is moved up by one of the other's. The very first ones go on from nothing that was sent, and
   begin journeys of their own.
3. Fields that name the same thing in several contracts (`order_id`, `orderId`, `order.id`) have one
   value in a journey; those that name a person, one for the subject. Only texts and whole numbers
   are shared, of which no categories were learned. Values are made of the contract alone: what was
   stored in one stream never gets into another.
"""

import hashlib
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from random import Random
from typing import Any, Final

from catalog.applying import Gatherer, of_property
from catalog.generation import Generator, Profile
from portal.kernel.errors import PortalError
from portal.kernel.json_schema import compile_schema

MAX_STREAMS: Final = 6
MAX_FIELDS: Final = 20
MAX_DEPTH: Final = 3
KEPT: Final = 4_096  # journeys whose values are remembered
Path = tuple[str, ...]
Journey = tuple[int, int]  # the stream and the place at which it begins
_NAMES: Final = re.compile(r"(.+)_(?:id|key|uuid|guid|ref|reference|number|no|token)")
_PERSONS: Final = frozenset(
    {"user", "customer", "account", "visitor", "member", "person", "client", "buyer", "shopper",
     "subscriber", "anonymous", "profile", "device"}
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Member:
    """One stream of a run, as the cast needs it."""

    document: Any
    profile: Profile
    count: int


class Cast:
    """Journeys, subjects and shared values by seed. Equal members and seeds make equal casts."""

    def __init__(
        self, members: Sequence[Member], *, seed: str, distinct_ratio: float, presence_ratio: float
    ) -> None:
        self._counts = [member.count for member in members]
        self._follows = [self._before(step) for step in range(len(members))]
        self._seed = seed
        self._subjects = max(1, round(self._counts[0] * distinct_ratio))
        self._presence = presence_ratio
        self.tag = hashlib.sha256(seed.encode()).hexdigest()[:8]
        found = [dict(_fields(member)) for member in members]
        shared = [
            key for key in dict.fromkeys(key for one in found for key in one)
            if sum(key in one for one in found) > 1
        ][:MAX_FIELDS]  # fmt: skip
        self._sources = {key: made for key in shared if (made := _source(key, found)) is not None}
        self._paths = [
            {key: [path for path, _ in one[key]] for key in self._sources if key in one}
            for one in found
        ]
        self._values = lru_cache(maxsize=KEPT)(self._made_values)

    def _before(self, step: int) -> int:
        larger = (at for at in range(step - 1, -1, -1) if self._counts[at] >= self._counts[step])
        return next(larger, 0)

    def journey(self, step: int, place: int) -> Journey:
        """The journey that a place of a stream belongs to; later places never have earlier ones, of
        which those that begin further back are the later."""
        while step:
            before = self._follows[step]
            theirs, ours = self._counts[before], self._counts[step]
            moved = place - -(-ours // theirs) if theirs else -1
            if moved < 0:
                break
            step, place = before, moved * theirs // ours
        return step, place

    def subject(self, journey: Journey) -> str | None:
        """The subject of all events of a journey; None where it has none."""
        rng = self._rng(f"{say(journey)}:subject")
        if rng.random() >= self._presence:
            return None
        return f"synthetic_{rng.randrange(self._subjects):06d}"

    def values(self, step: int, journey: Journey) -> Iterator[tuple[str, Path, Any]]:
        """What a stream's event of a journey has in common with others: field, place and value."""
        made = self._values(journey)
        for key, paths in self._paths[step].items():
            for path in paths:
                yield key, path, made[key]

    def _made_values(self, journey: Journey) -> dict[str, Any]:
        subject, own = self.subject(journey), say(journey)
        return {
            key: source.value(self._rng(f"{(source.is_of_person and subject) or own}:{key}"))
            for key, source in self._sources.items()
        }

    def _rng(self, what: str) -> Random:
        text = f"{self._seed}:{what}"
        return Random(hashlib.sha256(text.encode()).digest())  # noqa: S311  # reproducible by design


def say(journey: Journey) -> str:
    """A journey in ids and seeds: stream and place, as `0-17`."""
    return f"{journey[0]}-{journey[1]}"


def put(data: Any, path: Path, value: Any) -> Callable[[], None] | None:
    """Put a value at a place whose holder is there; gives what undoes it, None where it isn't."""
    holder = data
    for step in path[:-1]:
        holder = holder.get(step) if isinstance(holder, dict) else None
    if not isinstance(holder, dict):
        return None
    name, was_there, old = path[-1], path[-1] in holder, holder.get(path[-1])
    holder[name] = value

    def undo() -> None:
        if was_there:
            holder[name] = old
        else:
            del holder[name]

    return undo


@dataclass(slots=True)
class _Source:
    """Makes the values of one field, of the first contract that has it."""

    key: str
    generator: Generator
    validator: Any
    is_number: bool
    is_of_person: bool

    def value(self, rng: Random) -> Any:
        plain: Any = (
            1_000_000 + rng.randrange(10**9) if self.is_number else f"{rng.getrandbits(64):016x}"
        )
        if self.validator.is_valid({self.key: plain}):
            return plain
        return self.generator.value(rng)[self.key]


def _source(key: str, found: Sequence[Mapping[str, list[tuple[Path, Any]]]]) -> _Source | None:
    """The source of a field's values; None where none can be made of its part of the contract."""
    (_, (given, document)), *_ = next(one[key] for one in found if key in one)
    around = {
        word: document[word] for word in ("$schema", "$defs", "definitions") if word in document
    }
    part = around | {"type": "object", "properties": {key: given}, "required": [key]}
    stem = _NAMES.fullmatch(key)
    try:
        generator = Generator(part)
        made = generator.value(Random(0))[key]  # noqa: S311  # nothing secret
    except PortalError:
        return None
    is_of_person = stem is not None and stem[1].rpartition("_")[2] in _PERSONS
    return _Source(key, generator, compile_schema(part), not isinstance(made, str), is_of_person)


def _fields(member: Member) -> Iterator[tuple[str, list[tuple[Path, Any]]]]:
    """What of a contract may be shared: the key it is known by, with its places and schemas."""
    if not isinstance(member.document, Mapping):
        return
    gatherer = Gatherer()
    found: dict[str, list[tuple[Path, Any]]] = {}
    todo: list[tuple[Path, list[tuple[Any, Any]]]] = [((), [(member.document, member.document)])]
    while todo:
        path, schemas = todo.pop(0)
        applying = gatherer.gather(schemas)
        names = dict.fromkeys(
            name for schema, _ in applying if isinstance(schema.get("properties"), Mapping)
            for name in schema["properties"]
        )  # fmt: skip
        for name in names:
            inner = list(of_property(applying, name))
            key = key_of((*path, name))
            if key and inner and _may_join(gatherer.gather(inner), member.profile, (*path, name)):
                found.setdefault(key, []).append(((*path, name), inner[0]))
            if len(path) < MAX_DEPTH - 1:
                todo.append(((*path, name), inner))
    yield from found.items()


def key_of(path: Path) -> str:
    """What a field names, by its name and, where that is bare, what holds it; empty for nothing."""
    names = [re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower() for name in path[-2:]]
    for tried in (names[-1], "_".join(names)):
        if _NAMES.fullmatch(tried):
            return tried
    return ""


def _may_join(applying: Sequence[tuple[Any, Any]], profile: Profile, path: Path) -> bool:
    kinds = {kind for schema, _ in applying for kind in _types(schema)}
    learned = profile.get("/" + "/".join(path))
    return (
        bool(kinds)
        and kinds <= {"string", "integer", "null"}
        and not any("enum" in schema or "const" in schema for schema, _ in applying)
        and not (learned is not None and learned.values)
    )


def _types(schema: Mapping[str, Any]) -> list[Any]:
    said = schema.get("type")
    return said if isinstance(said, list) else [said] if said is not None else []
