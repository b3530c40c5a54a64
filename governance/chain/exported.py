"""Checking an export of the audit chain by what it holds itself: rows, proofs and a seal.

1. Each row is what its hash was made of, follows the one before it where that is its neighbour, and
   no row stands twice or out of its place.
2. Each row is one of those that a signed anchor vouches for, and each row that the proofs name is
   there.
3. The seal is signed, and counts and hashes the very rows and proofs that are there.

The first row in the order of numbers that does not fit is named; where only the end of the file was
touched there is none to name, and the fault is of the file.
"""

from array import array
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from governance.chain import merkle, seals, signing
from governance.chain.anchors import Anchor
from governance.chain.rows import GENESIS, digest
from governance.chain.seals import Proof, Seal, SealError, Sealing
from governance.models import AuditEntry

_HASH: Final = 32


@dataclass(frozen=True, slots=True)
class Checked:
    """What was found. Without `fault` the file is as it was given out, and `proved` of its `rows`
    are vouched for by signed anchors; the seal alone vouches for the rest, which were too new.

    `first_bad` is the row that `fault`, a clause, is said of; None where it is of the file.
    `is_whole`: it is the chain from its first row on, not an answer to a question.
    """

    rows: int
    proved: int
    fault: str
    first_bad: int | None
    is_whole: bool
    asked: Mapping[str, str] = field(default_factory=dict)
    sealed_at: datetime | None = None
    anchored_upto: int = 0
    anchored_at: datetime | None = None
    head_hash: str = GENESIS.hex()

    @property
    def holds(self) -> bool:
        return not self.fault


def check(
    rows_and_proofs: Iterable[AuditEntry | bytes],
    public_keys: dict[str, bytes],
    known_anchors: Mapping[int, bytes],
) -> Checked:
    """Check an export: its rows, then its other lines as they stand in the file.

    `known_anchors` are the digests of anchors by number that who checks has from elsewhere. Takes
    some 40 bytes of memory a row.
    """
    checking = _Checking(public_keys, known_anchors)
    for each in rows_and_proofs:
        checking.takes(each)
    return checking.found()


class _Checking:
    def __init__(self, public_keys: dict[str, bytes], known_anchors: Mapping[int, bytes]) -> None:
        self._keys, self._known = public_keys, known_anchors
        self._seqs, self._hashes = array("q"), bytearray()
        self._bad_rows: dict[int, str] = {}
        self._fault = ""
        self._sorted: list[int] | None = None  # places in the order of numbers; None: as they are
        self._place = 0
        self._proved = 0
        self._anchor: Anchor | None = None
        self._sealing = Sealing({}, 0)
        self._seal: Seal | None = None
        self._is_behind = False  # the rows

    def takes(self, each: AuditEntry | bytes) -> None:
        if self._seal is not None:
            self._of_file("something was put behind its seal")
        elif isinstance(each, bytes):
            self._takes_line(each)
        else:
            self._takes_row(each)

    def _bad(self, seq: int, fault: str) -> None:
        self._bad_rows.setdefault(seq, fault)

    def _of_file(self, fault: str) -> None:
        self._fault = self._fault or fault

    # --- rows ---

    def _takes_row(self, row: AuditEntry) -> None:
        if self._is_behind:
            self._bad(row.seq, "was put behind the proofs")
            return
        stated, previous = bytes(row.hash), bytes(row.prev_hash)
        last = self._seqs[-1] if self._seqs else 0
        if row.seq <= last:
            self._bad(row.seq, "stands twice" if row.seq == last else "is not in its place")
            self._sorted = []
        elif row.seq == last + 1 and previous != (bytes(self._hashes[-_HASH:]) or GENESIS):
            self._bad(row.seq, "does not follow the row before it")
        if not _is_hashed(row):
            self._bad(row.seq, "is not what was hashed")
        self._seqs.append(row.seq)
        self._hashes += stated[:_HASH].ljust(_HASH, b"\0")
        self._sealing.takes_row(stated)

    def _number(self, place: int) -> int:
        return self._seqs[self._sorted[place] if self._sorted is not None else place]

    def _hash(self, place: int) -> bytes:
        start = _HASH * (self._sorted[place] if self._sorted is not None else place)
        return bytes(self._hashes[start : start + _HASH])

    # --- proofs and the seal ---

    def _takes_line(self, line: bytes) -> None:
        if not self._is_behind and self._sorted is not None:
            self._sorted = sorted(range(len(self._seqs)), key=self._seqs.__getitem__)
        self._is_behind = True
        try:
            said = seals.read(line)
        except SealError as error:
            self._of_file(str(error))
            self._sealing.takes_proof(line)
            return
        if isinstance(said, Seal):
            self._seal = said
        else:
            self._sealing.takes_proof(line)
            self._takes_proof(said)

    def _takes_proof(self, proof: Proof) -> None:
        anchor = proof.anchor
        if anchor is not None and (fault := self._fault_of(anchor)):
            self._of_file(fault)
            anchor = None
        vouches = _Vouching(proof)
        for seq in proof.rows:
            place = self._at(seq)
            if place is None:
                self._bad(seq, "is missing")
            elif fault := vouches.fault_of(seq, self._hash(place)):
                self._bad(seq, fault)
            else:
                self._proved += anchor is not None
        if anchor is not None:
            self._anchor = anchor

    def _fault_of(self, anchor: Anchor) -> str:
        if anchor.upto < anchor.first:
            return f"anchor {anchor.number} is of no row"
        if not signing.holds(anchor.signature, anchor.statement(), self._keys):
            return f"anchor {anchor.number} was not signed by a key that is known here"
        if self._known.get(anchor.number, anchor.digest()) != anchor.digest():
            return f"anchor {anchor.number} is another in the copy of the anchors"
        return ""

    def _at(self, seq: int) -> int | None:
        """The place of the next row that the proofs name; those before it were named by none."""
        while self._place < len(self._seqs) and self._number(self._place) < seq:
            self._pass_over()
        if self._place == len(self._seqs) or self._number(self._place) != seq:
            return None
        self._place += 1
        return self._place - 1

    def _pass_over(self) -> None:
        is_again = self._place > 0 and self._number(self._place) == self._number(self._place - 1)
        fault = "stands twice" if is_again else "was put in: nothing vouches for it"
        self._bad(self._number(self._place), fault)
        self._place += 1

    # --- the end ---

    def found(self) -> Checked:
        """What is said of the file once all of its lines were taken."""
        seal = self._seal
        if seal is None:  # proofs may have been cut off with it
            last = f" behind row {self._seqs[-1]}" if self._seqs else ""
            self._of_file(f"there is no seal at its end, which may have been cut off{last}")
        else:
            self._compare(seal)
        first_bad = min(self._bad_rows, default=None)
        anchor = self._anchor
        return Checked(
            rows=len(self._seqs),
            proved=self._proved,
            fault=self._fault if first_bad is None else self._bad_rows[first_bad],
            first_bad=first_bad,
            is_whole=seal is not None and not seal.asked,
            asked=seal.asked if seal else {},
            sealed_at=seal.at if seal else None,
            anchored_upto=anchor.upto if anchor else 0,
            anchored_at=anchor.at if anchor else None,
            head_hash=(bytes(self._hashes[-_HASH:]) or GENESIS).hex(),
        )

    def _compare(self, seal: Seal) -> None:
        while self._place < len(self._seqs):
            self._pass_over()
        if not seal.holds(self._keys):
            self._of_file("its seal was not signed by a key that is known here")
        if not seal.asked and (gap := self._first_gap(seal.upto)):
            self._bad(gap, "is missing")
        mine = self._sealing.unsigned(seal.at)
        if mine.proofs != seal.proofs:
            self._of_file("what it says of its rows is not what was sealed")
        if (mine.rows, mine.hashes) != (seal.rows, seal.hashes):
            self._of_file(f"its rows are not the {seal.rows} that were sealed")

    def _first_gap(self, upto: int) -> int | None:
        """The first number from 1 to `upto` that no row has."""
        if self._sorted is not None:
            there = set(self._seqs)
            return next((seq for seq in range(1, upto + 1) if seq not in there), None)
        # In their order row n stands at place n - 1 as long as none is missing.
        gap = bisect_left(
            range(len(self._seqs)), 1, key=lambda place: self._seqs[place] != place + 1
        )
        return gap + 1 if gap < upto else None


class _Vouching:
    """What a proof says of each of its rows."""

    def __init__(self, proof: Proof) -> None:
        self._proof, self._anchor = proof, proof.anchor
        self._paths = dict(zip(proof.rows, proof.paths, strict=False))
        self._stated = dict(_stated(proof))
        self._is_odd = self._anchor is not None and bool(proof.hashes) and not _is_root(proof)

    def fault_of(self, seq: int, row_hash: bytes) -> str:
        """A clause; empty where it vouches for a row of that hash."""
        anchor = self._anchor
        if anchor is None:
            return "" if self._stated.get(seq) == row_hash else "is not the row that was sealed"
        if self._is_odd:
            return (
                f"is among rows {anchor.first} to {anchor.upto}, of which one is not what anchor "
                f"{anchor.number} was signed for"
            )
        if self._proof.hashes:
            is_vouched = self._stated.get(seq) == row_hash
        else:
            is_vouched = _leads(anchor, seq, row_hash, self._paths.get(seq))
        return "" if is_vouched else f"is not the row that anchor {anchor.number} was signed for"


def _stated(proof: Proof) -> Iterator[tuple[int, bytes]]:
    first = proof.anchor.first if proof.anchor else 0
    numbers = range(first, first + len(proof.hashes)) if proof.anchor else proof.rows
    return zip(numbers, proof.hashes, strict=False)


def _is_root(proof: Proof) -> bool:
    anchor = proof.anchor
    assert anchor is not None
    size = anchor.upto - anchor.first + 1
    return len(proof.hashes) == size and merkle.root(proof.hashes) == anchor.root


def _leads(anchor: Anchor, seq: int, row_hash: bytes, path: tuple[bytes, ...] | None) -> bool:
    size = anchor.upto - anchor.first + 1
    try:
        return path is not None and (
            merkle.root_by_path(row_hash, seq - anchor.first, size, path) == anchor.root
        )
    except ValueError:  # it is of no such tree
        return False


def _is_hashed(row: AuditEntry) -> bool:
    try:
        return digest(bytes(row.prev_hash), row) == bytes(row.hash)
    except ValueError:  # written in no known format
        return False
