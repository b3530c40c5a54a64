"""Importing in a browser: by keyboard, on a phone, and without a script; readable for everybody."""

import json

import pytest
from playwright.sync_api import Browser, expect

from tests.browser.conftest import Visitor, serious_faults, visitor
from tests.support.live import Portal

pytestmark = pytest.mark.browser
SCHEMA = {
    "type": "object",
    "description": "A parcel was handed over.",
    "properties": {"parcel_id": {"type": "string", "description": "Its number."}},
}


def plan_of(found: Visitor, name: str) -> None:
    """Paste a stream of this name and ask for the plan, by keyboard alone."""
    page = found.page
    line = json.dumps({"subject": name, "versions": [{"version": "1.0.0", "schema": SCHEMA}]})
    found.open("/import/")
    page.locator("#id_text").fill(line)
    page.locator("button[value=plan]").focus()
    page.keyboard.press("Enter")
    expect(page.locator("section header p[role=status]")).to_contain_text("Plan: 1 to add")


@pytest.mark.parametrize("width", [1440, 390])
def test_the_plan_is_read_and_confirmed_by_keyboard(
    width: int, chromium: Browser, shop: Portal
) -> None:
    found = visitor(chromium, shop, "engineer", viewport={"width": width, "height": 900})
    plan_of(found, f"Parcel/HandedOver{width}")
    page = found.page
    assert found.faults == []
    assert serious_faults(found) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.locator("button[value=import]").focus()
    page.keyboard.press("Enter")
    expect(page.locator("section header p[role=status]")).to_contain_text("Applied: 1 added")
    assert serious_faults(found) == []
    page.get_by_role("link", name=f"parcel.handed_over{width}").click()
    expect(page.locator("h1")).to_contain_text("handed_over")
    page.context.close()


def test_it_works_without_a_script(chromium: Browser, shop: Portal) -> None:
    found = visitor(chromium, shop, "engineer", java_script_enabled=False)
    plan_of(found, "Parcel/Lost")
    found.page.locator("button[value=import]").click()
    expect(found.page.locator("section header p[role=status]")).to_contain_text("Applied: 1 added")
    found.page.context.close()


def test_the_downloads_of_a_stream_come(admin: Visitor) -> None:
    admin.open("/streams/checkout.order_placed/use/")
    for name in ("AsyncAPI", "ODCS", "JSON Schema", "Portal YAML"):
        with admin.page.expect_download() as coming:
            admin.page.get_by_role("link", name=name, exact=True).click()
        assert coming.value.suggested_filename.startswith("checkout.order_placed")
