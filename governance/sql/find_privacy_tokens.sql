-- What tokens stand for, sealed.
-- Parameter: tokens text[]. A row: token, purpose, sealed. Index: the unique one on token.
SELECT token, purpose, sealed FROM governance_privacytoken
WHERE token = ANY(%(tokens)s::text[])
