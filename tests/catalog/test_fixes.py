"""JSON Patch as RFC 6902 has it, applied to a copy, as a whole or not at all."""

from typing import Any

import pytest

from catalog.fixes import Fix, apply_patch
from portal.kernel.errors import InvalidError


@pytest.mark.parametrize(
    ("document", "patch", "result"),
    [  # the examples of the RFC's appendix A
        ({"foo": "bar"}, [{"op": "add", "path": "/baz", "value": "q"}], {"foo": "bar", "baz": "q"}),
        ({"foo": ["a", "b"]}, [{"op": "add", "path": "/foo/1", "value": "x"}],
         {"foo": ["a", "x", "b"]}),
        ({"foo": ["a"]}, [{"op": "add", "path": "/foo/-", "value": ["x"]}], {"foo": ["a", ["x"]]}),
        ({"a": 1, "b": 2}, [{"op": "remove", "path": "/b"}], {"a": 1}),
        ({"foo": ["a", "x", "b"]}, [{"op": "remove", "path": "/foo/1"}], {"foo": ["a", "b"]}),
        ({"a": 1, "b": 2}, [{"op": "replace", "path": "/a", "value": 3}], {"a": 3, "b": 2}),
        ({"foo": {"x": 1}, "q": {}}, [{"op": "move", "from": "/foo/x", "path": "/q/y"}],
         {"foo": {}, "q": {"y": 1}}),
        ({"foo": ["a", "b", "c"]}, [{"op": "move", "from": "/foo/0", "path": "/foo/2"}],
         {"foo": ["b", "c", "a"]}),
        ({"a": [1]}, [{"op": "copy", "from": "/a", "path": "/b"}], {"a": [1], "b": [1]}),
        ({"a": 1.0}, [{"op": "test", "path": "/a", "value": 1}], {"a": 1.0}),
        ({"/": 9, "~1": 10}, [{"op": "test", "path": "/~01", "value": 10}], {"/": 9, "~1": 10}),
        ({"a": 1}, [{"op": "replace", "path": "", "value": []}], []),
        ({"": 1}, [{"op": "add", "path": "/", "value": 2}], {"": 2}),
    ],
)  # fmt: skip
def test_operations_do_what_the_rfc_says(document: Any, patch: Any, result: Any) -> None:
    before = repr(document)
    assert apply_patch(document, patch) == result
    assert repr(document) == before


@pytest.mark.parametrize(
    "patch",
    [
        [{"op": "remove", "path": "/nothing"}],
        [{"op": "replace", "path": "/nothing", "value": 1}],
        [{"op": "add", "path": "/nothing/deep", "value": 1}],
        [{"op": "add", "path": "/list/3", "value": 1}],
        [{"op": "add", "path": "/list/01", "value": 1}],
        [{"op": "remove", "path": "/list/-"}],
        [{"op": "remove", "path": "/list/-1"}],
        [{"op": "test", "path": "/one", "value": True}],
        [{"op": "move", "from": "/list", "path": "/list/0"}],
        [{"op": "add", "path": "/a"}],
        [{"op": "launch", "path": "/a"}],
        [{"op": "add", "path": "no/slash", "value": 1}],
        [{"path": "/a"}],
        [{"op": "add", "path": "/one/deeper", "value": 1}],
    ],
)
def test_a_patch_that_does_not_fit_is_refused_with_its_operation(patch: Any) -> None:
    document = {"list": [1, 2], "one": 1}
    with pytest.raises(InvalidError) as caught:
        apply_patch(document, [{"op": "test", "path": "/one", "value": 1}, *patch])
    assert caught.value.errors[0].pointer == "/patch/1"
    assert document == {"list": [1, 2], "one": 1}


def test_a_fix_is_shown_with_its_patch() -> None:
    fix = Fix("Use a.b", name="a.b")
    assert fix.as_dict() == {"label": "Use a.b", "patch": [], "changes_data": False, "name": "a.b"}
