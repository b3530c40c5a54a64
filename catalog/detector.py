"""Personal values inside texts: what may stand in a comment, a note or a search term.

Candidates are cut out of the text by their form and then judged by the rules of `catalog.personal`
(check digits of cards and IBANs, addresses that exist). Only the kind is told, never the value.
"""

import re
from typing import Any, Final

from catalog.personal import BY_NAME

MAX_CHARACTERS: Final = 10_000
MAX_CANDIDATES: Final = 50
_CANDIDATES: Final = {
    "email": re.compile(r"[A-Za-z0-9._%+-]{1,64}@[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63}){1,8}"),
    "iban": re.compile(r"\b[A-Z]{2}[0-9]{2}(?: ?[A-Z0-9]{2,4}){3,8}\b"),
    "card": re.compile(r"(?<![0-9.-])[2-6](?:[ -]?[0-9]){12,18}(?![0-9])"),
    "ip": re.compile(
        r"(?<![0-9.])(?:[0-9]{1,3}\.){3}[0-9]{1,3}(?![0-9.])"
        r"|(?<![0-9A-Za-z:])(?:[0-9A-Fa-f]{1,4}:){3,7}:?[0-9A-Fa-f]{0,4}(?![0-9A-Za-z:])"
    ),
    "phone": re.compile(r"(?<![0-9A-Za-z])(?<![0-9] )(?:\+|00)[1-9][0-9 ().-]{6,20}[0-9]"),
}
# Official numbers have no check of their own here, so only forms that little else has.
_IDENTITY: Final = re.compile(
    r"(?<![0-9-])(?!000|666|9)[0-9]{3}-(?!00)[0-9]{2}-(?!0000)[0-9]{4}(?![0-9-])"  # US
    r"|\b(?!BG|GB|NK|KN|TN|NT|ZZ)[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z] ?(?:[0-9]{2} ?){3}[A-D]\b"  # UK
)


def kinds_in(value: Any) -> frozenset[str]:
    """The kinds of personal values found in a text or number; empty for most."""
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value) if 10**12 <= value < 10**19 else ""
    if not isinstance(value, str) or len(value) < 7:
        return frozenset()
    text = value[:MAX_CHARACTERS]
    found = {kind for kind, pattern in _CANDIDATES.items() if _holds(kind, pattern, text)}
    if "-" in text or text[:1].isalpha() or " " in text:
        found |= {"identity"} if _IDENTITY.search(text) else set()
    return frozenset(found)


def _holds(kind: str, pattern: re.Pattern[str], text: str) -> bool:
    fits = BY_NAME[kind].fits
    assert fits is not None
    for number, match in enumerate(pattern.finditer(text)):
        if fits(match[0].rstrip(".")):
            return True
        if number >= MAX_CANDIDATES:
            break
    return False
