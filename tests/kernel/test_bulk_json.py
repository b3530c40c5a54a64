"""Reading many texts at once answers only where reading each by itself finds nothing to say."""

import json
from contextlib import suppress
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from portal.kernel import bulk_json, strict_json
from portal.kernel.errors import BadRequestError

_NUMBERS = st.one_of(
    st.integers(-(2**65), 2**65),
    st.floats(allow_nan=False, allow_infinity=False),
)
_VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), _NUMBERS, st.text(max_size=12)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4), st.dictionaries(st.text(max_size=6), inner, max_size=4)
    ),
    max_leaves=12,
)
# What hides in a text that looks harmless.
_HOSTILE = st.sampled_from(
    [
        b'{"a":1,"a":2}', b'{"a":1,"\\u0061":2}', b'{"a:":1,"a\\u003a":2}', b'{"k":"\\u003a","k":1}',
        b'"\\u0000"', b"1e400", b"-1e-400", b"1E+0400", b"[1e131071]", b"NaN", b"Infinity",
        b"9223372036854775808", b"-9223372036854775809", b"9223372036854775807",
        b"0.%b" % (b"1" * 60), b"1" * 60, b'"\\ud800"', b'"\x01"', b'"\xff"', b"\xef\xbb\xbf1",
        b"[" * 33 + b"]" * 33, b"[" * 300 + b"]" * 300, b'{"%b":1}' % (b"k" * 300),
        b'"%b"' % (b"t" * 70_000), b'"1e400"', b'"123456789012345678901234567890"', b"1.0e5",
        b"{}x", b"1,2", b"", b'{"a":1', b'"b":2},{"c":3}', b"1],[2", b'"3f2e1234-8e55-4e77-9e10-1234567890ab"', b'{"a":{"b":1,"b":1}}',
    ]
)  # fmt: skip
_SPELLINGS = st.sampled_from(
    [
        orjson.dumps,
        lambda value: json.dumps(value).encode(),
        lambda value: json.dumps(value, ensure_ascii=False, indent=1).encode(),
        lambda value: json.dumps(value, separators=(" ,", " :")).encode(),
    ]
)


@st.composite
def texts(draw: st.DrawFn, *, smallest: int, largest: int) -> list[bytes]:
    found = []
    for _ in range(draw(st.integers(smallest, largest))):
        if draw(st.integers(0, 11)) == 0:
            found.append(draw(_HOSTILE))
            continue
        try:
            found.append(draw(_SPELLINGS)(draw(_VALUES)))
        except (TypeError, UnicodeEncodeError):  # orjson's own bounds
            found.append(b"{}")
    return found


def each_by_itself(parts: list[bytes]) -> list[Any] | None:
    """The values by the careful reading; None when it has anything to say about any of them."""
    values = []
    for part in parts:
        try:
            examined = strict_json.read(part, suspicious=strict_json.is_suspicious(part))
        except BadRequestError:
            return None
        if examined.findings or strict_json.find_limit_breaks(examined.value, part):
            return None
        values.append(examined.value)
    return values


@settings(max_examples=400, deadline=None)
@given(st.one_of(texts(smallest=1, largest=6), texts(smallest=24, largest=36)))
def test_what_is_read_at_once_is_what_each_text_says(parts: list[bytes]) -> None:
    found = bulk_json.read_many(parts)
    if found is not None:
        careful = each_by_itself(parts)
        assert careful is not None
        assert list(map(strict_json.canonical, found.values)) == list(
            map(strict_json.canonical, careful)
        )


@pytest.mark.parametrize("number", [1, 23, 24, 200])
@pytest.mark.parametrize("separators", [(",", ":"), (", ", ": ")])
def test_ordinary_events_are_read_at_once(number: int, separators: tuple[str, str]) -> None:
    part = json.dumps(
        {
            "id": "3f2e1234-8e55-4e77-9e10-1234567890ab", "time": "2026-11-26T07:00:00.123456Z",
            "data": {"price": 12.5, "count": 3, "of": [1, 2], "say": 'a "b": c', "big": 2**53},
        },
        separators=separators,
    ).encode()  # fmt: skip
    found = bulk_json.read_many([part] * number)
    assert found == ([json.loads(part)] * number, False)


@pytest.mark.parametrize("number", [1, 30])
@pytest.mark.parametrize("good", [b'{"a":1,"b":"text"}', b'{"a": 1, "b": "text"}'])
@pytest.mark.parametrize(
    "bad",
    [
        b'{"a":1,"a":2}', b'{"a":"\\u003a","b":1,"b":2}', b'"\\u0000"', b"9223372036854775808",
        b"1e-400", b"1" * 30, b"[" * 33 + b"]" * 33, b'{"%b":1}' % (b"k" * 257), b'{"a":1} {}',
        b'{"%b\\"%b":1}' % (b"k" * 150, b"k" * 150),
    ],
)  # fmt: skip
def test_one_text_that_needs_a_closer_look_sends_all_to_it(
    number: int, good: bytes, bad: bytes
) -> None:
    assert bulk_json.read_many([good] * number) is not None
    assert bulk_json.read_many([good] * number + [bad]) is None
    assert bulk_json.read_many([bad] + [good] * number) is None


@settings(max_examples=300, deadline=None)
@given(st.lists(_VALUES, min_size=1, max_size=30), _SPELLINGS)
def test_values_that_do_not_vary_are_canonical_as_they_are_dumped(
    values: list[Any], spelled: Any
) -> None:
    found = None
    with suppress(TypeError, UnicodeEncodeError):  # orjson's own bounds
        found = bulk_json.read_many([spelled(value) for value in values])
    if found is not None and not found.may_vary:
        for value in found.values:
            dumped = orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
            assert dumped == strict_json.canonical(value)


@pytest.mark.parametrize("number", [1, 30])
@pytest.mark.parametrize(
    "vary", [b"[1.0]", b"[1e16]", b'{"a":2.0}', b"[-0.0,1]", b"[12e20,0]", b"[1e5]"]
)
def test_one_number_with_other_spellings_is_seen_among_many(number: int, vary: bytes) -> None:
    plain = [b'{"a":"x.0","id":"3e4-1e5","b":2.5,"c":"1.0","d":1e-7}'] * number
    calm = bulk_json.read_many(plain)
    assert calm is not None
    assert not calm.may_vary
    for texts in ([*plain, vary], [vary, *plain]):
        found = bulk_json.read_many(texts)
        assert found is not None
        assert found.may_vary
