"""Named places in the code where a fault test may strike; otherwise nothing happens there.

`PORTAL_FAILPOINTS` arms them, as `name=action` parted by `;`. An action is `kill` (SIGKILL of this
process), `stop` (SIGSTOP), `sleep:MS` or `raise`, and `@N` behind it means: only on this process's
N-th pass. With `@PATH` the text stands in a file that a thread looks for twenty times a second; then
only the process that removes the file strikes, once, so that a test arms one fault at a time and
sees that it came to pass. Nothing is armed unless `PORTAL_FAILPOINTS_ALLOWED` is set too.
"""

import logging
import os
import re
import signal
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

logger = logging.getLogger(__name__)

NAMES: Final = frozenset(
    {
        "archive.file_named",
        "archive.file_written",
        "audit.after_send",
        "erasure.before_ledger",
        "erasure.after_ledger",
        "erasure.in_store",
        "erasure.before_done",
        "erasure.after_done",
        "ingest.before_ledger",
        "ingest.after_ledger",
        "ingest.before_copy",
        "ingest.after_copy",
        "ingest.after_staging",
        "ingest.after_slow_insert",
        "ingest.before_dead_letters",
        "ingest.after_dead_letters",
        "ingest.before_accounts",
        "ingest.after_accounts",
        "ingest.before_commit",
        "ingest.after_commit",
        "ingest.before_answer",
        "ingest.after_answer_head",
        "erasing.archive_written",
        "partitions.after_create",
        "partitions.after_attach",
        "partitions.before_commit",
    }
)
WATCH_SECONDS: Final = 0.05
_ACTION: Final = re.compile(r"(kill|stop|raise|sleep:([0-9]{1,6}))(?:@([1-9][0-9]{0,8}))?")


class FailpointError(Exception):
    """Raised by an armed failpoint; the code under test must not know of it."""


@dataclass(slots=True)
class _Armed:
    action: str
    sleep_seconds: float
    only_on: int | None
    passes: int = 0


_armed: dict[str, _Armed] = {}
_file: Path | None = None


def failpoint(name: str) -> None:
    """Strike here when a test has armed this name."""
    if _armed:
        _pass(name)


def is_armed() -> bool:
    """Whether any name is: then what a test may strike between is done step by step."""
    return bool(_armed)


def arm(text: str, *, allowed: bool) -> None:
    """Arm what the text says. Raises ValueError when it is no such text, or not `allowed`."""
    global _file  # noqa: PLW0603  # one state of the process, like the environment it is from
    if not text:
        return
    if not allowed:
        raise ValueError("PORTAL_FAILPOINTS is for tests: set PORTAL_FAILPOINTS_ALLOWED as well.")
    if not text.startswith("@"):
        _armed.update(parse(text))
        return
    _file = Path(text[1:])
    thread = threading.Thread(target=_watch, args=(_file,), name="failpoints", daemon=True)
    thread.start()


def disarm() -> None:
    """Forget everything that is armed in this process."""
    global _file  # noqa: PLW0603
    _file = None
    _armed.clear()


def parse(text: str) -> dict[str, _Armed]:
    """Failpoints by name. Raises ValueError for an unknown name or action."""
    found: dict[str, _Armed] = {}
    for part in filter(None, (piece.strip() for piece in text.split(";"))):
        name, _, action = part.partition("=")
        match = _ACTION.fullmatch(action)
        if name not in NAMES or match is None:
            raise ValueError(f"{part!r} is no failpoint: name=kill|stop|raise|sleep:MS, then @N.")
        kind, sleep_ms, only_on = match.groups()
        found[name] = _Armed(
            kind.partition(":")[0],
            int(sleep_ms or 0) / 1000,
            int(only_on) if only_on is not None else None,
        )
    return found


def _pass(name: str) -> None:
    armed = _armed.get(name)
    if armed is None:
        return
    armed.passes += 1
    if armed.only_on not in (None, armed.passes):
        return
    if _file is not None:
        _armed.clear()
        try:
            _file.unlink()
        except FileNotFoundError:  # another process was first
            return
    _strike(armed)


def _strike(armed: _Armed) -> None:
    if armed.action == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    elif armed.action == "stop":
        os.kill(os.getpid(), signal.SIGSTOP)
    elif armed.action == "sleep":
        time.sleep(armed.sleep_seconds)
    else:
        raise FailpointError("a test has armed this failpoint")


def _watch(path: Path) -> None:
    """Keep what is armed like the file, which is replaced as a whole."""
    known: tuple[int, int] | None = None
    while _file == path:
        found: tuple[int, int] | None = None
        try:
            status = path.stat()
            found = (status.st_ino, status.st_mtime_ns)
            if found != known:
                _armed.update(parse(path.read_text()))
        except FileNotFoundError:
            _armed.clear()
        except ValueError:
            logger.exception("the file of failpoints cannot be read")
        known = found
        time.sleep(WATCH_SECONDS)
