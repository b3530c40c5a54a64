"""Python models: they import, they judge like the contract, and their maker reaches nothing."""

import json
import subprocess
import sys
from contextlib import suppress
from types import ModuleType
from typing import Any

import pytest

from catalog import python_models_worker
from catalog.examples import example_of
from catalog.python_models import WORKER, python_models
from portal.kernel.errors import InvalidError
from tests.support.live import ROOT

CORPUS = ROOT.parent / "shared" / "data" / "wikimedia" / "streams.jsonl"

ORDER: dict[str, Any] = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "description": 'An order. """ and \\ stay text.',
    "type": "object",
    "additionalProperties": False,
    "properties": {
        "order_id": {"type": "string", "description": "Its number."},
        "placed_at": {"type": "string", "format": "date-time"},
        "email": {"type": ["string", "null"], "format": "email"},
        "page": {"type": "string", "format": "uri", "examples": ["https://shop.example"]},
        "class": {"enum": ["first", "second class"]},
        "lines": {"type": "array", "items": {"$ref": "#/$defs/line"}},
    },
    "required": ["order_id", "placed_at"],
    "$defs": {
        "line": {
            "type": "object",
            "properties": {"sku": {"type": "string"}, "part_of": {"$ref": "#/$defs/line"}},
            "required": ["sku"],
        }
    },
}


def load(code: str, name: str = "made_models") -> ModuleType:
    module = ModuleType(name)
    sys.modules[name] = module
    exec(compile(code, name, "exec"), module.__dict__)  # noqa: S102  # the point of the test
    return module


def test_the_models_import_and_take_an_example_of_the_contract() -> None:
    module = load(python_models(ORDER, "OrderPlaced"))
    example = example_of(ORDER)
    order = module.OrderPlaced.model_validate(example)
    sent = order.model_dump(mode="json", by_alias=True, exclude_unset=True)
    assert sent == example  # what goes in comes out, addresses and times included


def test_the_models_refuse_what_the_contract_refuses() -> None:
    module = load(python_models(ORDER, "OrderPlaced"))
    good = {"order_id": "1", "placed_at": "2026-01-31T12:00:00Z"}
    module.OrderPlaced.model_validate(good)
    for bad in ({"placed_at": good["placed_at"]}, {**good, "oder": 1}, {**good, "class": "third"}):
        with pytest.raises(ValueError, match="validation error"):
            module.OrderPlaced.model_validate(bad)


@pytest.mark.parametrize(
    "document",
    [
        {"allOf": [{"$ref": "https://127.0.0.1:1/schema"}]},
        {"properties": {"a": {"$ref": "file:///etc/passwd"}}},
        {"properties": {"a": {"$ref": "/etc/passwd"}}},
    ],
)
def test_a_reference_out_of_the_document_is_refused(document: dict[str, Any]) -> None:
    with pytest.raises(InvalidError) as caught:
        python_models(document, "Out")
    assert caught.value.code == "code_unavailable"


def test_a_schema_that_costs_too_much_is_refused_in_time() -> None:
    parts = {f"f{number}": {"type": "object", "properties": {f"g{n}": {"enum": [str(n), "b"]}
             for n in range(60)}} for number in range(300)}  # fmt: skip
    with pytest.raises(InvalidError):
        python_models({"type": "object", "properties": parts}, "Huge")


def test_a_contract_of_two_thousand_fields_has_models() -> None:
    fields = {f"field_{number}": {"type": "string"} for number in range(2000)}
    wide = {"properties": fields, "type": "object"}
    for _ in range(2):  # its child has two seconds, however slow the machine is just now
        with suppress(InvalidError):
            assert python_models(wide, "Wide").count("field_") == 2000
            return
    assert python_models(wide, "Wide").count("field_") == 2000


@pytest.mark.parametrize(
    "attempt",
    [
        "open('/etc/passwd')",
        "open('/tmp/made', 'w')",
        "__import__('socket').create_connection(('127.0.0.1', 9))",
        "__import__('subprocess').run(['true'])",
        "__import__('os').system('true')",
        "bytearray(400 * 1024 * 1024)",
        "[None for _ in iter(int, 1)]",
    ],
)
def test_the_child_reaches_nothing_once_it_is_locked(attempt: str) -> None:
    code = (
        f"import sys; sys.path.append({str(WORKER.parent)!r})\n"
        "import python_models_worker as worker\n"
        "worker.lock()\nprint('locked', flush=True)\n"
        f"{attempt}\nprint('reached')"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-c", code], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.stdout == "locked\n", done.stderr
    assert done.returncode != 0


@pytest.mark.parametrize(
    "code",
    ["import os", "from os import system", "from . import x", "x = eval('1')", "def f(): ...",
     "x = ().__class__", "x = open('a')"],
)  # fmt: skip
def test_code_that_would_do_more_than_declare_models_is_refused(code: str) -> None:
    with pytest.raises((ValueError, TypeError)):
        python_models_worker.check(code)


def test_texts_of_a_schema_stay_texts_in_the_models() -> None:
    evil = '"""\nimport os\nos.system("true")\n"""'
    code = python_models(
        {"type": "object", "title": evil, "description": evil,
         "properties": {evil: {"description": evil, "enum": [evil, "b"], "default": evil}}},
        "Evil",
    )  # fmt: skip
    python_models_worker.check(code)
    assert load(code).Evil.model_validate({evil: "b"})


@pytest.mark.slow
def test_real_contracts_have_models_that_take_their_examples() -> None:
    if not CORPUS.exists():
        pytest.skip(f"DID NOT RUN: the corpus is not at {CORPUS}")
    found = [
        version
        for line in CORPUS.read_text().splitlines()
        for version in json.loads(line)["versions"]
    ]
    for version in found[::12]:
        module = load(python_models(version["schema"], "Made"))
        for example in version["examples"]:
            module.Made.model_validate(example)
