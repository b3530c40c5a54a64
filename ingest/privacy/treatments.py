"""What makes a personal value coarser, for good: truncate and bucket.

Both are pure and idempotent: what they made, they leave. So an event that was treated before it
became a dead letter may take the same road again.
"""

import re
from collections.abc import Mapping, Sequence
from decimal import ROUND_DOWN, ROUND_FLOOR, Decimal
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Any, Final

CUT: Final = "…"
_DATE: Final = re.compile(r"(\d{4})-(\d\d)-(\d\d)")
_DATE_TIME: Final = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)[Tt ](\d\d):\d\d(:\d\d(\.\d+)?)?([Zz]|[+-]\d\d:?\d\d)?"
)
_TIME: Final = re.compile(r"(\d\d):\d\d(:\d\d(\.\d+)?)?([Zz]|[+-]\d\d:?\d\d)?")
_NUMBER: Final = r"-?\d+(\.\d+)?"
_BUCKET: Final = re.compile(rf"({_NUMBER})?\.\.({_NUMBER})?|\d{{4}}(-Q[1-4]|-\d\d)?")
_SPANS: Final = ("year", "month", "day", "hour")
_KEEP: Final = 3
_WIDTH: Final = 10
_MAX_DIGITS: Final = 15


class InapplicableError(Exception):
    """The treatment does nothing for a value of this type; says in words what it needs."""


def must_be_plain(value: Any) -> None:
    """Raises InapplicableError for what no token can stand for."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise InapplicableError("must be a text or a number to be tokenized")


def truncate(value: Any, options: Mapping[str, Any]) -> Any:
    """A date, address of the internet, number or text with its fine part taken away.

    `to` (year, month, day, hour; by default month), `bits` and `bits6` (24 and 48), `decimals` (1,
    of whole numbers -1), `keep` (characters of other text, 3, and at most half of it).
    """
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise InapplicableError("must be a text or a number to be truncated")
    if not isinstance(value, str):
        return _cut_number(value, options)
    moment = _cut_moment(value, options)
    if moment is not None:
        return moment
    address = _cut_address(value, options)
    return address if address is not None else _cut_text(value, options)


def _cut_number(value: Any, options: Mapping[str, Any]) -> int | float:
    decimals = _whole(options, "decimals", 1 if isinstance(value, float) else -1, -_MAX_DIGITS)
    step = Decimal(1).scaleb(-decimals)
    exact = Decimal(repr(value))
    cut = (exact / step).to_integral_value(ROUND_DOWN) * step
    return int(cut) if isinstance(value, int) else float(cut)


def _cut_moment(text: str, options: Mapping[str, Any]) -> str | None:
    """A date or time at the start of its span; None for what is neither."""
    span = options.get("to")
    depth = _SPANS.index(span) if span in _SPANS else _SPANS.index("month")
    if match := _DATE.fullmatch(text):
        year, month, day = match[1], match[2] if depth >= 1 else "01", match[3]
        return f"{year}-{month}-{day if depth >= 2 else '01'}"
    if match := _DATE_TIME.fullmatch(text):
        month, day = (match[2] if depth >= 1 else "01"), (match[3] if depth >= 2 else "01")
        return f"{match[1]}-{month}-{day}T{match[4] if depth >= 3 else '00'}:00:00Z"
    if match := _TIME.fullmatch(text):
        return f"{match[1]}:00:00"
    return None


def _cut_address(text: str, options: Mapping[str, Any]) -> str | None:
    """An address of the internet with its host part zero; None for what is none."""
    if not 2 <= len(text) <= 64 or (text.count(".") != 3 and ":" not in text):
        return None
    try:
        address: IPv4Address | IPv6Address = ip_address(text.strip().partition("%")[0])
    except ValueError:
        return None
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    if isinstance(address, IPv4Address):
        kept = _whole(options, "bits", 24, 0, 32)
        return str(IPv4Address(int(address) >> (32 - kept) << (32 - kept)))
    kept = _whole(options, "bits6", 48, 0, 128)
    return str(IPv6Address(int(address) >> (128 - kept) << (128 - kept)))


def _cut_text(text: str, options: Mapping[str, Any]) -> str:
    keep = _whole(options, "keep", _KEEP, 0, 100)
    if text.endswith(CUT) and len(text) <= keep + 1:
        return text
    return text[: min(keep, len(text) // 2)] + CUT


def bucket(value: Any, options: Mapping[str, Any]) -> str:
    """The bucket that a number or a date lies in: `20..30` from 20 and below 30, `2024`.

    `bounds` (rising numbers) or `width` (10) for numbers; `to` (year, quarter, month) for dates.
    """
    if isinstance(value, str):
        return _bucket_of_text(value, options)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InapplicableError("must be a number or a date to be put into a bucket")
    exact = Decimal(repr(value))
    bounds = _bounds(options)
    if bounds:
        low = max((bound for bound in bounds if bound <= exact), default=None)
        high = min((bound for bound in bounds if bound > exact), default=None)
        return f"{'' if low is None else _plain(low)}..{'' if high is None else _plain(high)}"
    width = _number(options.get("width"))
    if width is None or width <= 0:
        width = Decimal(_WIDTH)
    low = (exact / width).to_integral_value(ROUND_FLOOR) * width
    return f"{_plain(low)}..{_plain(low + width)}"


def _bucket_of_text(text: str, options: Mapping[str, Any]) -> str:
    if _BUCKET.fullmatch(text):
        return text
    match = _DATE.fullmatch(text) or _DATE_TIME.fullmatch(text)
    if match is None:
        raise InapplicableError("must be a number or a date to be put into a bucket")
    if options.get("to") == "month":
        return f"{match[1]}-{match[2]}"
    if options.get("to") == "quarter":
        return f"{match[1]}-Q{(int(match[2]) + 2) // 3}"
    return match[1]


def _bounds(options: Mapping[str, Any]) -> list[Decimal]:
    said = options.get("bounds")
    if not isinstance(said, Sequence) or isinstance(said, str):
        return []
    return [bound for one in said if (bound := _number(one)) is not None]


def _number(value: Any) -> Decimal | None:
    """A number of the options; None for what is none."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return Decimal(repr(value))


def _plain(number: Decimal) -> str:
    text = f"{number:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _whole(
    options: Mapping[str, Any], name: str, default: int, least: int, most: int = _MAX_DIGITS
) -> int:
    """A whole number of the options within its bounds; the default for anything else."""
    said = options.get(name)
    fits = isinstance(said, int) and not isinstance(said, bool) and least <= said <= most
    return said if fits and isinstance(said, int) else default
