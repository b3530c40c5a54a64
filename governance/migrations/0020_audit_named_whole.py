"""The function that appends to the chain finds nothing by a search path that others may write to.

It runs as the owner of the chain (decision 0046). A function of the same name in `public`, which the
portal's role may make, would otherwise run as that owner too.
"""

from importlib import import_module
from typing import ClassVar

from django.db import migrations

from governance.chain.migrating import ChainSQL

APPEND = """
CREATE OR REPLACE FUNCTION public.governance_audit_append(
    p_actor_kind text, p_actor_id bigint, p_actor text, p_action text,
    p_object_kind text, p_object_key text, p_summary text, p_detail text, p_request_id text
) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    head  public.governance_audit_head%ROWTYPE;
    moment timestamptz;
    number bigint;
    line  text;
    digest bytea;
BEGIN
    SELECT * INTO STRICT head FROM public.governance_audit_head FOR UPDATE;
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
    INSERT INTO public.governance_audit (
        seq, at, actor_kind, actor_id, actor, action, object_kind, object_key, summary, detail,
        request_id, prev_hash, hash, format)
    VALUES (
        number, moment, p_actor_kind, p_actor_id, p_actor, p_action, p_object_kind, p_object_key,
        p_summary, p_detail::jsonb, p_request_id, head.hash, digest, 2);
    UPDATE public.governance_audit_head SET seq = number, hash = digest;
    RETURN number;
END $$;
"""


def append_again(apps: object, schema_editor: object) -> None:
    """The function before this one."""
    before = import_module("governance.migrations.0012_anchored_chain").APPEND
    schema_editor.execute(before)  # type: ignore[attr-defined]


class Migration(migrations.Migration):
    dependencies: ClassVar[list[tuple[str, str]]] = [("governance", "0019_subject_exports")]
    operations: ClassVar[list[migrations.operations.base.Operation]] = [
        ChainSQL(APPEND, migrations.RunSQL.noop),
        migrations.RunPython(migrations.RunPython.noop, append_again),
    ]
