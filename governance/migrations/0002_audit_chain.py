"""The audit chain: append-only table, hash-linked by the one function that may write it.

The detail is hashed over its canonical JSON text (keys sorted by code point, no spaces), which the
caller passes beside the jsonb, because jsonb orders keys in its own way.
"""

from typing import ClassVar

from django.db import migrations

TABLE = """
CREATE TABLE governance_audit (
    seq          bigint PRIMARY KEY,
    at           timestamptz NOT NULL,
    actor_kind   text NOT NULL,
    actor_id     bigint NOT NULL,
    actor        text NOT NULL,
    action       text NOT NULL,
    object_kind  text NOT NULL,
    object_key   text NOT NULL,
    summary      text NOT NULL,
    detail       jsonb NOT NULL,
    request_id   text NOT NULL,
    prev_hash    bytea NOT NULL,
    hash         bytea NOT NULL
);
CREATE INDEX governance_audit_object ON governance_audit (object_kind, object_key, seq DESC);
CREATE INDEX governance_audit_actor ON governance_audit (actor, seq DESC);
CREATE TABLE governance_audit_head (
    one   boolean PRIMARY KEY DEFAULT true CHECK (one),
    seq   bigint NOT NULL,
    hash  bytea NOT NULL
);
INSERT INTO governance_audit_head (seq, hash) VALUES (0, decode(repeat('00', 32), 'hex'));
"""

APPEND = """
CREATE FUNCTION governance_audit_append(
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
    line := concat_ws(chr(31),
        number::text,
        (extract(epoch FROM moment) * 1000000)::bigint::text,
        p_actor_kind, p_actor_id::text, p_actor, p_action, p_object_kind, p_object_key,
        p_summary, p_request_id,
        encode(sha256(convert_to(p_detail, 'UTF8')), 'hex'));
    digest := sha256(head.hash || convert_to(line, 'UTF8'));
    INSERT INTO governance_audit VALUES (
        number, moment, p_actor_kind, p_actor_id, p_actor, p_action, p_object_kind, p_object_key,
        p_summary, p_detail::jsonb, p_request_id, head.hash, digest);
    UPDATE governance_audit_head SET seq = number, hash = digest;
    RETURN number;
END $$;
"""

APPEND_ONLY = """
CREATE FUNCTION governance_audit_refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'The audit chain is append-only.' USING ERRCODE = 'insufficient_privilege';
END $$;
CREATE TRIGGER governance_audit_no_change BEFORE UPDATE OR DELETE ON governance_audit
    FOR EACH ROW EXECUTE FUNCTION governance_audit_refuse();
CREATE TRIGGER governance_audit_no_truncate BEFORE TRUNCATE ON governance_audit
    FOR EACH STATEMENT EXECUTE FUNCTION governance_audit_refuse();
"""


class Migration(migrations.Migration):
    dependencies: ClassVar[list[tuple[str, str]]] = [("governance", "0001_initial")]
    operations: ClassVar[list[migrations.RunSQL]] = [
        migrations.RunSQL(TABLE, "DROP TABLE governance_audit_head; DROP TABLE governance_audit"),
        migrations.RunSQL(APPEND, "DROP FUNCTION governance_audit_append"),
        migrations.RunSQL(APPEND_ONLY, "DROP FUNCTION governance_audit_refuse CASCADE"),
    ]
