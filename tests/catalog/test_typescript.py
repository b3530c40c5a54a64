"""TypeScript types of contracts: their structure here; their truth by the compiler, where it is."""

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from catalog.examples import example_of
from catalog.references import target_of
from catalog.typescript import type_name, typescript
from portal.kernel.errors import InvalidError

ODD: dict[str, Any] = {
    "type": "object",
    "description": "Ends a comment */ early,\u2028 or not.",
    "required": ["a-b", "not_described"],
    "additionalProperties": True,
    "properties": {
        "a-b": {"type": "string", "format": "date-time", "examples": ["2026-01-31T12:00:00Z"]},
        "__proto__": {"type": "string"},
        "paid_with": {
            "oneOf": [
                {"title": "Card", "type": "object", "properties": {"n": {"type": "integer"}}},
                {"type": "string"},
                {"type": "null"},
            ]
        },
        "pair": {
            "type": "array",
            "prefixItems": [{"type": "string"}, {"type": ["integer", "null"]}],
            "items": False,
            "minItems": 1,
        },
        "either": {"type": "array", "items": {"type": ["string", "number"]}},
        "self": {"$ref": "#"},
        "loop": {"$ref": "#/$defs/loop"},
        "mutual": {"$ref": "#/$defs/one"},
        "free": {"type": "object"},
        "counts": {"type": "object", "additionalProperties": {"type": "integer"}},
        "never": False,
        "any": True,
        "kind": {"enum": ["a", 'it\'s "q"', 3, None, True, {"x": [1]}]},
        "joined": {"allOf": [{"$ref": "#/$defs/node"}, {"properties": {"z": {"type": "string"}}}]},
        "anchored": {"$ref": "#anchored"},
        "nowhere": {"$ref": "#/$defs/nowhere"},
        "Order Items": {
            "type": "array",
            "items": {"type": "object", "properties": {"sku": {"type": "string"}}},
        },
        "big": {"const": 2**60},
        "email": {"type": "string", "x-classification": "personal", "deprecated": True,
                  "x-sunset": "2027-01-01"},
    },
    "$defs": {
        "loop": {"allOf": [{"$ref": "#/$defs/loop"}]},
        "one": {"anyOf": [{"$ref": "#/$defs/two"}, {"type": "string"}]},
        "two": {"anyOf": [{"$ref": "#/$defs/one"}, {"type": "number"}]},
        "node": {"type": "object", "properties": {"next": {"$ref": "#/$defs/node"}}},
        "flag": {"$anchor": "anchored", "type": "boolean"},
        "Array": {"type": "string"},
    },
}  # fmt: skip


def members(code: str, name: str) -> list[str]:
    """The lines of an interface, without comments."""
    body = code.split(f"export interface {name} {{\n", 1)[1].split("\n}", 1)[0]
    lines = [line.strip() for line in body.splitlines()]
    return [line for line in lines if not line.startswith(("/**", "*"))]


def test_each_word_of_a_schema_has_its_type() -> None:
    code = typescript(ODD, "Odd")
    assert members(code, "Odd") == [
        '"a-b": string;',
        "__proto__?: string;",
        "paid_with?: OddPaidWithCard | string | null;",
        "pair?: [string, (number | null)?];",
        "either?: (string | number)[];",
        "self?: Odd;",
        "loop?: Loop;",
        "mutual?: One;",
        "free?: { [key: string]: unknown };",
        "counts?: { [key: string]: number };",
        "never?: never;",
        "any?: unknown;",
        "kind?: OddKind;",
        "joined?: Node & OddJoinedOption2;",
        "anchored?: Anchored;",
        "nowhere?: unknown;",
        '"Order Items"?: OddOrderItemsItem[];',
        "big?: number;",
        "email?: string;",
        "not_described: unknown;",
        "[key: string]: unknown;",
    ]
    assert 'export type OddKind = "a" | "it\'s \\"q\\"" | 3 | null | true | { x: [1]; };' in code
    assert "export type One = Two | string;" in code
    assert "export type Two = number;" in code  # itself through One adds nothing
    assert "export type Loop = unknown;" in code
    assert members(code, "Node") == ["next?: Node;"]


def test_descriptions_become_comments_that_no_text_can_end() -> None:
    code = typescript(ODD, "Odd")
    assert "/**\n * Ends a comment *\\/ early,\n *  or not.\n */\nexport interface Odd" in code
    assert '   * @format date-time\n   * @example "2026-01-31T12:00:00Z"' in code
    assert "   * Holds personal data.\n   * @deprecated Until 2027-01-01." in code
    assert "\u2028" not in code


def test_a_closed_or_unspoken_content_model_lets_the_compiler_find_typing_errors() -> None:
    for extra in ({}, {"additionalProperties": False}):
        code = typescript({"type": "object", "properties": {"a": {}}, **extra}, "T")
        assert members(code, "T") == ["a?: unknown;"]


def test_names_never_meet() -> None:
    code = typescript(
        {
            "properties": {
                "order_id": {"type": "object", "properties": {"a": {"type": "string"}}},
                "orderId": {"type": "object", "properties": {"b": {"type": "string"}}},
            }
        },
        "T",
    )
    assert members(code, "T") == ["order_id?: TOrderId;", "orderId?: TOrderId2;"]


@pytest.mark.parametrize(
    ("text", "name"),
    [("order_placed", "OrderPlaced"), ("2fa", "N2fa"), ("", "N"), ("Event", "EventValue"),
     ("größe", "GrE"), ("userID", "UserID")],
)  # fmt: skip
def test_any_text_gives_the_name_of_a_type(text: str, name: str) -> None:
    assert type_name(text) == name


def test_types_beyond_the_limit_are_refused() -> None:
    enum = ["x" * 1000 + str(number) for number in range(3000)]
    with pytest.raises(InvalidError):
        typescript({"properties": {"a": {"enum": enum}, "b": {"enum": enum}}}, "T")


_leaves: st.SearchStrategy[Any] = st.sampled_from(
    [True, False, {}, {"type": "string"}, {"type": ["integer", "null"]}, {"enum": ["a", 1]},
     {"$ref": "#"}, {"$ref": "#/$defs/d"}, {"const": {"a": [1]}}, {"type": "object"}]
)  # fmt: skip
_schemas = st.recursive(
    _leaves,
    lambda inner: st.one_of(
        st.fixed_dictionaries(
            {
                "properties": st.dictionaries(st.text(max_size=5), inner, max_size=3),
                "required": st.lists(st.text(max_size=3), max_size=2),
            }
        ),
        st.fixed_dictionaries({"items": inner}),
        st.fixed_dictionaries(
            {"type": st.just("array"), "prefixItems": st.lists(inner, max_size=2)}
        ),
        st.builds(
            lambda word, parts: {word: parts},
            st.sampled_from(["anyOf", "oneOf", "allOf"]),
            st.lists(inner, min_size=1, max_size=3),
        ),
        st.fixed_dictionaries({"additionalProperties": inner}),
    ),
    max_leaves=12,
)


def _documents(count: int) -> list[dict[str, Any]]:
    made: list[dict[str, Any]] = []

    @settings(max_examples=count, deadline=None, database=None, derandomize=True)
    @given(_schemas, _schemas)
    def gather(root: Any, definition: Any) -> None:
        document = root if isinstance(root, dict) else {}
        made.append({**document, "$defs": {"d": definition}})

    gather()
    return made


def test_no_type_is_declared_twice_whatever_the_schema_holds() -> None:
    for document in _documents(200):
        code = typescript(document, "Root")
        names = re.findall(r"^export (?:interface|type) (\w+)", code, re.MULTILINE)
        assert names[0] == "Root"
        assert len(names) == len(set(names))


def test_the_compiler_accepts_the_types_and_the_examples_of_the_contracts(tmp_path: Path) -> None:
    compiler = shutil.which("tsc")
    if compiler is None:
        pytest.skip("DID NOT RUN: there is no TypeScript compiler (tsc) on the PATH")
    documents = [ODD, *_documents(150)]
    for number, document in enumerate(documents):
        code = typescript(document, "Root")
        (tmp_path / f"m{number}.ts").write_text(code + "\nexport type Same = Root;\n")
    plain = {"type": "object", "properties": {"n": {"type": "integer"}, "k": {"enum": ["a"]}},
             "required": ["n"]}  # fmt: skip
    good = f"{typescript(plain, 'T')}\nexport const one: T = {json.dumps(example_of(plain))};\n"
    (tmp_path / "good.ts").write_text(good)
    words = [compiler, "--noEmit", "--strict", "--skipLibCheck", "--target", "es2022"]
    files = sorted(path.name for path in tmp_path.glob("*.ts"))
    done = subprocess.run(
        [*words, *files], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout[:3000]
    (tmp_path / "bad.ts").write_text(f"{typescript(plain, 'T')}\nexport const one: T = {{}};\n")
    done = subprocess.run(
        [*words, "bad.ts"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert "Property 'n' is missing" in done.stdout


def test_references_are_found_by_pointer_anchor_and_nowhere_else() -> None:
    document = {"$defs": {"a/b": {"type": "string"}}, "allOf": [{"$anchor": "x"}]}
    assert target_of(document, "#/$defs/a~1b") == {"type": "string"}
    assert target_of(document, "#/allOf/0") == target_of(document, "#x") == {"$anchor": "x"}
    assert target_of(document, "#") is document
    for elsewhere in ("#/allOf/7", "#nothing", "https://a.example/b", "file:///etc/passwd"):
        assert target_of(document, elsewhere) is None
