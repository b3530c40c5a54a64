"""What an export of the audit chain says at its end, so that it proves itself without a portal.

The rows come first, one a line. Behind them stand lines of two other kinds:

1. `{"proof": {"anchor": {…}, "rows": [4, 9], "paths": [[…], […]]}}`, one for each anchor that vouches
   for rows of the file: what was signed, which rows, and of each the hashes beside its way to the
   root. Where that is shorter, `hashes` holds the hashes of all the anchor's rows instead. `anchor` is
   null for rows that no anchor vouches for yet, and `hashes` are theirs.
2. `{"seal": {"statement": {…}, "key": …, "signature": …}}`, the last line: what was asked, how many
   rows that gave, the hash over theirs, the hash over the lines of proofs, and the newest row of
   then. Signed with the key of the anchors, under a context of its own.

An anchor proves that a row is genuine, the seal that the file is as it was given out.
"""

import base64
import binascii
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import rfc8785

from governance.chain import anchors, signing
from governance.chain.anchors import Anchor, AnchorError, moment
from governance.chain.rows import micros
from governance.chain.signing import Signature

STARTS: Final = (b'{"proof":', b'{"seal":')
_CONTEXT: Final = b"event-portal audit export 1\n"
_VERSION: Final = 1


class SealError(ValueError):
    """A line at the end of an export that cannot be read; the message is a clause."""


@dataclass(frozen=True, slots=True)
class Proof:
    """The rows of a file that one anchor vouches for, by their numbers; none does where it is None.

    Either `paths`, one for each of `rows`, or `hashes`: those of all the anchor's rows, or without
    an anchor those of `rows`.
    """

    anchor: Anchor | None
    rows: tuple[int, ...]
    paths: tuple[tuple[bytes, ...], ...] = ()
    hashes: tuple[bytes, ...] = ()


@dataclass(frozen=True, slots=True)
class Seal:
    """`asked` is the question, by its parts; without one the file is the whole chain up to `upto`,
    the newest row when it was made. `hashes` and `proofs` are SHA-256 over the hashes of the rows
    and over the lines of proofs."""

    at: datetime
    asked: Mapping[str, str]
    rows: int
    hashes: bytes
    proofs: bytes
    upto: int
    signature: Signature | None = None

    def statement(self) -> bytes:
        """What is signed: one JSON object in RFC 8785's spelling."""
        return rfc8785.dumps(
            {
                "asked": dict(self.asked),
                "at": micros(self.at),
                "hashes": self.hashes.hex(),
                "proofs": self.proofs.hex(),
                "rows": self.rows,
                "upto": self.upto,
                "version": _VERSION,
            }
        )

    def holds(self, public_keys: dict[str, bytes]) -> bool:
        """Whether one of the keys signed it."""
        return self.signature is not None and signing.holds(
            self.signature, self.statement(), public_keys, context=_CONTEXT
        )


class Sealing:
    """Counts what goes into a file, and seals it."""

    def __init__(self, asked: Mapping[str, str], upto: int) -> None:
        self._asked, self._upto, self._rows = asked, upto, 0
        self._hashes, self._proofs = hashlib.sha256(), hashlib.sha256()

    def takes_row(self, row_hash: bytes) -> None:
        self._rows += 1
        self._hashes.update(row_hash)

    def takes_proof(self, line: bytes) -> None:
        self._proofs.update(line)

    def unsigned(self, at: datetime) -> Seal:
        hashes, proofs = self._hashes.digest(), self._proofs.digest()
        return Seal(at, self._asked, self._rows, hashes, proofs, self._upto)

    def line(self, at: datetime) -> bytes:
        """The last line of the file. Raises `signing.AuditKeyError`."""
        text = self.unsigned(at).statement()
        signature = signing.sign(text, context=_CONTEXT)
        return _line("seal", {"statement": json.loads(text), **_spelled(signature)})


def proof_line(proof: Proof) -> bytes:
    """A proof as a line of the file."""
    anchor = proof.anchor and {
        "statement": json.loads(proof.anchor.statement()),
        **_spelled(proof.anchor.signature),
    }
    said: dict[str, Any] = {"anchor": anchor, "rows": list(proof.rows)}
    if proof.hashes:
        said["hashes"] = _hexes(proof.hashes)
    else:
        said["paths"] = [_hexes(path) for path in proof.paths]
    return _line("proof", said)


def read(line: bytes) -> Proof | Seal:
    """A line that begins as one of `STARTS`. Raises SealError."""
    try:
        document = json.loads(line)
        (kind,) = document  # nothing may stand beside what is signed
        return _proof(document[kind]) if kind == "proof" else _seal(document["seal"])
    except (KeyError, TypeError, ValueError, OverflowError, binascii.Error) as error:
        raise SealError("a line at its end cannot be read") from error


def _proof(said: Mapping[str, Any]) -> Proof:
    anchor = said["anchor"]
    try:
        made = anchor and anchors.from_line(json.dumps({**anchor, "rows": []}).encode())
    except AnchorError as error:
        raise SealError("an anchor at its end cannot be read") from error
    return Proof(
        anchor=made or None,
        rows=tuple(int(seq) for seq in said["rows"]),
        paths=tuple(tuple(map(bytes.fromhex, path)) for path in said.get("paths", ())),
        hashes=tuple(map(bytes.fromhex, said.get("hashes", ()))),
    )


def _seal(document: Mapping[str, Any]) -> Seal:
    said = document["statement"]
    if said["version"] != _VERSION:
        raise SealError("its seal is of another version")
    return Seal(
        at=moment(int(said["at"])),
        asked={str(name): str(value) for name, value in said["asked"].items()},
        rows=int(said["rows"]),
        hashes=bytes.fromhex(said["hashes"]),
        proofs=bytes.fromhex(said["proofs"]),
        upto=int(said["upto"]),
        signature=Signature(
            str(document["key"]), base64.b64decode(document["signature"], validate=True)
        ),
    )


def _line(kind: str, said: Mapping[str, Any]) -> bytes:
    return json.dumps({kind: said}, separators=(",", ":")).encode() + b"\n"


def _spelled(signature: Signature) -> dict[str, str]:
    return {
        "key": signature.key_id,
        "signature": base64.b64encode(signature.value).decode(),
    }


def _hexes(hashes: Sequence[bytes]) -> list[str]:
    return [each.hex() for each in hashes]
