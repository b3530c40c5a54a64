"""Settings that a portal which others reach is not started with; and what https switches on."""

import os
import secrets
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured

from governance.privacy import keyring
from portal import production

ROOT = Path(__file__).resolve().parents[2]
GOOD: Mapping[str, Any] = {
    "PUBLIC_URL": "https://portal.example.com",
    "INSECURE_HTTP": False,
    "SECRET_KEY": secrets.token_hex(32),
    "DATABASES": {"default": {"USER": "portal", "PASSWORD": secrets.token_hex(16)}},
    "REDIS_URL": f"redis://:{secrets.token_hex(16)}@redis:6379/0",
    "EMAIL_HOST": "mail.example.com",
    "EMAIL_HOST_PASSWORD": "",
    "EMAIL_USE_TLS": False,
    "EMAIL_USE_SSL": False,
    "ALLOWED_HOSTS": ["portal.example.com", "web", "127.0.0.1"],
    "CSRF_TRUSTED_ORIGINS": ["https://portal.example.com"],
    "DEBUG": False,
    "FAILPOINTS": "",
    "FAILPOINTS_ALLOWED": False,
    "STATIC_UNHASHED": False,
}
DATABASE = {"USER": "portal", "PASSWORD": "x"}


def test_good_settings_are_refused_nothing() -> None:
    assert list(production.refusals(GOOD)) == []
    inner = {"PUBLIC_URL": "http://127.0.0.1:8000", "SECRET_KEY": "short", "DEBUG": True}
    assert list(production.refusals({**GOOD, **inner})) == [], "an evaluation on a laptop"


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"SECRET_KEY": "a" * 64}, "PORTAL_SECRET_KEY"),
        ({"SECRET_KEY": secrets.token_hex(24)[:49]}, "PORTAL_SECRET_KEY"),
        ({"SECRET_KEY": "django-insecure-" + secrets.token_hex(32)}, "PORTAL_SECRET_KEY"),
        ({"SECRET_KEY": "Change-Me-" + secrets.token_hex(32)}, "PORTAL_SECRET_KEY"),
        ({"DATABASES": {"default": DATABASE | {"PASSWORD": "portal"}}}, "DATABASE_URL"),
        ({"DATABASES": {"default": {"USER": "ada", "PASSWORD": "ada"}}}, "DATABASE_URL"),
        ({"DATABASES": {"default": DATABASE | {"PASSWORD": "Postgres"}}}, "DATABASE_URL"),
        ({"REDIS_URL": "redis://:foobared@redis:6379/0"}, "REDIS_URL"),
        ({"REDIS_URL": "redis://ada:ada@redis:6379/0"}, "REDIS_URL"),
        ({"EMAIL_HOST_PASSWORD": "long-and-good"}, "PORTAL_EMAIL_SECURITY"),
        ({"ALLOWED_HOSTS": ["*"]}, "PORTAL_ALLOWED_HOSTS"),
        ({"ALLOWED_HOSTS": [".com"]}, "PORTAL_ALLOWED_HOSTS"),
        ({"ALLOWED_HOSTS": ["127.0.0.1"]}, "PORTAL_ALLOWED_HOSTS lacks portal.example.com"),
        ({"CSRF_TRUSTED_ORIGINS": ["http://portal.example.com"]}, "PORTAL_TRUSTED_ORIGINS"),
        ({"CSRF_TRUSTED_ORIGINS": ["https://*.example.com"]}, "PORTAL_TRUSTED_ORIGINS"),
        ({"DEBUG": True}, "DEBUG"),
        ({"FAILPOINTS": "ingest.commit"}, "PORTAL_FAILPOINTS"),
        ({"FAILPOINTS_ALLOWED": True}, "PORTAL_FAILPOINTS"),
        ({"STATIC_UNHASHED": True}, "PORTAL_STATIC_UNHASHED"),
        ({"PUBLIC_URL": "http://portal.example.com"}, "PORTAL_INSECURE_HTTP"),
        ({"PUBLIC_URL": "http://192.168.1.5:8000"}, "PORTAL_INSECURE_HTTP"),
        ({"PUBLIC_URL": "portal.example.com"}, "PORTAL_URL"),
        ({"PUBLIC_URL": "ftp://portal.example.com"}, "PORTAL_URL"),
        ({"PUBLIC_URL": "https://portal.example.com/under"}, "PORTAL_URL"),
        ({"PUBLIC_URL": "https://"}, "PORTAL_URL"),
    ],
)
def test_an_unsafe_setting_is_refused_by_its_name(change: dict[str, Any], named: str) -> None:
    (sentence,) = production.refusals({**GOOD, **change})
    assert named in sentence
    for value in (*change.values(), "long-and-good", "foobared"):
        if isinstance(value, str) and value and "URL" not in named and "DEBUG" not in named:
            assert value not in sentence, "a secret is not repeated"


def test_all_refusals_are_told_at_once() -> None:
    with pytest.raises(ImproperlyConfigured) as caught:
        production.refuse({**GOOD, "SECRET_KEY": "short", "ALLOWED_HOSTS": ["*"], "DEBUG": True})
    assert len(str(caught.value).splitlines()) == 3


@pytest.mark.parametrize(
    "url", ["http://localhost:8000", "http://[::1]:8000", "http://127.8.8.8", "http://a.localhost"]
)
def test_plain_http_is_for_this_machine_or_for_who_says_so(url: str) -> None:
    assert list(production.refusals({**GOOD, "PUBLIC_URL": url})) == []
    lan = {"PUBLIC_URL": "http://portal.lan", "INSECURE_HTTP": True}
    assert list(production.refusals({**GOOD, **lan})) == []


def started(**variables: str) -> subprocess.CompletedProcess[str]:
    """What `django shell` prints of some settings in an environment with these variables."""
    ours = {name: value for name, value in os.environ.items() if not name.startswith("PORTAL_")}
    script = (
        "from django.conf import settings as s; print(s.SESSION_COOKIE_NAME, s.CSRF_COOKIE_NAME, "
        "s.SESSION_COOKIE_SECURE, s.CSRF_COOKIE_SECURE, s.SESSION_COOKIE_HTTPONLY, "
        "s.CSRF_COOKIE_HTTPONLY, s.SECURE_HSTS_SECONDS, s.SECURE_HSTS_INCLUDE_SUBDOMAINS, s.DEBUG)"
    )
    given = {
        "DJANGO_SETTINGS_MODULE": "portal.settings",
        "DATABASE_URL": "postgresql://nobody@127.0.0.1:1/none",
        "REDIS_URL": "redis://127.0.0.1:1/0",
        "PORTAL_SECRET_KEY": secrets.token_hex(32),
        "PORTAL_PRIVACY_KEYS": keyring.new_text(),
        "PORTAL_URL": "https://portal.example.com",
        "PORTAL_ALLOWED_HOSTS": "portal.example.com",
    }
    return subprocess.run(
        [sys.executable, "-c", f"import django; django.setup(); {script}"],
        cwd=ROOT, env=ours | given | variables, capture_output=True, text=True, check=False,
    )  # fmt: skip


def test_https_gives_host_cookies_that_no_script_reads_and_hsts_for_a_year() -> None:
    done = started(DEBUG="1", DJANGO_DEBUG="1", PORTAL_DEBUG="1")
    assert done.stdout.split() == [
        "__Host-portal_session", "__Host-portal_csrf", "True", "True", "True", "True",
        "31536000", "True", "False",
    ], done.stderr  # fmt: skip


@pytest.mark.parametrize(
    ("variables", "named"),
    [
        ({"PORTAL_SECRET_KEY": "short"}, "PORTAL_SECRET_KEY"),
        ({"PORTAL_URL": "http://portal.example.com"}, "PORTAL_INSECURE_HTTP"),
        ({"PORTAL_OUTBOUND_ALLOW": "10.0.0.0/99"}, "PORTAL_OUTBOUND_ALLOW"),
        ({"PORTAL_SECURITY_CONTACT": "somebody"}, "PORTAL_SECURITY_CONTACT"),
        ({"PORTAL_BEHIND_PROXY": "perhaps"}, "PORTAL_BEHIND_PROXY"),
    ],
)
def test_an_unsafe_or_odd_value_stops_the_start(variables: dict[str, str], named: str) -> None:
    done = started(**variables)
    assert done.returncode != 0
    assert named in done.stderr.splitlines()[-1]
