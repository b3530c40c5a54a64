-- Rebuild the search vector of one stream from its name, words, owner, tags, aliases and fields.
-- Parameters: stream_id bigint. A row: none. Index: stream_search (GIN). Locks the stream's row.
UPDATE catalog_stream AS s
SET search =
        setweight(to_tsvector('simple', translate(s.name, '._', '  ')), 'A')
     || setweight(to_tsvector('simple', s.name), 'A')
     || setweight(to_tsvector('english', s.title || ' ' || s.description), 'B')
     || setweight(to_tsvector('simple', coalesce(t.name, '')), 'C')
     || setweight(to_tsvector('simple', coalesce((
            SELECT string_agg(g.slug, ' ')
            FROM catalog_streamtag AS st JOIN catalog_tag AS g ON g.id = st.tag_id
            WHERE st.stream_id = s.id), '')), 'B')
     || setweight(to_tsvector('simple', coalesce((
            SELECT string_agg(translate(a.alias, './_-', '    '), ' ')
            FROM catalog_streamalias AS a WHERE a.stream_id = s.id), '')), 'B')
     || setweight(to_tsvector('simple', coalesce((
            SELECT left(string_agg(f.name || ' ' || translate(f.name, '_', ' '), ' '), 200000)
            FROM catalog_schemafield AS f
            WHERE f.stream_id = s.id AND f.is_current), '')), 'D')
FROM catalog_stream AS self
LEFT JOIN governance_team AS t ON t.id = self.owner_team_id
WHERE self.id = s.id AND s.id = %(stream_id)s
