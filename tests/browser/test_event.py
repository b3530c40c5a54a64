"""The page of one event: its switches are links, each view holds at each width; j goes on."""

import re

import pytest
from playwright.sync_api import Browser, expect

from tests.browser.conftest import serious_faults, visitor
from tests.support.live import Portal

pytestmark = pytest.mark.browser


def test_an_event_is_read_in_each_of_its_views(chromium: Browser, shop: Portal) -> None:
    reader = visitor(chromium, shop, "admin", viewport={"width": 390, "height": 844})
    page = reader.page
    reader.open("/streams/checkout.order_placed/samples/")
    page.locator("main .rows .ttl a").first.click()
    page.wait_for_url("**/events/**")
    name = page.locator("h1").inner_text()
    switch = page.get_by_role("group", name="The event as")
    expect(switch.locator("[aria-current]")).to_have_text("JSON")
    switch.get_by_text("Fields").click()
    expect(switch.locator("[aria-current]")).to_have_text("Fields")
    expect(page.locator(".fv tr:has-text('currency') .val")).to_have_text(re.compile("^[A-Z]{3}$"))
    page.get_by_role("group", name="Its life as").get_by_text("Trace").click()
    expect(page.locator("#life")).to_contain_text("It came without a trace.")
    expect(switch.locator("[aria-current]"), "the other switch stays").to_have_text("Fields")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    assert serious_faults(reader) == []
    page.set_viewport_size({"width": 1440, "height": 900})
    switch.get_by_text("Raw").focus()
    page.keyboard.press("Enter")
    expect(page.locator("#event-json")).to_contain_text(f'"id":"{name}"')
    page.locator("h1").click()
    page.keyboard.press("j")
    expect(page.locator("h1")).not_to_have_text(name)
    assert re.search(r"\?time=", page.url)
    page.context.close()


def test_a_refused_retention_says_so_at_its_field(chromium: Browser, shop: Portal) -> None:
    boss = visitor(chromium, shop, "admin", viewport={"width": 390, "height": 844})
    page = boss.page
    boss.open("/streams/checkout.order_placed/retention/")
    page.get_by_label("Where its key stands").fill("customer")
    page.locator("main button.go").click()
    key = page.get_by_label("Where its key stands")
    expect(key).to_be_focused()
    expect(key).to_have_value("customer")
    expect(key).to_have_accessible_description(re.compile("Must be a JSON pointer"))
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    assert serious_faults(boss) == []
    page.context.close()
