-- How fast a team answered requests for access to what it owns.
-- Parameters: team bigint; since timestamptz: requests decided from then on.
-- One row: answered (how many were approved or denied), median_seconds (NULL where none was).
-- Index: that of the foreign key owner_team_id.
SELECT count(*) AS answered,
       extract(epoch FROM percentile_cont(0.5) WITHIN GROUP (ORDER BY decided_at - created_at))::float
           AS median_seconds
FROM governance_accessrequest
WHERE owner_team_id = %(team)s::bigint
  AND state IN ('approved', 'denied')
  AND decided_at >= %(since)s::timestamptz
