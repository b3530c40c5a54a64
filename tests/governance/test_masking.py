from governance.masking import MASK, mask, present

DATA = {"a": 1, "b": {"c": "x", "d": 2}, "items": [{"p": "s", "q": 1}, {"q": 2}], "n": None}


def test_values_at_paths_are_replaced_and_nothing_else() -> None:
    assert mask(DATA, ["b.c", "items[].p"]) == {
        "a": 1,
        "b": {"c": MASK, "d": 2},
        "items": [{"p": MASK, "q": 1}, {"q": 2}],
        "n": None,
    }


def test_what_is_absent_or_null_stays() -> None:
    assert mask(DATA, ["n", "zzz", "b.e"]) == DATA
    assert mask("text", ["a"]) == "text"


def test_without_a_path_nothing_is_masked() -> None:
    assert mask(DATA, []) == DATA


def test_the_original_is_not_touched() -> None:
    before = {"a": {"b": 1}}
    mask(before, ["a.b"])
    assert before == {"a": {"b": 1}}


def test_paths_that_hold_a_value_are_named() -> None:
    assert present(DATA, ["a", "b.c", "b.zzz", "items[].p", "n"]) == ["a", "b.c", "items[].p"]
