-- migrate:up
-- Decisions of `guardian log skip` about entries of a log that was given up (`guardian log
-- begin-anew`): the new log uses their positions again, for other entries. A table of its own,
-- so that a row of skipped_entries goes on to mean the same to the release before.
CREATE TABLE retired_skips (
    position       BIGINT      NOT NULL,
    digest         BYTEA       NOT NULL,
    reason         TEXT        NOT NULL,
    decided_by     VARCHAR     NOT NULL,
    decided_at     TIMESTAMPTZ NOT NULL,
    retired_at     TIMESTAMPTZ NOT NULL DEFAULT now()
);

COMMENT ON TABLE retired_skips IS
    'Decisions to pass over entries that were lost with their log before they were passed over.';

-- migrate:down
-- A decision that was retired is no decision to the release before either.
DROP TABLE retired_skips;
