"""How a migration changes the chain's tables, which belong to another role than the one that migrates."""

from typing import Any, Final

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.operations import RunSQL
from psycopg.sql import SQL, Identifier

from governance.chain.ownership import OWNER, connect_as_owner

_MAY: Final = """
SELECT coalesce(bool_and(pg_has_role(current_user, relowner, 'USAGE')), true)
FROM pg_class WHERE oid = to_regclass('public.governance_audit')
"""


class ChainSQL(RunSQL):
    """SQL about the chain alone, each name in it whole (`public.governance_audit`).

    Who owns the chain runs it as any other. Where it is kept by `portal_audit` the statements run as
    that role, over a connection of the database's owner and each for itself: a migration with one is
    not atomic, and each statement holds when it is done again.
    """

    def _run_sql(self, schema_editor: BaseDatabaseSchemaEditor, sqls: Any) -> None:
        with schema_editor.connection.cursor() as cursor:
            cursor.execute(_MAY)
            is_ours = cursor.fetchone() == (True,)
        if is_ours:
            super()._run_sql(schema_editor, sqls)  # type: ignore[misc]
            return
        if not settings.OWNER_DATABASE_URL:
            raise ImproperlyConfigured(
                "PORTAL_OWNER_DATABASE_URL must name the role that owns the database: this migration "
                "changes the audit chain (docs/runbooks/audit.md)."
            )
        with connect_as_owner(settings.OWNER_DATABASE_URL) as db:
            db.autocommit = True
            db.execute(SQL("SET ROLE {}").format(Identifier(OWNER)))
            for statement in [sqls] if isinstance(sqls, str) else sqls:
                db.execute(statement)
