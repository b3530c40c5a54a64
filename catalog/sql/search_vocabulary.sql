-- The words of all unrestricted streams' search vectors, most used first; for typo correction.
-- Parameters: none. A row: word text. Reads catalog_stream once; cached by its caller.
SELECT word
FROM ts_stat('SELECT search FROM catalog_stream WHERE NOT restricted AND search IS NOT NULL')
WHERE length(word) BETWEEN 3 AND 40
ORDER BY ndoc DESC
LIMIT 50000
