-- Keeps what policies say against things: one open row per policy and thing, new or brought up to date.
--   %(policies)s bigint[], %(keys)s text[], %(outcomes)s text[], %(details)s text[],
--   %(versions)s int[]   one entry per finding
--   %(kind)s text   the kind of thing
--   %(at)s timestamptz   when the facts were read; a row that was judged later stays as it is
-- Index: policy_finding_one_open. Locks the touched rows in the order of policy and key.
INSERT INTO governance_policyfinding AS held (
    policy_id, subject_kind, subject_key, outcome, detail, policy_version, since, judged_at)
SELECT
    found.policy_id, %(kind)s::text, found.subject_key, found.outcome, found.detail, found.version,
    %(at)s::timestamptz, %(at)s::timestamptz
FROM unnest(
    %(policies)s::bigint[], %(keys)s::text[], %(outcomes)s::text[], %(details)s::text[],
    %(versions)s::int[]
) AS found (policy_id, subject_key, outcome, detail, version)
ORDER BY found.policy_id, found.subject_key
ON CONFLICT (policy_id, subject_kind, subject_key) WHERE closed_at IS NULL
DO UPDATE SET
    outcome = excluded.outcome,
    detail = excluded.detail,
    policy_version = excluded.policy_version,
    judged_at = excluded.judged_at
WHERE held.judged_at <= excluded.judged_at
