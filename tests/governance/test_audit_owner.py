"""The audit chain belongs to nobody who can sign in: what the portal's own role cannot do to it."""

import json
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.core.management import CommandError, call_command
from django.db import connection
from django.db.migrations.state import ProjectState
from psycopg.conninfo import make_conninfo

from governance.chain import ownership
from governance.chain.migrating import ChainSQL
from governance.models import AuditEntry
from portal.doctor import database
from portal.doctor.types import State

pytestmark = pytest.mark.django_db(transaction=True)

ROLE = "portal_of_the_tests"
ATTACKS = (
    "UPDATE governance_audit SET summary = 'Nothing happened.'",
    "DELETE FROM governance_audit",
    "TRUNCATE governance_audit",
    "ALTER TABLE governance_audit DISABLE TRIGGER ALL",
    "ALTER TABLE governance_audit RENAME TO elsewhere",
    "ALTER TABLE governance_audit OWNER TO " + ROLE,
    "DROP TABLE governance_audit CASCADE",
    "INSERT INTO governance_audit_head (seq, hash) VALUES (0, '')",
    "UPDATE governance_audit_head SET seq = 0",
    "DELETE FROM governance_audit_anchor",
    "UPDATE governance_audit_anchor SET number = number + 1",
    "DROP FUNCTION governance_audit_append",
    "CREATE OR REPLACE FUNCTION governance_audit_refuse() RETURNS trigger LANGUAGE sql AS ''",
    "CREATE RULE nowhere AS ON INSERT TO governance_audit DO INSTEAD NOTHING",
    "CREATE TRIGGER nowhere BEFORE INSERT ON governance_audit EXECUTE FUNCTION governance_audit_refuse()",
    "DROP SCHEMA public CASCADE",
    "SET session_replication_role = replica",
    "SET ROLE portal_audit",
    "DROP OWNED BY portal_audit",
)
APPEND = (
    "SELECT governance_audit_append('system', 0, 'portal', 'zebra.fed', 'zebra', '1', '', %s, '')"
)


def _urls(user: str = "", password: str = "") -> tuple[str, str]:
    """By the owner of the tests' database, and by the role that a portal would have on it."""
    ours: dict[str, Any] = settings.DATABASES["default"]
    place: dict[str, Any] = {"host": ours["HOST"], "port": ours["PORT"], "dbname": ours["NAME"]}
    owner = make_conninfo(user=ours["USER"], password=ours["PASSWORD"], **place)
    return owner, make_conninfo(user=user or ROLE, password=password or "of-the-tests", **place)


@pytest.fixture
def handed_over() -> Iterator[str]:
    """How the portal's role connects to the tests' database, whose tables have their owners."""
    owner, portal = _urls()
    ownership.make_roles(owner, portal)
    ownership.hand_over(owner, portal)
    yield portal
    _end_roles()


def _end_roles() -> None:
    with connection.cursor() as cursor:
        for role in (ROLE, ownership.OWNER):
            cursor.execute(f"REASSIGN OWNED BY {role} TO CURRENT_USER")
            cursor.execute(f"DROP OWNED BY {role}")
            cursor.execute(f"DROP ROLE {role}")


def _as_portal(url: str) -> psycopg.Connection[Any]:
    return psycopg.connect(url, autocommit=True)


def test_the_portals_role_appends_and_signs_and_makes_tables(handed_over: str) -> None:
    with _as_portal(handed_over) as db:
        assert db.execute(APPEND, ["{}"]).fetchone() == (1,)
        assert db.execute("SELECT action FROM governance_audit").fetchall() == [("zebra.fed",)]
        db.execute("UPDATE governance_user SET email = email")
        db.execute("CREATE TABLE a_day PARTITION OF ingest_dead_letter"
                   " FOR VALUES FROM ('1999-01-01') TO ('1999-01-02')")  # fmt: skip
        db.execute("DROP TABLE a_day")
        signed = (
            "INSERT INTO governance_audit_anchor VALUES"
            " (1, 1, 1, now(), sha256(''), sha256(''), sha256(''), 'k', %s)"
        )
        db.execute(signed, [b"\x00" * 64])


def test_it_can_do_nothing_to_what_is_there(handed_over: str) -> None:
    with _as_portal(handed_over) as db:
        db.execute(APPEND, ["{}"])
        for attack in ATTACKS:
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                db.execute(attack)
    assert [entry.action for entry in AuditEntry.objects.all()] == ["zebra.fed"]


def test_no_function_of_its_own_runs_as_the_owner(handed_over: str) -> None:
    with _as_portal(handed_over) as db:
        for name, takes, gives in (
            ("to_json", "text", "json"), ("concat", "text, text", "text"),
            ("sha256", "bytea", "bytea"), ("convert_to", "text, text", "bytea"),
        ):  # fmt: skip
            db.execute(
                f"CREATE FUNCTION public.{name}({takes}) RETURNS {gives} LANGUAGE plpgsql AS"
                " $$ BEGIN RAISE EXCEPTION 'It ran as %.', current_user; END $$"
            )  # fmt: skip
        assert db.execute(APPEND, ["{}"]).fetchone() == (1,)


def test_the_doctor_says_whose_the_chain_is(handed_over: str) -> None:
    assert database.audit_owner().state is State.WARN  # a superuser is everybody
    with connection.cursor() as cursor:
        cursor.execute(f"SET ROLE {ROLE}")
        assert database.audit_owner().state is State.OK
        cursor.execute("RESET ROLE")


def test_what_a_migration_made_since_is_handed_over_and_nothing_twice(handed_over: str) -> None:
    owner, portal = _urls()
    assert ownership.hand_over(owner, portal) == 0
    with connection.cursor() as cursor:
        cursor.execute("CREATE TABLE made_since (id bigserial)")
        try:
            assert ownership.hand_over(owner, portal) == 1
            with _as_portal(portal) as db:
                db.execute("INSERT INTO made_since DEFAULT VALUES")
        finally:
            cursor.execute("DROP TABLE made_since")


def test_a_function_by_a_name_of_the_chains_is_named_and_stays_whose_it_is(
    handed_over: str,
) -> None:
    owner, portal = _urls()
    with _as_portal(handed_over) as db:
        db.execute(
            "CREATE FUNCTION public.governance_audit_append(text) RETURNS void SECURITY DEFINER"
            " LANGUAGE sql AS 'ALTER TABLE governance_audit DISABLE TRIGGER ALL'"
        )
        for hand in (ownership.hand_over, ownership.make_ready):
            with pytest.raises(
                ownership.OwnershipError, match=r"governance_audit_append\(text\) has"
            ):
                hand(owner, portal)
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            db.execute("SELECT governance_audit_append('')")
        db.execute("DROP FUNCTION governance_audit_append(text)")
    assert ownership.hand_over(owner, portal) == 0


def test_once_it_is_kept_nothing_of_the_portals_role_is_added_to_it(handed_over: str) -> None:
    owner, portal = _urls()
    with connection.cursor() as cursor:
        cursor.execute("ALTER FUNCTION governance_audit_refuse OWNER TO " + ROLE)
    with pytest.raises(ownership.OwnershipError, match=r"governance_audit_refuse\(\) has a name"):
        ownership.hand_over(owner, portal)


def test_before_migrating_the_portals_role_is_given_all_but_a_chain_that_is_kept() -> None:
    owner, portal = _urls()
    ownership.make_roles(owner, portal)
    of_whom = "SELECT pg_get_userbyid(relowner) FROM pg_class WHERE relname = 'governance_audit'"
    try:
        for made, keeper in ((ownership.make_ready, ROLE), (ownership.hand_over, ownership.OWNER),
                             (ownership.make_ready, ownership.OWNER)):  # fmt: skip
            made(owner, portal)
            with connection.cursor() as cursor:
                cursor.execute(of_whom)
                assert cursor.fetchone() == (keeper,)
    finally:
        _end_roles()


def test_a_migration_of_the_chain_runs_as_who_keeps_it(handed_over: str, settings: Any) -> None:
    settings.OWNER_DATABASE_URL = _urls()[0]
    change = ChainSQL(
        "CREATE INDEX IF NOT EXISTS made_later ON public.governance_audit (action)", ""
    )
    editor, state = connection.schema_editor(atomic=False), ProjectState()
    of_whom = "SELECT pg_get_userbyid(relowner) FROM pg_class WHERE relname = 'made_later'"
    with connection.cursor() as cursor:
        try:
            cursor.execute(f"SET ROLE {ROLE}")
            change.database_forwards("governance", editor, state, state)
            cursor.execute(of_whom)
            assert cursor.fetchone() == (ownership.OWNER,)
            settings.OWNER_DATABASE_URL = ""
            with pytest.raises(ImproperlyConfigured, match="PORTAL_OWNER_DATABASE_URL must name"):
                change.database_forwards("governance", editor, state, state)
        finally:
            cursor.execute("RESET ROLE")
            cursor.execute("DROP INDEX IF EXISTS made_later")


def test_a_role_that_could_take_it_back_is_refused() -> None:
    owner, _ = _urls()
    with pytest.raises(ownership.OwnershipError, match="another role than the owner"):
        ownership.make_roles(owner, owner)
    with connection.cursor() as cursor:
        cursor.execute("CREATE ROLE a_superuser SUPERUSER")
        try:
            with pytest.raises(ownership.OwnershipError, match="is a superuser"):
                ownership.make_roles(owner, _urls("a_superuser")[1])
        finally:
            cursor.execute("DROP ROLE a_superuser")


def test_the_command_says_what_it_did_as_json(
    settings: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    settings.OWNER_DATABASE_URL = "postgresql://owner@localhost/portal"
    monkeypatch.setattr(ownership, "make_roles", lambda *urls: None)
    monkeypatch.setattr(ownership, "hand_over", lambda *urls: 7)
    call_command("audit", "hand-over", "--json")
    assert json.loads(capsys.readouterr().out) == {"handed_over": 7}
    call_command("audit", "hand-over")
    assert capsys.readouterr().out == "7 tables and functions handed over.\n"


def test_the_command_asks_by_whom(settings: Any) -> None:
    settings.OWNER_DATABASE_URL = ""
    with pytest.raises(CommandError, match="PORTAL_OWNER_DATABASE_URL must name"):
        call_command("audit", "hand-over")
