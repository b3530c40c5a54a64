"""Anchors: what is signed about a run of rows, and kept outside the database as well.

An anchor states the Merkle root over the hashes of its rows, the hash of the last of them, and the
hash of the statement before it. Who may change every table can compute a chain anew, but not sign
it; and the copy outside names each row's hash, so that the first one that was changed is known.
"""

import base64
import binascii
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import rfc8785

from governance.chain import merkle, signing
from governance.chain.rows import GENESIS, micros
from governance.chain.signing import Signature

MOST_ROWS: Final = 1000
_VERSION: Final = 1


class AnchorError(ValueError):
    """An anchor that cannot be read, or is none of this chain; the message says which and why."""


@dataclass(frozen=True, slots=True)
class Anchor:
    """The rows `first` to `upto`, both included. `hashes` are theirs, where the copy holds them."""

    number: int
    first: int
    upto: int
    at: datetime
    root: bytes
    head: bytes
    previous: bytes
    signature: Signature
    hashes: tuple[bytes, ...] = ()

    def statement(self) -> bytes:
        """What is signed: one JSON object in RFC 8785's spelling."""
        return _statement(
            self.number, self.first, self.upto, self.at, self.root, self.head, self.previous
        )

    def digest(self) -> bytes:
        """What the next anchor states as the one before it."""
        return hashlib.sha256(self.statement()).digest()


def make(before: Anchor | None, hashes: Sequence[bytes], at: datetime) -> Anchor:
    """Sign the rows with these hashes, which follow those of the anchor before. Raises
    `signing.AuditKeyError`."""
    first = before.upto + 1 if before else 1
    number = before.number + 1 if before else 1
    previous = before.digest() if before else GENESIS
    root, upto = merkle.root(hashes), first + len(hashes) - 1
    text = _statement(number, first, upto, at, root, hashes[-1], previous)
    return Anchor(
        number, first, upto, at, root, hashes[-1], previous, signing.sign(text), tuple(hashes)
    )


def _statement(
    number: int, first: int, upto: int, at: datetime, root: bytes, head: bytes, previous: bytes
) -> bytes:
    return rfc8785.dumps(
        {
            "anchor": number,
            "at": micros(at),
            "first": first,
            "head": head.hex(),
            "previous": previous.hex(),
            "root": root.hex(),
            "upto": upto,
            "version": _VERSION,
        }
    )


def check(anchor: Anchor, before: Anchor | None, public_keys: dict[str, bytes]) -> None:
    """Whether an anchor follows the one before and was signed here. Raises AnchorError."""
    expected = (1, 1, GENESIS) if before is None else (before.number + 1, before.upto + 1, None)
    number, first, previous = expected
    if before is not None:
        previous = before.digest()
    if (anchor.number, anchor.first) != (number, first) or anchor.upto < first:
        raise AnchorError(f"anchor {number} is missing")
    if anchor.previous != previous:
        raise AnchorError(f"anchor {number} does not follow the one before it")
    if not signing.holds(anchor.signature, anchor.statement(), public_keys):
        raise AnchorError(f"anchor {number} was not signed by a key that is known here")
    if anchor.hashes:
        if len(anchor.hashes) != anchor.upto - first + 1:
            raise AnchorError(f"anchor {number} has another count of rows than it states")
        if merkle.root(anchor.hashes) != anchor.root or anchor.hashes[-1] != anchor.head:
            raise AnchorError(f"anchor {number} has other rows than it states")


def to_line(anchor: Anchor) -> bytes:
    """As a line of the copy outside the database."""
    return (
        json.dumps(
            {
                "statement": json.loads(anchor.statement()),
                "key": anchor.signature.key_id,
                "signature": base64.b64encode(anchor.signature.value).decode(),
                "rows": [each.hex() for each in anchor.hashes],
            },
            separators=(",", ":"),
        ).encode()
        + b"\n"
    )


def from_line(line: bytes) -> Anchor:
    """Read a line of the copy. Raises AnchorError."""
    try:
        return _read(json.loads(line))
    except (KeyError, TypeError, ValueError, OverflowError, binascii.Error) as error:
        raise AnchorError("a line of the anchors cannot be read") from error


def _read(document: Any) -> Anchor:
    said = document["statement"]
    if said["version"] != _VERSION:
        raise AnchorError("an anchor is of another version")
    return Anchor(
        number=int(said["anchor"]),
        first=int(said["first"]),
        upto=int(said["upto"]),
        at=moment(int(said["at"])),
        root=bytes.fromhex(said["root"]),
        head=bytes.fromhex(said["head"]),
        previous=bytes.fromhex(said["previous"]),
        signature=Signature(
            str(document["key"]), base64.b64decode(document["signature"], validate=True)
        ),
        hashes=tuple(bytes.fromhex(each) for each in document["rows"]),
    )


def moment(microseconds: int) -> datetime:
    """A moment of a statement."""
    seconds, rest = divmod(microseconds, 1_000_000)
    return datetime.fromtimestamp(seconds, UTC).replace(microsecond=rest)
