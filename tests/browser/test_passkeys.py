"""Passkeys in a real browser with a virtual authenticator: added, used alone, used as a second step.

The portal is opened by the name localhost, as browsers make passkeys for no address of numbers.
"""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, BrowserContext, CDPSession, Page, expect

from tests.browser.conftest import Visitor, serious_faults, tab
from tests.support.live import Portal, running

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Portal]:
    with running(tmp_path_factory.mktemp("passkeys") / "data") as portal:
        yield portal


class Machine:
    """A browser with a fingerprint reader, at the portal's name."""

    def __init__(self, context: BrowserContext, portal: Portal) -> None:
        self.visitor: Visitor = tab(context, portal)
        self.visitor.base = portal.url.replace("127.0.0.1", "localhost")
        self.page: Page = self.visitor.page
        self.devices: CDPSession = context.new_cdp_session(self.page)
        self.devices.send("WebAuthn.enable")
        options = {
            "protocol": "ctap2", "transport": "internal", "hasResidentKey": True,
            "hasUserVerification": True, "isUserVerified": True,
            "automaticPresenceSimulation": True,
        }  # fmt: skip
        made = self.devices.send("WebAuthn.addVirtualAuthenticator", {"options": options})
        self.id = made["authenticatorId"]

    def sign_in(self, portal: Portal, role: str) -> None:
        person = portal.said["logins"][role]
        self.visitor.open("/accounts/login/")
        self.page.fill("#id_login", person["email"])
        self.page.fill("#id_password", person["password"])
        self.page.press("#id_password", "Enter")

    def sign_out(self) -> None:
        self.visitor.open("/accounts/logout/")
        self.page.click("main button:has-text('Sign out')")
        self.page.wait_for_url("**/accounts/login/")

    def add_passkey(self, name: str, *, alone: bool) -> None:
        self.visitor.open("/accounts/2fa/webauthn/add/")
        expect(self.page.locator("h1")).to_have_text("Add a passkey")
        assert serious_faults(self.visitor) == []
        self.visitor.open("/accounts/2fa/webauthn/add/")  # without the styles that axe sets
        expect(self.page.locator("[data-passkey-fault]")).to_be_hidden()
        self.page.fill("#id_name", name)
        self.page.set_checked("#id_passwordless", alone)
        self.page.click("#passkey")
        self.page.wait_for_url("**/accounts/2fa/recovery-codes/")


@pytest.fixture
def machine(chromium: Browser, empty: Portal) -> Iterator[Machine]:
    context = chromium.new_context()
    yield Machine(context, empty)
    context.close()


def test_a_passkey_is_added_and_signs_in_by_itself(machine: Machine, empty: Portal) -> None:
    page = machine.page
    machine.sign_in(empty, "analyst")
    page.wait_for_url(machine.visitor.base + "/")
    machine.add_passkey("Blue key", alone=True)
    machine.visitor.open("/settings/")
    expect(page.locator("#sign-in")).to_contain_text("Blue key")
    machine.sign_out()
    page.click("#passkey")
    page.wait_for_url(machine.visitor.base + "/")
    expect(page.locator(".me")).to_have_attribute("aria-label", "Your account, ivo@shop.example")
    assert machine.visitor.faults == []


def test_a_security_key_is_the_second_step_after_the_password(
    machine: Machine, empty: Portal
) -> None:
    page = machine.page
    machine.sign_in(empty, "engineer")
    page.wait_for_url(machine.visitor.base + "/")
    machine.add_passkey("Second step", alone=False)
    machine.sign_out()
    machine.sign_in(empty, "engineer")
    page.wait_for_url("**/accounts/2fa/authenticate/")
    assert serious_faults(machine.visitor) == []
    page.reload()
    page.click("#passkey")
    page.wait_for_url(machine.visitor.base + "/")
    assert machine.visitor.faults == []


def test_who_does_not_prove_it_is_them_is_told_and_stays_outside(
    machine: Machine, empty: Portal
) -> None:
    page = machine.page
    machine.sign_in(empty, "on_call")
    page.wait_for_url(machine.visitor.base + "/")
    machine.add_passkey("Phone", alone=True)
    machine.sign_out()
    machine.devices.send(
        "WebAuthn.setUserVerified", {"authenticatorId": machine.id, "isUserVerified": False}
    )
    page.click("#passkey")
    fault = page.locator("[data-passkey-fault]")
    expect(fault).to_contain_text("No passkey was used.", timeout=90_000)
    machine.visitor.open("/settings/")
    expect(page).to_have_url(machine.visitor.base + "/accounts/login/?next=/settings/")


def test_at_an_address_of_numbers_no_passkey_is_offered(chromium: Browser, empty: Portal) -> None:
    found = tab(chromium.new_context(base_url=empty.url), empty)
    found.open("/accounts/login/")
    expect(found.page.locator("#passkey")).to_have_count(0)
    found.page.context.close()
