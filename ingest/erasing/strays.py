"""Archived files that no row names: what is left of a writer that was killed before it wrote the row.

Their events are in the log still, or were archived once more under another name. Whoever removes them is
the keeper of storage meanwhile (`ingest.services.storage_runs`), so that nobody is just about to name one.
"""

import logging
import re
import time
from pathlib import Path
from typing import Final

from ingest.models import ArchivedPart
from ingest.services.archives import ArchiveError, force_folder, root_folder

logger = logging.getLogger(__name__)
NAME: Final = re.compile(r"part-([0-9]+)(?:\.([0-9]+))?\.parquet")
_UNFINISHED: Final = re.compile(r"\.part-([0-9]+)(?:\.[0-9]+)?\.parquet\.(?:unfinished|erasing)")


def parts_of(name: str) -> tuple[int, int]:
    """The number of a file in its day, and how often it was written again."""
    found = NAME.fullmatch(name)
    if found is None:
        raise ArchiveError(f"{name} is not the name of an archived file.")
    return int(found[1]), int(found[2] or 0)


def remove_some(after: str, deadline: float) -> tuple[str | None, int]:
    """Remove strays of one stream's folder after the other, from behind a name on, until the deadline.

    Gives the last folder (None: that was all) and how many files went. Raises ArchiveError where one
    cannot be removed. Of a file that has a row under its number nothing is touched: that is put in order
    where it is read, under a lock.
    """
    gone = 0
    for folder in sorted(root_folder().glob("stream=*")):
        if folder.name <= after:
            continue
        gone += _remove_of(folder)
        if time.monotonic() >= deadline:
            return folder.name, gone
    return None, gone


def _remove_of(folder: Path) -> int:
    strays = [
        (path, number)
        for path in sorted(folder.glob("day=*/*"))
        if (number := _number_of(path.name)) is not None
    ]
    if not strays:
        return 0
    paths = ArchivedPart.objects.filter(path__startswith=f"{folder.name}/")
    named = {
        (Path(path).parent.name, parts_of(Path(path).name)[0])
        for path in paths.values_list("path", flat=True)
    }
    gone = [path for path, number in strays if (path.parent.name, number) not in named]
    for path in gone:
        try:
            path.unlink(missing_ok=True)
            force_folder(path.parent)
        except OSError as error:
            raise ArchiveError(f"{path} cannot be removed: {error.strerror}.") from error
    return len(gone)


def _number_of(name: str) -> int | None:
    found = NAME.fullmatch(name) or _UNFINISHED.fullmatch(name)
    return int(found[1]) if found is not None else None


def remove_file(path: Path) -> None:
    """Remove a file that was written again; where that fails, the next walk does it."""
    try:
        path.unlink(missing_ok=True)
        force_folder(path.parent)
    except OSError:
        logger.warning("an archived file that was written again cannot be removed: %s", path)
