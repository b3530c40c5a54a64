"""Names: what the house allows, and how names from outside become such names.

One function serves imports, registry subjects and Segment events (`from_outside`), so that the
same foreign name always means the same stream:

1. `/` and `.` part a name; empty parts are dropped.
2. In a part, camel case is split, every other character becomes `_`, and it is lower-cased; runs
   of `_` shrink to one and the ends are trimmed; a part that leaves nothing is dropped.
3. A part that starts with a digit gets an `n` in front.
4. Parts beyond the fourth join it by `_`; a single part gets the default domain in front.
5. What leaves nothing, or more than 120 characters, is refused.
"""

import re
from collections.abc import Callable
from typing import Final

from portal.kernel.errors import FieldError, InvalidError

MAX_NAME: Final = 120
MAX_ALIAS: Final = 255
MAX_PARTS: Final = 4
_PART: Final = r"[a-z][a-z0-9]*(?:_[a-z0-9]+)*"
STREAM_NAME: Final = re.compile(rf"{_PART}(?:\.{_PART}){{1,3}}")
FIELD_NAME: Final = re.compile(_PART)
RESERVED_DOMAINS: Final = frozenset({"new", "compare"})
SLUG: Final = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")
_CAMEL: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_OTHER: Final = re.compile(r"[^a-z0-9]+")
_NOT_IN_FILES: Final = re.compile(r"[^A-Za-z0-9._-]+")
_PARTING: Final = re.compile(r"[/.]")


def check_stream_name(name: str) -> None:
    """Refuse a name that breaks the house's rule, with what to do."""
    if len(name) > MAX_NAME:
        raise _refusal("too_long", f"may have {MAX_NAME} characters at most")
    if not STREAM_NAME.fullmatch(name):
        raise _refusal(
            "name",
            "must read domain.object_action in lower case, such as checkout.order_placed: "
            "2 to 4 parts joined by dots, words joined by _",
        )


def from_outside(original: str, *, domain: str = "imported") -> str:
    """The house's name for a name from outside; raises InvalidError when nothing usable is left."""
    parts = [part for raw in _PARTING.split(original) if (part := _part(raw))]
    if not parts:
        raise _refusal("empty", "leaves nothing that a name could be made of")
    if len(parts) == 1:
        parts = [*(_part(raw) for raw in domain.split(".")), parts[0]]
    if len(parts) > MAX_PARTS:
        parts = [*parts[: MAX_PARTS - 1], "_".join(parts[MAX_PARTS - 1 :])]
    name = ".".join(parts)
    if len(name) > MAX_NAME:
        raise _refusal("too_long", f"may have {MAX_NAME} characters at most once mapped")
    return name


def free_name(name: str, is_taken: Callable[[str], bool]) -> str:
    """The name itself, or with `_2`, `_3`, … when it is taken."""
    if not is_taken(name):
        return name
    for number in range(2, 1000):
        candidate = f"{name}_{number}"
        if not is_taken(candidate):
            check_stream_name(candidate)
            return candidate
    raise _refusal("taken", "is taken, and so are a thousand names like it")


def domain_of(name: str) -> str:
    """The slug of the domain that a stream's name says: its first part."""
    return name.split(".", 1)[0].replace("_", "-")


def file_name(name: str) -> str:
    """A name or alias as a file may be called: letters, digits, dots, dashes and underscores."""
    return _NOT_IN_FILES.sub("_", name)[:MAX_NAME].strip("._") or "stream"


def _part(raw: str) -> str:
    part = _OTHER.sub("_", _CAMEL.sub("_", raw).lower()).strip("_")
    return f"n{part}" if part and part[0].isdigit() else part


def _refusal(code: str, detail: str) -> InvalidError:
    return InvalidError(
        "The stream's name breaks a rule.", code="name", errors=[FieldError("/name", code, detail)]
    )
