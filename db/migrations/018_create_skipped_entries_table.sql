-- migrate:up
-- An operator's decision that an entry of the log is passed over, although nobody knows what it
-- says. Pinned to the entry's bytes, so that it can never hit another one; kept for ever, so
-- that a replay of the log decides the same.
CREATE TABLE skipped_entries (
    position   BIGINT      NOT NULL,
    digest     BYTEA       NOT NULL,
    reason     TEXT        NOT NULL,
    decided_by VARCHAR     NOT NULL,
    decided_at TIMESTAMPTZ NOT NULL DEFAULT now(),
    CONSTRAINT skipped_entries_pkey PRIMARY KEY (position)
);

COMMENT ON TABLE skipped_entries IS
    'Entries that `guardian log skip` told the projector to pass over.';
COMMENT ON COLUMN skipped_entries.digest IS 'SHA-256 of the entry''s bytes.';

-- migrate:down
DROP TABLE skipped_entries;
