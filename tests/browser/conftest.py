"""A portal with the demo shop, and a real Chromium before it."""

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright
from playwright.sync_api import TimeoutError as WaitedTooLongError

from portal.launcher.browser import HOW_TO_GET_ONE, find
from tests.support.live import Portal, running

# A click that leads to another page ends before that page is there: what is expected of it is
# waited for, on a machine that runs the rest of the suite as well.
expect.set_options(timeout=20_000)
# Of a page that is asked for. A sign-in once took over half a minute in a loaded run; the next that
# does says what was asked and answered until then.
NAVIGATION_MILLISECONDS = 90_000


@pytest.fixture(scope="package")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Portal]:
    with running(tmp_path_factory.mktemp("shop") / "data") as portal:
        portal.manage("demo", "--days", "4")
        yield portal


@pytest.fixture(scope="package")
def chromium() -> Iterator[Browser]:
    path = find()
    if path is None:
        pytest.fail(HOW_TO_GET_ONE)
    flags = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=flags)
        yield browser
        browser.close()


@dataclass
class Visitor:
    """A person before the browser. `faults` gathers what no page may show: console errors, policy
    reports, failed requests; `roads` the pages that were asked for and how that was answered."""

    page: Page
    base: str
    faults: list[str] = field(default_factory=list)
    roads: list[str] = field(default_factory=list)

    def open(self, path: str) -> None:
        self.page.goto(self.base + path, wait_until="load")


def tab(context: BrowserContext, portal: Portal) -> Visitor:
    """A fresh page of a context, whose faults are gathered from the start."""
    page = context.new_page()
    page.set_default_navigation_timeout(NAVIGATION_MILLISECONDS)
    found = Visitor(page, portal.url)
    page.on("console", lambda m: found.faults.append(f"{m.text} {m.location['url']}")
            if m.type == "error" else None)  # fmt: skip
    page.on("pageerror", lambda error: found.faults.append(str(error)))
    page.on("requestfailed", lambda r: found.faults.append(f"failed {r.url} {r.failure}")
            if "ERR_ABORTED" not in (r.failure or "") else None)  # fmt: skip
    page.on("request", lambda r: found.roads.append(f"{r.method} {r.url}")
            if r.is_navigation_request() else None)  # fmt: skip
    page.on("response", lambda r: found.roads.append(f"{r.status} {r.url}")
            if r.request.is_navigation_request() else None)  # fmt: skip
    return found


# Only what fails is read. To preload would ask again for each imported style sheet, at addresses that
# axe takes to be beside the page: fifty pages of an error, for a rule that is not on.
_AXE = {"resultTypes": ["violations"], "preload": False}


def serious_faults(found: Visitor) -> list[str]:
    """What axe finds serious on the present page."""
    return [
        f"{rule['id']}: {rule['nodes'][0]['html'][:120]}"
        for rule in Axe().run(found.page, options=_AXE).response["violations"]
        if rule["impact"] in ("serious", "critical")
    ]


def visitor(browser: Browser, portal: Portal, role: str | None, **options: Any) -> Visitor:
    """A person with a browser of their own, signed in unless `role` is None."""
    found = tab(browser.new_context(base_url=portal.url, **options), portal)
    page = found.page
    if role is not None:
        person = portal.said["logins"][role]
        found.open("/accounts/login/")
        page.fill("#id_login", person["email"])
        page.fill("#id_password", person["password"])
        page.press("#id_password", "Enter")
        try:
            page.wait_for_url(portal.url + "/")
        except WaitedTooLongError as error:
            log = (portal.data / "logs" / "web.log").read_text()[-2000:]
            raise AssertionError(f"no sign-in: asked and answered {found.roads}; {log}") from error
    return found


@pytest.fixture(scope="package")
def admin(chromium: Browser, shop: Portal) -> Iterator[Visitor]:
    found = visitor(chromium, shop, "admin", viewport={"width": 1440, "height": 900})
    yield found
    found.page.context.close()
