"""The audit sentence is answered by indexes: by verb, by thing whatever its kind, and who looked.

The index by thing begins with its key, since the sentence asks for a key alone; a key that things of
two kinds have is rare. The index of looks knows of dead letters that were taken out. Anchors are found
by their time, which bounds a question by its period.
"""

from typing import ClassVar

from django.db import migrations

from governance.chain.migrating import ChainSQL

VERB = """
CREATE INDEX CONCURRENTLY IF NOT EXISTS governance_audit_verb ON public.governance_audit (
    (CASE WHEN action IN ('event.personal_read', 'event.personal_revealed',
                          'dead_letter.personal_read', 'dead_letter.personal_revealed',
                          'vault.looked_up') THEN 'saw'
          WHEN action IN ('dead_letter.exported', 'subject_export.downloaded') THEN 'exported'
          WHEN action = 'access.refused' THEN 'was refused'
          WHEN action::text LIKE 'access.%' THEN 'granted'
          ELSE 'changed' END),
    seq DESC)
"""
LOOKED = """
CREATE INDEX CONCURRENTLY IF NOT EXISTS governance_audit_looked
    ON public.governance_audit (at DESC, seq DESC)
    WHERE action IN ('event.personal_read', 'event.personal_revealed',
                     'dead_letter.personal_read', 'dead_letter.personal_revealed',
                     'vault.looked_up', 'dead_letter.exported', 'subject_export.downloaded')
"""
SAW = """
CREATE INDEX CONCURRENTLY IF NOT EXISTS governance_audit_saw
    ON public.governance_audit (at DESC, seq DESC)
    WHERE action IN ('event.personal_read', 'event.personal_revealed',
                     'dead_letter.personal_read', 'dead_letter.personal_revealed',
                     'vault.looked_up', 'subject_export.downloaded')
"""
THING = """
CREATE INDEX CONCURRENTLY IF NOT EXISTS governance_audit_thing
    ON public.governance_audit (object_key, seq DESC)
"""
OBJECT = """
CREATE INDEX CONCURRENTLY IF NOT EXISTS governance_audit_object
    ON public.governance_audit (object_kind, object_key, seq DESC)
"""
ANCHORED = """
CREATE INDEX CONCURRENTLY IF NOT EXISTS governance_audit_anchored
    ON public.governance_audit_anchor (at DESC)
"""


def _drop(name: str) -> str:
    return f"DROP INDEX CONCURRENTLY IF EXISTS public.{name}"


class Migration(migrations.Migration):
    atomic = False
    dependencies: ClassVar[list[tuple[str, str]]] = [("governance", "0021_requests_for_keys")]
    operations: ClassVar[list[migrations.operations.base.Operation]] = [
        ChainSQL(VERB, _drop("governance_audit_verb")),
        ChainSQL(LOOKED, _drop("governance_audit_looked")),
        ChainSQL(_drop("governance_audit_saw"), SAW),
        ChainSQL(THING, _drop("governance_audit_thing")),
        ChainSQL(_drop("governance_audit_object"), OBJECT),
        ChainSQL(ANCHORED, _drop("governance_audit_anchored")),
    ]
