"""Texts become values within bounds, and what they are is found out."""

import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from catalog.exchange.documents import OutsideStream, Unreadable
from catalog.exchange.files import read_paths
from catalog.exchange.loading import Format, Loaded, dump_yaml, format_of, load, read_bytes
from tests.catalog.exchange.sameness import FILES, document_in


def value_of(text: str, name: str = "a.yaml") -> object:
    loaded = load(text.encode(), name=name)
    assert isinstance(loaded, Loaded), loaded
    return loaded.documents[0]


def why_of(text: str | bytes, name: str = "a.yaml") -> str:
    loaded = load(text if isinstance(text, bytes) else text.encode(), name=name)
    assert isinstance(loaded, Unreadable), loaded
    return loaded.why


def test_plain_words_mean_what_yaml_1_2_says() -> None:
    text = "[yes, No, on, 2026-01-01, 12:30, 1_000, 0o17, 0x1F, 017, ~, '', True, 1e3, .5, '7']"
    assert value_of(text) == [
        "yes", "No", "on", "2026-01-01", "12:30", "1_000", 15, 31, 17, None, "", True, 1000.0, 0.5,
        "7",
    ]  # fmt: skip
    assert value_of("{on: 1, 200: ok, null: x}") == {"on": 1, "200": "ok", "null": "x"}
    assert value_of("[!!str 1, !!float 1, !!int '1', !!null '', ! 1]") == ["1", 1.0, 1, None, "1"]


def test_anchors_and_merges_are_copies_and_own_keys_win() -> None:
    text = "a: &a {x: 1, y: 2}\nb: {<<: *a, y: 3}\nc: {<<: [*a, {z: 4}]}\nd: *a\n*k : 1\n"
    assert value_of("k: &k word\n" + text) == {
        "k": "word",
        "a": {"x": 1, "y": 2},
        "b": {"y": 3, "x": 1},
        "c": {"x": 1, "y": 2, "z": 4},
        "d": {"x": 1, "y": 2},
        "word": 1,
    }


BOMB = "a0: &a0 [x, x]\n" + "".join(
    f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 60)
)
LONG_BOMB = "a: &a " + "x" * 1_000_000 + "\nb: [" + "*a, " * 50 + "]"
MERGE_BOMB = "a: &a {" + ", ".join(f"k{n}: 1" for n in range(2_000)) + "}\n" + "".join(
    f"m{n}: {{<<: *a}}\n" for n in range(1_000)
)  # fmt: skip


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (BOMB, "too large once its aliases are written out"),
        (LONG_BOMB, "too large once its aliases are written out"),
        (MERGE_BOMB, "too large once its aliases are written out"),
        ("a: &a [*a]", "a circle of aliases: *a"),
        ("a: &a {<<: *a}", "a circle of aliases: *a"),
        ("a: *b", "an alias of nothing"),
        ("[" * 150 + "]" * 150, "nested deeper than 100 levels"),
        ("- " * 5_000, "nested deeper than 100 levels"),
        ("a: 1\nb: 2\na: 3", "the key 'a' twice (line 3)"),
        ("1: a\n'1': b", "the key '1' twice"),
        ("? [a]\n: b", "a key that is no text"),
        ("? {a: b}\n: c", "a key that is no text"),
        ("a: .nan", "a number that JSON has no word for: .nan"),
        ("a: -.INF", "a number that JSON has no word for"),
        ("a: 1e999", "beyond what a double holds"),
        ("a: " + "1" * 60, "more than 40 digits"),
        ("a: !!python/object/apply:os.system [ls]", "a tag that JSON knows nothing of"),
        ("a: !!binary aGk=", "a tag that JSON knows nothing of"),
        ("a: !!int x", "a value that is no int"),
        ("a: {<<: 1}", "merges (<<) what is no mapping"),
        ('a: "\\0"', "a NUL character"),
        ('a: "\\uD800"', "is not YAML"),
        ("a: [1", "is not YAML"),
        ("\x07", "characters that YAML does not allow"),
        (b"\xff\xfe\x00", "not text in UTF-8"),
        ("", "is empty"),
        ("# nothing", "is empty"),
        ("--- 1\n" * 2_000, "more than 1000 documents"),
        ("a: 1" + " " * (20 * 1024 * 1024), "larger than 20 MiB"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_yaml_that_is_not_taken_says_why_and_soon(text: str | bytes, why: str) -> None:
    began = time.thread_time()
    assert why in why_of(text)
    assert time.thread_time() - began < 10


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ('{"a": 1, "a": 2}', "the same key twice"),
        ('{"a": NaN}', "not JSON"),
        ('{"a": "\\u0000"}', "cannot be stored"),
        ("[" * 150 + "]" * 150, "nested deeper than 100"),
        ("[" * 100_000, "nested deeper"),
        ("{", "not JSON"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_json_that_is_not_taken_says_why(text: str, why: str) -> None:
    assert why in why_of(text, name="a.json")


def test_the_largest_text_is_read_in_good_time() -> None:
    text = "a: [" + "ab, " * 400_000 + "]"
    began = time.thread_time()
    assert value_of(text) == {"a": ["ab"] * 400_000}
    assert time.thread_time() - began < 30


def test_a_text_without_a_telling_name_is_taken_for_what_it_is() -> None:
    assert value_of('{"a": 1}', name="body") == {"a": 1}
    assert value_of("{a: 1}", name="body") == {"a": 1}
    assert value_of("a: 1", name="body") == {"a": 1}
    assert "twice" in why_of('{"a": 1, "a": 2}', name="body")


def test_formats_are_told_apart() -> None:
    told = {
        "lamps.yaml": Format.ASYNCAPI,
        "contract.yaml": Format.ODCS,
        "tracking_plan.json": Format.SEGMENT,
        "tracking_plan_old.json": Format.SEGMENT,
    }
    assert {name: format_of(document_in(name)) for name in told} == told
    assert format_of({"apiVersion": "portal/v1"}) is Format.PORTAL
    assert format_of([{"apiVersion": "portal/v1"}]) is Format.PORTAL
    assert format_of({"type": "object"}) is Format.JSON_SCHEMA
    others: list[object] = [{}, [], 1, {"rules": []}, {"openapi": "3.1.0"}]
    assert [format_of(one) for one in others] == [None] * 5


def test_another_format_than_asked_for_is_refused() -> None:
    raw = (FILES / "contract.yaml").read_bytes()
    (fault,) = read_bytes(raw, name="c.yaml", format_=Format.ASYNCAPI)
    assert fault == Unreadable("c.yaml", "is not an AsyncAPI document (asyncapi: 3.…)")
    (stream,) = read_bytes(raw, name="c.yaml", format_=Format.ODCS)
    assert isinstance(stream, OutsideStream)


def test_text_that_looks_like_something_else_is_quoted() -> None:
    text = dump_yaml({"date": "2026-01-01", "flag": "yes", "number": "1e3", "long": "a\nb\n"})
    assert text == 'date: "2026-01-01"\nflag: \'yes\'\nnumber: "1e3"\nlong: |\n  a\n  b\n'


def names(found: Sequence[OutsideStream | Unreadable]) -> list[str]:
    return [one.name if isinstance(one, OutsideStream) else one.where for one in found]


def test_files_of_every_format_are_read_singly_and_in_directories(tmp_path: Path) -> None:
    for name in ("lamps.yaml", "contract.yaml", "tracking_plan.json", "portal.yaml"):
        (tmp_path / name).write_bytes((FILES / name).read_bytes())
    (tmp_path / "shop" / "paid").mkdir(parents=True)
    (tmp_path / "shop" / "paid" / "1.0.0.yaml").write_text("type: object\nexamples: [{a: 1}]\n")
    (tmp_path / "shop" / "paid" / "1.0.0.json").write_text('{"type": "object"}')
    (tmp_path / "shop" / "paid" / "2.0.0.yml").write_text("type: object\ntitle: two\n")
    (tmp_path / "mkdocs.yml").write_text("site_name: docs\n")
    found = list(read_paths([tmp_path]))
    assert names(found) == [
        "Order Events/order_placed",
        "town/lamps/{lampId}/measured",
        "town/lamps/{lampId}/turned",
        "mkdocs.yml",
        "shop.order_placed",
        "Order Placed",
        "identify",
        "group",
        "page Pricing",
        "shop/paid",
    ]
    paid = found[-1]
    assert isinstance(paid, OutsideStream)
    assert [version.label for version in paid.versions] == ["1.0.0", "2.0.0"]
    assert paid.versions[0].examples == ()
    fault = next(one for one in found if isinstance(one, Unreadable))
    assert "is none of the formats known here" in fault.why
    assert names(list(read_paths([tmp_path / "lamps.yaml"]))) == names(found)[1:3]
