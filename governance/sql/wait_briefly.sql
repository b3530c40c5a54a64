-- Have this transaction give up after a second rather than wait for the head of the audit chain.
-- Parameters: none. No row. Locks: none.
SELECT set_config('lock_timeout', '1s', true)
