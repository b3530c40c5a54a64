"""Governing in a real browser: a review is answered, a question is kept, a stream moves; also on a phone."""

import re

from playwright.sync_api import Browser, expect

from tests.browser.conftest import Visitor, serious_faults, visitor
from tests.support.live import Portal

PHONE = {"width": 390, "height": 844}


def fits(found: Visitor) -> bool:
    """Whether nothing of the present page lies beside a phone's screen, and axe finds no fault."""
    found.page.set_viewport_size({"width": PHONE["width"], "height": PHONE["height"]})
    wide = found.page.evaluate("document.documentElement.scrollWidth")
    assert wide <= PHONE["width"], f"{found.page.url} is {wide} wide"
    return serious_faults(found) == []


def test_a_review_says_at_each_point_what_is_missing_and_is_answered(
    chromium: Browser, shop: Portal
) -> None:
    boss = visitor(chromium, shop, "admin")
    page = boss.page
    boss.open("/reviews/?show=overdue")
    page.click("main a:has-text('Review payments.payout_sent')")
    expect(page.locator("h1")).to_contain_text("This review is overdue")
    assert fits(boss)
    page.click("button:has-text('Complete the review')")
    expect(page.locator(".err")).to_have_count(6)
    assert fits(boss)
    for point in page.locator("[role=radiogroup]").all():
        point.locator("input[value=confirmed]").check()
    page.locator("input[value=changed]").first.check()
    page.locator("main input[name$=_note]").first.fill("Payments took it over from Checkout.")
    page.click("button:has-text('Complete the review')")
    page.wait_for_url(re.compile("/reviews/$"))
    boss.open("/reviews/?show=done")
    page.click("main a:has-text('Read payments.payout_sent')")
    expect(page.locator("blockquote")).to_have_text("Payments took it over from Checkout.")
    assert fits(boss)
    page.context.close()


def test_a_question_to_the_log_is_kept_asked_again_and_deleted(
    chromium: Browser, shop: Portal
) -> None:
    boss = visitor(chromium, shop, "admin")
    page = boss.page
    boss.open("/audit/?object=checkout.order_placed&period=7+days")
    page.click("summary:has-text('Keep this question')")
    page.fill("#question-name", "Who touched the orders")
    assert fits(boss)
    page.click("button:has-text('Keep'):not(summary)")
    kept = page.get_by_role("link", name="Who touched the orders")
    expect(kept).to_have_attribute("aria-current", "true")
    boss.open("/audit/")
    expect(kept).not_to_have_attribute("aria-current", "true")
    kept.click()
    page.wait_for_url(re.compile("object=checkout.order_placed"))
    assert fits(boss)
    page.click("button:has-text('Delete: Who touched the orders')")
    page.wait_for_url(re.compile("/audit/$"))
    expect(kept).to_have_count(0)
    page.context.close()


def test_a_stream_moves_to_production_when_somebody_else_approves(
    chromium: Browser, shop: Portal
) -> None:
    track = "/streams/growth.newsletter_subscribed/promote/"
    engineer = visitor(chromium, shop, "engineer")
    engineer.open(track)
    engineer.page.fill("#move-reason", "Marketing reads it every day.")
    engineer.page.click("button:has-text('Ask to move it to production')")
    expect(engineer.page.locator("#ask")).to_contain_text("Nobody approved yet.")
    assert fits(engineer)
    boss = visitor(chromium, shop, "admin")
    boss.open("/")
    boss.page.click("main li:has-text('newsletter_subscribed') a:has-text('Decide')")
    boss.page.wait_for_url(re.compile(track))
    boss.page.click("button:has-text('Decline')")
    expect(boss.page.locator("#move-text-err")).to_have_text("Say why, in one line")
    assert fits(boss)
    boss.page.click("button:has-text('Approve')")
    expect(boss.page.locator("main .callout.info")).to_contain_text("It moves at")
    assert fits(boss)
    for person in (engineer, boss):
        person.page.context.close()
