"""Questions about single texts, answered by the portal's own validator (linear patterns)."""

from functools import lru_cache
from typing import Any, Final

from portal.kernel.errors import InvalidError
from portal.kernel.json_schema import compile_schema

_MATCH_ALL: Final = frozenset({"", "^", "$", ".*", "^.*", ".*$", "^.*$", "(.*)", "[\\s\\S]*"})
_PLAIN: Final = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-/:@ ")


def matches(pattern: str, text: str) -> bool:
    """Whether a pattern is found in a text; never where no engine takes the pattern."""
    return bool(_validator("pattern", pattern).is_valid(text))


def has_format(name: str, text: str) -> bool:
    """Whether a text is of a format, as `Joined.formats` names it."""
    keyword, _, value = name.rpartition(":")
    return bool(_validator(keyword or "format", value).is_valid(text))


def matches_all(pattern: str) -> bool:
    """Whether a pattern certainly matches each property name."""
    return pattern in _MATCH_ALL


def never_both(one: str, other: str) -> bool:
    """Whether two patterns certainly match no common text: different literal beginnings."""
    first, second = _beginning(one), _beginning(other)
    length = min(len(first), len(second))
    return first[:length] != second[:length]


def _beginning(pattern: str) -> str:
    if not pattern.startswith("^") or "|" in pattern:
        return ""
    text = ""
    for at, letter in enumerate(pattern[1:], start=1):
        following = pattern[at + 1 : at + 2]
        if letter not in _PLAIN or following in ("*", "?", "{"):
            break
        text += letter
        if following == "+":
            break
    return text


@lru_cache(maxsize=4096)
def _validator(keyword: str, value: str) -> Any:
    draft = "draft-07/schema" if keyword.startswith("content") else "draft/2020-12/schema"
    schema = {"$schema": f"http://json-schema.org/{draft}", keyword: value}
    try:
        return compile_schema(schema)
    except InvalidError:
        return compile_schema(False)  # no engine takes the pattern: nothing is known to match
