-- Keeps who was erased, by the newest erasure of each; what is known already stays.
-- Parameters: marks bytea[], sorted; erasure uuid; erased_at timestamptz.
-- Index: primary key. Locks: the rows, in the order of their keys.
INSERT INTO governance_tombstone AS kept (mark, erasure_id, erased_at)
SELECT mark, %(erasure)s::uuid, %(erased_at)s::timestamptz
FROM unnest(%(marks)s::bytea[]) AS mark ORDER BY mark
ON CONFLICT (mark) DO UPDATE
SET erasure_id = EXCLUDED.erasure_id, erased_at = EXCLUDED.erased_at
WHERE kept.erased_at < EXCLUDED.erased_at
