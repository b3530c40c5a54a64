"""Texts by which the database looks first for rows that may be about or name somebody.

It has to find each row that the exact judgement would find, and may find more. So it compares in lower
case, and where that could miss a spelling, no texts are given: every row is judged then.
"""

import json
from collections.abc import Iterable
from typing import Final

from governance.erasing import Sought
from governance.privacy.ciphers import PREFIX

# With more of them a row costs the database more than its values cost us.
MOST: Final = 100
# What beyond ASCII becomes ASCII in its composed form, and in an address when case is left aside.
_COMPOSED: Final = "\u212a\u037e\u1fef"
_FOLDED: Final = "\u017f\u00df\u1e9e\ufb00\ufb01\ufb02\ufb03\ufb04\ufb05\ufb06"


def needles(sought: Sought) -> list[str] | None:
    """Texts one of which stands in each row to be judged; None: judge them all."""
    if sought.clear is None or len(sought.clear) > MOST:
        return None
    if not all(text.isascii() for text in sought.clear):
        return None
    found = {spelled for text in sought.clear for spelled in _spellings(text.strip().lower())}
    found |= set(_COMPOSED)
    found |= set(_FOLDED) if any("@" in text for text in sought.clear) else set()
    return sorted({*found, PREFIX})  # what is encrypted has to be opened


def _spellings(text: str) -> Iterable[str]:
    """As it is, as it stands in JSON, and in JSON that is text in JSON."""
    escaped = json.dumps(text)[1:-1]
    return text, escaped, json.dumps(escaped)[1:-1]
