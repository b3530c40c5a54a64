"""Notices, lineage, glossary and fields as people use them: by mouse, by keyboard, on a phone."""

import re
from typing import Any

import pytest
from playwright.sync_api import Browser, expect

from tests.browser.conftest import serious_faults, tab, visitor
from tests.support.live import Portal

pytestmark = pytest.mark.browser
PATHS = (
    "/notifications/?show=all", "/lineage/", "/lineage/?stream=checkout.order_placed&depth=2",
    "/streams/checkout.order_placed/lineage/", "/glossary/", "/glossary/order-value/",
    "/glossary/order-value/edit/", "/fields/", "/streams/checkout.order_placed/schema/",
)  # fmt: skip


# A scheme changes colours, a width the layout; `test_pages` reads most of them in light at 1440.
@pytest.mark.parametrize(("width", "scheme"), [(1440, "dark"), (390, "light")])
def test_the_pages_are_read_without_a_fault_at_each_size(
    width: int, scheme: Any, chromium: Browser, shop: Portal
) -> None:
    reader = visitor(
        chromium, shop, "engineer", viewport={"width": width, "height": 900}, color_scheme=scheme
    )
    for path in PATHS:
        found = tab(reader.page.context, shop)
        found.open(path)
        expect(found.page.locator("h1"), path).to_have_count(1)
        assert found.page.evaluate("document.documentElement.scrollWidth") <= width, path
        assert found.faults == [], path
        assert serious_faults(found) == [], path
        found.page.close()
    reader.page.context.close()


def test_nodes_are_walked_by_the_tab_key_along_the_flow_and_lead_on(
    chromium: Browser, shop: Portal
) -> None:
    reader = visitor(chromium, shop, "engineer", viewport={"width": 1440, "height": 900})
    page = reader.page
    reader.open("/lineage/?stream=checkout.order_placed")
    page.locator("[aria-label='Lineage graph, scrolls sideways']").focus()
    walked = []
    for _ in range(4):
        page.keyboard.press("Tab")
        walked.append(page.evaluate("document.activeElement.querySelector('title')?.textContent"))
    assert walked[0].startswith("The web shop")
    assert walked[1].startswith("checkout.order_placed")
    places = [
        page.locator(f".lineage a:has(title:text-is('{text}')) rect").get_attribute("x")
        for text in walked
    ]
    assert [float(place or 0) for place in places] == sorted(float(place or 0) for place in places)
    page.locator(".lineage a.st").first.focus()
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile(r"/lineage/\?stream=checkout.order_placed$"))
    page.click("a:has-text('The same as a table')")
    expect(page.locator("#table tbody tr")).to_have_count(7)
    reader.page.context.close()


def test_a_follower_is_told_of_a_change_and_reads_it(chromium: Browser, shop: Portal) -> None:
    reader = visitor(chromium, shop, "analyst")
    reader.open("/streams/support.ticket_opened/")
    reader.page.click("main >> text=Follow")
    expect(reader.page.locator("main >> text=Unfollow")).to_have_count(1)
    before = unread(reader.page.locator("#bell").get_attribute("aria-label"))
    author = visitor(chromium, shop, "engineer")
    author.open("/streams/support.ticket_opened/change/")
    document = author.page.input_value("#id_document").rstrip()
    changed = document.replace('"properties": {', '"title": "A ticket",\n  "properties": {', 1)
    assert changed != document
    author.page.fill("#id_document", changed)
    author.page.fill("#id_summary", "Gives it a title")
    author.page.click("main button.go")
    author.page.wait_for_url(re.compile("/changes/[0-9a-f-]+/$"))
    reader.open("/streams/")
    assert unread(reader.page.locator("#bell").get_attribute("aria-label")) == before + 1
    reader.page.click("#bell")
    reader.page.click("main button:has-text('support.ticket_opened')")
    reader.page.wait_for_url(author.page.url)
    assert unread(reader.page.locator("#bell").get_attribute("aria-label")) == before
    for person in (reader, author):
        assert person.faults == []
        person.page.context.close()


def unread(label: str | None) -> int:
    """What the bell says to who cannot see it."""
    assert label is not None
    found = re.search(r"(\d+) unread", label)
    return int(found[1]) if found else 0


def test_notices_are_read_without_a_script(chromium: Browser, shop: Portal) -> None:
    plain = visitor(chromium, shop, "engineer", java_script_enabled=False)
    page = plain.page
    plain.open("/notifications/")
    expect(page.locator(".notices li.new").first).to_be_attached()
    page.click("main button:has-text('Mark all as read')")
    expect(page.locator("h1")).to_have_text("Nothing new.")
    page.check("input[name=mail][value=each]")
    with page.expect_navigation():
        page.click("form:has(input[name=mail]) button")
    expect(page.locator("input[name=mail][value=each]")).to_be_checked()
    page.context.close()


def test_a_term_is_found_by_the_finder_and_stands_at_its_field(
    chromium: Browser, shop: Portal
) -> None:
    reader = visitor(chromium, shop, "analyst")
    page = reader.page
    reader.open("/")
    page.keyboard.press("/")
    page.wait_for_selector("#palette[open]")
    page.keyboard.type("basket value")
    page.wait_for_selector("#palette-list [role=option]:has-text('Order value')")
    page.keyboard.press("ArrowUp")
    reader.open("/streams/checkout.order_placed/schema/")
    page.click(".schema .term a:has-text('Order value')")
    page.wait_for_url(re.compile("/glossary/order-value/$"))
    expect(page.locator("main a:has-text('Edit')"), "of another team").to_have_count(0)
    reader.page.context.close()
