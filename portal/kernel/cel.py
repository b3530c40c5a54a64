"""CEL, the Common Expression Language: conditions and values that people declare, under bounds.

The official binding evaluates without side effects, with regular expressions in linear time, at
most 10,000 loop steps and 32 levels of nesting. Here an expression has 1,000 characters at most
and its value 10,000 parts and 1 MiB of text, counted while it is taken out. What CEL has and JSON
has not (bytes, times, NaN) is refused, so that a value can always be stored.
"""

import math
import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final

from cel_expr_python import cel

from portal.kernel.errors import FieldError, InvalidError

MAX_CHARACTERS: Final = 1_000
MAX_PARTS: Final = 10_000
MAX_TEXT: Final = 1024 * 1024
_JSON_SCALARS: Final = frozenset({"BOOL", "INT", "UINT", "DOUBLE", "STRING", "NULL", "NULL_TYPE"})
_MAX_REASON: Final = 200
_MISSING_KEY: Final = re.compile(r'Key not found in map : "([^"]{1,200})"')


class CelError(ValueError):
    """An expression has no value here; the text says why and never holds a submitted value."""


class CelKeyError(CelError):
    """An object lacks the key that the expression reads; `key` names it."""

    def __init__(self, text: str, key: str) -> None:
        super().__init__(text)
        self.key = key


class Expression:
    """A compiled expression over named variables of any type. Serves all threads."""

    __slots__ = ("_compiled", "text")

    def __init__(self, text: str, compiled: Any) -> None:
        self.text = text
        self._compiled = compiled

    def value(self, variables: Mapping[str, Any]) -> Any:
        """Its value as JSON knows it. Raises CelError where there is none."""
        try:
            found = self._compiled.eval(data=dict(variables))
            return _Reading().plain(found)
        except (RuntimeError, TypeError, OverflowError) as error:
            raise CelError(_reason(str(error))) from error


def compile_expression(text: str, variables: tuple[str, ...]) -> Expression:
    """Compile an expression. Raises InvalidError with what is wrong and where."""
    if not text.strip():
        raise _invalid("is empty")
    if len(text) > MAX_CHARACTERS:
        raise _invalid(f"may have {MAX_CHARACTERS:,} characters at most")
    return _compiled(text, variables)


@lru_cache(maxsize=256)
def _compiled(text: str, variables: tuple[str, ...]) -> Expression:
    try:
        environment = cel.NewEnv(variables=dict.fromkeys(variables, cel.Type.DYN))
        return Expression(text, environment.compile(text))
    except RuntimeError as error:
        raise _invalid(_fault(str(error))) from error


def _invalid(detail: str) -> InvalidError:
    return InvalidError(
        f"The expression {detail}.",
        code="expression",
        errors=[FieldError("/expression", "expression", detail)],
    )


def _reason(said: str) -> str:
    """The binding's sentence of an evaluation without its code and without values."""
    first = said.splitlines()[0] if said else "has no value"
    first = first.partition(": ")[2] or first
    if "out of range" in first:
        return "meets a number beyond 64 bits"
    return first.partition(":")[0].partition("[")[0].strip()[:_MAX_REASON]


def _failure(said: str) -> CelError:
    """The error of an evaluation; the missing key of an object is told apart."""
    missing = _MISSING_KEY.search(said)
    return CelKeyError(_reason(said), missing[1]) if missing else CelError(_reason(said))


def _fault(said: str) -> str:
    """The compiler's sentence with its position; it speaks of the expression alone."""
    first = said.splitlines()[0].partition("ERROR: <input>:")[2] or said
    return first.partition(" expecting {")[0].replace(" (in container '')", "")[:_MAX_REASON]


class _Reading:
    """Takes a value out part by part, so that none larger than the bounds is ever built."""

    __slots__ = ("_parts", "_text")

    def __init__(self) -> None:
        self._parts = 0
        self._text = 0

    def plain(self, value: Any) -> Any:
        self._parts += 1
        if self._parts > MAX_PARTS:
            raise CelError("gives more than 10,000 parts")
        kind = value.type().name()
        if kind == "ERROR":
            raise _failure(str(value.plain_value()))
        if kind.startswith("LIST"):
            return [self.plain(item) for item in value.value()]
        if kind.startswith("MAP"):
            return {self._key(key): self.plain(item) for key, item in value.value().items()}
        if kind not in _JSON_SCALARS:
            raise CelError(f"gives {kind.lower()}, which is not JSON")
        return self._scalar(value.plain_value())

    def _key(self, key: Any) -> str:
        if not isinstance(key, str):
            raise CelError("gives an object with a key that is not a text")
        self._count(key)
        return key

    def _scalar(self, found: Any) -> Any:
        if isinstance(found, str):
            self._count(found)
        elif isinstance(found, float) and not math.isfinite(found):
            raise CelError("gives a number that is not finite")
        return found

    def _count(self, text: str) -> None:
        self._text += len(text)
        if self._text > MAX_TEXT:
            raise CelError("gives more than 1 MiB of text")
