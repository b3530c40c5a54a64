"""A contract is changed in the browser: proposed, read, approved by somebody else, activated."""

import json
import re
from typing import Any

import pytest
from playwright.sync_api import Browser, expect

from tests.browser.conftest import Visitor, serious_faults, tab, visitor
from tests.support.live import Portal, wait_until

pytestmark = pytest.mark.browser
STREAM = "checkout.order_placed"


def story_change(shop: Portal) -> dict[str, Any]:
    """The change that the demo shop brings, measured."""
    found: dict[str, Any] = shop.get(f"/api/v1/changes?stream={STREAM}")["items"][0]
    wait_until(
        lambda: shop.get(f"/api/v1/changes/{found['id']}/report")["progress"]["state"] == "done",
        "the report of the change",
        seconds=60,
    )
    return found


# A scheme changes colours, a width the layout.
@pytest.mark.parametrize(("width", "scheme"), [(1440, "light"), (390, "dark")])
def test_the_report_is_read_without_a_fault_at_each_size(
    width: int, scheme: Any, chromium: Browser, shop: Portal
) -> None:
    change = story_change(shop)
    reader = visitor(
        chromium, shop, "engineer", viewport={"width": width, "height": 900}, color_scheme=scheme
    )
    for path in ("/changes/", f"/changes/{change['id']}/", f"/changes/{change['id']}/?view=side",
                 f"/streams/{STREAM}/change/", f"/streams/{STREAM}/versions/6..7/"):  # fmt: skip
        found = tab(reader.page.context, shop)
        found.open(path)
        expect(found.page.locator("h1")).to_have_count(1)
        assert found.page.evaluate("document.documentElement.scrollWidth") <= width, path
        assert found.faults == []
        assert serious_faults(found) == [], path
        found.page.close()
    reader.page.context.close()


def test_the_page_says_who_would_break_and_what_real_events_say(
    admin: Visitor, shop: Portal
) -> None:
    change = story_change(shop)
    admin.open(f"/changes/{change['id']}/")
    page = admin.page
    said = "4 of 6 consumers are safe. 2 would break on the first event."
    expect(page.locator(".verdict .say")).to_have_text(said)
    expect(page.locator(".verdict .because")).to_contain_text("shipping_zip")
    row = page.locator("table.imp tr:has-text('Fulfilment')")
    expect(row).to_contain_text("would break")
    expect(page.locator("text=One-tap checkout").first, "the running experiment").to_be_attached()
    expect(page.locator("main")).to_contain_text(re.compile(r"[\d,]+ of [\d,]+ replayed"))


def test_a_change_is_proposed_approved_by_another_and_activated(
    chromium: Browser, shop: Portal
) -> None:
    author = visitor(chromium, shop, "engineer")
    page = author.page
    author.open("/streams/payments.refund_issued/")
    page.click("main a:has-text('Propose change')")
    document = json.loads(page.input_value("#id_document"))
    page.fill("#id_document", '{"type": ')
    page.fill("#id_summary", "Says why money went back")
    page.click("main button.go")
    expect(page.locator(".err")).to_contain_text("line 1")
    document["properties"]["refund_reason"] = {"type": "string", "description": "Why."}
    page.fill("#id_document", json.dumps(document, indent=2))
    page.click("main button.go")
    page.wait_for_url(re.compile("/changes/[0-9a-f-]+/$"))
    address = page.url.removeprefix(shop.url)
    expect(page.locator("button[value=approve]"), "never one's own").to_have_count(0)
    boss = visitor(chromium, shop, "admin")
    boss.open("/changes/?show=waiting")
    boss.page.click("main a:has-text('Says why money went back')")
    boss.page.click("button[value=approve]")
    boss.page.wait_for_selector("text=You approved")
    author.open(address)
    page.click("button[value=activate]")
    page.wait_for_selector("text=is active.")
    assert shop.get("/api/v1/streams/payments.refund_issued")[
        "default_version"
    ] == document_version(shop)
    for person in (author, boss):
        # The refused text was answered 422, which a browser's console notes.
        assert [fault for fault in person.faults if "422" not in fault] == []
        person.page.context.close()


def document_version(shop: Portal) -> int:
    versions = shop.get("/api/v1/streams/payments.refund_issued/schemas")["items"]
    return max(int(row["version"]) for row in versions if row["state"] == "active")
