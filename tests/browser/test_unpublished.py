"""What is typed is kept, remedies are pressed, streams end: in a browser, with scripts and without."""

import json
import re
from typing import Any

import httpx2
import pytest
from playwright.sync_api import Browser, expect

from tests.browser.conftest import Visitor, serious_faults, visitor
from tests.support.live import Portal, wait_until

pytestmark = pytest.mark.browser
STREAM = "payments.payment_failed"
SAMPLE = {"type": "checkout.couponApplied", "data": {"coupon_code": "SPRING", "minor": 250}}


def post(shop: Portal, path: str, body: Any) -> Any:
    answer = httpx2.post(
        f"{shop.url}/api/v1{path}", json=body, timeout=20,
        headers={"Authorization": f"Bearer {shop.said['admin_token']}"},
    )  # fmt: skip
    assert answer.status_code < 300, answer.text
    return answer.json()


def test_a_registration_keeps_itself_while_somebody_types(chromium: Browser, shop: Portal) -> None:
    author = visitor(chromium, shop, "engineer", viewport={"width": 1440, "height": 900})
    page = author.page
    author.open("/streams/new/")
    page.fill("#id_sample", json.dumps(SAMPLE))
    page.click("main form button.go")
    page.wait_for_selector("#draft-state:has-text('Not saved yet')")
    page.fill("#id_description", "A coupon was applied.")
    page.wait_for_selector("#draft-state:has-text('Draft saved')")
    first = page.input_value("#draft-state input[name=draft]")
    page.fill("#id_description", "A coupon was applied to a basket.")
    page.wait_for_selector("#draft-state input[name=draft_revision][value='2']", state="attached")
    assert page.input_value("#draft-state input[name=draft]") == first, "one draft, not two"
    assert page.evaluate("document.activeElement.id") == "id_description", "the focus stays"
    author.open("/drafts/")
    page.click("main .rows .ttl a")
    page.wait_for_url(re.compile(f"/drafts/{first}/$"))
    assert page.input_value("#id_description") == "A coupon was applied to a basket."
    for width in (1440, 390):
        page.set_viewport_size({"width": width, "height": 900})
        assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert author.faults == []
    assert serious_faults(author) == [], "after the rest: axe sets styles of its own"
    page.context.close()


def test_without_scripts_a_change_is_kept_gone_on_with_and_proposed(
    chromium: Browser, shop: Portal
) -> None:
    author = visitor(chromium, shop, "engineer", java_script_enabled=False)
    page = author.page
    author.open(f"/streams/{STREAM}/change/")
    document = json.loads(page.input_value("#id_document"))
    page.fill("#id_document", '{"half": ')
    page.fill("#id_summary", "Half a change")
    page.click("button:has-text('Save draft')")
    page.wait_for_url(re.compile("/drafts/[0-9a-f-]+/$"))
    assert page.input_value("#id_document") == '{"half": '
    name = next(iter(document["properties"]))
    document["properties"][name] = {"type": "boolean", "description": "Another type."}
    page.fill("#id_document", json.dumps(document))
    page.click("button:has-text('Propose')")
    page.wait_for_url(re.compile("/changes/[0-9a-f-]+/$"))
    change = page.url.rstrip("/").rpartition("/")[2]
    report: dict[str, Any] = {}

    def has_remedies() -> bool:
        report.update(shop.get(f"/api/v1/changes/{change}/report"))
        rows = [row for row in report.get("differences", []) if row["refuses"]]
        return bool(rows) and all("remedies" in row for row in rows)

    wait_until(has_remedies, "remedies in the report", seconds=60)
    author.open(f"/changes/{change}/")
    page.click(f"button:has-text('Keep the earlier “type” of “{name}”')")
    page.wait_for_url(lambda url: "/changes/" in url and change not in url)
    expect(page.locator("main .callout:has-text('takes the place of')").first).to_be_attached()
    kept = shop.get(f"/api/v1/changes/{page.url.rstrip('/').rpartition('/')[2]}")
    assert kept["revises"] == change
    author.open(f"/changes/{change}/")
    expect(page.locator("main a:has-text('takes the place of this change')")).to_have_count(1)
    page.context.close()


def test_a_stream_is_deprecated_on_its_page_and_taken_back(admin: Visitor, shop: Portal) -> None:
    page = admin.page
    admin.open(f"/streams/{STREAM}/")
    page.click("main a:has-text('Deprecate it')")
    page.fill("#id_sunset_on", "2099-01-01")
    page.fill("#id_migration", "Send payments.payment_settled.")
    page.fill("#id_successor", "checkout.order_placed")
    page.click("main button.go")
    page.wait_for_selector("#ending:has-text('Deprecated until')")
    expect(page.locator("#ending a[href='/streams/checkout.order_placed/']")).to_have_count(1)
    page.click("#ending a:has-text('Take it back')")
    page.click("button:has-text('Take the deprecation back')")
    page.wait_for_url(re.compile(f"/streams/{STREAM}/$"))
    expect(page.locator("#ending")).to_have_count(0)
    assert shop.get(f"/api/v1/streams/{STREAM}")["lifecycle"] == "active"


def test_a_job_is_followed_to_its_end(admin: Visitor, shop: Portal) -> None:
    change = shop.get("/api/v1/changes?stream=checkout.order_placed")["items"][0]
    post(shop, f"/changes/{change['id']}/rerun", {})
    admin.open("/jobs/")
    page = admin.page
    page.click("main .rows li:first-child .ttl a")
    page.wait_for_url(re.compile("/jobs/[0-9a-f-]+/$"))
    page.wait_for_selector("#job-live .b:has-text('Done')", timeout=60_000)
    page.click("main .head a.btn")
    page.wait_for_url(re.compile(f"/changes/{change['id']}/$"))
    report = shop.get(f"/api/v1/changes/{change['id']}/report")
    assert report["progress"]["state"] == "done"
