"""Files that are sealed as they are written: nothing of them is on the disk in clear.

A file is a row of chunks: four bytes of length, then the chunk under a data key of the vault
(`ciphers.DataKey`), bound to the file's name and its place in the row. How many chunks there are is
kept apart from the file, so one that was cut, put together anew or swapped does not open.

Whoever writes keeps how far they came (`Mark`) in their transaction, and goes on from there: what a
crash left behind it is written over.
"""

import os
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

from governance.privacy.ciphers import DataKey, Place
from portal.kernel.errors import ConflictError

CHUNK_BYTES: Final = 256 * 1024
_LENGTH: Final = struct.Struct(">I")
_MOST_BYTES: Final = CHUNK_BYTES + 1024  # what a chunk may have grown by under its key


class SealedFileError(ConflictError):
    """A sealed file is missing, or another than was written."""

    code = "sealed_file"
    title = "The file cannot be opened"


@dataclass(frozen=True, slots=True)
class Mark:
    """How far a file was written: chunks, and bytes on the disk."""

    chunks: int = 0
    size_bytes: int = 0


def append(path: Path, name: str, key: DataKey, mark: Mark, clear: bytes) -> Mark:
    """Write more of a file behind a mark, force it to the disk, and give the new mark.

    Raises SealedFileError where the disk takes nothing, or the file ends before the mark.
    """
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        with os.fdopen(descriptor, "r+b") as file:
            return _append(file, name, key, mark, clear)
    except OSError as error:
        raise SealedFileError(f"{path.parent} cannot be written: {error.strerror}.") from error


def _append(file: BinaryIO, name: str, key: DataKey, mark: Mark, clear: bytes) -> Mark:
    if os.fstat(file.fileno()).st_size < mark.size_bytes:
        raise SealedFileError("The file is shorter than was written. Ask for it anew.")
    file.truncate(mark.size_bytes)
    file.seek(mark.size_bytes)
    chunks, size = mark.chunks, mark.size_bytes
    for part in _parts(clear):
        sealed = key.seal_bytes(part, _place(name, chunks))
        file.write(_LENGTH.pack(len(sealed)) + sealed)
        chunks, size = chunks + 1, size + _LENGTH.size + len(sealed)
    file.flush()
    os.fsync(file.fileno())
    return Mark(chunks, size)


def opened(file: BinaryIO, name: str, key: DataKey, mark: Mark) -> Iterator[bytes]:
    """The clear text, chunk by chunk. Raises SealedFileError at the first that is not as written."""
    for number in range(mark.chunks):
        head = file.read(_LENGTH.size)
        length = _LENGTH.unpack(head)[0] if len(head) == _LENGTH.size else 0
        sealed = file.read(length) if 0 < length <= _MOST_BYTES else b""
        clear = key.open_bytes(sealed, _place(name, number))
        if clear is None:
            raise SealedFileError("The file is not the one that was written. Ask for it anew.")
        yield clear


def _parts(clear: bytes) -> Iterable[bytes]:
    return (clear[at : at + CHUNK_BYTES] for at in range(0, len(clear), CHUNK_BYTES))


def _place(name: str, number: int) -> Place:
    return Place(0, f"chunk {number}", name)
