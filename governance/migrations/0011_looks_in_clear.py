"""Who saw personal values of late is read without walking through the rest of the audit log."""

from typing import ClassVar

from django.db import migrations

LOOKS = """
CREATE INDEX CONCURRENTLY IF NOT EXISTS governance_audit_looks
    ON governance_audit (at DESC, seq DESC)
    WHERE action IN ('event.personal_read', 'event.personal_revealed',
                     'dead_letter.personal_read', 'dead_letter.personal_revealed')
"""


class Migration(migrations.Migration):
    atomic = False
    dependencies: ClassVar[list[tuple[str, str]]] = [("governance", "0010_job_due_at")]
    operations: ClassVar[list[migrations.operations.base.Operation]] = [
        migrations.RunSQL(LOOKS, "DROP INDEX CONCURRENTLY IF EXISTS governance_audit_looks")
    ]
