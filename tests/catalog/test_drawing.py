"""The lineage of a stream as a drawing: everything it shows can be reached and read."""

import re
from html import unescape

from catalog.drawing import Node, lineage, said


def nodes(count: int, kind: str) -> list[Node]:
    return [Node(f"{kind}-{n}", "service", f"/{kind}/{n}/") for n in range(count)]


def test_each_neighbour_is_a_link_and_the_rest_is_folded() -> None:
    drawn = lineage("shop.order_placed", nodes(2, "from"), nodes(9, "to"), "/all/")
    assert re.findall(r'href="([^"]+)"', drawn) == [
        "/from/0/", "/from/1/", "/to/0/", "/to/1/", "/to/2/", "/all/",
    ]  # fmt: skip
    assert "6 more…" in drawn
    assert drawn.count('class="e"') == 6


def test_four_neighbours_are_not_folded_into_three_and_one_more() -> None:
    drawn = lineage("shop.order_placed", nodes(4, "from"), [], "/all/")
    assert "more…" not in drawn
    assert drawn.count('class="e"') == 4


def test_names_are_text_and_fit() -> None:
    drawn = lineage("a.very_long_name_of_an_event", [Node("<b>bold</b> name", "x", "/")], [], "/")
    assert "<b>" not in drawn
    assert "&lt;b&gt;" in drawn
    texts = re.findall(r"<text[^>]*>([^<]*)</text>", drawn)
    assert all(len(unescape(text)) <= 13 for text in texts)


def test_a_sentence_says_the_same() -> None:
    assert said("a.b", nodes(1, "web"), nodes(2, "to")) == (
        "a.b comes from web-0 and feeds two consumers."
    )
    assert said("a.b", [], []) == "a.b comes from nobody by name and feeds no consumer."
