"""The copy of the anchors outside the database: a file to which lines are appended.

Point `PORTAL_AUDIT_ANCHORS` at a disk that whoever administers the database cannot write. A line
counts once it has its end: what a crash left of one is cut off before the next.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Final

from governance.chain.anchors import Anchor, from_line, to_line

_BLOCK: Final = 64 * 1024


class SecondPlace:
    """The file, opened for one process that appends."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def newest(self) -> Anchor | None:
        """The last whole line; a half one behind it is cut off. Raises AnchorError."""
        end = self._file.seek(0, os.SEEK_END)
        whole = _end_of_last_line(self._file, end)
        if whole < end:
            self._file.truncate(whole)
        if not whole:
            return None
        start = _end_of_last_line(self._file, whole - 1)
        self._file.seek(start)
        return from_line(self._file.read(whole - start))

    def append(self, anchor: Anchor) -> None:
        """Write a line, and come back when it is on the disk."""
        self._file.seek(0, os.SEEK_END)
        self._file.write(to_line(anchor))
        self._file.flush()
        os.fsync(self._file.fileno())


@contextmanager
def opened(path: Path) -> Iterator[SecondPlace]:
    """The file for one process at a time, made if there is none. Raises OSError."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with path.open("a+b") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield SecondPlace(file)


def anchors_in(path: Path, *, upto: int | None = None) -> Iterator[Anchor]:
    """Every anchor of a copy, or of its first bytes, the oldest first, one at a time.

    Raises AnchorError and OSError.
    """
    read = 0
    with path.open("rb") as file:
        for line in file:
            read += len(line)
            if not line.endswith(b"\n") or (upto is not None and read > upto):
                return
            yield from_line(line)


def _end_of_last_line(file: BinaryIO, end: int) -> int:
    """Where the last line that ends before `end` ends; 0 if none does."""
    while end:
        start = max(0, end - _BLOCK)
        file.seek(start)
        found = file.read(end - start).rfind(b"\n")
        if found >= 0:
            return start + found + 1
        end = start
    return 0
