"""Triggers that tell ingest's caches of a change in what they hold (see `ingest.judging.admission`)."""

from typing import ClassVar

from django.db import migrations

FUNCTION = """
CREATE FUNCTION ingest_tell_of_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('portal_catalog', '');
    RETURN NULL;
END
$$;
"""
EVENTS = {
    "catalog_stream": (
        "INSERT OR DELETE OR UPDATE OF name, lifecycle, track, production_since, enforcement, "
        "compatibility_policy, restricted, late_seconds, ahead_seconds, default_version, "
        "owner_team_id"
    ),
    "catalog_streamalias": "INSERT OR DELETE OR UPDATE",
    "catalog_schemaversion": "INSERT OR DELETE OR UPDATE",
    "catalog_producer": "DELETE OR UPDATE OF name, team_id",
    "catalog_producersource": "INSERT OR DELETE OR UPDATE",
    "catalog_producerstream": "INSERT OR DELETE OR UPDATE",
    "governance_key": (
        "DELETE OR UPDATE OF revoked_at, expires_at, streams_glob, browser_origins, "
        "events_per_second"
    ),
}
CREATE = FUNCTION + "".join(
    f"CREATE TRIGGER tell_ingest AFTER {events} ON {table} "
    f"FOR EACH STATEMENT EXECUTE FUNCTION ingest_tell_of_change();\n"
    for table, events in EVENTS.items()
)
DROP = (
    "".join(f"DROP TRIGGER tell_ingest ON {table};\n" for table in EVENTS)
    + "DROP FUNCTION ingest_tell_of_change();"
)


class Migration(migrations.Migration):
    dependencies: ClassVar[list[tuple[str, str]]] = [
        ("ingest", "0002_accounts_and_discoveries"),
        ("catalog", "0003_schema_versions_immutable"),
        ("governance", "0002_audit_chain"),
    ]
    operations: ClassVar[list[migrations.RunSQL]] = [migrations.RunSQL(CREATE, DROP)]
