"""Tests of the strict decoder: the catalogue of bad bodies, and agreement of its two readings."""

import json
import time
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from portal.kernel import strict_json
from portal.kernel.errors import BadRequestError

MALFORMED = [
    b"",
    b"   ",
    b"{",
    b"{} x",
    b"{'a':1}",
    b"// c\n{}",
    b'{"a":1,}',
    b"[1,]",
    b"012",
    b"+1",
    b".5",
    b"1.",
    b"\xef\xbb\xbf{}",
    b"\xff\xfe{\x00}\x00",
    b"NaN",
    b"Infinity",
    b"[-Infinity]",
    b'"\x01"',
    b'"\t"',
    b'"\xc0\x80"',
    b'"\xed\xa0\x80"',
    b'"\\x41"',
    b"tru",
    b"\x0b{}",
    b'["\\ud800", }',
    b'["\\ud800"',
    b'["\\ud800" 1]',
    b'{"\\ud800" 1}',
    b"[" + b"1" * 5000,
]


@pytest.mark.parametrize("body", MALFORMED)
def test_text_that_is_not_json_is_malformed(body: bytes) -> None:
    with pytest.raises(BadRequestError) as caught:
        strict_json.decode(body)
    assert caught.value.code == "malformed_json"


@pytest.mark.parametrize(
    "body",
    [
        b'{"a":1,"a":2}',
        b'{"a":1,"\\u0061":2}',
        b'[{"x":{"k":1,"k":1}}]',
        b'{"a":"\\ud800","b":1,"b":2}',
    ],
)
def test_a_key_twice_is_refused_however_it_is_spelled(body: bytes) -> None:
    with pytest.raises(BadRequestError) as caught:
        strict_json.decode(body)
    assert caught.value.code == "duplicate_key"


@pytest.mark.parametrize(
    "body",
    [
        b"[" * 201 + b"]" * 201,
        b"[" * 1100,
        b"[" * 60_000 + b"]" * 60_000,
        b'{"a":' * 60_000,
        b"[" * 201 + b'"\\ud800"' + b"]" * 201,
    ],
)
@pytest.mark.alone
def test_deep_nesting_is_refused_fast(body: bytes) -> None:
    started = time.thread_time()  # its own work, whoever else uses the machine
    with pytest.raises(BadRequestError) as caught:
        strict_json.decode(body)
    assert caught.value.code == "too_deep"
    assert time.thread_time() - started < 0.05


def test_two_hundred_levels_are_taken() -> None:
    assert strict_json.depth_of(strict_json.decode(b"[" * 200 + b"]" * 200)) == 200


@pytest.mark.parametrize(
    "literal",
    [
        "1e400",
        "-1E+309",
        "1e131071",
        "1e-400",
        "9223372036854775808",
        "-9223372036854775809",
        "1." + "1" * 39,
        "1" * 5000,
    ],
)
def test_numbers_out_of_range_are_found_with_their_place(literal: str) -> None:
    raw = f'{{"data":{{"list":[1, {literal}]}}}}'.encode()
    examined = strict_json.read(raw, suspicious=strict_json.is_suspicious(raw))
    assert [(found.pointer, found.code) for found in examined.findings] == [
        ("/data/list/1", "number_range")
    ]


@pytest.mark.parametrize(
    ("literal", "value"),
    [
        ("-0", 0),
        ("0e-400", 0.0),
        ("1e308", 1e308),
        ("9223372036854775807", 2**63 - 1),
        ("-9223372036854775808", -(2**63)),
        ("1." + "1" * 38, 1.1111111111111112),
    ],
)
def test_numbers_within_range_are_taken(literal: str, value: float) -> None:
    assert strict_json.decode(literal.encode()) == value


@pytest.mark.parametrize("text", ["018e123-0e400-1e999", "a, 1e999", "x: 123456789012345678901"])
def test_numbers_inside_texts_do_not_count(text: str) -> None:
    assert strict_json.decode(json.dumps({"id": text}).encode()) == {"id": text}


@pytest.mark.parametrize(
    "raw", [b'{"a":{"b/c":"x\\u0000y"}}', b'{"a":{"b/c":"\\ud800"}}', b'{"a":{"b/c":"\\udc00z"}}']
)
def test_what_cannot_be_stored_is_found_and_replaced(raw: bytes) -> None:
    examined = strict_json.read(raw, suspicious=strict_json.is_suspicious(raw))
    assert [(found.pointer, found.code) for found in examined.findings] == [
        ("/a/b~1c", "unstorable")
    ]
    assert "\ufffd" in examined.value["a"]["b/c"]
    orjson.dumps(examined.value)


def test_escaped_backslash_before_u0000_is_no_nul() -> None:
    assert strict_json.decode(rb'"\\u0000"') == "\\u0000"


def _split(body: bytes) -> list[bytes]:
    return [bytes(part) for part in strict_json.split_array(body)]


def test_array_is_split_into_the_bytes_of_its_elements() -> None:
    body = b' [ {"a":"]"} ,\n"x,y", [1, 2] ] '
    assert _split(body) == [b'{"a":"]"}', b'"x,y"', b"[1, 2]"]
    odd = b' [ {"a":"\\ud800]"} ,\n"x,y", [1, 2] , {}] '
    assert _split(odd) == [b'{"a":"\\ud800]"}', b'"x,y"', b"[1, 2]", b"{}"]
    assert _split(b"[]") == []
    pairs = b'["\\ud83d\\ude00", "\\udc00", "\\\\ud800", "\\"\\ud800"]'
    assert _split(pairs) == [
        b'"\\ud83d\\ude00"', b'"\\udc00"', b'"\\\\ud800"', b'"\\"\\ud800"',
    ]  # fmt: skip


@pytest.mark.parametrize(
    "body", [b'["\\ud800", tru]', b'["\\ud800"', b'["\\ud800",]', b'["\\ud8"]']
)
def test_broken_array_with_a_lone_surrogate_is_no_json(body: bytes) -> None:
    with pytest.raises(BadRequestError) as caught:
        strict_json.split_array(body)
    assert caught.value.code == "malformed_json"


@pytest.mark.parametrize(
    "odd", [b"1e400", b'"\\u0000"', b'"\\ud800"', b"9" * 5000, b'{"\\ud800": 1, "\\ud801": 2}']
)
@pytest.mark.alone
def test_text_beyond_the_size_of_an_event_is_read_without_the_slow_scan(odd: bytes) -> None:
    """Each of these once took the scan in Python: seconds for one body."""
    raw = b'{"id":"a","data":[' + odd + b",1" * 2_000_000 + b"]}"
    started = time.thread_time()
    assert strict_json.read_oversize(raw)["id"] == "a"
    assert len(strict_json.split_array(b"[" + raw + b"]")) == 1
    assert time.thread_time() - started < 3


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        (b'{"a":"\\ud800","b":1,"b":2}', "duplicate_key"),
        (b'{"a":"\\ud800","b":NaN}', "malformed_json"),
        (b'{"a":"\\ud800","b":' + b"[" * 300 + b"]" * 300 + b"}", "too_deep"),
        (b'{"a":' + b"9" * 5000 + b',"b":01}', "malformed_json"),
        (b"[1] x", "malformed_json"),
    ],
)
def test_rough_reading_refuses_what_is_no_json(raw: bytes, code: str) -> None:
    with pytest.raises(BadRequestError) as caught:
        strict_json.read_oversize(raw)
    assert caught.value.code == code


@pytest.mark.parametrize("body", [b"{}", b'"x"', b"null", b"1"])
def test_other_than_an_array_has_the_wrong_shape(body: bytes) -> None:
    with pytest.raises(BadRequestError) as caught:
        strict_json.split_array(body)
    assert caught.value.code == "shape"


def _breaks(value: Any) -> list[str]:
    raw = orjson.dumps(value)
    return [found.code for found in strict_json.find_limit_breaks(value, raw)]


def _nested(levels: int) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = [value]
    return value


def test_limits_of_one_event_hold_exactly() -> None:
    assert _breaks(_nested(32)) == []
    assert _breaks(_nested(33)) == ["limits"]
    assert _breaks({"pad": "x" * 300, "deep": _nested(32)}) == ["limits"]
    assert _breaks({f"k{number}": 1 for number in range(1000)}) == []
    assert _breaks({f"k{number}": 1 for number in range(1001)}) == ["limits"]
    assert _breaks({"k" * 256: "x" * 20}) == []
    assert _breaks({"k" * 257: "x" * 20}) == ["limits"]
    assert _breaks({"k" * 128 + '"' + "k" * 127: "x" * 20}) == []
    assert _breaks({"k" * 128 + '"' + "k" * 128: "x" * 20}) == ["limits"]
    assert _breaks({"k" * 300 + "\\": "x"}) == ["limits"]
    assert _breaks({"é" * 128: 1, "x": "y" * 300}) == []
    assert _breaks({"é" * 129: 1, "x": "y" * 300}) == ["limits"]
    assert _breaks({"x": "y" * 65536}) == []
    assert _breaks({"x": "y" * 65537}) == ["limits"]
    assert _breaks({"x": ["y" * 60_000] * 5}) == ["too_large"]


def test_equal_content_has_one_canonical_form() -> None:
    first = strict_json.decode(b'{"b":1.0,"a":[-0,-0.0,1e16,2.5,{"z":100.0}],"t":"1.0,"}')
    second = strict_json.decode(
        b' { "t" : "1.0,", "a":[0,0,10000000000000000,2.50,{"z":1e2}], "b":1}'
    )
    assert strict_json.canonical(first) == strict_json.canonical(second)
    assert strict_json.canonical(1.0) == strict_json.canonical(1)
    assert strict_json.canonical([1.5]) != strict_json.canonical([1])
    assert strict_json.canonical(["1"]) != strict_json.canonical([1])
    assert strict_json.canonical([True]) != strict_json.canonical([1])


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False, allow_subnormal=False)
    | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")),
            inner,
            max_size=4,
        )
    ),
    max_leaves=20,
)


@settings(max_examples=150, deadline=None)
@given(JSON, st.booleans())
def test_fast_and_exact_reading_agree(value: Any, ascii_only: bool) -> None:
    raw = json.dumps(value, ensure_ascii=ascii_only).encode("utf-8")
    exact = strict_json.examine(raw)
    fast = strict_json.read(raw, suspicious=strict_json.is_suspicious(raw))
    assert repr(fast.value) == repr(exact.value)
    assert fast.findings == exact.findings
    assert strict_json.canonical(fast.value) == strict_json.canonical(value)


@settings(max_examples=150, deadline=None)
@given(JSON, st.integers(0, 200), st.sampled_from(list('{}[]",:\\ 1eE.+-\x01')))
def test_both_readings_refuse_the_same_damage(value: Any, place: int, char: str) -> None:
    text = json.dumps(value)
    raw = (text[:place] + char + text[place + 1 :]).encode()

    def outcome(exact: bool) -> object:
        try:
            found = strict_json.examine(raw) if exact else strict_json.read(raw, suspicious=True)
        except BadRequestError:
            return "refused"
        return (repr(found.value), found.findings)

    assert outcome(exact=True) == outcome(exact=False)


def test_a_document_may_bound_its_fields_beyond_64_bits() -> None:
    raw = b'{"maximum": 18446744073709552000, "minimum": 0}'
    assert strict_json.decode_document(raw) == {"maximum": 18446744073709552000, "minimum": 0}
    with pytest.raises(BadRequestError):
        strict_json.decode(raw)


@pytest.mark.parametrize(
    "raw", [b"[1e400]", b"[" + b"9" * 41 + b"]", b"[" + b"9" * 5000 + b"]", b'[1e30, "\\u0000"]']
)
def test_a_document_never_holds_what_cannot_be_stored(raw: bytes) -> None:
    with pytest.raises(BadRequestError):
        strict_json.decode_document(raw)
