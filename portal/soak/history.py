"""What clients sent and what they were told, kept so that a crash of the soak itself loses nothing.

Each request leaves two lines in an append-only file, flushed to the disk: one before it is sent, one
when it ended. A request without its second line got no answer. The result of a request is what its
status promises: `ok` (every event is now in exactly one place), `fail` (nothing was accepted), or
`info` (nobody can tell; sending the same again converges).
"""

import json
import os
import threading
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import IO, Any

Identity = tuple[str, str, int | None]


class Result(StrEnum):
    OK = "ok"
    FAIL = "fail"
    INFO = "info"


@dataclass(frozen=True, slots=True)
class Sent:
    """One event of a request. `time_us` is None where the portal's ledger holds the identity.

    `content` is a hash of what the event says, whatever its spelling; `raw_sha256` one of its bytes,
    which a dead letter keeps. `refused_for` is the reason that a right portal refuses it for, empty
    for an event that keeps its contract.
    """

    stream: str
    id: str
    time_us: int | None
    content: str
    raw_sha256: str = ""
    refused_for: str = ""

    @property
    def identity(self) -> Identity:
        return (self.stream, self.id, self.time_us)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What an answer says of one event."""

    status: str
    reason: str = ""
    dead_letter: str = ""


@dataclass(slots=True)
class Attempt:
    """One request. `outcomes` is None when the answer named none, or broke off after its head; then
    it is not `is_whole`, and a 400 leaves open whether a dead letter was kept."""

    number: int
    client: str
    sent: tuple[Sent, ...]
    is_rehearsal: bool = False
    began: float = 0.0
    ended: float | None = None
    status: int | None = None
    outcomes: tuple[Outcome, ...] | None = None
    has_retry_after: bool = False
    is_whole: bool = True

    @property
    def result(self) -> Result:
        """What its status promises; INFO without one, for 429 and 5xx, and for a 400 cut short."""
        if self.status is None or self.status >= 500 or self.status == 429:
            return Result.INFO
        if self.status == 400 and not self.is_whole:
            return Result.INFO
        if self.status in {202, 422} or (self.status == 400 and self.outcomes):
            return Result.OK
        return Result.FAIL


@dataclass
class History:
    """The requests of one cycle, in memory and in a file. Safe to use from many threads."""

    path: Path | None = None
    attempts: list[Attempt] = field(default_factory=list)
    _file: IO[bytes] | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def begin(
        self, client: str, sent: Sequence[Sent], *, at: float, is_rehearsal: bool = False
    ) -> Attempt:
        """To be called before the first byte is sent."""
        with self._lock:
            attempt = Attempt(len(self.attempts), client, tuple(sent), is_rehearsal, at)
            self.attempts.append(attempt)
            self._append(
                {
                    "number": attempt.number,
                    "client": client,
                    "is_rehearsal": is_rehearsal,
                    "began": at,
                    "sent": [asdict(event) for event in sent],
                }
            )
        return attempt

    def end(
        self,
        attempt: Attempt,
        *,
        at: float,
        status: int | None,
        outcomes: Sequence[Outcome] | None = None,
        has_retry_after: bool = False,
        is_whole: bool = True,
    ) -> None:
        """To be called with what came back; without a status when nothing did."""
        with self._lock:
            attempt.ended, attempt.status = at, status
            attempt.outcomes = tuple(outcomes) if outcomes is not None else None
            attempt.has_retry_after, attempt.is_whole = has_retry_after, is_whole
            self._append(
                {
                    "number": attempt.number,
                    "ended": at,
                    "status": status,
                    "has_retry_after": has_retry_after,
                    "is_whole": is_whole,
                    "outcomes": (
                        [asdict(outcome) for outcome in outcomes] if outcomes is not None else None
                    ),
                }
            )

    def close(self) -> None:
        with self._lock:
            if self._file is not None:
                self._file.close()
                self._file = None

    def _append(self, entry: dict[str, Any]) -> None:
        if self.path is None:
            return
        if self._file is None:
            self._file = self.path.open("ab")
        self._file.write(json.dumps(entry).encode() + b"\n")
        self._file.flush()
        os.fdatasync(self._file.fileno())


def read(path: Path) -> list[Attempt]:
    """The attempts in a file, in the order of their beginning; a torn last line is left out."""
    attempts: dict[int, Attempt] = {}
    for entry in _entries(path):
        if "sent" in entry:
            attempts[entry["number"]] = Attempt(
                entry["number"],
                entry["client"],
                tuple(Sent(**event) for event in entry["sent"]),
                entry["is_rehearsal"],
                entry["began"],
            )
            continue
        attempt = attempts[entry["number"]]
        attempt.ended, attempt.status = entry["ended"], entry["status"]
        attempt.has_retry_after, attempt.is_whole = entry["has_retry_after"], entry["is_whole"]
        if entry["outcomes"] is not None:
            attempt.outcomes = tuple(Outcome(**outcome) for outcome in entry["outcomes"])
    return list(attempts.values())


def _entries(path: Path) -> Iterator[dict[str, Any]]:
    for line in path.read_bytes().split(b"\n"):
        try:
            yield json.loads(line)
        except ValueError:
            return
