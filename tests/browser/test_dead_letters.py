"""Dead letters as on-call meets them: keys, the pane, a dry run that is followed live."""

import re

import pytest
from playwright.sync_api import Browser, expect

from tests.browser.conftest import serious_faults, visitor
from tests.support.live import Portal

pytestmark = pytest.mark.browser


def test_a_group_is_put_right_with_the_keyboard_and_its_dry_run_is_followed(
    chromium: Browser, shop: Portal
) -> None:
    on_call = visitor(chromium, shop, "on_call", viewport={"width": 1440, "height": 900})
    page = on_call.page
    on_call.open("/dead-letters/")
    page.keyboard.press("j")
    assert page.evaluate("document.activeElement.matches('a.rsn')")
    pane = page.locator(".pane")
    reason, steps = pane.locator("input[name=reason]"), pane.locator("textarea")
    expect(pane.get_by_text("Dry run on")).to_be_visible()
    expect(reason).to_be_hidden()
    pane.get_by_text("Discard with a reason").click()
    expect(reason).to_be_visible()
    expect(steps).to_be_hidden()
    pane.get_by_text("Write the steps yourself").click()
    expect(steps).to_be_visible()
    pane.get_by_text("Repair written for you").first.click()
    page.locator("h1").click()
    page.keyboard.press("r")
    page.wait_for_url("**/replays/*/")
    expect(page.locator(".verdict .say")).to_contain_text("pass.", timeout=60_000)
    page.set_viewport_size({"width": 390, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    assert on_call.faults == []
    page.context.close()


def test_steps_that_cannot_be_read_stay_written_with_their_faults(
    chromium: Browser, shop: Portal
) -> None:
    on_call = visitor(chromium, shop, "on_call", viewport={"width": 390, "height": 844})
    page = on_call.page
    on_call.open("/dead-letters/")
    page.locator("a.rsn").first.click()
    form = page.locator("#put-right form:has(.opts)")
    form.get_by_text("Write the steps yourself").click()
    steps = form.locator("textarea")
    expect(steps, "it begins with a step that can be read").to_have_value(re.compile(r'\[\{"do"'))
    wrong = '[{"do": "cast", "at": "data/n", "to": "integer"},\n {"do": "rename", "at": "/data/a"}]'
    steps.fill(wrong)
    form.locator("button.go").click()
    expect(form.locator(".err")).to_have_text(
        ["Step 1, at: must begin with /, as in /data/price", "Step 2, to: is needed by rename"]
    )
    expect(steps).to_have_value(wrong)
    expect(steps).to_be_focused()
    expect(steps).to_have_accessible_description(re.compile("Step 2, to: is needed by rename"))
    form.get_by_text("What each step does").click()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    assert [fault for fault in on_call.faults if "422" not in fault] == []
    assert serious_faults(on_call) == []
    page.context.close()
