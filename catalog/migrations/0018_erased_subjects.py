"""What a stream does with later events about somebody who was erased; contracts may be cleared of them."""

from typing import Any, ClassVar

from django.db import migrations, models

TELL = """
CREATE TRIGGER tell_ingest_of_erased AFTER UPDATE OF erased_subjects ON catalog_stream
    FOR EACH STATEMENT EXECUTE FUNCTION ingest_tell_of_change();
"""
# A published contract never changes, but for an example in it that was the value of somebody who is
# erased: the erasure says so for its own transaction.
GUARD = """
CREATE OR REPLACE FUNCTION catalog_schema_version_guard() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.state NOT IN ('draft', 'proposed') AND (
        NEW.document IS DISTINCT FROM OLD.document
            AND coalesce(current_setting('portal.erases', true), '') <> 'yes'
        OR NEW.document_sha256 IS DISTINCT FROM OLD.document_sha256
        OR NEW.version IS DISTINCT FROM OLD.version
        OR NEW.stream_id IS DISTINCT FROM OLD.stream_id
    ) THEN
        RAISE EXCEPTION 'A published schema version is immutable.' USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END $$;
"""
GUARD_BEFORE = """
CREATE OR REPLACE FUNCTION catalog_schema_version_guard() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.state NOT IN ('draft', 'proposed') AND (
        NEW.document IS DISTINCT FROM OLD.document
        OR NEW.document_sha256 IS DISTINCT FROM OLD.document_sha256
        OR NEW.version IS DISTINCT FROM OLD.version
        OR NEW.stream_id IS DISTINCT FROM OLD.stream_id
    ) THEN
        RAISE EXCEPTION 'A published schema version is immutable.' USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END $$;
"""


class Migration(migrations.Migration):
    dependencies: ClassVar[list[Any]] = [
        ("catalog", "0017_promotion"),
        ("ingest", "0008_privacy"),  # the function that tells
    ]
    operations: ClassVar[list[Any]] = [
        migrations.AddField(
            model_name="stream",
            name="erased_subjects",
            field=models.CharField(
                choices=[("refuse", "Refuse"), ("fresh", "Fresh")],
                default="refuse",
                db_default="refuse",
                max_length=6,
            ),
        ),
        migrations.RunSQL(TELL, "DROP TRIGGER tell_ingest_of_erased ON catalog_stream;"),
        migrations.RunSQL(GUARD, GUARD_BEFORE),
    ]
