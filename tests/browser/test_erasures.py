"""An erasure in the browser: asked for in a form that says its faults, seen, and taken back."""

import pytest
from playwright.sync_api import Browser, expect

from tests.browser.conftest import serious_faults, visitor
from tests.support.live import Portal

pytestmark = pytest.mark.browser


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_an_admin_asks_for_an_erasure_sees_it_and_takes_it_back(
    chromium: Browser, shop: Portal, scheme: str
) -> None:
    ada = visitor(chromium, shop, "admin", color_scheme=scheme)
    page = ada.page
    ada.open("/privacy/")
    page.click("main .tiles a:text-is('All of them')")
    page.fill("#id_identifiers", "zebra@canary.example\nab")
    page.select_option("#id_basis", "objection")
    page.fill("#id_reason", "Asked by mail.")
    page.click("button:text-is('Ask for it')")
    expect(page.locator("#id_identifiers_error")).to_contain_text("Number 2: needs 3 characters")
    assert serious_faults(ada) == []
    page.fill("#id_identifiers", "zebra@canary.example")
    page.click("button:text-is('Ask for it')")
    expect(page.locator("h1")).to_have_text("An erasure waits for a decision.")
    expect(page.locator("main")).not_to_contain_text("zebra@canary.example")
    assert serious_faults(ada) == []
    page.click("button:text-is('Take it back')")
    expect(page.locator("h1")).to_have_text("An erasure was taken back.")
    assert serious_faults(ada) == []
    assert [fault for fault in ada.faults if "422" not in fault] == []
    page.context.close()
