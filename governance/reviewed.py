"""Which things are reviewed, registered by the apps above: when one is due and what is known of it.

Governance keeps the turns, who said what, and who is told. How often a thing is due and what there
is to confirm of it is its app's to say.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import QuerySet

from governance.types import ResourceRef, ReviewPoint


@dataclass(frozen=True, slots=True)
class Stand:
    """What the portal knows of one point now: a sentence, its evidence a line each (never a personal
    value, never who may read), and the page where it is changed."""

    says: str
    lines: tuple[str, ...] = ()
    url: str = ""


@dataclass(frozen=True, slots=True)
class Reviewed:
    """A kind of thing that is reviewed. `due` gives the things whose review is due by a moment, as
    rows of the protected model with `review_due_at`; `stands` what is known of each point; `mark`
    keeps that one was reviewed at a moment. `key` is the column that names it, `address` its page."""

    kind: str
    key: str
    due: Callable[[datetime], QuerySet[Any, Any]]
    stands: Callable[[Any], Mapping[ReviewPoint, Stand]]
    mark: Callable[[Any, datetime], None]
    address: Callable[[str], str]


_kinds: dict[str, Reviewed] = {}


def register(kind: Reviewed) -> None:
    """Have a kind of thing reviewed; called once by its app at start-up."""
    _kinds[kind.kind] = kind


def kinds() -> list[Reviewed]:
    return list(_kinds.values())


def kind_of(ref: ResourceRef) -> Reviewed:
    """How a thing is reviewed. Raises KeyError for a kind that is not."""
    return _kinds[ref.kind]
