"""A reading never changes, but for the name of somebody who is erased: the erasure alone may take it out."""

from typing import ClassVar

from django.db import migrations

GUARD = """
CREATE OR REPLACE FUNCTION experiments_snapshot_refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF coalesce(current_setting('portal.erases', true), '') = 'yes'
        AND to_jsonb(NEW) - 'statistics' = to_jsonb(OLD) - 'statistics'
    THEN
        RETURN NEW;
    END IF;
    RAISE EXCEPTION 'analysis snapshots are immutable' USING ERRCODE = 'restrict_violation';
END $$;
"""
GUARD_BEFORE = """
CREATE OR REPLACE FUNCTION experiments_snapshot_refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'analysis snapshots are immutable' USING ERRCODE = 'restrict_violation';
END $$;
"""


class Migration(migrations.Migration):
    dependencies: ClassVar[list[tuple[str, str]]] = [("experiments", "0003_metric_unit_scale")]
    operations: ClassVar[list[migrations.RunSQL]] = [migrations.RunSQL(GUARD, GUARD_BEFORE)]
