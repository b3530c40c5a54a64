"""Texts by which the database looks first for rows that may be about or name somebody.

It has to find each row that the exact judgement would find, and may find more. So it compares in lower
case, and where that could miss a spelling, no texts are given: every row is judged then.

JSON that is kept as text in JSON is as somebody spelled it: any sign may stand there as `\\uXXXX`, a
slash as `\\/`. In the text of the column its backslashes are doubled, at each level once more, so that
two of them and the `u` (the slash) stand in each such row: it is judged. That costs each row two texts
more to look for, some 0.3 microseconds each, and rows with such JSON their judgement, some 90.
"""

from typing import Final

from governance.erasing import Sought
from governance.privacy.ciphers import PREFIX

# With more of them a row costs the database more than its values cost us.
MOST: Final = 100
# What beyond ASCII becomes ASCII in its composed form, and in an address when case is left aside.
_COMPOSED: Final = "\u212a\u037e\u1fef"
_FOLDED: Final = "\u017f\u00df\u1e9e\ufb00\ufb01\ufb02\ufb03\ufb04\ufb05\ufb06"
_SPELLED_BY_NUMBER: Final = r"\\u"
_SPELLED_SLASH: Final = r"\\/"
_BYTES_BEYOND_ASCII: Final = r"\3"  # as the database spells what begins a sign, in octal digits


def needles(sought: Sought) -> list[str] | None:
    """Texts one of which stands in each row to be judged; None: judge them all."""
    if sought.clear is None or len(sought.clear) > MOST:
        return None
    texts = [text.strip().lower() for text in sought.clear]
    if not all(_is_plain(text) for text in texts):
        return None
    found = {spelled for text in texts for spelled in (text, _in_pointer(text))}
    found |= set(_COMPOSED)
    if any("@" in text for text in texts):
        found |= set(_FOLDED)
    if any("/" in text for text in texts):
        found.add(_SPELLED_SLASH)
    # What is encrypted has to be opened.
    return sorted({*found, _SPELLED_BY_NUMBER, _BYTES_BEYOND_ASCII, PREFIX})


def _is_plain(text: str) -> bool:
    """Whether it stands in JSON as it is, however deep; else its spelling tells the level."""
    return text.isascii() and text.isprintable() and not {'"', "\\"} & set(text)


def _in_pointer(text: str) -> str:
    """As a step of a pointer, which what was set aside is named by."""
    return text.replace("~", "~0").replace("/", "~1")
