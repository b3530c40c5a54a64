"""Walking the chain: every hash anew, beside what was anchored; the first row that does not fit."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Final, TypeVar

from governance.chain import merkle
from governance.chain.anchors import Anchor, AnchorError
from governance.chain.rows import GENESIS, digest
from governance.models import AuditEntry

T = TypeVar("T")
TOLD_EACH: Final = 10_000


def telling(rows: Iterable[T], tell: Callable[[int], None]) -> Iterator[T]:
    """The same rows; `tell` hears how many there were each 10,000."""
    for count, row in enumerate(rows, start=1):
        yield row
        if count % TOLD_EACH == 0:
            tell(count)


@dataclass(frozen=True, slots=True)
class Verification:
    """What a walk found. `first_bad` is the number of the first row that does not fit and `fault`
    says why, as a clause. `rows` were walked over; up to `anchored_upto` signed anchors vouch for
    them, the last of which is of `anchored_at`; behind that the chain alone does."""

    rows: int
    first_bad: int | None
    head_hash: str
    fault: str = ""
    anchored_upto: int = 0
    anchored_at: datetime | None = None

    @property
    def holds(self) -> bool:
        return self.first_bad is None


def verify(
    entries: Iterable[AuditEntry], anchors: Iterable[Anchor] = (), *, head: int | None = None
) -> Verification:
    """Recompute a whole chain, the oldest row first, streaming.

    `anchors` come in their order and were checked (`anchors.check`); AnchorError, when they end
    in one, is a fault of the first row that no good one vouches for. `head` is the number of the
    newest row as the database counts them.
    """
    walk = _Walk(iter(anchors))
    for entry in entries:
        if not walk.takes(entry):
            break
    else:
        walk.end(head)
    return walk.found()


class _Walk:
    def __init__(self, anchors: Iterator[Anchor]) -> None:
        self._anchors = anchors
        self._count = 0
        self._hash = GENESIS
        self._fault = ""
        self._first_bad: int | None = None
        self._anchored: Anchor | None = None  # the last one whose rows all fit
        self._vouched = 0  # the last row that an anchor vouches for by itself
        self._vouched_at: datetime | None = None
        self._leaves: list[bytes] = []
        self._anchor = self._next_anchor()

    def _next_anchor(self) -> Anchor | None:
        self._leaves = []
        try:
            return next(self._anchors, None)
        except AnchorError as error:
            self._bad(self._anchored.upto + 1 if self._anchored else 1, str(error))
            return None

    def _bad(self, number: int, fault: str) -> bool:
        if self._first_bad is None:
            self._first_bad, self._fault = number, fault
        return False

    def takes(self, entry: AuditEntry) -> bool:
        """Go on by one row; False: it does not fit."""
        if self._first_bad is not None:
            return False
        number = self._count + 1
        if entry.seq != number:
            why = "is missing" if entry.seq > number else "stands twice"
            return self._bad(min(number, entry.seq), why)
        try:
            expected = digest(self._hash, entry)
        except ValueError:
            return self._bad(number, "is written in no known format")
        if bytes(entry.prev_hash) != self._hash:
            return self._bad(number, "does not follow the row before it")
        if bytes(entry.hash) != expected:
            return self._bad(number, "is not what was hashed")
        if not self._is_anchored(number, expected):
            return False
        self._count, self._hash = number, expected
        return True

    def _is_anchored(self, number: int, found: bytes) -> bool:
        anchor = self._anchor
        if anchor is None:
            return True
        if anchor.hashes and anchor.hashes[number - anchor.first] != found:
            return self._bad(number, f"is not the row that anchor {anchor.number} was signed for")
        if anchor.hashes:
            self._vouched, self._vouched_at = number, anchor.at
        self._leaves.append(found)
        if number < anchor.upto:
            return True
        if merkle.root(self._leaves) != anchor.root:
            rows = f"among rows {anchor.first} to {anchor.upto} one"
            return self._bad(
                anchor.first, f"{rows} is not what anchor {anchor.number} was signed for"
            )
        self._anchored = anchor
        self._vouched, self._vouched_at = number, anchor.at
        self._anchor = self._next_anchor()
        return self._first_bad is None

    def end(self, head: int | None) -> None:
        """There are no more rows."""
        if self._first_bad is not None:
            return
        if self._anchor is not None:
            self._bad(
                self._count + 1, f"is missing: anchor {self._anchor.number} was signed for it"
            )
        elif head is not None and head > self._count:
            self._bad(self._count + 1, f"is missing: the database counts {head} rows")

    def found(self) -> Verification:
        return Verification(
            rows=self._count + (self._first_bad is not None),
            first_bad=self._first_bad,
            head_hash=self._hash.hex(),
            fault=self._fault,
            anchored_upto=self._vouched,
            anchored_at=self._vouched_at,
        )
