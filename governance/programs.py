"""Producers and consumers as holders of grants: which permissions each may hold, and what the glob
of one of their keys leaves of them.

The app above registers them (`register`), because governance lies below it.
"""

import re
import string
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Final, Protocol

from governance.errors import TeamNeededError
from governance.types import Permission, ResourceRef
from portal.kernel.actor import Actor, ActorKind
from portal.kernel.errors import FieldError, InvalidError

ANY_STREAM: Final = "*"
_TOKENS: Final = re.compile(r"\[!?\]?[^\]]*\]|.", re.DOTALL)
_JOKERS: Final = {"*": ".*", "?": "."}
_NOTHING: Final = "(?!x)x"


class Program(Protocol):
    """A producer or a consumer, as governance knows it."""

    pk: int
    name: str

    @property
    def ref(self) -> ResourceRef: ...

    @property
    def owner_team_id(self) -> int | None: ...


@dataclass(frozen=True, slots=True)
class Programs:
    """One kind of them. `letter` stands in the ids of its grants, `find` gives one by name, and
    `of_teams` those of some teams by name, at most a hundred."""

    kind: ActorKind
    letter: str
    permissions: frozenset[Permission]
    find: Callable[[str], Program | None]
    of_teams: Callable[[frozenset[int]], Iterable[Program]]


_PROGRAMS: dict[ActorKind, Programs] = {}


def register(programs: Programs) -> None:
    """Let a kind of program hold grants; called once by its app at start-up."""
    _PROGRAMS[programs.kind] = programs


def letters() -> dict[str, ActorKind]:
    """The kinds of programs that hold grants, by the letter in the ids of their grants."""
    return {each.letter: each.kind for each in _PROGRAMS.values()}


def may_hold(kind: ActorKind, permission: Permission) -> bool:
    """Whether keys of this kind may hold a permission at all."""
    found = _PROGRAMS.get(kind)
    return found is not None and permission in found.permissions


def find(named: str, *, pointer: str) -> Program | None:
    """The program that a text like `consumer:warehouse` names; None where it is no such text.

    Raises InvalidError at the pointer where there is no program of the name.
    """
    kind, colon, name = named.partition(":")
    known = {each.kind.value: each for each in _PROGRAMS.values()}
    if not colon or kind not in known:
        return None
    found = known[kind].find(name)
    if found is None:
        fault = FieldError(pointer, "unknown", f"there is no {kind} of this name")
        raise InvalidError(f"The {kind} is not known.", errors=[fault])
    return found


def get(named: str, *, pointer: str) -> Program:
    """As `find`, where nothing else may be named: raises InvalidError for that too."""
    found = find(named, pointer=pointer)
    if found is None:
        fault = FieldError(pointer, "unknown", "give consumer:NAME or producer:NAME")
        raise InvalidError("It names no program.", errors=[fault])
    return found


def of_teams(team_ids: frozenset[int]) -> list[Program]:
    """The consumers, then the producers, of some teams."""
    return [one for kind in _PROGRAMS.values() for one in kind.of_teams(team_ids)]


def require_team(program: Program, actor: Actor) -> None:
    """Refuse who is neither of the program's team nor an admin."""
    if not actor.is_admin and program.owner_team_id not in actor.team_ids:
        kind = kind_of(program).value
        raise TeamNeededError("Only its team and admins may do this.", f"{kind}.manage")


def kind_of(program: Program) -> ActorKind:
    """Which kind of program it is."""
    return ActorKind(program.ref.kind)


def letter_of(program: Program) -> str:
    """The letter in the ids of its grants."""
    return _PROGRAMS[kind_of(program)].letter


def check_may_hold(program: Program, permission: Permission, *, pointer: str) -> None:
    """Raises InvalidError at the pointer for a permission that its keys have no use for."""
    kind = kind_of(program)
    if not may_hold(kind, permission):
        held = ", ".join(sorted(_PROGRAMS[kind].permissions))
        fault = FieldError(pointer, "not_for_it", f"a {kind.value} may hold {held}")
        raise InvalidError(f"A {kind.value} cannot hold this.", errors=[fault])


def glob_pattern(glob: str) -> str:
    """A key's glob as a regular expression of the database, as `fnmatch` understands it."""
    found = [_JOKERS.get(token) or _spelled(token) for token in _TOKENS.findall(glob)]
    return f"^{''.join(found)}$"


def _spelled(token: str) -> str:
    """One character, or the choice of characters between brackets."""
    if len(token) == 1:
        return re.escape(token)
    chosen = [re.escape(one) for one in string.printable if fnmatchcase(one, token)]
    return f"({'|'.join(chosen)})" if chosen else _NOTHING
