-- migrate:up
-- When every Raft server was lost, the log is begun anew behind what PostgreSQL holds of it
-- (`guardian log begin-anew`). What was committed before stands in config_revisions alone.
CREATE TABLE log_beginnings (
    first_position BIGINT      NOT NULL,
    change_digest  BYTEA,
    reason         TEXT        NOT NULL,
    decided_by     VARCHAR     NOT NULL,
    decided_at     TIMESTAMPTZ NOT NULL DEFAULT now(),
    CONSTRAINT log_beginnings_pkey PRIMARY KEY (first_position)
);

COMMENT ON TABLE log_beginnings IS
    'Where the Raft log was begun anew by an operator; no row: it begins at 1.';
COMMENT ON COLUMN log_beginnings.change_digest IS
    'SHA-256 of the last entry of the log before, as it was applied.';

-- migrate:down
DROP TABLE log_beginnings;
