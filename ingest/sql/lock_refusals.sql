-- Lets one writer at a time look for, and keep, the dead letters of some bodies: a client that sends
-- again while its first request is still under way would have two of them else.
-- Parameters: lock int, places int[] (sorted, so that nobody waits in a circle).
-- Row: one for each place. Locks: advisory ones, until commit.
SELECT pg_advisory_xact_lock(%(lock)s::int, place) FROM unnest(%(places)s::int[]) AS place
