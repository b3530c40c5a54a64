"""Ingest is told when a stream's privacy changes; what a detector suspects to be personal."""

from typing import ClassVar

from django.db import migrations

TELL = """
CREATE TRIGGER tell_ingest_of_privacy AFTER UPDATE OF subject_privacy, minimise ON catalog_stream
    FOR EACH STATEMENT EXECUTE FUNCTION ingest_tell_of_change();
"""


class Migration(migrations.Migration):
    dependencies: ClassVar[list[tuple[str, str]]] = [
        ("ingest", "0006_deprecated_uses"),
        ("catalog", "0012_stream_privacy"),
    ]
    operations: ClassVar[list[migrations.operations.base.Operation]] = [
        migrations.RunSQL(TELL, "DROP TRIGGER tell_ingest_of_privacy ON catalog_stream;"),
    ]
