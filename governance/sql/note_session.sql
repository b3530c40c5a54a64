-- Keeps when a signed-in browser was last seen, and what it is. A session that is over leaves nothing.
-- Parameters: id uuid (of a new row), session_key text, user_id bigint, browser text, address inet.
-- Row: none. Index: the unique one on session_id. Locks: the touched row, until commit.
INSERT INTO governance_personsession (id, session_id, user_id, browser, address)
SELECT %(id)s::uuid, session_key, %(user_id)s::bigint, %(browser)s::text, %(address)s::inet
FROM django_session
WHERE session_key = %(session_key)s::text
ON CONFLICT (session_id) DO UPDATE SET
    user_id = excluded.user_id, browser = excluded.browser, address = excluded.address,
    last_seen_at = statement_timestamp()
