"""Docs that an auditor reads are true of the code: limits, files, ways to sign in, sessions, logs."""

import re
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import yaml
from allauth.mfa import app_settings as mfa
from django.conf import settings
from django.urls import resolve

from catalog.exchange import bounded_yaml, loading
from catalog.samples import MAX_BYTES as SAMPLES_BYTES
from governance.first_logins import UNUSED_DAYS
from governance.passwords import FEWEST_GUESSES
from governance.views_oidc import begin
from portal.kernel.json_log import FIELDS
from portal.launcher.processes import LOG_LIMIT_BYTES
from tests.architecture.test_asvs import names_in

ROOT = Path(__file__).resolve().parents[2]


def page(name: str) -> str:
    return (ROOT / "docs" / f"{name}.md").read_text()


def rows(name: str, head: str) -> list[list[str]]:
    """The rows of the table that begins with a head."""
    text = page(name)
    table = text[text.index(head) :].split("\n\n", 1)[0].splitlines()[2:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table]


def paragraph(name: str, begins: str) -> str:
    text = page(name)
    return " ".join(text[text.index(begins) :].split("\n\n", 2)[1].split())


BOUNDS = rows("limits", "| bound | is | of | in the code |")


@pytest.mark.parametrize("row", BOUNDS, ids=lambda row: row[0])
def test_a_bound_is_what_the_page_says(row: list[str]) -> None:
    _, said, of, where = row
    module, name = where.strip("`").split(":")
    assert int(said.replace(",", "")) == getattr(import_module(module), name)
    assert of in {
        "a person",
        "a key",
        "a caller",
        "a thing",
        "a request",
        "an event",
        "a file",
        "all",
    }


def test_there_are_bounds_of_persons_and_of_all() -> None:
    assert len(BOUNDS) > 20
    assert {"a person", "all"} <= {row[2] for row in BOUNDS}
    said = " ".join(page("limits").split())
    most = settings.REQUESTS_PER_SECOND * 10
    assert f"may make {settings.REQUESTS_PER_SECOND} requests a second and {most:,} at once" in said


@pytest.mark.parametrize(
    ("name", "head"),
    [
        ("api", "| together | rule | tested in |"),
        ("limits", "| work | bounded by | tested in |"),
    ],
)
def test_what_a_page_promises_is_tested_where_it_says(name: str, head: str) -> None:
    found = rows(name, head)
    assert len(found) >= 9
    for *_, where in found:
        module, _, test = where.strip("`").partition("::")
        assert not test or test in names_in(ROOT / module), where
        assert names_in(ROOT / module), where


def test_the_page_of_files_says_what_is_taken() -> None:
    said = paragraph("exchange", "## Which files are taken")
    for suffix in (*loading.JSON_FILES, *loading.YAML_FILES):
        assert f"`{suffix}`" in said
    assert f"at most {loading.MAX_BYTES // 1024 // 1024} MiB" in said
    assert f"{bounded_yaml.MAX_DEPTH} levels" in said
    assert f"{bounded_yaml.MAX_VALUES:,} values" in said
    assert f"samples of events {SAMPLES_BYTES // 1024 // 1024} MiB" in said
    for one in loading.Format:
        assert f"`{one.value}`" in said


def test_every_way_to_sign_in_is_listed_with_its_factors() -> None:
    found = {row[0]: row for row in rows("sign-in", "| way | page | factors | closed by |")}
    assert list(found) == [
        "password", "password and app", "password and passkey", "passkey alone", "company",
    ]  # fmt: skip
    assert settings.AUTHENTICATION_BACKENDS == [
        "allauth.account.auth_backends.AuthenticationBackend"
    ]
    assert set(mfa.SUPPORTED_TYPES) == {"totp", "webauthn", "recovery_codes"}
    assert mfa.PASSKEY_LOGIN_ENABLED
    assert not mfa.PASSKEY_SIGNUP_ENABLED
    assert not mfa.TRUST_ENABLED, "no browser is let past the second step later"
    for _, at, factors, closed in found.values():
        match = resolve(at.strip("`"))
        assert re.match(r"(one|two|the provider's)", factors)
        assert re.findall(r"`(PORTAL_\w+)`", closed)
        assert match.func is begin or match.url_name in {
            "account_login", "mfa_authenticate", "mfa_login_webauthn",
        }  # fmt: skip
    assert (
        "People sign in with address and password, a passkey, or at the company's provider"
        in page("security")
    )


def test_no_page_of_the_library_is_reachable_that_nobody_documented() -> None:
    from portal.urls import NOT_OURS

    for path in (
        "/accounts/email/", "/accounts/confirm-email/", "/accounts/confirm-email/x/",
        "/accounts/login/code/confirm/", "/accounts/login/code/", "/accounts/3rdparty/",
        "/accounts/2fa/trust/", "/accounts/signup/passkey/",
    ):  # fmt: skip
        with pytest.raises(Exception, match="tried"):
            resolve(path)
    assert "account_confirm_login_code" in NOT_OURS


def test_the_pages_say_how_long_sessions_last_and_why() -> None:
    said = paragraph("sign-in", "## Sessions")
    whole = " ".join(page("sign-in").split())
    days = settings.SESSION_COOKIE_AGE // 86_400
    assert f"{days} days after they began" in said
    assert f"nobody used them for {settings.SESSION_IDLE_HOURS} hours" in said
    assert "NIST SP 800-63B" in said
    assert "Any number of sessions of a person" in said
    minutes = settings.ACCOUNT_REAUTHENTICATION_TIMEOUT // 60
    assert f"unless you gave it in the last {minutes} minutes" in whole
    assert f"used in {UNUSED_DAYS} days is over" in whole
    assert "within an hour" in whole
    assert settings.PASSWORD_RESET_TIMEOUT == 3600
    assert FEWEST_GUESSES == 30_000_000
    assert "thirty million tries" in page("security")


def test_the_page_says_when_the_companys_people_are_asked_again_and_signed_out() -> None:
    whole = " ".join(page("sign-in").split())
    days = settings.SESSION_COOKIE_AGE // 86_400
    assert f"at the end of their session, at most {days} days later" in whole
    assert f"or after {settings.SESSION_IDLE_HOURS} hours without use" in whole
    assert "signing out here leaves the provider's own session as it is" in whole
    assert "`prompt=login`" in whole
    assert "`auth_time`" in whole
    assert "As there is no back-channel" in whole


def test_every_log_is_listed() -> None:
    listed = {
        name
        for row in rows("observability", "| log | written by | with `up` |")
        for name in re.findall(r"`(\w+)`", row[0])
    }
    services: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
    ran = {name.partition("-")[0] for name in services} - {"migrate"}
    assert ran <= listed
    code = "".join(path.read_text() for path in (ROOT / "portal/launcher").glob("*.py"))
    assert set(re.findall(r'"(\w+)\.log"', code)) <= listed
    assert f"{LOG_LIMIT_BYTES // 1024 // 1024} MiB and the one before" in page("observability")
    assert "log" not in (ROOT / "deploy/Caddyfile").read_text().split(), (
        "the proxy logs no requests"
    )


def test_every_logger_and_member_of_a_line_is_listed() -> None:
    text = page("observability")
    used = {
        name
        for app in ("portal", "governance", "ingest")
        for path in (ROOT / app).rglob("*.py")
        for name in re.findall(r'getLogger\("(portal\.\w+)"\)', path.read_text())
    }
    assert used <= set(re.findall(r"^\| `(portal\.\w+)` \|", text, re.M))
    said = set(re.findall(r"`(\w+)`", text[text.index("## The log") :]))
    assert set(FIELDS) - {"events"} <= said
