"""Rows of the audit chain hashed as JSON (RFC 8785), and the anchors that are signed about them.

Rows that are there keep the format they were hashed in.
"""

from importlib import import_module
from typing import ClassVar

from django.db import migrations, models

FORMAT = "ALTER TABLE governance_audit ADD COLUMN format smallint NOT NULL DEFAULT 1"

APPEND = """
CREATE OR REPLACE FUNCTION governance_audit_append(
    p_actor_kind text, p_actor_id bigint, p_actor text, p_action text,
    p_object_kind text, p_object_key text, p_summary text, p_detail text, p_request_id text
) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    head  governance_audit_head%ROWTYPE;
    moment timestamptz;
    number bigint;
    line  text;
    digest bytea;
BEGIN
    SELECT * INTO STRICT head FROM governance_audit_head FOR UPDATE;
    moment := clock_timestamp();
    number := head.seq + 1;
    -- Names in their order, no spaces; to_json spells texts as RFC 8785 does. The detail comes so.
    line := concat(
        '{"action":', to_json(p_action), ',"actor":', to_json(p_actor),
        ',"actor_id":', p_actor_id, ',"actor_kind":', to_json(p_actor_kind),
        ',"at":', (extract(epoch FROM moment) * 1000000)::bigint,
        ',"detail":', p_detail, ',"format":2',
        ',"object_key":', to_json(p_object_key), ',"object_kind":', to_json(p_object_kind),
        ',"request_id":', to_json(p_request_id), ',"seq":', number,
        ',"summary":', to_json(p_summary), '}');
    digest := sha256(head.hash || convert_to(line, 'UTF8'));
    INSERT INTO governance_audit (
        seq, at, actor_kind, actor_id, actor, action, object_kind, object_key, summary, detail,
        request_id, prev_hash, hash, format)
    VALUES (
        number, moment, p_actor_kind, p_actor_id, p_actor, p_action, p_object_kind, p_object_key,
        p_summary, p_detail::jsonb, p_request_id, head.hash, digest, 2);
    UPDATE governance_audit_head SET seq = number, hash = digest;
    RETURN number;
END $$;
"""

ANCHORS = """
CREATE TABLE governance_audit_anchor (
    number     bigint PRIMARY KEY CHECK (number > 0),
    first_seq  bigint NOT NULL CHECK (first_seq > 0),
    upto_seq   bigint NOT NULL UNIQUE CHECK (upto_seq >= first_seq),
    at         timestamptz NOT NULL,
    root       bytea NOT NULL CHECK (octet_length(root) = 32),
    head_hash  bytea NOT NULL CHECK (octet_length(head_hash) = 32),
    previous   bytea NOT NULL CHECK (octet_length(previous) = 32),
    key_id     text NOT NULL,
    signature  bytea NOT NULL CHECK (octet_length(signature) = 64)
);
CREATE TRIGGER governance_audit_anchor_no_change BEFORE UPDATE OR DELETE ON governance_audit_anchor
    FOR EACH ROW EXECUTE FUNCTION governance_audit_refuse();
CREATE TRIGGER governance_audit_anchor_no_truncate BEFORE TRUNCATE ON governance_audit_anchor
    FOR EACH STATEMENT EXECUTE FUNCTION governance_audit_refuse();
"""


def append_again(apps: object, schema_editor: object) -> None:
    """The function before this one; rows of the newer format stay as they are."""
    before = import_module("governance.migrations.0002_audit_chain").APPEND
    execute = schema_editor.execute  # type: ignore[attr-defined]
    execute(before.replace("CREATE FUNCTION", "CREATE OR REPLACE FUNCTION"))


class Migration(migrations.Migration):
    dependencies: ClassVar[list[tuple[str, str]]] = [("governance", "0011_looks_in_clear")]
    operations: ClassVar[list[migrations.operations.base.Operation]] = [
        migrations.RunSQL(FORMAT, "ALTER TABLE governance_audit DROP COLUMN format"),
        migrations.RunSQL(APPEND, migrations.RunSQL.noop),
        migrations.RunPython(migrations.RunPython.noop, append_again),
        migrations.RunSQL(ANCHORS, "DROP TABLE governance_audit_anchor"),
        migrations.CreateModel(
            name="AuditAnchor",
            fields=[
                ("number", models.BigIntegerField(primary_key=True, serialize=False)),
                ("first_seq", models.BigIntegerField()),
                ("upto_seq", models.BigIntegerField(unique=True)),
                ("at", models.DateTimeField()),
                ("root", models.BinaryField()),
                ("head_hash", models.BinaryField()),
                ("previous", models.BinaryField()),
                ("key_id", models.CharField(max_length=16)),
                ("signature", models.BinaryField()),
            ],
            options={
                "db_table": "governance_audit_anchor",
                "ordering": ["-number"],
                "managed": False,
            },
        ),
        migrations.AddField(
            model_name="auditverification",
            name="fault",
            field=models.CharField(blank=True, default="", max_length=200),
        ),
        migrations.AddField(
            model_name="auditverification",
            name="anchored_upto",
            field=models.BigIntegerField(default=0),
        ),
        migrations.AddField(
            model_name="auditverification",
            name="anchored_at",
            field=models.DateTimeField(blank=True, null=True),
        ),
    ]
