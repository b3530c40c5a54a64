"""Who may reach which route: `portal/matrix.toml`, read once and checked as it is read.

The file is the only place that says it. It names each route and method with a policy, and of each
policy what every kind of person is answered about a thing that is open, and about one that is
restricted. The gate (`governance.middleware`, `governance.api.permissions`) and the registry ask it
here; `portal.checks` refuses a start in which a route or method is missing from it; and
`tests/api/test_matrix.py` sends every request of it as every one of its people.

The gate settles who may come in at all: with which credentials, scope and role. Whether the thing at
an address is theirs is judged by selectors and services through `governance.access`.
"""

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

from django.core.exceptions import ImproperlyConfigured

from portal.kernel.actor import ActorKind

FILE: Final = Path(__file__).resolve().parents[1] / "matrix.toml"
METHODS: Final = ("GET", "POST", "PUT", "PATCH", "DELETE")
SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})
# In place of a method: whatever the views of a library answer.
ANY: Final = "ANY"
# Whose keys the matrix's people send that are programs.
KEYS: Final[Mapping[ActorKind, frozenset[str]]] = {
    ActorKind.PRODUCER: frozenset({"producer_key"}),
    ActorKind.CONSUMER: frozenset({"consumer_key", "reading_key"}),
    ActorKind.FLAG_CLIENT: frozenset({"flag_key"}),
}


@dataclass(frozen=True, slots=True)
class Policy:
    """What a route asks of its caller. `open` and `restricted` are the people who may, by the state
    of the thing at the address; they are the same where a policy is about no thing that could be
    restricted. `known_to` are those who may know of the thing, where that is another question than
    whether they may know of the stream."""

    word: str
    says: str
    scope: str | None
    role: str | None
    open: frozenset[str]
    restricted: frozenset[str]
    known_to: frozenset[str] | None
    is_of_stream: bool

    def lets_in(self, kind: ActorKind) -> bool:
        """Whether keys of a kind of program come in by it, to read: any, or those with a grant."""
        return not self.open.isdisjoint(KEYS.get(kind, ()))

    def scope_for(self, method: str) -> str:
        """The scope that a personal token needs."""
        return self.scope or ("read" if method in SAFE else "write")


@dataclass(frozen=True, slots=True)
class Matrix:
    """People by name with a sentence, policies by word, and each route's words by method."""

    people: Mapping[str, str]
    policies: Mapping[str, Policy]
    routes: Mapping[str, Mapping[str, str]]

    def policy(self, route: str, method: str) -> Policy | None:
        """What a method of a route asks; HEAD follows GET. None where the matrix has no such method."""
        words = self.routes.get(route, {})
        word = words.get("GET" if method == "HEAD" else method) or words.get(ANY)
        return self.policies[word] if word is not None else None

    def methods(self, route: str) -> tuple[str, ...]:
        """The methods of a route, without HEAD."""
        words = self.routes.get(route, {})
        return METHODS if ANY in words else tuple(m for m in METHODS if m in words)


@cache
def matrix() -> Matrix:
    """The matrix of this portal. Raises ImproperlyConfigured where the file contradicts itself."""
    return read(tomllib.loads(FILE.read_text(encoding="utf-8")))


def read(said: Mapping[str, Any]) -> Matrix:
    """A matrix from its document. Raises ImproperlyConfigured with every fault in it."""
    faults: list[str] = []
    people = dict(said.get("people", {}))
    groups = {name: frozenset({name}) for name in people}
    for name, members in said.get("groups", {}).items():
        groups[name] = _named(members, groups, f"the group {name}", faults)
    policies = {
        word: _policy(word, each, groups, faults) for word, each in said.get("policies", {}).items()
    }
    routes = {route: dict(words) for route, words in said.get("routes", {}).items()}
    for route, words in routes.items():
        faults += [f"{route!r}: {m} is no method" for m in words if m not in (*METHODS, ANY)]
        faults += [f"{route!r}: no policy {w!r}" for w in words.values() if w not in policies]
    asked = {word for words in routes.values() for word in words.values()}
    faults += [f"no route asks for {word!r}" for word in sorted(policies.keys() - asked)]
    if faults:
        raise ImproperlyConfigured(f"{FILE.name}: {'; '.join(faults)}")
    return Matrix(people, policies, routes)


def _policy(
    word: str, said: Mapping[str, Any], groups: Mapping[str, frozenset[str]], faults: list[str]
) -> Policy:
    unknown = said.keys() - {"says", "scope", "role", "may", "open", "restricted", "known_to"}
    if unknown or "says" not in said or ("may" in said) == ("open" in said or "restricted" in said):
        faults.append(f"{word!r} needs `says`, and either `may` or `open` and `restricted`")
    may = said.get("may", ())
    return Policy(
        word,
        str(said.get("says", "")),
        said.get("scope"),
        said.get("role"),
        open=_named(said.get("open", may), groups, word, faults),
        restricted=_named(said.get("restricted", may), groups, word, faults),
        known_to=_named(said["known_to"], groups, word, faults) if "known_to" in said else None,
        is_of_stream="open" in said,
    )


def _named(
    names: Iterable[str], groups: Mapping[str, frozenset[str]], where: str, faults: list[str]
) -> frozenset[str]:
    faults += [f"{where} names {name!r}, which is nobody" for name in names if name not in groups]
    return frozenset[str]().union(*(groups.get(name, frozenset()) for name in names))
