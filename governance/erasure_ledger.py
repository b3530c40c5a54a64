"""The ledger of erasures: a file outside the database and its backups, to which lines are appended.

1. An erasure has a line `begun` before anything is erased, and a line `done` when nothing is left.
   `begun` names whom by keyed hashes alone: marks of the identifiers, references of data keys and
   of tokens. Without the key `blind` nobody can guess from it who was erased.
2. Each line holds the SHA-256 of the line before it: what is changed, left out or put in is seen.
3. A line counts once it has its end and is on the disk; what a crash left of one is cut off before
   the next. The same said again adds nothing, so that a step may be done again.

Put it on a disk that a restore of the database does not touch; where there are several machines,
all of them on the same one.
"""

import fcntl
import hashlib
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import BinaryIO, Final
from uuid import UUID

import orjson
from django.conf import settings

from portal.kernel import rfc3339
from portal.kernel.errors import UnavailableError

BEGUN: Final = "begun"
DONE: Final = "done"
_FIRST: Final = "0" * 64


class LedgerError(Exception):
    """The file is not what was written; the message names the line."""


@dataclass(frozen=True, slots=True)
class Line:
    """One line. `marks`, `keys` and `tokens` are empty in one that says `done`; `at` is the moment
    of the erasure, `said_at` when the line was written, `hash` what the next one must name."""

    kind: str
    erasure: UUID
    at: datetime
    said_at: datetime
    basis: str = ""
    identifiers: int = 0
    marks: tuple[bytes, ...] = ()
    keys: tuple[bytes, ...] = ()
    tokens: tuple[bytes, ...] = ()
    hash: str = ""

    def is_covered_by(self, other: "Line") -> bool:
        """Whether the other says all of it already."""
        return (self.kind, self.erasure) == (other.kind, other.erasure) and all(
            set(mine) <= set(theirs)
            for mine, theirs in (
                (self.marks, other.marks), (self.keys, other.keys), (self.tokens, other.tokens)
            )
        )  # fmt: skip


def append(line: Line) -> Line:
    """Write a line, and come back when it is on the disk; gives it as it stands there. The one that
    said all of it before is given instead of a second.

    UnavailableError where the file cannot be written, or does not hold what was written.
    """
    path = settings.ERASURE_LEDGER
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "r+b") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            return _append(file, line)
    except OSError as error:
        raise UnavailableError(
            f"The ledger of erasures cannot be written: {error.strerror}. Nothing more is erased "
            "until it can be (PORTAL_ERASURE_LEDGER)."
        ) from error
    except LedgerError as error:
        raise UnavailableError(f"The ledger of erasures is not in order: {error}.") from error


def _append(file: BinaryIO, line: Line) -> Line:
    previous, end = _FIRST, 0
    for found, size in _lines(file):
        if line.is_covered_by(found):
            return found
        previous, end = found.hash, end + size
    file.seek(end)
    file.truncate()
    text = _spelled(line, previous)
    file.write(text + b"\n")
    file.flush()
    os.fsync(file.fileno())
    if not end:
        _sync_folder(Path(settings.ERASURE_LEDGER).parent)
    return _read(text, previous, 0)


def lines(path: Path | None = None) -> Iterator[Line]:
    """Every line, the oldest first; none where there is no file. What is torn at the end is no line.

    Raises LedgerError and OSError.
    """
    try:
        file = (path or settings.ERASURE_LEDGER).open("rb")
    except FileNotFoundError:
        return
    with file:
        yield from (line for line, _ in _lines(file))


def _lines(file: BinaryIO) -> Iterator[tuple[Line, int]]:
    """Each line with its size in bytes."""
    file.seek(0)
    previous = _FIRST
    for number, raw in enumerate(file, start=1):
        if not raw.endswith(b"\n"):
            return
        line = _read(raw[:-1], previous, number)
        yield line, len(raw)
        previous = line.hash


def _spelled(line: Line, previous: str) -> bytes:
    said = {
        "kind": line.kind,
        "erasure": str(line.erasure),
        "at": rfc3339.spell(line.at),
        "said_at": rfc3339.spell(line.said_at),
        "basis": line.basis,
        "identifiers": line.identifiers,
        "marks": _hex(line.marks),
        "keys": _hex(line.keys),
        "tokens": _hex(line.tokens),
        "previous": previous,
    }
    return orjson.dumps(said, option=orjson.OPT_SORT_KEYS)


def _read(text: bytes, previous: str, number: int) -> Line:
    try:
        said = orjson.loads(text)
        if said["previous"] != previous:
            raise LedgerError(f"line {number} does not follow the one before it")
        return Line(
            kind=said["kind"],
            erasure=UUID(said["erasure"]),
            at=rfc3339.parse(said["at"]),
            said_at=rfc3339.parse(said["said_at"]),
            basis=said["basis"],
            identifiers=said["identifiers"],
            marks=_bytes(said["marks"]),
            keys=_bytes(said["keys"]),
            tokens=_bytes(said["tokens"]),
            hash=hashlib.sha256(text).hexdigest(),
        )
    except (ValueError, KeyError, TypeError) as error:
        raise LedgerError(f"line {number} cannot be read") from error


def _hex(values: Iterable[bytes]) -> list[str]:
    return sorted(value.hex() for value in values)


def _bytes(values: list[str]) -> tuple[bytes, ...]:
    return tuple(bytes.fromhex(value) for value in values)


def _sync_folder(folder: Path) -> None:
    """The name of a new file is on the disk only when its folder is."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
