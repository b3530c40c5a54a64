"""`manage.py doctor`: each check can be well and can fail, and says what to do."""

import contextlib
import io
import json
import os
import re
import secrets
import shutil
from collections import defaultdict
from collections.abc import Callable
from datetime import UTC, datetime, time, timedelta
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.db import OperationalError, connection
from kombu.exceptions import OperationalError as BrokerError
from packaging.version import Version

from governance.models import AuditVerification
from governance.services.anchoring import anchor_or_say_why
from ingest.log import partitions
from ingest.log.connection import connect
from ingest.models import StorageRun
from portal.celery import app
from portal.doctor import configuration, database, examination, machine, redis_server, running
from portal.doctor.examination import CHECKS, examine
from portal.doctor.types import Check, Finding, State, fail, ok
from portal.kernel import clock
from tests.support.factories import make_person, make_team

pytestmark = pytest.mark.django_db
HASH = "0" * 64


def seen(look: Callable[[], Finding]) -> State:
    """What a check says. Whoever has something to do is told what, and no secret stands in it."""
    finding = look()
    assert finding.found
    assert bool(finding.todo) == (finding.state in (State.WARN, State.FAIL))
    return finding.state


def server_says(monkeypatch: pytest.MonkeyPatch, **values: str) -> None:
    """Have the database server tell other settings than it has."""
    real = database._setting
    monkeypatch.setattr(database, "_setting", lambda name: values.get(name) or real(name))


# --- The database -----------------------------------------------------------------------------


def test_the_tests_database_answers_and_has_all_tables() -> None:
    for look in (database.reachable, database.version, database.migrations, database.clocks):
        assert seen(look) is State.OK


def test_a_database_that_is_away_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    def away() -> None:
        raise OperationalError("connection refused\nmore")

    monkeypatch.setattr(connection, "ensure_connection", away)
    assert database.reachable() == fail(
        "it does not answer: connection refused", "Start PostgreSQL or mend DATABASE_URL."
    )


def test_an_old_server_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "OLDEST", 99)
    assert seen(database.version) is State.FAIL


def test_a_role_that_may_too_much_is_a_warning() -> None:
    with connection.cursor() as cursor:
        name = f"plain_{secrets.token_hex(4)}"
        cursor.execute(f"CREATE ROLE {name}")
        cursor.execute(f"SET LOCAL ROLE {name}")
        assert seen(database.role) is State.OK
        cursor.execute("RESET ROLE")
        cursor.execute(f"ALTER ROLE {name} CREATEROLE")
        cursor.execute(f"SET LOCAL ROLE {name}")
        assert seen(database.role) is State.WARN


def test_a_migration_that_is_not_applied_fails() -> None:
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM django_migrations WHERE app = 'quality'")
    finding = database.migrations()
    assert finding.state is State.FAIL
    assert "quality." in finding.found


def test_clocks_apart_fail() -> None:
    with clock.at(clock.now() + timedelta(seconds=3)):
        assert seen(database.clocks) is State.FAIL


def test_a_server_that_may_lose_answered_events_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    well = {"fsync": "on", "full_page_writes": "on", "synchronous_commit": "on",
            "data_checksums": "on"}  # fmt: skip
    server_says(monkeypatch, **well)
    assert seen(database.durability) is State.OK
    for name in ("fsync", "full_page_writes", "synchronous_commit"):
        server_says(monkeypatch, **well | {name: "off"})
        assert seen(database.durability) is State.FAIL
    server_says(monkeypatch, **well | {"data_checksums": "off"})
    assert seen(database.durability) is State.WARN


def test_settings_of_the_server_that_cost_or_tell_are_warnings(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    well = {"max_locks_per_transaction": "1024", "track_commit_timestamp": "on"}
    server_says(monkeypatch, **well)
    assert seen(database.tuning) is State.OK
    server_says(monkeypatch, **well | {"max_locks_per_transaction": "64"})
    assert seen(database.tuning) is State.WARN
    quiet = {"log_statement": "none",
             "log_parameter_max_length_on_error": "0", "log_min_duration_statement": "-1"}  # fmt: skip
    server_says(monkeypatch, **quiet)
    assert seen(database.server_log) is State.OK
    server_says(monkeypatch, **quiet | {"log_statement": "all"})
    assert seen(database.server_log) is State.WARN


def test_days_that_run_out_fail() -> None:
    with connect() as link:
        partitions.make_window(link)
    assert seen(database.partitions_ahead) is State.OK
    with clock.at(clock.now() + timedelta(days=partitions.DAYS_AHEAD - 1)):
        assert seen(database.partitions_ahead) is State.FAIL


def test_an_audit_chain_that_is_not_signed_or_does_not_hold_fails(
    tmp_path: Path, settings: Any
) -> None:
    settings.DATA_DIR, settings.AUDIT_ANCHORS = tmp_path, tmp_path / "anchors.jsonl"
    make_team()
    with clock.at(clock.now() + timedelta(minutes=6)):
        assert seen(database.audit_chain) is State.FAIL, "nobody signed"
        anchor_or_say_why()
        assert seen(database.audit_chain) is State.OK
    AuditVerification.objects.create(rows=1, first_bad=1, head_hash=HASH, seconds=0)
    assert seen(database.audit_chain) is State.FAIL


def test_first_accounts_that_open_with_their_first_passwords_are_a_warning(
    tmp_path: Path, settings: Any
) -> None:
    settings.DATA_DIR = tmp_path
    assert seen(database.first_people) is State.OK
    ada = make_person()
    ada.set_password("first of all passwords")
    ada.save()
    login = {"email": ada.email, "password": "first of all passwords"}
    (tmp_path / "logins.json").write_text(json.dumps({"logins": {"admin": login}}))
    finding = database.first_people()
    assert finding.state is State.WARN
    assert login["password"] not in finding.found + finding.todo
    ada.set_password("another long and odd phrase")
    ada.save()
    assert seen(database.first_people) is State.OK


def test_a_privacy_key_that_is_needed_and_gone_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    assert seen(database.privacy_keys) is State.OK
    monkeypatch.setattr(database, "missing_versions", lambda: [3])
    assert seen(database.privacy_keys) is State.FAIL


# --- Redis and what runs ----------------------------------------------------------------------


def test_the_tests_redis_answers_and_one_that_is_away_is_said(settings: Any) -> None:
    assert seen(redis_server.reachable) is State.OK
    settings.REDIS_URL = "redis://:never-told@127.0.0.1:1/0"
    finding = redis_server.reachable()
    assert finding.state is State.FAIL
    assert "never-told" not in finding.found


@pytest.mark.parametrize(
    ("told", "state"),
    [
        ({"maxmemory": "0", "maxmemory-policy": "noeviction"}, State.OK),
        ({"maxmemory": "0", "maxmemory-policy": "allkeys-lru"}, State.WARN),
        ({"maxmemory": "1000", "maxmemory-policy": "allkeys-lru"}, State.FAIL),
        (None, State.UNMEASURED),
    ],
)
def test_queued_work_that_may_be_thrown_away_fails(
    monkeypatch: pytest.MonkeyPatch, told: dict[str, str] | None, state: State
) -> None:
    assert redis_server._config("maxmemory*") is not None, "the real one is read"
    monkeypatch.setattr(redis_server, "_config", lambda _: told)
    assert seen(redis_server.eviction) is state


@pytest.mark.parametrize(
    ("told", "state"),
    [
        ({"appendonly": "yes", "save": ""}, State.OK),
        ({"appendonly": "no", "save": "3600 1"}, State.OK),
        ({"appendonly": "no", "save": ""}, State.WARN),
        (None, State.UNMEASURED),
    ],
)
def test_a_redis_that_forgets_is_a_warning(
    monkeypatch: pytest.MonkeyPatch, told: dict[str, str] | None, state: State
) -> None:
    monkeypatch.setattr(redis_server, "_config", lambda _: told)
    assert seen(redis_server.persistence) is state


@pytest.mark.parametrize(
    ("url", "state"),
    [
        ("redis://:secret@redis:6379/0", State.OK),
        ("redis://127.0.0.1:6379/0", State.WARN),
        ("redis://redis:6379/0", State.FAIL),
    ],
)
def test_a_redis_without_a_password_that_others_reach_fails(
    settings: Any, url: str, state: State
) -> None:
    settings.REDIS_URL = url
    assert seen(redis_server.password) is state


class Inspected:
    def __init__(self, queues: dict[str, list[dict[str, str]]] | None) -> None:
        self.queues = queues

    def active_queues(self) -> dict[str, list[dict[str, str]]] | None:
        if self.queues is None:
            raise BrokerError("refused")
        return self.queues


def test_a_queue_without_a_worker_fails_by_its_name(
    monkeypatch: pytest.MonkeyPatch, settings: Any
) -> None:
    all_queues = [{"name": name} for name in settings.CELERY_TASK_QUEUES_NAMES]
    said: dict[str, list[dict[str, str]]] | None = {"a": all_queues[:2], "b": all_queues[2:]}
    monkeypatch.setattr(app.control, "inspect", lambda timeout: Inspected(said))
    assert seen(running.workers) is State.OK
    said = {"a": all_queues[1:]}
    finding = running.workers()
    assert finding.state is State.FAIL
    assert finding.found == "nobody takes from system"
    said = {}
    assert seen(running.workers) is State.FAIL
    said = None
    assert seen(running.workers) is State.FAIL


def test_a_beat_that_stopped_fails() -> None:
    assert seen(running.beat) is State.WARN
    StorageRun.objects.create(kind="measure", alive_at=clock.now())
    assert seen(running.beat) is State.OK
    with clock.at(clock.now() + timedelta(minutes=31)):
        assert seen(running.beat) is State.FAIL


# --- The machine ------------------------------------------------------------------------------


@pytest.fixture
def place(tmp_path: Path, settings: Any) -> Path:
    """A data directory with secrets, as the launcher makes it."""
    settings.DATA_DIR, settings.AUDIT_ANCHORS = tmp_path, tmp_path / "audit" / "anchors.jsonl"
    settings.AUDIT_KEY, settings.EMBEDDED = "", False
    (tmp_path / "secrets").mkdir(mode=0o700)
    (tmp_path / "secrets" / "secret_key").touch(mode=0o600)
    return tmp_path


def test_secrets_that_others_may_read_fail(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in machine._FILES:
        monkeypatch.delenv(name, raising=False)
    assert seen(machine.secret_files) is State.OK
    (place / "secrets" / "secret_key").chmod(0o640)
    finding = machine.secret_files()
    assert (finding.state, "secret_key" in finding.found) == (State.FAIL, True)
    (place / "secrets" / "secret_key").chmod(0o600)
    (place / "secrets").chmod(0o755)
    assert seen(machine.secret_files) is State.FAIL
    (place / "secrets").chmod(0o700)
    logins = place / "logins.json"
    logins.touch(mode=0o644)
    logins.chmod(0o644)
    assert "logins.json" in machine.secret_files().found
    logins.unlink()
    elsewhere = place / "key"
    elsewhere.touch(mode=0o644)
    elsewhere.chmod(0o644)
    monkeypatch.setenv("PORTAL_SECRET_KEY_FILE", str(elsewhere))
    assert seen(machine.secret_files) is State.WARN


def test_an_audit_key_is_missing_odd_or_at_hand(place: Path, settings: Any) -> None:
    assert seen(machine.audit_key) is State.WARN
    settings.AUDIT_KEY = "short"
    assert seen(machine.audit_key) is State.FAIL
    settings.AUDIT_KEY = secrets.token_urlsafe(32)
    finding = machine.audit_key()
    assert finding.state is State.OK
    assert settings.AUDIT_KEY not in finding.found


def test_anchors_beside_the_embedded_database_are_a_warning(place: Path, settings: Any) -> None:
    assert seen(machine.anchors) is State.OK
    settings.EMBEDDED = True
    assert seen(machine.anchors) is State.WARN


def test_anchors_that_cannot_be_written_fail(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Root may write everywhere, so the system's answer is replaced.
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    assert seen(machine.anchors) is State.FAIL


@pytest.mark.parametrize(
    ("free", "total", "state"),
    [(500, 1000, State.OK), (4, 100, State.WARN), (9, 100, State.WARN), (0.5, 100, State.FAIL),
     (20, 1000, State.FAIL)],
)  # fmt: skip
def test_a_disk_that_is_nearly_full_fails(
    place: Path, monkeypatch: pytest.MonkeyPatch, free: float, total: float, state: State
) -> None:
    class Usage:
        pass

    usage: Any = Usage()
    usage.free, usage.total = free * machine.GIB, total * machine.GIB
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    assert seen(machine.disk) is state


def test_libraries_below_their_floors_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    assert seen(machine.libraries) is State.OK
    monkeypatch.setattr(machine, "version", lambda name: "5.2.16")
    finding = machine.libraries()
    assert (finding.state, "django 5.2.16" in finding.found) == (State.FAIL, True)


def test_libraries_locked_longer_ago_than_is_promised_are_a_warning() -> None:
    locked = datetime.combine(machine.LOCKED_ON, time(), UTC)
    with clock.at(locked + timedelta(days=90)):
        assert seen(machine.libraries) is State.OK
    with clock.at(locked + timedelta(days=91)):
        finding = machine.libraries()
    assert (finding.state, "is 91 days old" in finding.found) == (State.WARN, True)
    said = (Path(__file__).resolve().parents[2] / "docs/security.md").read_text()
    assert f"within {machine.RENEWED_WITHIN.days} days otherwise" in said


def test_no_library_that_runs_is_older_than_the_lock() -> None:
    lock = (Path(__file__).resolve().parents[2] / "requirements.lock").read_text()
    pins: defaultdict[str, set[str]] = defaultdict(set)
    for name, pinned in re.findall(r"^([a-z0-9_.-]+)==([^ ;\\]+)", lock, re.M):
        pins[name].add(pinned)
    assert set(machine.FLOORS) <= set(pins)
    for name, allowed in pins.items():
        with contextlib.suppress(PackageNotFoundError):  # of another system
            assert Version(version(name)) >= min(map(Version, allowed)), name


# --- Settings ---------------------------------------------------------------------------------


def test_https_asks_for_a_proxy_that_says_so(settings: Any) -> None:
    settings.HTTPS, settings.PUBLIC_URL = False, "http://127.0.0.1:8000"
    assert seen(configuration.https) is State.WARN
    settings.PUBLIC_URL = "http://portal.lan"
    assert seen(configuration.https) is State.FAIL
    settings.HTTPS, settings.PUBLIC_URL = True, "https://portal.example"
    settings.SECURE_PROXY_SSL_HEADER = None
    assert seen(configuration.https) is State.WARN
    settings.SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    assert seen(configuration.https) is State.OK


def test_cookies_debugging_and_hosts(settings: Any) -> None:
    assert seen(configuration.cookies) is State.WARN
    settings.SESSION_COOKIE_NAME, settings.CSRF_COOKIE_NAME = "__Host-a", "__Host-b"
    settings.SESSION_COOKIE_SECURE = True
    assert seen(configuration.cookies) is State.OK
    settings.FAILPOINTS, settings.FAILPOINTS_ALLOWED = "", False
    assert seen(configuration.debug) is State.OK
    settings.FAILPOINTS = "ingest.commit"
    assert seen(configuration.debug) is State.FAIL
    settings.PUBLIC_URL, settings.ALLOWED_HOSTS = "https://portal.example", ["portal.example"]
    assert seen(configuration.hosts) is State.OK
    for wrong in (["other.example"], ["*"]):
        settings.ALLOWED_HOSTS = wrong
        assert seen(configuration.hosts) is State.FAIL


def test_mail_contact_openings_and_backups(settings: Any) -> None:
    settings.MAIL_FROM = ""
    assert seen(configuration.mail) is State.WARN
    settings.MAIL_FROM, settings.EMAIL_HOST = "portal@example.com", "mail.example.com"
    settings.EMAIL_USE_TLS = settings.EMAIL_USE_SSL = False
    assert seen(configuration.mail) is State.WARN
    settings.EMAIL_USE_TLS = True
    assert seen(configuration.mail) is State.OK
    settings.SECURITY_CONTACT = []
    assert seen(configuration.security_contact) is State.WARN
    settings.SECURITY_CONTACT = ["mailto:security@example.com"]
    assert seen(configuration.security_contact) is State.OK
    settings.OUTBOUND_ALLOW = []
    assert seen(configuration.outbound) is State.OK
    settings.OUTBOUND_ALLOW = ["hooks.inner:9000"]
    assert seen(configuration.outbound) is State.OK
    settings.OUTBOUND_ALLOW = ["0.0.0.0/0"]
    assert seen(configuration.outbound) is State.FAIL
    assert seen(configuration.backups) is State.UNMEASURED


def test_traces_that_leave_in_clear_are_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", raising=False)
    monkeypatch.delenv("OTEL_EXPORTER_OTLP_ENDPOINT", raising=False)
    assert seen(configuration.traces) is State.OK
    for endpoint, state in (
        ("https://collector.example:4318", State.OK),
        ("http://127.0.0.1:4318", State.OK),
        ("http://collector.example:4318", State.WARN),
    ):
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint)
        assert seen(configuration.traces) is state


# --- All together -----------------------------------------------------------------------------


def test_what_needs_something_that_failed_is_unmeasured_and_not_looked_at() -> None:
    looked: list[str] = []

    def never() -> Finding:
        looked.append("never")
        return ok("fine")

    checks = (
        Check("database", lambda: fail("away", "start it")),
        Check("migrations", never, asks="database"),
        Check("partitions", never, asks="migrations"),
        Check("disk", lambda: ok("fine")),
    )
    found = [(one.name, one.state) for one in examine(checks=checks)]
    assert found == [
        ("database", State.FAIL),
        ("migrations", State.UNMEASURED),
        ("partitions", State.UNMEASURED),
        ("disk", State.OK),
    ]
    assert looked == []


def test_each_check_asks_for_one_that_comes_before_it_and_is_in_the_runbook() -> None:
    before: set[str] = set()
    page = (Path(__file__).resolve().parents[2] / "docs/runbooks/doctor.md").read_text()
    for check in CHECKS:
        assert check.name not in before, "each name once"
        assert not check.asks or check.asks in before
        assert check.name in page or check.name == "backups"
        before.add(check.name)


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> list[Check]:
    """The checks of the command replaced by a list that the test fills."""
    checks: list[Check] = []
    monkeypatch.setattr(
        "portal.management.commands.doctor.examine",
        lambda **options: examination.examine(**options, checks=tuple(checks)),
    )
    return checks


def test_the_command_says_a_table_and_fails_by_its_exit_code(
    few: list[Check], capsys: pytest.CaptureFixture[str]
) -> None:
    few.append(Check("disk", lambda: ok("half free")))
    out = io.StringIO()
    call_command("doctor", stdout=out)
    assert out.getvalue().splitlines()[0].split(maxsplit=2) == ["ok", "disk", "half free"]
    few.append(Check("workers", lambda: fail("none", "Start them."), runs=True))
    call_command("doctor", "--before-start", stdout=io.StringIO())
    with pytest.raises(SystemExit) as left:
        call_command("doctor", stdout=out)
    assert left.value.code == 1
    assert "-> Start them." in out.getvalue()
    assert out.getvalue().splitlines()[-1] == "1 ok, 0 warn, 1 fail, 0 not measured"
    assert "of" in capsys.readouterr().err, "progress goes to standard error"


def test_json_is_one_line_with_every_check() -> None:
    out = io.StringIO()
    with pytest.raises(SystemExit):  # no worker runs beside the tests
        call_command("doctor", "--json", stdout=out)
    (line,) = out.getvalue().splitlines()
    said = json.loads(line)
    assert said["ok"] is False
    assert [one["name"] for one in said["checks"]] == [check.name for check in CHECKS]
    assert sum(said["counts"].values()) == len(CHECKS)
    assert {one["state"] for one in said["checks"]} <= set(said["counts"])
