"""What the parts of a proof ask of the whole."""

from typing import Any, Protocol

from catalog.compatibility.joined import ArrayShape, Joins, Key, ObjectShape
from catalog.compatibility.types import Outcome


class Prover(Protocol):
    """Shows that all documents of one key are documents of another."""

    joins: Joins
    lenient: bool
    takes_defaults: bool

    @property
    def exact(self) -> "Prover":
        """The same without the policies' exceptions: for emptiness and what stands in `not`."""

    def within(self, left: Key, right: Key) -> Outcome: ...

    def below(self, left: Key, right: Key) -> Outcome:
        """The same of a part of the documents: a property, an item."""

    def is_empty(self, key: Key) -> bool: ...

    def finite(self, key: Key) -> list[Any] | None: ...

    def objects_of(self, key: Key) -> list[ObjectShape]: ...

    def arrays_of(self, key: Key) -> list[ArrayShape]: ...

    def overlap(self, key: Key) -> bool: ...
