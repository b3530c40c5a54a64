"""Proof that one row stands in the audit chain as it was signed, to be checked by anybody."""

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from governance.chain import anchors, merkle, signing
from governance.chain.anchors import Anchor
from governance.chain.rows import digest
from governance.models import AuditEntry
from governance.selectors.audit_anchors import anchor_of, of_row
from governance.selectors.audit_log import as_dict, entry_of
from portal.kernel.errors import InvalidStateError, NotFoundError


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
    hashes = [
        bytes(each)
        for each in AuditEntry.objects.filter(seq__gte=anchor.first, seq__lte=anchor.upto)
        .order_by("seq")
        .values_list("hash", flat=True)
    ]
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
