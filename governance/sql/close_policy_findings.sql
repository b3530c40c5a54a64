-- Closes the open findings of things that are in order by a policy, or are not measured any more.
--   %(policies)s bigint[], %(keys)s text[]   one entry per policy and thing
--   %(kind)s text, %(at)s timestamptz   when the facts were read; what was judged later stays open
-- Index: policy_finding_one_open. Locks the touched rows in the order of policy and key.
WITH mine AS (
    SELECT held.id
    FROM governance_policyfinding AS held
    JOIN unnest(%(policies)s::bigint[], %(keys)s::text[]) AS done (policy_id, subject_key)
        ON held.policy_id = done.policy_id AND held.subject_key = done.subject_key
    WHERE held.subject_kind = %(kind)s::text
        AND held.closed_at IS NULL
        AND held.judged_at <= %(at)s::timestamptz
    ORDER BY held.policy_id, held.subject_key
    FOR UPDATE OF held
)
UPDATE governance_policyfinding SET closed_at = %(at)s::timestamptz WHERE id IN (SELECT id FROM mine)
