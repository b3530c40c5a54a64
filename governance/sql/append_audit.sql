-- Append one row to the audit chain, in the caller's transaction.
-- Parameters: actor_kind, actor_id, actor, action, object_kind, object_key, summary text;
--   detail canonical JSON text; request_id text. Returns one row: seq.
-- Locks the head row until the transaction ends, so call it last.
SELECT governance_audit_append(
    %(actor_kind)s::text, %(actor_id)s::bigint, %(actor)s::text, %(action)s::text,
    %(object_kind)s::text, %(object_key)s::text, %(summary)s::text,
    %(detail)s::text, %(request_id)s::text
) AS seq
