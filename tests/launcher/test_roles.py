"""By whom the embedded database is migrated: never by its owner, for whom no table is another's."""

import json
import subprocess
import sys
from pathlib import Path

import psycopg

from tests.support import live

# What somebody with the portal's rights leaves behind, to be run by whoever migrates next.
TRAP = """
CREATE TABLE seen (who text, may_all boolean);
CREATE FUNCTION trap() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO seen SELECT rolname, rolsuper FROM pg_roles WHERE rolname = session_user;
    RETURN NEW;
END $$;
CREATE TRIGGER trap BEFORE INSERT ON django_migrations FOR EACH ROW EXECUTE FUNCTION trap();
DELETE FROM django_migrations WHERE id = (SELECT max(id) FROM django_migrations);
"""


def _connect(portal: live.Portal) -> psycopg.Connection:
    servers = json.loads((portal.data / "secrets" / "servers.json").read_text())
    return psycopg.connect(servers["DATABASE_URL"], autocommit=True)


def test_a_trap_in_a_table_of_the_portals_meets_the_portals_role_alone(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with live.running(data) as portal, _connect(portal) as db:
        db.execute(TRAP)
    done = subprocess.run(
        [sys.executable, "manage.py", "migrate", "--fake", "--data", str(data)], cwd=live.ROOT,
        env=live.environment(), capture_output=True, text=True, check=False, timeout=200,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    with live.running(data) as again, _connect(again) as db:
        assert db.execute("SELECT DISTINCT * FROM seen").fetchall() == [("portal_app", False)]
        keeps = "SELECT pg_get_userbyid(proowner) FROM pg_proc WHERE proname = 'governance_audit_append'"
        assert db.execute(keeps).fetchall() == [("portal_audit",)]
