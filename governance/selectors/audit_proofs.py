"""Proof that rows stand in the audit chain as they were signed, to be checked by anybody."""

import base64
import json
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from governance.chain import anchors, merkle, signing
from governance.chain.anchors import MOST_ROWS, Anchor
from governance.chain.rows import digest
from governance.chain.seals import Proof
from governance.models import AuditAnchor, AuditEntry
from governance.selectors.audit_anchors import anchor_of, of_row
from governance.selectors.audit_log import as_dict, entry_of
from portal.kernel.errors import InvalidStateError, NotFoundError

_ANCHORS_AT_ONCE: Final = 50


class ProofError(ValueError):
    """A proof that proves nothing; the message is a sentence that says why."""


@dataclass(frozen=True, slots=True)
class Proven:
    """A row, and when it was signed at the latest."""

    seq: int
    at: datetime
    anchor: int
    key_id: str


def proof_of(seq: int) -> dict[str, Any]:
    """The proof of a row: the row, what was signed, and the hashes that lead from one to the other.

    Raises NotFoundError without such a row, and InvalidStateError while it is not anchored.
    """
    entry = AuditEntry.objects.filter(pk=seq).first()
    if entry is None:
        raise NotFoundError
    row = anchor_of(seq)
    if row is None:
        raise InvalidStateError("The row is not anchored yet: that takes a minute at most.")
    anchor = of_row(row)
    hashes = [each for _, each in _hashes(anchor.first, anchor.upto)]
    if len(hashes) != anchor.upto - anchor.first + 1 or merkle.root(hashes) != anchor.root:
        raise InvalidStateError(
            f"Rows {anchor.first} to {anchor.upto} are not those that were signed: verify the chain."
        )
    return {
        "row": as_dict(entry),
        "anchor": {
            "statement": json.loads(anchor.statement()),
            "key": anchor.signature.key_id,
            "signature": base64.b64encode(anchor.signature.value).decode(),
        },
        "path": [each.hex() for each in merkle.path(hashes, seq - anchor.first)],
    }


def proofs_of(numbers: Sequence[int]) -> Iterator[Proof]:
    """What vouches for rows, whose numbers come in their order: a proof for each anchor, in turn,
    and at the end one without for those that are not anchored yet.

    A query for each 50 anchors in a row, and one for each that has rows of those. Rows that were changed since they were signed get a
    proof all the same, which does not hold.
    """
    place = 0
    while place < len(numbers):
        found = list(
            AuditAnchor.objects.filter(upto_seq__gte=numbers[place]).order_by("upto_seq")[
                :_ANCHORS_AT_ONCE
            ]
        )
        runs: list[tuple[Anchor | None, tuple[int, ...]]] = []
        for row in found:
            begin = bisect_left(numbers, row.first_seq, place)
            end = bisect_right(numbers, row.upto_seq, begin)
            runs += [(None, rows) for rows in _in_thousands(numbers, place, begin)]
            if end > begin:
                runs.append((of_row(row), tuple(numbers[begin:end])))
            place = end
        if not found:
            runs = [(None, rows) for rows in _in_thousands(numbers, place, len(numbers))]
            place = len(numbers)
        yield from _proofs(runs)


def _in_thousands(numbers: Sequence[int], begin: int, end: int) -> Iterator[tuple[int, ...]]:
    for place in range(begin, end, MOST_ROWS):
        yield tuple(numbers[place : min(place + MOST_ROWS, end)])


def _proofs(runs: list[tuple[Anchor | None, tuple[int, ...]]]) -> Iterator[Proof]:
    for anchor, rows in runs:
        first, upto = (anchor.first, anchor.upto) if anchor else (rows[0], rows[-1])
        stored = dict(_hashes(first, upto))
        if anchor is None:
            yield Proof(None, rows, hashes=tuple(stored.get(seq, b"") for seq in rows))
        else:
            yield _proof(anchor, rows, stored)


def _proof(anchor: Anchor, rows: tuple[int, ...], stored: Mapping[int, bytes]) -> Proof:
    """The shorter of the two forms; of rows that are missing in between, what is left of them."""
    size = anchor.upto - anchor.first + 1
    hashes = [stored[seq] for seq in range(anchor.first, anchor.upto + 1) if seq in stored]
    if len(rows) * size.bit_length() >= size or len(hashes) != size:
        return Proof(anchor, rows, hashes=tuple(hashes))
    paths = tuple(tuple(merkle.path(hashes, seq - anchor.first)) for seq in rows)
    return Proof(anchor, rows, paths=paths)


def _hashes(first: int, upto: int) -> Iterator[tuple[int, bytes]]:
    rows = AuditEntry.objects.filter(seq__gte=first, seq__lte=upto).order_by("seq")
    return ((seq, bytes(each)) for seq, each in rows.values_list("seq", "hash"))


def check_proof(document: Mapping[str, Any], public_keys: dict[str, bytes]) -> Proven:
    """Check a proof with nothing but the public keys one trusts. Raises ProofError."""
    try:
        entry = entry_of(document["row"])
        anchor = anchors.from_line(json.dumps({**document["anchor"], "rows": []}).encode())
        path = [bytes.fromhex(each) for each in document["path"]]
    except (KeyError, TypeError, ValueError) as error:
        raise ProofError("This is no proof of a row of an audit chain.") from error
    if not signing.holds(anchor.signature, anchor.statement(), public_keys):
        raise ProofError("What it says was signed was not signed by a key that is trusted here.")
    try:
        is_hashed = digest(bytes(entry.prev_hash), entry) == bytes(entry.hash)
    except ValueError as error:
        raise ProofError("The row is written in no known format.") from error
    if not is_hashed:
        raise ProofError("The row is not what its hash was made of.")
    if not _leads_there(entry, anchor, path):
        raise ProofError("The row is none of those that were signed.")
    return Proven(entry.seq, anchor.at, anchor.number, anchor.signature.key_id)


def _leads_there(entry: AuditEntry, anchor: Anchor, path: list[bytes]) -> bool:
    size = anchor.upto - anchor.first + 1
    try:
        root = merkle.root_by_path(bytes(entry.hash), entry.seq - anchor.first, size, path)
    except ValueError:
        return False
    return root == anchor.root
