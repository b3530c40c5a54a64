"""What an erasure and a subject's access ask of each store of personal data.

Every app that keeps personal data registers its stores here in `AppConfig.ready()`; what is asked of
them lies in `governance/services`. A store is walked in steps: each is short, may be done again, and
says where the next begins, so that a walk that was cut goes on.

Values are compared whole, by a keyed hash. So the ledger, which knows hashes only, finds in a restored
backup what the erasure found, and nobody can guess from it who was erased.
"""

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Protocol

from governance.privacy import keys

_LONGEST: Final = 1024  # characters; what is longer is no name of anybody


def mark_of(text: str) -> bytes:
    """The keyed hash, 32 bytes, by which an identifier is found again."""
    plain = plain_of(text)
    return keys.blind("subject", b"erased\x00" + plain.encode("utf-8", "surrogatepass"))


def plain_of(text: str) -> str:
    """What is the same of two spellings of an identifier.

    Spaces around it and the form of its accents do not matter, nor does the case of an address.
    """
    plain = unicodedata.normalize("NFC", text.strip())
    return plain.casefold() if "@" in plain else plain


@dataclass(frozen=True, slots=True)
class Sought:
    """Whose data is meant.

    `marks` gives for the hash of each of their identifiers, and of the tokens that stood for them,
    the moment of the erasure: what came or happened later is not meant. `clear` are the same in clear,
    to let the database look first; None where only the ledger knows of them.
    """

    marks: Mapping[bytes, datetime]
    clear: tuple[str, ...] | None = None

    def until(self, value: object) -> datetime | None:
        """Up to when what is about this text or number is meant; None: it is nobody that is sought."""
        if isinstance(value, bool) or not isinstance(value, str | int):
            return None
        text = str(value)
        return self.marks.get(mark_of(text)) if len(text) <= _LONGEST else None


@dataclass(frozen=True, slots=True)
class Swept:
    """What a step did: rows it looked at, rows it took away, values it took out of rows that stay.

    `cursor` is where the next begins; None: this store is through.
    """

    cursor: Mapping[str, Any] | None
    looked_at: int = 0
    erased: int = 0
    cleared: int = 0


@dataclass(frozen=True, slots=True)
class Collected:
    """What a step found about somebody, each a JSON object in clear, for their eyes alone.

    An event stands in it under `event`, as a CloudEvent: what its contract says of it is added.
    """

    cursor: Mapping[str, Any] | None
    looked_at: int = 0
    items: tuple[Mapping[str, Any], ...] = ()


class Store(Protocol):
    """One place where personal data lies."""

    @property
    def key(self) -> str:
        """Its name in receipts and cursors, such as `events`."""

    @property
    def name(self) -> str:
        """Its name for people."""

    def size(self) -> int:
        """About how many rows (or files) a walk looks at."""

    def erase(self, sought: Sought, cursor: Mapping[str, Any]) -> Swept:
        """Erase some, from the cursor on (`{}`: from the beginning), within two seconds.

        In the transaction that keeps the cursor. What is not under it (files) bears being done again.
        Raises a PortalError where the store cannot be reached; the walk stops there and can go on.
        """

    def collect(self, sought: Sought, cursor: Mapping[str, Any]) -> Collected:
        """Give some of what is there about them; as `erase`, and changes nothing."""


_stores: Final[dict[str, Store]] = {}
_last: Final[dict[str, Store]] = {}


def register(store: Store, *, is_last: bool = False) -> None:
    """Add a store; once, by its app at start-up. Walks take them in the order they were added.

    `is_last` puts it behind all that are not: the vault, by which the others may find something.
    """
    (_last if is_last else _stores)[store.key] = store


def forget(key: str) -> None:
    """Take a store out again; walks pass it by."""
    _stores.pop(key, None)
    _last.pop(key, None)


def stores() -> tuple[Store, ...]:
    """All stores, in the order of the walk."""
    return (*_stores.values(), *_last.values())
