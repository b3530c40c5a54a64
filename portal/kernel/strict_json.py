"""The one decoder behind every door that takes JSON. What it lets through, the rest may trust.

1. Many texts at once are read three times as fast, when it can be shown that nothing in them needs
   a closer look (`portal.kernel.bulk_json`). All others go on with 2.
2. jiter reads the bytes in one native pass: UTF-8 without a mark, duplicate keys (also spelled by
   escapes), `NaN`, raw control characters, nesting beyond 200 and trailing data are refused.
3. Byte tests, far cheaper than a second look at each value, tell whether a body may hold what
   jiter takes and PostgreSQL or IEEE doubles do not: numbers out of range, NUL characters.
4. Only what fails 2 by a lone surrogate or a huge number, or is suspicious by 3, is read again by
   an exact scan without recursion, which says where the fault stands.

Faults of the text as a whole raise `BadRequestError` with the code `malformed_json`,
`duplicate_key`, `too_deep` or `shape`. Faults of one value (`number_range`, `unstorable`, and the
limits of one event) are findings with a JSON Pointer: a batch goes on without that event.
"""

import math
import re
from hashlib import sha256
from json.decoder import JSONDecodeError, scanstring  # type: ignore[attr-defined]  # untyped
from typing import Any, Final

import jiter
import msgspec
import orjson

from portal.kernel.errors import BadRequestError, FieldError

MAX_DEPTH: Final = 200
MAX_EVENT_BYTES: Final = 256 * 1024
MAX_EVENT_DEPTH: Final = 32
MAX_KEYS: Final = 1000
MAX_KEY_BYTES: Final = 256
MAX_TEXT_BYTES: Final = 64 * 1024
MAX_NUMBER_CHARACTERS: Final = 40
MAX_FINDINGS: Final = 20

_SENTENCES: Final = {
    "malformed_json": "The body is not JSON in UTF-8.",
    "duplicate_key": "An object of the body has the same key twice.",
    "too_deep": f"The body is nested deeper than {MAX_DEPTH} levels.",
    "shape": "The body does not have the outer shape that its content type promises.",
}
_NUMBER_RANGE: Final = (
    "must have at most 40 characters, be representable as an IEEE double and, "
    "when whole, lie within 64 bits"
)
_UNSTORABLE: Final = "must not hold NUL characters or lone surrogates"

# Digits become 0: then one search finds long runs, others three-digit exponents.
_FOLDED: Final = bytes.maketrans(b"123456789E", b"000000000e")
_LONG_RUN: Final = b"0" * 18
_LONG_EXPONENTS: Final = (b"0e000", b"0e-000", b"0e+000")
SMALL_BYTES: Final = 6 * MAX_KEYS  # an object of 1,001 keys is longer
_BEFORE_A_NUMBER: Final = b"[:, \t\r\n"
_LITERALS: Final = re.compile(rb"(?:^|[\[:,\s])(-?[0-9][0-9.eE+\-]{4,})")

_ESCAPE: Final = re.compile(rb"\\(?:u[dD]([89a-fA-F])([0-9a-fA-F]{2})|.)", re.DOTALL)
# jiter gives up on a whole number of more than 4,300 digits, which is JSON all the same.
_LONG_INTEGER: Final = re.compile(rb"(?<![0-9.eE+\-\"])-?[1-9][0-9]{4000,}(?![0-9.eE])")
_BETWEEN_ELEMENTS: Final = b", \t\r\n"

_split_array: Final = msgspec.json.Decoder(list[msgspec.Raw])

_TOKEN: Final = re.compile(
    r"[ \t\n\r]*(?:"
    r"(?P<mark>[{}\[\]:,])"
    r'|"(?P<text>[^"\\\x00-\x1f]*(?:\\.[^"\\\x00-\x1f]*)*)"'
    r"|(?P<number>-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?)(?![0-9.eE+\-])"
    r"|(?P<word>true|false|null))",
    re.DOTALL,
)
_WORDS: Final[dict[str, bool | None]] = {"true": True, "false": False, "null": None}


class Examined(msgspec.Struct, frozen=True):
    """A decoded value and what is wrong inside it. Unstorable parts are replaced in `value`."""

    value: Any
    findings: tuple[FieldError, ...] = ()


def refuse(code: str) -> BadRequestError:
    """The error for a text that can't be read as a whole."""
    return BadRequestError(_SENTENCES[code], code=code)


def decode(raw: bytes) -> Any:
    """Decode one JSON text under all rules; any fault, of the text or of a value, is a 400."""
    examined = read(raw, suspicious=is_suspicious(raw))
    if examined.findings:
        raise BadRequestError(
            "The body holds values that cannot be stored.",
            code=examined.findings[0].code,
            errors=examined.findings,
        )
    return examined.value


def decode_document(raw: bytes) -> Any:
    """Decode a document that is not an event: as `decode`, but numbers may leave ±2^63.

    Contracts of real teams bound their fields by 2^64 and more; the limit is one of events.
    """
    examined = read(raw, suspicious=is_suspicious(raw))
    if not examined.findings:
        return examined.value
    others = [finding for finding in examined.findings if finding.code != "number_range"]
    if not others and len(examined.findings) < MAX_FINDINGS:
        try:
            value = jiter.from_json(raw, catch_duplicate_keys=True, allow_inf_nan=False)
        except ValueError:
            value = math.inf  # thousands of digits: jiter gives up where the scan does not
        if _numbers_are_storable(value):
            return value
    raise BadRequestError(
        "The body holds values that cannot be stored.",
        code=(others or examined.findings)[0].code,
        errors=others or examined.findings,
    )


def _numbers_are_storable(value: Any) -> bool:
    """Whether every number is finite and has 40 digits at most."""
    todo = [value]
    while todo:
        item = todo.pop()
        if isinstance(item, dict):
            todo += item.values()
        elif isinstance(item, list):
            todo += item
        elif (isinstance(item, float) and not math.isfinite(item)) or (
            isinstance(item, int) and abs(item) >= 10**40
        ):
            return False
    return True


def read(raw: bytes, *, suspicious: bool, base_depth: int = 0) -> Examined:
    """Decode one text, or one element of a batch, with its findings.

    `suspicious` is the answer of `is_suspicious` for these bytes or for the body around them.
    `base_depth` is the number of levels already open around `raw`.
    """
    try:
        value = jiter.from_json(raw, catch_duplicate_keys=True, allow_inf_nan=False)
    except ValueError as error:
        refusal = _refusal_of(error)
        if refusal is None:
            return examine(raw, base_depth)
        raise refusal from error
    _check_depth(value, raw, base_depth)
    if suspicious and _has_suspect(raw):
        return examine(raw, base_depth)
    return Examined(value)


def _refusal_of(error: ValueError) -> BadRequestError | None:
    """What jiter's error means; None where only the exact scan can say whether it is JSON."""
    message = str(error)
    if "duplicate key" in message:
        return refuse("duplicate_key")
    if "recursion limit" in message:
        return refuse("too_deep")
    if "hex escape" in message or "number out of range" in message:
        return None
    return refuse("malformed_json")


def _check_depth(value: Any, raw: bytes, base_depth: int) -> None:
    room = MAX_DEPTH - base_depth
    if raw.count(b"{") + raw.count(b"[") > room and depth_of(value) > room:
        raise refuse("too_deep")


def read_oversize(raw: bytes, base_depth: int = 0) -> Any:
    """The value of a text that is refused for its size anyway, by native code alone.

    Raises like `read` when the text as a whole can't be read. The exact scan would take seconds, so
    numbers may be infinite or wrong here, texts may hold NUL characters, and what stood for a lone
    surrogate is some other character.
    """
    try:
        return jiter.from_json(raw, catch_duplicate_keys=True, allow_inf_nan=False)
    except ValueError as error:
        refusal = _refusal_of(error)
        if refusal is not None:
            raise refusal from error
    text = _LONG_INTEGER.sub(b"1", mask_surrogates(raw))
    try:
        return jiter.from_json(text, catch_duplicate_keys=True, allow_inf_nan=False)
    except ValueError as error:
        raise (_refusal_of(error) or refuse("malformed_json")) from error


def split_array(raw: bytes) -> list[msgspec.Raw] | list[bytes]:
    """The elements of a top-level array, as the bytes they came in; decode each with `read`."""
    try:
        return _split_array.decode(raw)
    except (msgspec.DecodeError, RecursionError):
        return _split_masked(raw)


def _split_masked(raw: bytes) -> list[bytes]:
    """The same where lone surrogates, which msgspec does not skip, are hidden from it."""
    try:
        items = _split_array.decode(mask_surrogates(raw))
    except (msgspec.DecodeError, RecursionError) as error:
        read_oversize(raw)  # a syntax error further on outranks the wrong shape
        raise refuse("shape") from error
    parts: list[bytes] = []
    position = raw.index(b"[") + 1
    for item in items:
        while raw[position] in _BETWEEN_ELEMENTS:
            position += 1
        end = position + len(bytes(item))
        parts.append(raw[position:end])
        position = end
    return parts


def mask_surrogates(raw: bytes) -> bytes:
    """The text with each surrogate's escape turned into one of the private use area.

    Same length and one to one, so that places, syntax and the difference of keys stay.
    """
    return _ESCAPE.sub(_mask_surrogate, raw) if b"\\u" in raw else raw


def _mask_surrogate(match: re.Match[bytes]) -> bytes:
    if match[1] is None:
        return match[0]
    return b"\\uE%X%b" % (int(match[1], 16) - 8, match[2])


def is_suspicious(raw: bytes) -> bool:
    """Whether a body may hold a number out of range or a NUL. Cheap; errs on the side of yes."""
    if b"\\u0000" in raw:
        return True
    folded = raw.translate(_FOLDED)
    return _stands_as_number(folded, _LONG_RUN) or any(
        _stands_as_number(folded, exponent) for exponent in _LONG_EXPONENTS
    )


def _stands_as_number(folded: bytes, pattern: bytes) -> bool:
    """Whether `pattern` occurs where a number can begin, not inside a text such as a UUID."""
    position = folded.find(pattern)
    while position >= 0:
        if is_in_number(folded, position):
            return True
        position = folded.find(pattern, position + len(pattern))
    return False


def is_in_number(raw: bytes, position: int) -> bool:
    """Whether what stands before a place is as before or within a number."""
    before = position - 1
    while before >= 0 and raw[before] in b"0123456789.-+":
        before -= 1
    return before < 0 or raw[before] in _BEFORE_A_NUMBER


def _has_suspect(raw: bytes) -> bool:
    """The same question, exact for numbers, about the bytes of one event."""
    return b"\\u0000" in raw or not all(_number_fits(text) for text in _LITERALS.findall(raw))


def _number_fits(literal: bytes) -> bool:
    if len(literal) > MAX_NUMBER_CHARACTERS:
        return False
    try:
        if literal.lstrip(b"-").isdigit():
            return -(2**63) <= int(literal) < 2**63
        number = float(literal)
    except ValueError:
        return True  # a date or another piece of text, not a number
    if number == 0.0:  # too small for a double is out of range; a written zero is not
        return not literal.lower().split(b"e")[0].strip(b"-0.")
    return math.isfinite(number)


def examine(raw: bytes, base_depth: int = 0) -> Examined:
    """Read a text exactly and without recursion, noting every value that can't be stored."""
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise refuse("malformed_json") from error
    return _Scan(text, base_depth).run()


class _Scan:
    """One pass over the tokens of a text with its own stack of open containers."""

    def __init__(self, text: str, base_depth: int) -> None:
        self.text = text
        self.base_depth = base_depth
        self.findings: list[FieldError] = []
        self.stack: list[dict[str, Any] | list[Any]] = []
        self.keys: list[str | int] = []

    def run(self) -> Examined:
        root: Any = None
        position = 0
        state = "value"  # value | value_or_end | key | key_or_end | colon | next | done
        while state != "done":
            match = _TOKEN.match(self.text, position)
            if match is None:
                raise refuse("malformed_json")
            position = match.end()
            mark = match["mark"]
            if state == "next" and mark == ",":
                state = "key" if isinstance(self.stack[-1], dict) else "value"
                continue
            if self._closes(mark, state):
                self.stack.pop()
                self.keys.pop()
                state = "next" if self.stack else "done"
                continue
            if state == "colon" and mark == ":":
                state = "value"
                continue
            if state in {"key", "key_or_end"} and match["text"] is not None:
                self._open_key(match["text"])
                state = "colon"
                continue
            if state not in {"value", "value_or_end"}:
                raise refuse("malformed_json")
            value = self._value(match)
            if self.stack:
                self._put(value)
            else:
                root = value
            if isinstance(value, dict | list):
                self._open(value)
                state = "key_or_end" if isinstance(value, dict) else "value_or_end"
            else:
                state = "next" if self.stack else "done"
        if self.text[position:].strip(" \t\r\n"):
            raise refuse("malformed_json")
        return Examined(root, tuple(self.findings))

    def _closes(self, mark: str | None, state: str) -> bool:
        if mark == "}":
            return state == "key_or_end" or (state == "next" and isinstance(self.stack[-1], dict))
        if mark == "]":
            return state == "value_or_end" or (state == "next" and isinstance(self.stack[-1], list))
        return False

    def _open(self, container: dict[str, Any] | list[Any]) -> None:
        self.stack.append(container)
        self.keys.append("")
        if len(self.stack) + self.base_depth > MAX_DEPTH:
            raise refuse("too_deep")

    def _open_key(self, source: str) -> None:
        container = self.stack[-1]
        assert isinstance(container, dict)
        found = len(self.findings)
        key = self._text(source, self._pointer(self.keys[:-1]))
        if key in container and len(self.findings) == found:  # replaced keys may well coincide
            raise refuse("duplicate_key")
        container[key] = None
        self.keys[-1] = key

    def _put(self, value: Any) -> None:
        container = self.stack[-1]
        if isinstance(container, list):
            container.append(value)
        else:
            container[str(self.keys[-1])] = value

    def _value(self, match: re.Match[str]) -> Any:
        if self.stack and isinstance(self.stack[-1], list):
            self.keys[-1] = len(self.stack[-1])
        if match["text"] is not None:
            return self._text(match["text"], self._pointer(self.keys))
        if match["number"] is not None:
            return self._number(match["number"])
        if match["word"] is not None:
            return _WORDS[match["word"]]
        if match["mark"] == "{":
            return {}
        if match["mark"] == "[":
            return []
        raise refuse("malformed_json")

    def _text(self, source: str, pointer: str) -> str:
        text = source
        if "\\" in source:
            try:
                text, _ = scanstring(f'{source}"', 0, True)
            except JSONDecodeError as error:
                raise refuse("malformed_json") from error
        clean = storable_text(text)
        if clean != text:
            self._find(pointer, "unstorable", _UNSTORABLE)
        return clean

    def _number(self, source: str) -> int | float:
        if not _number_fits(source.encode("ascii")):
            self._find(self._pointer(self.keys), "number_range", _NUMBER_RANGE)
            return 0
        return float(source) if any(sign in source for sign in ".eE") else int(source)

    def _find(self, pointer: str, code: str, detail: str) -> None:
        if len(self.findings) < MAX_FINDINGS:
            self.findings.append(FieldError(pointer, code, detail))

    def _pointer(self, keys: list[str | int]) -> str:
        return "".join(f"/{pointer_part(key)}" for key in keys)


def pointer_part(key: str | int) -> str:
    """One step of a JSON Pointer, escaped."""
    return str(key).replace("~", "~0").replace("/", "~1")


def storable_text(text: str) -> str:
    """The text with NUL characters and lone surrogates replaced by U+FFFD."""
    if "\0" in text:
        text = text.replace("\0", "\ufffd")
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return "".join("\ufffd" if 0xD800 <= ord(char) <= 0xDFFF else char for char in text)
    return text


def depth_of(value: Any) -> int:
    """Levels of objects and arrays in a decoded value; 0 for a scalar. No recursion."""
    depth = 0
    level = [value]
    while level := [item for item in level if isinstance(item, dict | list)]:
        depth += 1
        level = [
            child for item in level for child in (item.values() if isinstance(item, dict) else item)
        ]
    return depth


def may_be_deep(raw: bytes) -> bool:
    """Whether an event has so many brackets that it could be nested too deep."""
    return raw.count(b"{") + raw.count(b"[") > MAX_EVENT_DEPTH


def find_limit_breaks(value: Any, raw: bytes) -> tuple[FieldError, ...]:
    """The limits of one event that it breaks; mostly decided from its bytes without a walk."""
    if len(raw) <= MAX_KEY_BYTES:
        if may_be_deep(raw):
            return _walk_limits(value)
        return ()
    if len(raw) > MAX_EVENT_BYTES:
        return (FieldError("", "too_large", "An event may have at most 256 KiB."),)
    if len(raw) > SMALL_BYTES or has_long_text(raw) or may_be_deep(raw):
        return _walk_limits(value)
    return ()


def has_long_text(raw: bytes) -> bool:
    """Whether 256 bytes follow one another without a quote: only then a key may be too long."""
    raw = without_inner_quotes(raw)
    position, last = 0, len(raw) - MAX_KEY_BYTES
    while position < last:
        quote = raw.rfind(b'"', position, position + MAX_KEY_BYTES)
        if quote < 0:
            return True
        position = quote + 1
    return False


def without_inner_quotes(raw: bytes) -> bytes:
    """JSON of the same length in which a quote ends a text or begins one: none stands within it.

    Now and then a real one goes too, after an escaped backslash.
    """
    return raw.replace(b'\\"', b"__")


def _walk_limits(value: Any) -> tuple[FieldError, ...]:
    findings: list[FieldError] = []
    todo: list[tuple[Any, str, int]] = [(value, "", 0)]
    while todo and len(findings) < MAX_FINDINGS:
        item, pointer, depth = todo.pop()
        if isinstance(item, str):
            if len(item) > MAX_TEXT_BYTES // 4 and len(item.encode()) > MAX_TEXT_BYTES:
                findings.append(FieldError(pointer, "limits", "A text may have at most 64 KiB."))
            continue
        if not isinstance(item, dict | list):
            continue
        if depth == MAX_EVENT_DEPTH:
            findings.append(
                FieldError(pointer, "limits", "An event may be nested at most 32 levels deep.")
            )
            continue
        if isinstance(item, list):
            todo.extend(
                (child, f"{pointer}/{index}", depth + 1)
                for index, child in enumerate(item)
                if isinstance(child, str | dict | list)
            )
            continue
        if len(item) > MAX_KEYS:
            findings.append(FieldError(pointer, "limits", "An object may have at most 1,000 keys."))
            continue
        for key, child in item.items():
            if len(key) > MAX_KEY_BYTES // 4 and len(key.encode()) > MAX_KEY_BYTES:
                findings.append(FieldError(pointer, "limits", "A key may have at most 256 bytes."))
            elif isinstance(child, str | dict | list):
                todo.append((child, f"{pointer}/{pointer_part(key)}", depth + 1))
    return tuple(findings)


def canonical(value: Any) -> bytes:
    """One spelling of equal content: sorted keys, no whitespace, 1.0 as 1, -0 as 0."""
    dumped = orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
    if may_vary(dumped):
        return orjson.dumps(_with_whole_numbers(value), option=orjson.OPT_SORT_KEYS)
    return dumped


def may_vary(dumped: bytes) -> bool:
    """Whether a sorted dump may hold a float without a fraction, and so not be canonical yet."""
    if b".0," in dumped or b".0}" in dumped or b".0]" in dumped or dumped.endswith(b".0"):
        return True
    folded = dumped.translate(_FOLDED)
    return b"0e" in folded and (
        _stands_as_number(folded, b"0e0") or _stands_as_number(folded, b"0e+")
    )


def _with_whole_numbers(value: Any) -> Any:
    """A copy in which floats without a fraction are integers (depth is bounded by the limits)."""
    if isinstance(value, float):
        return int(value) if value.is_integer() and abs(value) < 2**63 else value
    if isinstance(value, dict):
        return {key: _with_whole_numbers(child) for key, child in value.items()}
    if isinstance(value, list):
        return [_with_whole_numbers(child) for child in value]
    return value


def content_hash(*parts: bytes) -> bytes:
    """SHA-256 over parts, each ended by a byte that canonical JSON can't hold."""
    return sha256(b"\x00".join(parts)).digest()
