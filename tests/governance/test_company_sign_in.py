"""Single sign-on against a real OpenID provider over HTTP: what is believed, and what is not."""

import json
import logging
import time
from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest
import time_machine
from allauth.account.internal.flows.login import record_authentication
from allauth.account.utils import perform_login
from allauth.core import context
from allauth.mfa.models import Authenticator
from allauth.socialaccount.models import SocialAccount
from cryptography.hazmat.primitives.asymmetric import rsa
from django.conf import settings as present
from django.contrib.auth.models import AnonymousUser
from django.contrib.messages.middleware import MessageMiddleware
from django.contrib.sessions.backends.db import SessionStore
from django.db.models.functions import Now
from django.http import HttpResponse
from django.test import Client, RequestFactory
from pytest_django import Settings

from governance import second_factor, seen
from governance.models import AuditEntry, Key, Membership, Notice, PersonSession, User
from governance.oidc import provider as relying
from governance.services.accounts import roles_of
from governance.services.company_sign_in import set_sign_in_group
from governance.types import Role
from portal.kernel import clock
from portal.kernel.actor import SYSTEM
from tests.support.factories import make_actor, make_person, make_team
from tests.support.oidc import CLIENT_ID, CLIENT_SECRET, Provider, provider
from tests.support.signing_in import PASSWORD, browser, sign_in, with_password

pytestmark = pytest.mark.django_db
ADA: dict[str, Any] = {
    "sub": "248289761001", "email": "Ada@company.example", "email_verified": True,
    "name": "Ada Marsh", "groups": [],
}  # fmt: skip


@pytest.fixture(scope="module")
def server() -> Iterator[Provider]:
    with provider() as found:
        yield found


@pytest.fixture
def company(server: Provider, settings: Settings) -> Provider:
    relying.forget()
    server.person, server.faults = dict(ADA), {}
    server.asked.clear()
    settings.OIDC_ISSUER = server.issuer
    settings.OIDC_CLIENT_ID, settings.OIDC_CLIENT_SECRET = CLIENT_ID, CLIENT_SECRET
    settings.OIDC_NAME = "Shop account"
    settings.OIDC_GROUPS_CLAIM = "groups"
    settings.OIDC_MAKE_DOMAINS = frozenset({"company.example"})
    settings.PUBLIC_URL = "http://testserver"
    return server


def go(client: Client, at: str = "/accounts/company/") -> str:
    """Go to the provider and be sent back: the address that the browser comes back to."""
    answer = client.get(at)
    assert answer.status_code == 302, answer.content[:500]
    back = httpx2.get(answer["Location"], follow_redirects=False)
    assert back.status_code == 302
    return back.headers["Location"].removeprefix("http://testserver")


def come_back(client: Client | None = None, at: str = "/accounts/company/") -> tuple[Client, Any]:
    client = client or browser()
    return client, client.get(go(client, at))


def is_in(client: Client) -> str:
    """Whose browser it is; empty when nobody is signed in."""
    answer = client.get("/api/v1/me")
    return str(answer.json()["name"]) if answer.status_code == 200 else ""


def refused(client: Client, answer: Any) -> str:
    """What the person reads of a sign-in that came to nothing."""
    assert (answer.status_code, answer["Location"]) == (302, "/accounts/login/")
    assert is_in(client) == ""
    return str(client.get("/accounts/login/").content.decode())


# --- Accounts ---------------------------------------------------------------------------------


def test_the_first_sign_in_makes_an_account_where_the_domain_allows_it(company: Provider) -> None:
    client, answer = come_back(at="/accounts/company/?next=/streams/")
    assert answer["Location"] == "/streams/"
    assert is_in(client) == "ada@company.example"
    ada = User.objects.get(email="ada@company.example")
    assert (ada.name, ada.has_usable_password()) == ("Ada Marsh", False)
    kept = SocialAccount.objects.get(user=ada)
    assert (kept.provider, kept.uid, kept.extra_data) == (company.issuer, ADA["sub"], {})
    assert AuditEntry.objects.filter(action="person.signed_up").count() == 1


def test_the_same_identity_is_the_same_account_under_another_address(company: Provider) -> None:
    come_back()
    company.person |= {"email": "ada.marsh@elsewhere.example", "email_verified": False}
    client, _ = come_back()
    assert is_in(client) == "ada@company.example"
    assert User.objects.count() == 1


@pytest.mark.usefixtures("company")
def test_no_account_is_made_for_another_domain_or_without_leave(settings: Settings) -> None:
    settings.OIDC_MAKE_DOMAINS = frozenset({"other.example"})
    assert "You have no account here" in refused(*come_back())
    assert not User.objects.exists()


def test_a_group_may_allow_it_in_place_of_the_domain(company: Provider, settings: Settings) -> None:
    settings.OIDC_MAKE_DOMAINS = frozenset()
    settings.OIDC_MAKE_GROUPS = frozenset({"portal-users"})
    assert "You have no account here" in refused(*come_back())
    company.person["groups"] = ["portal-users"]
    client, _ = come_back()
    assert is_in(client) == "ada@company.example"


def test_an_account_of_a_confirmed_address_is_joined_and_told(company: Provider) -> None:
    ada = with_password(Role.ENGINEER)
    User.objects.filter(pk=ada.pk).update(email="ada@company.example")
    client, _ = come_back()
    assert is_in(client) == "ada@company.example"
    assert SocialAccount.objects.get().user_id == ada.pk
    assert AuditEntry.objects.filter(action="person.joined_company").count() == 1
    assert Notice.objects.filter(user=ada, title__startswith="Your company account").exists()


@pytest.mark.parametrize("verified", [False, None, "false", "yes", 1.5])
def test_an_address_that_is_not_confirmed_takes_no_account_over(
    company: Provider, verified: object
) -> None:
    ada = with_password(Role.ADMIN)
    User.objects.filter(pk=ada.pk).update(email="ada@company.example")
    company.person["email_verified"] = verified
    assert "no confirmed e-mail address" in refused(*come_back())
    assert not SocialAccount.objects.exists()


def test_a_second_identity_of_the_same_address_is_refused(company: Provider) -> None:
    come_back()
    company.person["sub"] = "somebody hired later under the same address"
    assert "Another company account" in refused(*come_back())


@pytest.mark.usefixtures("company")
def test_a_closed_account_stays_closed() -> None:
    come_back()
    User.objects.update(is_active=False)
    assert "Your account here is closed" in refused(*come_back())


@pytest.mark.parametrize("email", ["not an address", "", 5, "a@b@c.example", None])
def test_an_odd_address_is_none(company: Provider, email: object) -> None:
    company.person["email"] = email
    assert "no confirmed e-mail address" in refused(*come_back())


# --- What is not believed ---------------------------------------------------------------------


OTHER_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
NOW = int(time.time())
BAD: dict[str, dict[str, Any]] = {
    "a wrong nonce": {"claims": {"nonce": "another sign-in's"}},
    "no nonce": {"claims": {"nonce": None}},
    "another issuer": {"claims": {"iss": "https://evil.example"}},
    "another audience": {"claims": {"aud": "another client"}},
    "two audiences without a party": {"claims": {"aud": [CLIENT_ID, "another client"]}},
    "another authorised party": {"claims": {"azp": "another client"}},
    "one that is over": {"claims": {"exp": NOW - 3600, "iat": NOW - 7200}},
    "one without an end": {"claims": {"exp": None}},
    "one from the future": {"claims": {"iat": NOW + 86_400}},
    "one without a subject": {"claims": {"sub": None}},
    "an empty subject": {"claims": {"sub": ""}},
    "no signature": {"algorithm": "none"},
    "a signature with a shared secret": {"algorithm": "HS256"},
    "somebody else's signature": {"key": OTHER_KEY},
}


@pytest.mark.parametrize("case", BAD)
def test_a_token_that_is_not_what_it_must_be_signs_nobody_in(
    company: Provider, case: str, caplog: pytest.LogCaptureFixture
) -> None:
    company.faults = BAD[case]
    with caplog.at_level(logging.WARNING, logger="governance.views_oidc"):
        page = refused(*come_back())
    assert "is not to be trusted" in page
    assert not User.objects.exists()
    assert "company sign-in failed: token" in caplog.text
    assert ADA["sub"] not in caplog.text
    assert "company.example" not in caplog.text


@pytest.mark.usefixtures("company")
def test_a_state_of_nobody_of_another_browser_or_used_before_is_refused() -> None:
    mine, thief = browser(), browser()
    at = go(mine)
    assert "begun in another window" in refused(thief, thief.get(at))
    assert mine.get(at).status_code == 302
    assert is_in(mine) == "ada@company.example"
    again = mine.get(at)
    assert again["Location"] == "/settings/"
    forged = browser()
    assert "begun in another window" in refused(
        forged, forged.get("/accounts/company/callback/?code=x&state=y")
    )


@pytest.mark.usefixtures("company")
def test_ten_minutes_later_it_must_be_begun_anew() -> None:
    client = browser()
    at = go(client)
    with time_machine.travel(clock.now() + timedelta(minutes=11), tick=True):
        assert "It took too long" in refused(client, client.get(at))


@pytest.mark.usefixtures("company")
def test_a_code_of_one_sign_in_is_of_no_use_in_another() -> None:
    mine, other = browser(), browser()
    stolen = parse_qs(urlsplit(go(other)).query)["code"][0]
    state = parse_qs(urlsplit(go(mine)).query)["state"][0]
    answer = mine.get(f"/accounts/company/callback/?code={stolen}&state={state}")
    assert "refused the sign-in" in refused(mine, answer)  # by its verifier: PKCE


@pytest.mark.usefixtures("company")
def test_an_answer_in_the_name_of_another_issuer_is_refused() -> None:
    client = browser()
    page = refused(client, client.get(f"{go(client)}&iss=https://evil.example"))
    assert "is not to be trusted" in page


@pytest.mark.parametrize(
    ("faults", "said"),
    [
        ({"refused": "access_denied"}, "You did not go through with it"),
        ({"refused": "server_error"}, "It refused the sign-in"),
        ({"token_status": 500}, "It does not answer just now"),
        ({"token_status": 302}, "It refused the sign-in"),
    ],
)
def test_what_goes_wrong_at_the_provider_is_said(
    company: Provider, faults: dict[str, Any], said: str
) -> None:
    company.faults = faults
    assert said in refused(*come_back())


def test_a_provider_that_is_away_or_names_another_issuer_is_said(
    company: Provider, settings: Settings
) -> None:
    company.faults = {"discovered_issuer": "https://evil.example"}
    client = browser()
    assert "cannot be read" in refused(client, client.get("/accounts/company/"))
    settings.OIDC_ISSUER = "http://127.0.0.1:9"
    assert "does not answer" in refused(client, client.get("/accounts/company/"))
    settings.OIDC_ISSUER = "http://company.example"
    assert "cannot be read" in refused(client, client.get("/accounts/company/"))


def test_a_key_that_was_changed_meanwhile_is_read_anew(company: Provider) -> None:
    come_back()
    before = company.key, company.kid
    company.key, company.kid = OTHER_KEY, "2026-12"
    company.asked.clear()
    try:
        client, _ = come_back()
        assert company.asked.count("/keys") == 1
        assert is_in(client) == "ada@company.example"
    finally:
        company.key, company.kid = before


@pytest.mark.usefixtures("company")
def test_where_it_leads_afterwards_is_ours() -> None:
    _, answer = come_back(at="/accounts/company/?next=https://evil.example/")
    assert answer["Location"] == "/"
    _, answer = come_back(at="/accounts/company/?next=//evil.example/")
    assert answer["Location"] == "/"


def test_without_a_provider_there_is_no_such_page() -> None:
    assert present.OIDC_ISSUER == ""
    for path in ("/accounts/company/", "/accounts/company/callback/?state=x"):
        assert browser().get(path).status_code == 404
    assert browser().get("/accounts/company/again/")["Location"].startswith("/accounts/login/")
    assert "/accounts/company/" not in browser().get("/accounts/login/").content.decode()


@pytest.mark.usefixtures("company")
def test_going_there_too_often_from_one_place_is_limited() -> None:
    client = browser()
    statuses = [client.get("/accounts/company/").status_code for _ in range(31)]
    assert set(statuses[:30]) == {302}
    assert statuses[30] == 429


# --- Groups -----------------------------------------------------------------------------------


def test_teams_and_roles_follow_the_groups_at_each_sign_in(
    company: Provider, settings: Settings
) -> None:
    settings.OIDC_ROLE_MAP = {"portal-engineers": "engineer", "portal-admins": "admin"}
    make_person(Role.ADMIN)
    checkout, playback, by_hand = make_team("Checkout"), make_team("Playback"), make_team()
    set_sign_in_group(checkout, "team-checkout", actor=SYSTEM)
    set_sign_in_group(playback, "team-playback", actor=SYSTEM)
    company.person["groups"] = ["team-checkout", "portal-engineers", "portal-admins", "lunch"]
    come_back()
    ada = User.objects.get(email="ada@company.example")
    assert roles_of(ada) == {"engineer", "admin"}
    Membership.objects.create(team=by_hand, user=ada)
    ada.groups.add(by_hand.group)
    company.person["groups"] = ["team-playback", "portal-engineers"]
    come_back()
    teams = set(Membership.objects.filter(user=ada).values_list("team__slug", flat=True))
    assert teams == {playback.slug, by_hand.slug}
    assert set(ada.groups.filter(team__isnull=False)) == {playback.group, by_hand.group}
    assert roles_of(ada) == {"engineer"}
    said = AuditEntry.objects.filter(action__in=["team.joined", "team.left"])
    assert [entry.action for entry in said.filter(object_key=checkout.slug).order_by("seq")] == [
        "team.joined", "team.left",
    ]  # fmt: skip
    roles = AuditEntry.objects.filter(action="person.roles_changed").order_by("seq")
    assert roles.last() is not None
    assert [entry.detail["after"]["roles"] for entry in roles] == [
        ["admin", "engineer"], ["engineer"],
    ]  # fmt: skip
    company.person.pop("groups")
    come_back()
    assert roles_of(ada) == set()


def test_groups_named_elsewhere_are_no_empty_list(company: Provider, settings: Settings) -> None:
    settings.OIDC_ROLE_MAP = {"portal-engineers": "engineer"}
    company.person["groups"] = ["portal-engineers"]
    come_back()
    ada = User.objects.get(email="ada@company.example")
    company.person.pop("groups")
    company.person["_claim_names"] = {"groups": "src1"}
    assert "which groups you are in" in refused(*come_back())
    assert roles_of(ada) == {"engineer"}


def test_groups_may_come_from_the_userinfo_page_of_the_same_person(
    company: Provider, settings: Settings
) -> None:
    settings.OIDC_ROLE_MAP = {"portal-engineers": "engineer"}
    company.person.pop("groups")
    company.faults = {"userinfo": {"groups": ["portal-engineers"]}}
    come_back()
    assert roles_of(User.objects.get()) == {"engineer"}
    company.faults = {"userinfo": {"groups": ["portal-engineers"], "sub": "somebody else"}}
    assert "is not to be trusted" in refused(*come_back())


def test_the_last_admin_stays_one_whatever_the_groups_say(
    company: Provider, settings: Settings
) -> None:
    settings.OIDC_ROLE_MAP = {"portal-admins": "admin"}
    company.person["groups"] = ["portal-admins"]
    come_back()
    company.person["groups"] = []
    come_back()
    assert roles_of(User.objects.get()) == {"admin"}


@pytest.mark.usefixtures("company")
def test_admins_tie_a_team_to_a_group_and_others_do_not() -> None:
    team, other = make_team(), make_team()
    set_sign_in_group(other, "taken", actor=SYSTEM)
    desk, laptop = sign_in(with_password(Role.ADMIN)), sign_in(with_password(Role.ENGINEER))
    at = f"/teams/{team.slug}/group/"
    assert laptop.post(at, {"group": "mine"}).status_code == 403
    assert 'name="group"' not in laptop.get(f"/teams/{team.slug}/").content.decode()
    assert "Saved" in desk.post(at, {"group": "team-x"}, follow=True).content.decode()
    team.refresh_from_db()
    assert team.sign_in_group == "team-x"
    said = desk.post(at, {"group": "taken"}, follow=True).content.decode()
    assert "Another team is tied to this group" in said
    assert AuditEntry.objects.filter(action="team.group_changed", object_key=team.slug).count() == 1
    with pytest.raises(Exception, match="Admins tie teams"):
        set_sign_in_group(team, "", actor=make_actor(Role.ENGINEER))


# --- Beside passwords, and in their place -----------------------------------------------------


@pytest.mark.usefixtures("company")
def test_the_sign_in_page_offers_it_and_passwords_work_beside_it() -> None:
    page = browser().get("/accounts/login/?next=/streams/").content.decode()
    assert "Shop account" in page
    assert "/accounts/company/?next=/streams/" in page
    assert 'id="id_password"' in page
    assert is_in(sign_in(with_password())) != ""


@pytest.mark.usefixtures("company")
def test_where_it_is_the_only_way_passwords_let_nobody_in(settings: Settings) -> None:
    ada = with_password()
    settings.OIDC_ONLY = True
    page = browser().get("/accounts/login/").content.decode()
    assert 'id="id_password"' not in page
    client = browser()
    answer = client.post("/accounts/login/", {"login": ada.email, "password": PASSWORD})
    assert answer.status_code == 200
    assert is_in(client) == ""
    by_company, _ = come_back()
    assert is_in(by_company) == "ada@company.example"


@pytest.mark.usefixtures("company")
def test_a_dangerous_act_is_confirmed_at_the_provider_and_goes_on() -> None:
    client, _ = come_back()
    token = {"name": "script", "scopes": ["read"]}
    with time_machine.travel(clock.now() + timedelta(minutes=16), tick=True):
        asked = client.post("/settings/", token)
        assert asked["Location"] == "/accounts/company/again/?next=%2Fsettings%2F"
        done = client.get(go(client, asked["Location"]))
        assert "Your new token" in done.content.decode()
        assert Key.objects.filter(user__email="ada@company.example").count() == 1


@pytest.mark.usefixtures("company")
def test_a_first_password_is_set_only_after_saying_again_who_it_is() -> None:
    client, _ = come_back()
    at, new = "/accounts/password/set/", {"password1": PASSWORD, "password2": PASSWORD}
    assert "Set a password" in client.get(at).content.decode()
    with time_machine.travel(clock.now() + timedelta(minutes=16), tick=True):
        assert client.post(at, new)["Location"].startswith("/accounts/company/again/")
        assert not User.objects.get().has_usable_password()
    client.post(at, new)
    assert User.objects.get().check_password(PASSWORD)


def test_a_provider_that_asked_nobody_anew_confirms_nothing(company: Provider) -> None:
    client, _ = come_back()
    with time_machine.travel(clock.now() + timedelta(minutes=16), tick=True):
        asked = client.post("/settings/", {"name": "script", "scopes": ["read"]})
        company.faults = {"claims": {"auth_time": int(clock.now().timestamp()) - 900}}
        client.get(go(client, asked["Location"]))
        assert client.post("/settings/", {"name": "x", "scopes": ["read"]}).status_code == 302
    assert not Key.objects.exists()


def test_a_factor_that_the_provider_asked_for_counts_for_a_role_that_needs_one(
    company: Provider, settings: Settings
) -> None:
    settings.SECOND_FACTOR_ROLES = frozenset({"engineer"})
    settings.OIDC_ROLE_MAP = {"portal-engineers": "engineer"}
    company.person["groups"] = ["portal-engineers"]
    client, _ = come_back()
    assert client.get("/streams/")["Location"] == second_factor.SET_UP_AT
    company.person["amr"] = ["pwd", "mfa"]
    client, _ = come_back()
    assert client.get("/streams/").status_code == 200


@pytest.mark.usefixtures("company")
def test_a_factor_of_ones_own_is_asked_after_the_company_too() -> None:
    come_back()
    ada = User.objects.get()
    Authenticator.objects.create(
        user=ada, type="totp", data={"secret": second_factor.seal("JBSWY3DPEHPK3PXP")}
    )
    client, answer = come_back()
    assert answer["Location"] == "/accounts/2fa/authenticate/"
    assert is_in(client) == ""


@pytest.mark.usefixtures("company")
def test_another_sites_page_begins_no_sign_in_and_the_person_is_asked_first() -> None:
    for site in ("cross-site", "same-site"):
        answer = browser().get(
            "/accounts/company/?next=/streams/", headers={"Sec-Fetch-Site": site}
        )
        assert answer["Location"] == "/accounts/login/?next=%2Fstreams%2F"
    for site in ("same-origin", "none"):
        answer = browser().get("/accounts/company/", headers={"Sec-Fetch-Site": site})
        assert answer["Location"].startswith(present.OIDC_ISSUER), "our own button, or a bookmark"


@pytest.mark.usefixtures("company")
def test_no_token_of_the_provider_is_kept_in_a_session_or_reaches_a_browser() -> None:
    client, answer = come_back()
    page = client.get("/settings/")
    held = json.dumps(dict(client.session.items()), default=str)
    shown = [held, *(morsel.OutputString() for morsel in client.cookies.values())]
    shown += [
        str(answer.headers),
        answer.content.decode(),
        str(page.headers),
        page.content.decode(),
    ]
    for text in shown:
        assert "eyJ" not in text, "a token in JWS"
        assert "opaque" not in text, "the access token"


def test_a_session_of_the_companys_ends_by_its_days_by_disuse_and_by_an_admin(
    company: Provider,
) -> None:
    dot = sign_in(with_password(Role.ADMIN))
    client, _ = come_back()
    ada = User.objects.get(email="ada@company.example")
    PersonSession.objects.filter(user=ada).update(last_seen_at=Now() - timedelta(hours=73))
    seen._noted.clear()
    assert is_in(client) == ""
    client, _ = come_back()
    session = client.session
    session["account_authentication_methods"][0]["at"] -= 15 * 86_400
    session.save()
    assert is_in(client) == ""
    client, _ = come_back()
    dot.post(f"/people/{ada.pk}/sessions/")
    assert is_in(client) == ""
    company.faults = {"refused": "access_denied"}
    assert "You did not go through with it" in refused(*come_back())


def test_where_it_is_the_only_way_no_other_way_lets_anybody_in(
    company: Provider, settings: Settings
) -> None:
    """Whichever way a person came, a passkey among them, the library's last step asks the gate."""
    ada = with_password()
    settings.OIDC_ONLY = True
    for method in ("mfa", "password", "password_reset"):
        request = RequestFactory().post("/accounts/2fa/webauthn/login/")
        request.user = AnonymousUser()
        request.session = SessionStore()
        MessageMiddleware(lambda _: HttpResponse()).process_request(request)
        with context.request_context(request):
            record_authentication(request, ada, method)
            answer = perform_login(request, ada)
        assert (answer.status_code, answer["Location"]) == (302, "/accounts/login/"), method
        assert not request.user.is_authenticated
        assert "_auth_user_id" not in request.session
    assert 'data-passkey="login"' not in browser().get("/accounts/login/").content.decode()
    assert company.asked.count("/keys") == 0


def test_the_roles_that_settings_know_are_the_portals() -> None:
    assert set(present.ROLES) == {role.value for role in Role}
