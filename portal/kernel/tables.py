"""Tables as text for spreadsheets (RFC 4180), in which no cell is taken for a formula."""

import csv
import io
from collections.abc import Iterable, Sequence
from typing import Final

# What a spreadsheet begins a formula with, in its wide forms too, and what it reads past before one.
_BEGINNINGS: Final = tuple("=+-@\t\r\n＝＋－＠")
GUARD: Final = "'"


def lines(rows: Iterable[Sequence[str | int]]) -> bytes:
    """Rows as lines that end in CR LF; a text that would be a formula gets an apostrophe before it,
    which a spreadsheet shows as nothing. Whole numbers stay as they are."""
    written = io.StringIO(newline="")
    writer = csv.writer(written, quoting=csv.QUOTE_MINIMAL)
    for row in rows:
        writer.writerow([_cell(value) for value in row])
    return written.getvalue().encode()


def _cell(value: str | int) -> str | int:
    if isinstance(value, int):
        return value
    # A NUL ends the text of some readers, and what follows it would begin another.
    text = value.replace("\0", "\ufffd")
    return GUARD + text if text.lstrip(" ").startswith(_BEGINNINGS) else text
