import pytest
from hypothesis import given
from hypothesis import strategies as st

from catalog import naming
from portal.kernel.errors import InvalidError


@pytest.mark.parametrize(
    ("original", "name"),
    [
        ("mediawiki/page/change", "mediawiki.page.change"),
        ("OrderPlaced", "imported.order_placed"),
        ("Order Placed", "imported.order_placed"),
        ("checkout.order_placed", "checkout.order_placed"),
        ("HTTPRequest/URLSeen", "http_request.url_seen"),
        ("a/b/c/d/e/f", "a.b.c.d_e_f"),
        ("api-gateway/request", "api_gateway.request"),
        ("2fa/login", "n2fa.login"),
        ("//x..y//", "x.y"),
        ("a__b/__c__", "a_b.c"),
    ],
)
def test_names_from_outside_are_mapped(original: str, name: str) -> None:
    assert naming.from_outside(original) == name


@pytest.mark.parametrize("original", ["", "///", "…", "—/—", "x" * 130])
def test_what_leaves_nothing_or_is_too_long_is_refused(original: str) -> None:
    with pytest.raises(InvalidError):
        naming.from_outside(original)


@given(st.text(max_size=200))
def test_every_mapped_name_is_one_the_house_allows_and_mapping_is_stable(original: str) -> None:
    try:
        name = naming.from_outside(original)
    except InvalidError:
        return
    naming.check_stream_name(name)
    assert naming.from_outside(name) == name


@pytest.mark.parametrize(
    "name",
    ["order", "Checkout.order", "checkout.", "checkout..x", "a.b.c.d.e", "1a.b", "a.b ", "a.b\n"],
)
def test_names_that_break_the_rule_are_refused(name: str) -> None:
    with pytest.raises(InvalidError):
        naming.check_stream_name(name)


def test_a_clash_gets_a_number() -> None:
    taken = {"a.b", "a.b_2"}
    assert naming.free_name("a.b", taken.__contains__) == "a.b_3"
