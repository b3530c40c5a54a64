"""YAML as a spelling of JSON, read within bounds: what it gives holds JSON's types alone.

1. libyaml's events are read one by one, so that depth costs no stack and each bound stops at once.
2. Plain words mean what YAML 1.2 says: `yes`, `on` and dates stay text, `0o17` is a number.
3. An alias stands for a copy. Copies are counted as if written out, and merge keys (`<<`) likewise.
4. A key twice, a key that is no scalar, tags beyond JSON's types, NaN and infinity are refused.
"""

import re
from dataclasses import dataclass, field
from typing import Any, Final

import yaml
from yaml import events

from portal.kernel.strict_json import MAX_NUMBER_CHARACTERS, storable_text

MAX_DEPTH: Final = 100
MAX_VALUES: Final = 500_000
MAX_CHARACTERS: Final = 20 * 1024 * 1024
MAX_DOCUMENTS: Final = 1_000

_TAG: Final = "tag:yaml.org,2002:"
_INTEGER: Final = re.compile(r"[-+]?[0-9]+")
_BASED: Final = re.compile(r"0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT: Final = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_NOT_FINITE: Final = re.compile(r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)")
_WORDS: Final[dict[str, bool | None]] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_MERGE: Final = "<<"
_PLAIN: Final = (None, "")  # pure Python says the one, libyaml the other


class YamlFaultError(ValueError):
    """Why a text is not taken, as a sentence with its line."""


def load_all(text: str) -> list[Any]:
    """The documents of a text. Raises YamlFaultError."""
    loader = yaml.CSafeLoader(text)
    try:
        return _Builder(loader).documents()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = f" (line {mark.line + 1})" if mark is not None else ""
        raise YamlFaultError(f"is not YAML: {error.problem or error.context}{line}") from error
    except (yaml.YAMLError, UnicodeError) as error:
        raise YamlFaultError("is not YAML: it holds characters that YAML does not allow") from error
    finally:
        loader.dispose()


@dataclass(slots=True)
class _Weight:
    """What a value costs once written out."""

    values: int = 0
    characters: int = 0
    depth: int = 0

    def add(self, other: "_Weight") -> None:
        self.values += other.values
        self.characters += other.characters
        self.depth = max(self.depth, other.depth + 1)


@dataclass(slots=True)
class _Open:
    """A list or mapping whose end has not come yet."""

    value: list[Any] | dict[str, Any]
    anchor: str | None
    line: int
    weight: _Weight = field(default_factory=lambda: _Weight(1, 0, 1))
    key: str | None = None
    merged: list[dict[str, Any]] = field(default_factory=list)


class _Builder:
    """Makes values of events with a stack of its own."""

    def __init__(self, loader: Any) -> None:
        self.loader = loader
        self.stack: list[_Open] = []
        self.anchors: dict[str, tuple[Any, _Weight] | None] = {}
        self.found: list[Any] = []
        self.spent = _Weight()
        self.seen = 0

    def documents(self) -> list[Any]:
        while not isinstance(event := self.loader.get_event(), events.StreamEndEvent):
            self.seen += 1
            if self.seen > 2 * MAX_VALUES:
                raise _too_many()
            self._take(event)
        return self.found

    def _take(self, event: Any) -> None:
        line = event.start_mark.line + 1
        if isinstance(event, events.DocumentStartEvent):
            self.anchors = {}
            if len(self.found) >= MAX_DOCUMENTS:
                raise YamlFaultError(f"holds more than {MAX_DOCUMENTS} documents")
        elif isinstance(event, events.ScalarEvent):
            self._scalar(event, line)
        elif isinstance(event, events.AliasEvent):
            self._alias(str(event.anchor), line)
        elif isinstance(event, events.SequenceStartEvent):
            self._begin(event, [], "seq", line)
        elif isinstance(event, events.MappingStartEvent):
            self._begin(event, {}, "map", line)
        elif isinstance(event, events.CollectionEndEvent):
            self._end()

    def _begin(self, event: Any, value: list[Any] | dict[str, Any], kind: str, line: int) -> None:
        if event.tag not in (None, "!", _TAG + kind):
            raise YamlFaultError(
                f"has a tag that JSON knows nothing of: {event.tag[:80]} (line {line})"
            )
        if self.stack and self._awaits_key():
            raise YamlFaultError(f"has a key that is no text (line {line})")
        if len(self.stack) >= MAX_DEPTH:
            raise YamlFaultError(f"is nested deeper than {MAX_DEPTH} levels (line {line})")
        if event.anchor is not None:
            self.anchors[event.anchor] = None  # an alias before its end would be a circle
        self.stack.append(_Open(value, event.anchor, line))

    def _end(self) -> None:
        done = self.stack.pop()
        value = done.value
        if isinstance(value, dict):
            for base in done.merged:
                for key, item in base.items():
                    value.setdefault(key, item)
        if done.anchor is not None:
            self.anchors[done.anchor] = (value, done.weight)
        self._put(value, done.weight, done.line)

    def _scalar(self, event: Any, line: int) -> None:
        text: str = event.value
        if storable_text(text) != text:
            raise YamlFaultError(f"holds a NUL character or a lone surrogate (line {line})")
        weight = _Weight(1, len(text), 0)
        if self.stack and self._awaits_key():
            self._key(text, line, is_plain=event.style in _PLAIN)
            if event.anchor is not None:
                self.anchors[event.anchor] = (text, weight)
            return
        value = _scalar_of(text, event.tag, line, is_plain=event.style in _PLAIN)
        if event.anchor is not None:
            self.anchors[event.anchor] = (value, weight)
        self._put(value, weight, line)

    def _alias(self, anchor: str, line: int) -> None:
        known = self.anchors.get(anchor)
        if known is None:
            what = "a circle of aliases" if anchor in self.anchors else "an alias of nothing"
            raise YamlFaultError(f"has {what}: *{anchor[:80]} (line {line})")
        value, weight = known
        if self.stack and self._awaits_key():
            if not isinstance(value, str):
                raise YamlFaultError(f"has a key that is no text (line {line})")
            self._key(value, line, is_plain=False)
            return
        self.spent.values += weight.values
        self.spent.characters += weight.characters
        self._put(value, weight, line)

    def _awaits_key(self) -> bool:
        top = self.stack[-1]
        return isinstance(top.value, dict) and top.key is None

    def _key(self, text: str, line: int, *, is_plain: bool) -> None:
        top = self.stack[-1]
        assert isinstance(top.value, dict)
        if is_plain and text == _MERGE:
            top.key = _MERGE
            top.line = -line  # a negative line marks that the value is to be merged in
            return
        if text in top.value:
            raise YamlFaultError(f"has the key {text[:80]!r} twice (line {line})")
        top.value[text] = None
        top.key = text
        top.weight.characters += len(text)

    def _put(self, value: Any, weight: _Weight, line: int) -> None:
        if not self.stack:
            self.found.append(value)
            return
        top = self.stack[-1]
        top.weight.add(weight)
        if (
            max(top.weight.values, self.spent.values) > MAX_VALUES
            or max(top.weight.characters, self.spent.characters) > MAX_CHARACTERS
        ):
            raise _too_many()
        if len(self.stack) + weight.depth > MAX_DEPTH:
            raise YamlFaultError(f"is nested deeper than {MAX_DEPTH} levels (line {line})")
        if isinstance(top.value, list):
            top.value.append(value)
        elif top.line < 0:
            top.merged += _bases(value, line)
            top.key, top.line = None, -top.line
        else:
            assert top.key is not None
            top.value[top.key] = value
            top.key = None


def _bases(value: Any, line: int) -> list[dict[str, Any]]:
    found = value if isinstance(value, list) else [value]
    if not all(isinstance(one, dict) for one in found):
        raise YamlFaultError(f"merges (<<) what is no mapping (line {line})")
    return found


def _too_many() -> YamlFaultError:
    return YamlFaultError(
        f"is too large once its aliases are written out: at most {MAX_VALUES:,} values and "
        f"{MAX_CHARACTERS // 1024 // 1024} MiB of text"
    )


def _scalar_of(text: str, tag: str | None, line: int, *, is_plain: bool) -> Any:
    kind = (tag or "").removeprefix(_TAG)
    if tag == "!" or kind == "str" or (not tag and not is_plain):
        return text
    if tag and kind not in {"int", "float", "bool", "null"}:
        raise YamlFaultError(f"has a tag that JSON knows nothing of: {tag[:80]} (line {line})")
    value = _plain(text, line)
    if kind == "float" and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    if kind and not _is_kind(value, kind):
        raise YamlFaultError(f"has a value that is no {kind} (line {line})")
    return value


def _is_kind(value: Any, kind: str) -> bool:
    if kind == "null":
        return value is None
    return type(value).__name__ == kind


def _plain(text: str, line: int) -> Any:
    if text in _WORDS:
        return _WORDS[text]
    if text[0] not in "+-.0123456789":
        return text
    if _NOT_FINITE.fullmatch(text):
        raise YamlFaultError(f"has a number that JSON has no word for: {text} (line {line})")
    is_number = _INTEGER.fullmatch(text) or _BASED.fullmatch(text) or _FLOAT.fullmatch(text)
    if not is_number:
        return text
    if len(text) > MAX_NUMBER_CHARACTERS:
        raise YamlFaultError(
            f"has a number of more than {MAX_NUMBER_CHARACTERS} digits (line {line})"
        )
    if _INTEGER.fullmatch(text):
        return int(text)
    if _BASED.fullmatch(text):
        return int(text, 0)
    number = float(text)
    if number in (float("inf"), float("-inf")):
        raise YamlFaultError(f"has a number beyond what a double holds (line {line})")
    return number
