"""First passwords: random, kept to their owner, and over when nobody used them in time."""

import json
import os
import stat
import time
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from pytest_django import Settings

from governance.models import AuditEntry
from tests.support.signing_in import browser

pytestmark = pytest.mark.django_db
ADA = "ada@shop.example"


@pytest.fixture
def data(tmp_path: Path, settings: Settings) -> Path:
    settings.DATA_DIR = tmp_path
    return tmp_path


def first_run() -> dict[str, Any]:
    out = StringIO()
    call_command("first_run", "--json", stdout=out)
    found: dict[str, Any] = json.loads(out.getvalue())
    return found


def later(data: Path, days: float) -> None:
    """Have the file written so many days ago."""
    at = time.time() - days * 86_400
    os.utime(data / "logins.json", (at, at))


def opens(login: dict[str, str]) -> bool:
    form = {"login": login["email"], "password": login["password"]}
    return browser().post("/accounts/login/", form).status_code == 302


def test_they_are_random_and_only_their_owner_reads_the_file(data: Path) -> None:
    passwords = {one["password"] for one in first_run()["logins"].values()}
    assert len(passwords) == 5
    assert all(len(one) == 16 for one in passwords), "96 bits"
    assert stat.S_IMODE((data / "logins.json").stat().st_mode) == 0o600


def test_one_that_nobody_used_for_two_weeks_opens_nothing_and_the_next_start_gives_another(
    data: Path,
) -> None:
    login = first_run()["logins"]["admin"]
    later(data, 15)
    form = {"login": login["email"], "password": login["password"]}
    page = browser().post("/accounts/login/", form).content.decode()
    assert "was not used for 14 days and is over" in page
    again = first_run()["logins"]["admin"]
    assert again["email"] == login["email"]
    assert again["password"] != login["password"]
    assert opens(again)
    assert not opens(login)
    said = AuditEntry.objects.filter(action="person.password_changed", object_key=ADA)
    assert said.count() == 1


def test_one_that_was_used_stays_and_a_start_gives_logins_that_work(data: Path) -> None:
    logins = first_run()["logins"]
    assert opens(logins["analyst"])
    later(data, 15)
    again = first_run()["logins"]
    assert again["analyst"] == logins["analyst"]
    assert all(map(opens, again.values()))


def test_within_two_weeks_nothing_changes(data: Path) -> None:
    logins = first_run()["logins"]
    later(data, 13)
    assert first_run()["logins"] == logins
    assert all(map(opens, logins.values()))


def test_a_wrong_password_is_told_nothing_of_it(data: Path) -> None:
    first_run()
    later(data, 15)
    form = {"login": ADA, "password": "not the first one at all"}
    page = browser().post("/accounts/login/", form).content.decode()
    assert "E-mail and password do not belong together." in page
