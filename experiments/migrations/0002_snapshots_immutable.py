"""A reading never changes once it is written; a new one is a new row."""

from typing import ClassVar

from django.db import migrations

MAKE = """
CREATE FUNCTION experiments_snapshot_refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'analysis snapshots are immutable' USING ERRCODE = 'restrict_violation';
END $$;
CREATE TRIGGER experiments_snapshot_immutable
    BEFORE UPDATE ON experiments_analysissnapshot
    FOR EACH ROW EXECUTE FUNCTION experiments_snapshot_refuse();
"""
DROP = """
DROP TRIGGER experiments_snapshot_immutable ON experiments_analysissnapshot;
DROP FUNCTION experiments_snapshot_refuse();
"""


class Migration(migrations.Migration):
    dependencies: ClassVar[list[tuple[str, str]]] = [
        ("experiments", "0001_experiments_and_snapshots")
    ]
    operations: ClassVar[list[migrations.RunSQL]] = [migrations.RunSQL(MAKE, DROP)]
