"""Checks of PostgreSQL and of what the portal keeps in it."""

import json
import os
from datetime import timedelta
from typing import Final

from django.conf import settings
from django.contrib.auth.hashers import check_password
from django.db import OperationalError, connection
from django.db.migrations.executor import MigrationExecutor

from governance.erasure_ledger import LedgerError
from governance.models import AuditAnchor, AuditEntry, AuditVerification, User
from governance.selectors import erasures as selectors
from governance.services.privacy_keys import missing_versions
from portal import health
from portal.doctor.types import Finding, fail, ok, warn
from portal.kernel import clock

OLDEST: Final = 16
SKEW_SECONDS: Final = 2.0
SIGNED_WITHIN: Final = timedelta(minutes=5)
# Without these an answered event may be lost with the power.
_DURABLE: Final = {"fsync": {"on"}, "full_page_writes": {"on"},
                   "synchronous_commit": {"on", "local", "remote_write", "remote_apply"}}  # fmt: skip
# Where these are otherwise the server's log may hold personal values.
_SILENT: Final = {
    "log_statement": {"none", "ddl"},
    "log_parameter_max_length_on_error": {"0"},
    "log_min_duration_statement": {"-1"},
}
_LOCKS: Final = 1024


def reachable() -> Finding:
    try:
        connection.ensure_connection()
    except OperationalError as error:
        first = str(error).strip().splitlines()[0]
        return fail(f"it does not answer: {first}", "Start PostgreSQL or mend DATABASE_URL.")
    return ok("it answers")


def version() -> Finding:
    with connection.cursor() as cursor:
        cursor.execute("SHOW server_version_num")
        found = int(cursor.fetchone()[0])
    said = f"PostgreSQL {found // 10_000}.{found % 10_000}"
    if found // 10_000 < OLDEST:
        return fail(said, f"Move to PostgreSQL {OLDEST} or newer.")
    return ok(said)


def role() -> Finding:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT rolsuper, rolcreaterole, rolbypassrls FROM pg_roles WHERE rolname = current_user"
        )
        superuser, creates_roles, bypasses = cursor.fetchone()
    if superuser or creates_roles or bypasses:
        return warn(
            "the portal's role may do more in the server than it needs",
            "Give the portal a role of its own that owns its database: NOSUPERUSER NOCREATEROLE "
            "NOBYPASSRLS.",
        )
    return ok("no superuser")


def migrations() -> Finding:
    executor = MigrationExecutor(connection)
    plan = executor.migration_plan(executor.loader.graph.leaf_nodes())
    if plan:
        named = ", ".join(f"{migration.app_label}.{migration.name}" for migration, _ in plan[:3])
        return fail(f"{len(plan)} not applied: {named}", "Run `python3 manage.py migrate`.")
    return ok("all applied")


def clocks() -> Finding:
    """The database's clock beside the process's, at the middle of the question."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")  # the connection is made before time is taken
        before = clock.now()
        cursor.execute("SELECT clock_timestamp()")
        theirs = cursor.fetchone()[0]
        ours = before + (clock.now() - before) / 2
    skew = abs((theirs - ours).total_seconds())
    said = f"{skew:.2f} s apart"
    if skew > SKEW_SECONDS:
        return fail(said, "Let both machines take their time from the same NTP servers.")
    return ok(said)


def durability() -> Finding:
    weak = [name for name, allowed in _DURABLE.items() if _setting(name) not in allowed]
    if weak:
        return fail(
            f"{', '.join(weak)} let answered events be lost with the power",
            "Switch them on in postgresql.conf and restart PostgreSQL.",
        )
    if _setting("data_checksums") != "on":
        return warn(
            "a broken disk would not be noticed: data_checksums is off",
            "Stop PostgreSQL, run `pg_checksums --enable`, start it.",
        )
    return ok("what is committed stays")


def tuning() -> Finding:
    wrong = []
    if int(_setting("max_locks_per_transaction")) < _LOCKS:
        wrong.append(f"max_locks_per_transaction is below {_LOCKS}")
    if _setting("track_commit_timestamp") != "on":
        wrong.append("track_commit_timestamp is off")
    if wrong:
        return warn("; ".join(wrong), "Set them as docs/settings.md says and restart PostgreSQL.")
    return ok("as docs/settings.md asks")


def server_log() -> Finding:
    loud = [name for name, allowed in _SILENT.items() if _setting(name) not in allowed]
    if loud:
        return warn(
            f"{', '.join(loud)} may write submitted values into the server's log",
            "Set them as docker-compose.yml does.",
        )
    return ok("no submitted value goes into it")


def _setting(name: str) -> str:
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_setting(%s, true)", [name])
        return str(cursor.fetchone()[0])


def partitions_ahead() -> Finding:
    if health.days_run_out():
        return fail("days ahead are missing", "Run `python3 manage.py partitions`.")
    return ok("the days ahead are there")


def audit_chain() -> Finding:
    """What the last walk found, and whether signing keeps up."""
    newest = AuditVerification.objects.order_by("-at").first()
    if newest is not None and newest.first_bad is not None:
        return fail(f"row {newest.first_bad} does not hold", "See docs/runbooks/audit.md.")
    signed = AuditAnchor.objects.values_list("upto_seq", flat=True).first() or 0
    late = AuditEntry.objects.filter(seq__gt=signed, at__lt=clock.now() - SIGNED_WITHIN)
    if late.exists():
        return fail(
            "rows are not signed for more than five minutes",
            "Look at the worker of the queue `system` and at its log.",
        )
    return ok(f"holds, signed up to row {signed}" if signed else "nothing to sign yet")


def first_people() -> Finding:
    """Whether the accounts that `first_run` made still open with what stands in `logins.json`."""
    place = settings.DATA_DIR / "logins.json"
    try:
        known = json.loads(place.read_text())["logins"].values()
    except (OSError, ValueError, KeyError):
        return ok("no first logins on this disk")
    people = User.objects.filter(email__in=[one["email"] for one in known], is_active=True)
    passwords = {one["email"]: one["password"] for one in known}
    unchanged = sum(check_password(passwords[one.email], one.password) for one in people)
    if unchanged:
        return warn(
            f"{unchanged} accounts still open with the passwords of {place.name}",
            "Give people accounts of their own; change these passwords or disable the accounts.",
        )
    return ok("their first passwords open nothing any more")


def privacy_keys() -> Finding:
    missing = missing_versions()
    if missing:
        versions = ", ".join(map(str, missing))
        return fail(
            f"version {versions} is needed and not at hand", "See runbooks/privacy-keys.md."
        )
    return ok("every version that is needed is at hand")


def erasures() -> Finding:
    """Whether the ledger of erasures is at hand, and knows nothing that this database does not."""
    path = settings.ERASURE_LEDGER
    place = next(parent for parent in (path, *path.parents) if parent.exists())
    if not os.access(place, os.W_OK):
        return fail(f"{path} cannot be written", "Make it writable, or set PORTAL_ERASURE_LEDGER.")
    try:
        unknown, lost = len(selectors.unreplayed()), selectors.missing_in_ledger()
        known = len(selectors.ledger_lines())
    except LedgerError as error:
        return fail(f"the ledger is not in order: {error}", "See docs/runbooks/erasure.md.")
    except OSError as error:
        return fail(f"the ledger cannot be read: {error.strerror}", f"Make {path} readable.")
    if unknown:
        return fail(
            f"{unknown} erasures stand in the ledger that this database does not know: it was "
            "restored from an older backup",
            "Run `python3 manage.py erase replay` (docs/runbooks/erasure.md).",
        )
    if lost:
        return warn(
            f"{lost} erasures that were done do not stand in {path.name}",
            "Bring the ledger back: docs/runbooks/erasure.md.",
        )
    return ok(f"the ledger knows {known} erasures, and so does the database")
