"""Published schema versions never change, and the search column follows its text."""

from typing import ClassVar

from django.db import migrations

IMMUTABLE = """
CREATE FUNCTION catalog_schema_version_guard() RETURNS trigger LANGUAGE plpgsql AS $$
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
CREATE TRIGGER catalog_schema_version_immutable BEFORE UPDATE ON catalog_schemaversion
    FOR EACH ROW EXECUTE FUNCTION catalog_schema_version_guard();
"""


class Migration(migrations.Migration):
    dependencies: ClassVar[list[tuple[str, str]]] = [("catalog", "0002_initial")]
    operations: ClassVar[list[migrations.RunSQL]] = [
        migrations.RunSQL(IMMUTABLE, "DROP FUNCTION catalog_schema_version_guard CASCADE"),
    ]
