"""Every page in a real browser: no console error, no policy report, nothing serious for axe."""

import re

import pytest
from playwright.sync_api import Browser, expect

from tests.browser.conftest import Visitor, serious_faults, tab, visitor
from tests.support.live import Portal

pytestmark = pytest.mark.browser
PAGES = [
    "/", "/streams/", "/streams/?q=oder", "/streams/checkout.order_placed/",
    "/streams/playback.heartbeat/schema/", "/streams/playback.heartbeat/quality/",
    "/streams/playback.heartbeat/versions/", "/streams/playback.heartbeat/consumers/",
    "/streams/playback.heartbeat/samples/", "/streams/playback.heartbeat/activity/",
    "/streams/playback.heartbeat/use/", "/streams/new/", "/import/", "/fields/", "/search/?q=order",
    "/producers/", "/producers/android-app/", "/consumers/", "/consumers/fulfilment/",
    "/domains/checkout/", "/ingest/", "/ingest/storage/", "/ingest/storage/?list=archives",
    "/ingest/synthetic/", "/ingest/synthetic/?stream=checkout.order_placed",
    "/streams/checkout.order_placed/retention/", "/dead-letters/", "/discovered/", "/replays/",
    "/ingest/find/", "/ingest/find/?id=zzzqqq", "/producers/web-shop/limits/", "/privacy/",
    "/privacy/erasures/",
    "/privacy/keys/", "/privacy/vault/", "/privacy/exports/",
    "/quality/", "/experiments/",
    "/experiments/one_tap_checkout/", "/access/", "/access/requests/", "/access/recertify/",
    "/access/grants/", "/access/matrix/", "/streams/checkout.order_placed/access/",
    "/policies/internal-read-at-once/",
    "/access/break-glass/", "/access/break-glass/?stream=checkout.order_placed",
    "/settings/second-factor/", "/accounts/2fa/totp/activate/", "/accounts/2fa/webauthn/add/",
    "/accounts/password/change/", "/accounts/reauthenticate/",
    "/access/new/?stream=checkout.order_placed", "/audit/", "/audit/1/", "/teams/",
    "/teams/checkout/", "/people/", "/people/new/", "/people/1/", "/settings/", "/design/", "/api/docs",
    "/search/", "/search/?q=zzzqqq", "/streams/?q=zzzqqq&domain=checkout",
    "/streams/?q=order&domain=checkout", "/streams/checkout.order_placed/?range=24h",
    "/streams/checkout.order_placed/volume/", "/streams/checkout.order_placed/schema/?q=sku",
    "/dead-letters/?state=replayed", "/experiments/?state=draft",
    "/notifications/", "/notifications/?show=all", "/lineage/", "/lineage/?domain=checkout",
    "/lineage/?stream=checkout.order_placed&depth=2", "/lineage/?team=playback&active=true",
    "/streams/checkout.order_placed/lineage/?depth=3", "/glossary/", "/glossary/?q=zzzqqq",
    "/glossary/order-value/", "/glossary/order-value/edit/", "/fields/?conflicts=true",
    "/fields/?classification=personal&ordering=name",
    "/drafts/", "/jobs/",
    "/policies/", "/policies/?show=off", "/policies/?show=acting",
    "/reviews/", "/reviews/?show=open", "/reviews/?show=overdue", "/reviews/?show=done",
    "/policies/compliance/", "/policies/compliance/?domain=checkout",
    "/policies/compliance/processing/", "/policies/compliance/processing/?domain=checkout",
    "/policies/owner-present/", "/policies/t1-streams-read/",
    "/jobs/?show=live", "/streams/checkout.order_placed/end/", "/streams/search.query_v1/end/",
    "/streams/checkout.order_placed/promote/", "/streams/search.query_v1/promote/",
]  # fmt: skip
# Pages of things whose address only a list knows: the list, and the link to follow.
LINKED = {
    "an alarm": ("/quality/", "main a[href^='/quality/alarms/']"),
    "a group of dead letters": ("/dead-letters/", "main a.rsn"),
    "a new policy": ("/policies/", "main a[href='/policies/new/']"),
    "a policy that is edited": ("/policies/fields-described/", "main a[href$='/edit/']"),
    "a job": ("/jobs/", "main .rows .ttl a"),
    "a review that waits": ("/reviews/?show=open", "main a[href^='/reviews/0']"),
    "a review that was answered": ("/reviews/?show=done", "main a[href^='/reviews/0']"),
    "an event": ("/streams/checkout.order_placed/samples/", "main .rows .ttl a"),
}


@pytest.mark.parametrize("path", PAGES)
def test_a_page_loads_without_a_fault_and_is_accessible(
    path: str, admin: Visitor, shop: Portal
) -> None:
    found = tab(admin.page.context, shop)
    found.open(path)
    if found.page.locator("[data-chart]").count():
        found.page.wait_for_selector("[data-drawn]", timeout=60_000)
    expect(found.page.locator("h1")).to_have_count(1)
    # Before axe, which sets styles of its own that the policy rightly reports.
    assert found.faults == []
    assert serious_faults(found) == []
    found.page.close()


@pytest.mark.parametrize("what", LINKED)
def test_a_page_reached_from_a_list_is_without_a_fault(
    what: str, admin: Visitor, shop: Portal
) -> None:
    found = tab(admin.page.context, shop)
    start, link = LINKED[what]
    found.open(start)
    address = found.page.locator(link).first.get_attribute("href")
    assert address is not None
    for width in (1440, 390):
        found.page.set_viewport_size({"width": width, "height": 900})
        found.open(address)
        expect(found.page.locator("h1")).to_have_count(1)
        assert found.page.evaluate("document.documentElement.scrollWidth") <= width
    assert found.faults == []
    assert serious_faults(found) == []
    found.page.close()


@pytest.mark.parametrize(
    ("path", "says"),
    [("/nowhere/", "There is nothing here"), ("/audit/", "This is not permitted")],
)
def test_a_page_of_an_error_says_what_and_where_to_go(
    path: str, says: str, chromium: Browser, shop: Portal
) -> None:
    analyst = visitor(chromium, shop, "analyst", viewport={"width": 390, "height": 844})
    analyst.open(path)
    expect(analyst.page.locator("h1")).to_have_text(says)
    expect(analyst.page.locator("main a[href='/']")).to_have_count(1)
    assert serious_faults(analyst) == []
    analyst.page.context.close()


FOR_ADMINS = (
    "/people/new", "/audit", "/privacy/keys", "/privacy/vault", "/privacy/exports", "/privacy/erasures",
)  # fmt: skip


@pytest.mark.parametrize("role", ["engineer", "admin"])
def test_pages_hold_on_a_phone_in_the_dark(role: str, chromium: Browser, shop: Portal) -> None:
    phone = visitor(
        chromium, shop, role, viewport={"width": 390, "height": 844}, color_scheme="dark"
    )
    for path in PAGES:
        if path.startswith(FOR_ADMINS) is (role == "admin"):
            phone.open(path)
            wide = phone.page.evaluate("document.documentElement.scrollWidth")
            assert wide <= 390, f"{path} is {wide} wide"
    assert phone.faults == []
    phone.page.context.close()


def test_signing_in_works_by_keyboard_and_a_wrong_password_is_said(
    chromium: Browser, shop: Portal
) -> None:
    person = visitor(chromium, shop, None)
    person.open("/streams/")
    page = person.page
    page.wait_for_url(re.compile("/accounts/login/"))
    page.fill("#id_login", shop.said["logins"]["analyst"]["email"])
    page.fill("#id_password", "wrong")
    page.press("#id_password", "Enter")
    expect(page.locator("[role=alert]")).not_to_be_empty()
    page.fill("#id_password", shop.said["logins"]["analyst"]["password"])
    page.press("#id_password", "Enter")
    page.wait_for_url(shop.url + "/streams/")
    page.context.close()


def test_the_finder_leads_to_a_stream_by_keyboard_alone(admin: Visitor) -> None:
    admin.open("/")
    page = admin.page
    page.keyboard.press("/")
    page.wait_for_selector("#palette[open]")
    page.keyboard.type("order placed")
    page.wait_for_selector("#palette-list [role=option]:has-text('order_placed')")
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile("/streams/checkout.order_placed/"))
    expect(page.locator("h1")).to_have_text("checkout.order_placed")


def test_the_theme_is_kept_and_set_by_the_server(admin: Visitor) -> None:
    admin.open("/")
    page = admin.page
    before = page.locator("html").get_attribute("data-theme")
    page.click("[data-theme-form] button")
    after = page.locator("html").get_attribute("data-theme")
    assert after in ("light", "dark")
    assert after != before
    page.reload()
    assert page.locator("html").get_attribute("data-theme") == after


def test_a_stream_is_registered_from_a_pasted_sample(chromium: Browser, shop: Portal) -> None:
    engineer = visitor(chromium, shop, "engineer")
    page = engineer.page
    engineer.open("/streams/new/")
    page.fill("textarea[name=sample]", '{"broken": ')
    page.click("main button.go")
    expect(page.locator(".err")).to_contain_text("line 1")
    page.fill(
        "textarea[name=sample]",
        '{"specversion":"1.0","type":"shop.gift_wrapped","source":"/s","id":"1",'
        '"data":{"gift_id":"g1","email":"a@b.example"}}',
    )
    page.click("main button.go")
    page.wait_for_selector("#id_name")
    assert page.input_value("#id_name") == "shop.gift_wrapped"
    page.click("button:has-text('Accept all suggestions')")  # before anything is written
    page.wait_for_selector("li:has-text('Personal data is decided')")
    page.fill("#id_description", "Somebody asked for a gift to be wrapped.")
    page.click("main button.go")
    page.wait_for_url(re.compile("/streams/shop.gift_wrapped/use/"))
    page.click("main form button")
    page.wait_for_selector("pre:has-text('ep_prod_')")
    assert shop.get("/api/v1/streams/shop.gift_wrapped")["classification"] == "personal"
    page.context.close()


def test_pages_work_without_a_script(chromium: Browser, shop: Portal) -> None:
    plain = visitor(chromium, shop, "product_manager", java_script_enabled=False)
    page = plain.page
    plain.open("/streams/")
    page.fill("main input[name=q]", "refund")
    page.press("main input[name=q]", "Enter")
    expect(page.locator("main a.sn:has-text('refund_issued')")).to_have_count(1)
    plain.open("/streams/payments.refund_issued/")
    page.click("main >> text=Follow")
    expect(page.locator("main >> text=Unfollow")).to_have_count(1)
    page.context.close()


def test_a_request_is_asked_and_granted_in_the_browser(chromium: Browser, shop: Portal) -> None:
    analyst = visitor(chromium, shop, "analyst")
    analyst.open("/streams/support.ticket_opened/samples/")
    analyst.page.click("main .state a:has-text('Ask for access')")
    analyst.page.fill("#id_purpose", "Count tickets by topic each week.")
    analyst.page.click("main button.go")
    analyst.page.wait_for_url(re.compile("/access/$"))
    boss = visitor(chromium, shop, "admin")
    boss.open("/access/")
    row = boss.page.locator("article.req:has-text('ticket_opened')")
    row.locator("button[value=approve]").click()
    boss.page.wait_for_selector("text=Granted ivo@shop.example")
    analyst.open("/streams/support.ticket_opened/samples/")
    expect(analyst.page.locator("main .rows li").first).to_be_attached()
    for person in (analyst, boss):
        person.page.context.close()


def test_synthetic_events_are_seen_first_then_sent(chromium: Browser, shop: Portal) -> None:
    engineer = visitor(chromium, shop, "engineer", viewport={"width": 390, "height": 844})
    page = engineer.page
    engineer.open("/ingest/synthetic/")
    stream = page.locator("#streams-to-fill option").first.get_attribute("value")
    assert stream is not None
    page.fill("#id_stream", stream)
    page.fill("#id_events", "40")
    page.fill("#id_rate", "100")
    page.fill("#id_broken", "25")
    if page.locator("#id_production").count():
        page.check("#id_production")
    page.click("main button:has-text('Show five')")
    page.wait_for_selector("#preview article")
    expect(page.locator("#preview article")).to_have_count(5)
    expect(page.locator("#preview mark").first).to_be_attached()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    assert engineer.faults == []
    page.click("main button:has-text('Send them')")
    page.wait_for_url(re.compile("/ingest/synthetic/[0-9a-f-]{36}/"))
    expect(page.locator("h1")).to_contain_text(stream)
    page.wait_for_selector("text=Every event came to what was expected of it.", timeout=60_000)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    assert engineer.faults == []
    assert serious_faults(engineer) == []
    page.context.close()
