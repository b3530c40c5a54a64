"""Many JSON texts read and compared at once, in a few native passes over all of them.

What is shown here to be harmless need not be looked at text by text (`portal.kernel.strict_json`);
where it cannot be shown, nothing is said, and each text is read by itself.
"""

import re
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import numpy as np
import orjson

from portal.kernel import strict_json
from portal.kernel.strict_json import MAX_EVENT_DEPTH, MAX_KEY_BYTES, SMALL_BYTES

_Octets = np.ndarray[Any, np.dtype[np.uint8]]

_FEW_TEXTS: Final = 24  # below, whole passes cost more than they save
_BLOCK: Final = MAX_KEY_BYTES // 2
_COLON, _QUOTE, _ZERO, _BRACE, _E, _POINT, _MINUS, _PLUS = (
    np.uint8(ord(char)) for char in ':"0{e.-+'
)
# A NUL, and colons that a count of colons would miss.
_TELLING_ESCAPES: Final = (b"\\u0000", b"\\u003a", b"\\u003A")
# An exponent to its end, as orjson writes it, and the places that it may take from its mark on.
_EXPONENT: Final = re.compile(rb"e\+?[0-9]{1,3}[,}\]]")
_EXPONENT_PLACES: Final = np.arange(6)
_ENDS_NUMBER: Final = np.array([chr(octet) in ",}]" for octet in range(256)])


class Values(NamedTuple):
    """The values of several texts; `may_vary` as `strict_json.may_vary`, of any of their parts."""

    values: list[Any]
    may_vary: bool


def read_many(texts: Sequence[bytes]) -> Values | None:
    """The values of several texts if none needs a closer look; None means: read each by itself.

    orjson keeps all rules of the strict decoder but the one on duplicate keys, of which it takes the
    last. What it writes of the values tells what it dropped or bent:

    - The very same bytes, with no whole number beyond 53 bits: nothing. A pair that was dropped
      would be missing, a number out of range would be spelled otherwise.
    - Fewer colons: a pair was dropped. Each had one, strings keep theirs, and none can come in,
      since no text may hold an escaped colon. Byte tests then look for what else the strict decoder
      does.

    Either way, byte tests on the whole rule out any limit of a single event.
    """
    joined = b"[%b]" % b",".join(texts)
    if b"\\" in joined and any(escape in joined for escape in _TELLING_ESCAPES):
        return None
    try:
        # One by one: what two texts say together need not be what each says.
        values: list[Any] = list(map(orjson.loads, texts))
        written, is_same = _written_again(values, joined)
    except (orjson.JSONDecodeError, orjson.JSONEncodeError):  # the latter: nested beyond 254
        return None
    if len(texts) < _FEW_TEXTS:
        if not is_same and (
            joined.count(b":") != written.count(b":") or strict_json.is_suspicious(joined)
        ):
            return None
        are_calm = all(_is_small_and_flat(text) for text in texts)
        return Values(values, strict_json.may_vary(written)) if are_calm else None
    octets = again = np.frombuffer(joined, np.uint8)
    if not is_same:
        again = np.frombuffer(written, np.uint8)
        if np.count_nonzero(octets == _COLON) != np.count_nonzero(again == _COLON) or any(
            strict_json.is_in_number(joined, place) for place in _odd_numbers(octets)
        ):
            return None
    ends = np.frombuffer(strict_json.without_inner_quotes(joined), np.uint8)
    return Values(values, _may_vary(again)) if _are_small_and_flat(ends, texts) else None


def _written_again(values: list[Any], text: bytes) -> tuple[bytes, bool]:
    """What orjson writes of values, and whether these are the very bytes that they were read from,
    with no whole number beyond 53 bits."""
    try:
        written = orjson.dumps(values, option=orjson.OPT_STRICT_INTEGER)
    except orjson.JSONEncodeError:
        return orjson.dumps(values), False
    return written, written == text


def _is_small_and_flat(text: bytes) -> bool:
    """Whether a text is too short, too flat and too often quoted to break a limit of one event."""
    return (
        len(text) <= SMALL_BYTES
        and not strict_json.may_be_deep(text)
        and not strict_json.has_long_text(text)
    )


def _are_small_and_flat(octets: _Octets, texts: Sequence[bytes]) -> bool:
    """The same of all texts that stand in `octets`, each after one byte, in a few passes."""
    sizes = np.fromiter(map(len, texts), np.int64, len(texts))
    if sizes.max() > SMALL_BYTES:
        return False
    opening = ((octets | 0x20) == _BRACE).view(np.int8)  # a bracket differs from a brace by it
    starts = np.cumsum(sizes + 1) - sizes
    if np.add.reduceat(opening, starts, dtype=np.int32).max() > MAX_EVENT_DEPTH:
        return False
    are_quotes = octets == _QUOTE
    whole = are_quotes[: len(octets) // _BLOCK * _BLOCK].reshape(-1, _BLOCK)
    if whole.any(axis=1).all():  # no two neighbours are further apart than two blocks
        return True
    quotes = np.flatnonzero(are_quotes)
    return len(quotes) > 0 and int(np.diff(quotes).max(initial=0)) <= MAX_KEY_BYTES


def _odd_numbers(octets: _Octets) -> list[int]:
    """Where 18 digits follow one another, or three an exponent's sign, in numbers or in texts."""
    digits = (octets - _ZERO) < 10  # unsigned: what is below zero wraps far above
    run = digits[1:] & digits[:-1]
    threes = run[1:] & run[:-1]
    fours = run[2:] & run[:-2]
    eights = fours[4:] & fours[:-4]
    sixteens = eights[8:] & eights[:-8]
    long_runs = np.flatnonzero(sixteens[: len(run) - 16] & run[16:])
    marks = np.flatnonzero((octets[1:-5] | 0x20) == _E) + 1
    marks = marks[digits[marks - 1]]
    after = octets[marks + 1]
    signed = marks + 1 + ((after == _MINUS) | (after == _PLUS))
    found: list[int] = np.concatenate((long_runs, marks[threes[signed]])).tolist()
    return found


def _may_vary(octets: _Octets) -> bool:
    """As `strict_json.may_vary`, in passes; a text that looks like a number may count too."""
    points = np.flatnonzero(octets == _POINT)
    points = points[octets[points + 1] == _ZERO] + 2
    if _ENDS_NUMBER[octets[points]].any():
        return True
    marks = np.flatnonzero((octets[1:] == _E) & ((octets[:-1] - _ZERO) < 10)) + 1
    around = octets[np.minimum(marks[:, None] + _EXPONENT_PLACES, len(octets) - 1)]
    return _EXPONENT.search(around.tobytes()) is not None
