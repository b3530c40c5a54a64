"""Which pages take saved questions: each app registers here what one of its pages is asked.

A kind says who may ask, and reads what was asked into what its page takes, so that a question that
is kept is one that can be asked.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from portal.kernel.actor import Actor


@dataclass(frozen=True, slots=True)
class ViewKind:
    """`read` gives the parts of a question as they are kept, and raises ValueError with a sentence
    for one that the page would not take; `may` says who asks; `address` is the page's."""

    address: str
    read: Callable[[Mapping[str, Any]], dict[str, str]]
    may: Callable[[Actor], bool]


_kinds: dict[str, ViewKind] = {}


def register(name: str, kind: ViewKind) -> None:
    """Take questions of a kind; called once by its app at start-up."""
    _kinds[name] = kind


def kind_of(name: str) -> ViewKind | None:
    """The kind of a name; None where there is none."""
    return _kinds.get(name)


def kinds_for(actor: Actor) -> list[str]:
    """The kinds of questions that the actor may ask, sorted."""
    return sorted(name for name, kind in _kinds.items() if actor.is_person and kind.may(actor))


def address_of(name: str, asked: Mapping[str, str]) -> str:
    """Where a question is asked again. Raises KeyError for a kind that is not registered."""
    return f"{_kinds[name].address}?{urlencode(asked)}"
