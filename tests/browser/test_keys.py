"""What a keyboard, a phone and a browser without script can do."""

import re

import pytest
from playwright.sync_api import Browser, expect

from tests.browser.conftest import Visitor, serious_faults, tab, visitor
from tests.support.live import Portal, running, wait_until

pytestmark = pytest.mark.browser
EMPTY_PAGES = [
    "/", "/streams/", "/ingest/", "/dead-letters/", "/quality/", "/experiments/", "/access/",
    "/teams/", "/fields/", "/search/", "/producers/", "/notifications/", "/lineage/", "/glossary/",
]  # fmt: skip
PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}


def test_the_skip_link_comes_first_and_leads_past_the_navigation(admin: Visitor) -> None:
    admin.open("/streams/")
    page = admin.page
    page.keyboard.press("Tab")
    expect(page.locator(".skip")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#main")).to_be_focused()


def test_the_list_of_keys_opens_and_names_only_places_that_exist(admin: Visitor) -> None:
    admin.open("/")
    page = admin.page
    page.keyboard.press("?")
    keys = page.locator("#keys")
    expect(keys).to_be_visible()
    assert serious_faults(admin) == []
    letters = keys.locator("section:has(h3:text('Go to')) kbd:nth-child(2)").all_inner_texts()
    assert set(letters) == {
        str(key)
        for key in page.eval_on_selector_all("[data-go]", "all => all.map(a => a.dataset.go)")
    }
    page.keyboard.press("Escape")
    expect(keys).to_be_hidden()


@pytest.mark.parametrize(
    ("key", "path"), [("c", "/streams/"), ("d", "/dead-letters/"), ("e", "/experiments/")]
)
def test_g_and_a_letter_lead_to_a_place(key: str, path: str, admin: Visitor) -> None:
    admin.open("/settings/")
    admin.page.keyboard.press("g")
    admin.page.keyboard.press(key)
    expect(admin.page).to_have_url(re.compile(f"{path}$"))
    expect(admin.page.locator("h1")).to_have_count(1)


def test_c_s_begins_a_stream(admin: Visitor) -> None:
    admin.open("/")
    admin.page.keyboard.press("c")
    admin.page.keyboard.press("s")
    expect(admin.page).to_have_url(re.compile("/streams/new/$"))
    expect(admin.page.locator("#id_sample")).to_have_count(1)


def test_j_and_k_move_in_a_list_and_enter_opens(admin: Visitor) -> None:
    admin.open("/streams/?ordering=name")
    page = admin.page
    names = page.locator("[data-rows] a.sn")
    page.keyboard.press("j")
    page.keyboard.press("j")
    expect(names.nth(1)).to_be_focused()
    page.keyboard.press("k")
    expect(names.nth(0)).to_be_focused()
    first = names.nth(0).get_attribute("href")
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile(f"{first}$"))


def test_a_stream_is_followed_and_used_by_one_key(chromium: Browser, shop: Portal) -> None:
    manager = visitor(chromium, shop, "product_manager")
    page = manager.page
    manager.open("/streams/recs.impression_shown/")
    page.keyboard.press("w")
    page.wait_for_selector("text=Unfollow")
    page.keyboard.press("w")
    page.wait_for_selector("button:has-text('Follow'):not(:has-text('Unfollow'))")
    page.keyboard.press("u")
    page.wait_for_url(re.compile("/streams/recs.impression_shown/use/$"))
    expect(page.locator("main")).to_contain_text("recs.impression_shown")
    page.context.close()


def test_a_schema_is_a_tree_that_keys_fold_and_search(chromium: Browser, shop: Portal) -> None:
    engineer = visitor(
        chromium, shop, "engineer", permissions=["clipboard-read", "clipboard-write"]
    )
    page = engineer.page
    engineer.open("/streams/checkout.order_placed/schema/")
    page.keyboard.press("f")
    expect(page.locator("#q")).to_be_focused()
    assert page.input_value("#q") == ""
    items = page.locator("[role=treeitem][data-path='items']")
    child = page.locator("[role=treeitem][data-path^='items[]']").first
    page.locator("[role=treeitem]").first.focus()
    while items.evaluate("item => item !== document.activeElement"):
        page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowLeft")
    expect(items).to_have_attribute("aria-expanded", "false")
    expect(child).to_be_hidden()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    expect(child).to_be_focused()
    page.keyboard.press("y")
    expect(page.locator("#live-region")).to_contain_text("Copied items[]")
    assert page.evaluate("navigator.clipboard.readText()").startswith("items[].")
    page.keyboard.press("ArrowLeft")
    expect(items).to_be_focused()
    assert engineer.faults == []
    page.context.close()


def test_single_letters_do_nothing_in_a_field_or_when_switched_off(
    chromium: Browser, shop: Portal
) -> None:
    person = visitor(chromium, shop, "analyst")
    page = person.page
    person.open("/streams/")
    page.focus("main input[name=q]")
    page.keyboard.type("g/c?")
    assert page.input_value("main input[name=q]") == "g/c?"
    person.open("/settings/")
    page.uncheck("input[name=single_key_shortcuts]")
    with page.expect_navigation():
        page.click("form:has(input[name=single_key_shortcuts]) button")
    person.open("/streams/")
    page.keyboard.press("/")
    expect(page.locator("#palette")).to_be_hidden()
    page.keyboard.press("Control+k")
    expect(page.locator("#palette")).to_be_visible()
    person.open("/settings/")
    page.check("input[name=single_key_shortcuts]")
    with page.expect_navigation():
        page.click("form:has(input[name=single_key_shortcuts]) button")
    page.context.close()


def test_the_finder_opens_with_what_was_opened_and_tab_shows_what_to_do(
    chromium: Browser, shop: Portal
) -> None:
    person = visitor(chromium, shop, "engineer")
    page = person.page
    person.open("/streams/payments.refund_issued/")
    person.open("/streams/search.zero_results/")
    person.open("/")
    page.keyboard.press("/")
    options = page.locator("#palette-options [role=option][data-stream]")
    expect(options.first).to_contain_text("zero_results")
    expect(options.nth(1)).to_contain_text("refund_issued")
    expect(page.locator("#palette input")).to_have_attribute("aria-expanded", "true")
    expect(page.locator("#palette-status")).to_contain_text("streams: 2")
    page.keyboard.press("Tab")
    actions = page.locator("#palette-options [role=option]")
    expect(actions.nth(1)).to_contain_text("Schema")
    page.keyboard.press("Escape")
    expect(options.first).to_contain_text("zero_results")
    expect(page.locator("#palette")).to_be_visible()
    page.keyboard.press("Tab")
    expect(actions.nth(1)).to_contain_text("Schema")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile("/streams/search.zero_results/schema/$"))
    page.keyboard.press("/")
    page.keyboard.press("Escape")
    expect(page.locator("#palette")).to_be_hidden()
    assert person.faults == []
    page.keyboard.press("/")
    expect(options.first).to_contain_text("zero_results")
    assert serious_faults(person) == []
    page.context.close()


def test_a_chosen_range_stays_while_the_panel_refreshes(chromium: Browser, shop: Portal) -> None:
    person = visitor(chromium, shop, "analyst")
    page = person.page
    person.open("/streams/checkout.order_placed/")
    page.click("#volume .seg a:has-text('24 h')")
    page.wait_for_selector("#volume[data-live-from$='range=24h']")
    assert page.url.endswith("?range=24h")
    with page.expect_response(re.compile(r"/volume/\?range=")) as refreshed:
        pass
    assert refreshed.value.url.endswith("range=24h")
    page.reload()
    expect(page.locator("#volume .seg a[aria-current]")).to_have_text("24 h")
    assert person.faults == []
    page.context.close()


def test_a_phone_reaches_every_place_and_can_filter(chromium: Browser, shop: Portal) -> None:
    phone = visitor(chromium, shop, "on_call", **PHONE)
    page = phone.page
    phone.open("/ingest/")
    places = page.locator(".places a")
    assert places.all_inner_texts()[0] == "Ingest health"
    for found in (places, page.locator(".dock a")):
        for link in found.all():
            box = link.bounding_box()
            assert box is not None
            assert box["height"] >= 44
    page.click(".places a:has-text('Quality')")
    page.wait_for_url(re.compile("/quality/$"))
    phone.open("/streams/")
    expect(page.locator("#filters")).to_be_hidden()
    page.click("button:has-text('Filters')")
    page.check("#filters input[value=payments] >> nth=0")
    page.check("#filters input[value=checkout] >> nth=0")
    page.click("#filters button:has-text('Apply')")
    page.wait_for_url(re.compile("domain=checkout&domain=payments|domain=payments&domain=checkout"))
    expect(page.locator(".token")).to_contain_text("checkout, payments")
    assert phone.faults == []
    page.context.close()


def test_without_script_ranges_filters_and_tokens_still_work(
    chromium: Browser, shop: Portal
) -> None:
    plain = visitor(chromium, shop, "product_manager", java_script_enabled=False, **PHONE)
    page = plain.page
    plain.open("/streams/checkout.order_placed/")
    page.click("#volume .seg a:has-text('90 d')")
    page.wait_for_url(re.compile(r"\?range=90d$"))
    expect(page.locator("#volume .seg a[aria-current]")).to_have_text("90 d")
    plain.open("/streams/")
    page.click("button:has-text('Filters')")
    page.check("#filters input[value=payments] >> nth=0")
    page.click("#filters .fapply button:has-text('Apply')")
    page.wait_for_url(re.compile("domain=payments"))
    page.click(".token a")
    page.wait_for_url(re.compile(r"/streams/\?(?!.*domain=payments)"))
    page.context.close()


def test_a_page_at_rest_animates_nothing_and_its_dot_breathes_when_news_came(
    chromium: Browser, shop: Portal
) -> None:
    person = visitor(chromium, shop, "engineer")
    person.open("/ingest/")
    page = person.page

    def is_moving() -> bool:
        running = "document.getAnimations().filter(one => one.playState == 'running').length"
        return int(page.evaluate(running)) > 0

    wait_until(lambda: not is_moving(), "the first breath")
    wait_until(is_moving, "what is fetched each 10 s")
    wait_until(lambda: not is_moving(), "the breath after it")
    assert page.locator(".live").count() > 0
    assert person.faults == []
    person.page.context.close()


def test_a_new_portal_is_without_a_fault(
    chromium: Browser, tmp_path_factory: pytest.TempPathFactory
) -> None:
    with running(tmp_path_factory.mktemp("empty") / "data") as empty:
        for role in ("admin", "analyst"):
            person = visitor(chromium, empty, role)
            for path in EMPTY_PAGES:
                found = tab(person.page.context, empty)
                found.open(path)
                expect(found.page.locator("h1")).to_have_count(1)
                assert found.faults == []
                assert serious_faults(found) == []
                found.page.close()
            expect(person.page.locator("h1")).to_contain_text("Nothing flows yet")
            person.page.context.close()
