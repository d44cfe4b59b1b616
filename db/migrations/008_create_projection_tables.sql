-- migrate:up
CREATE TABLE checkpoints (
    application_name VARCHAR     NOT NULL,
    notification_id  BIGINT      NOT NULL,
    last_sequence    BIGINT      NOT NULL DEFAULT 0,
    change_position  BIGINT      NOT NULL DEFAULT 0,
    change_digest    BYTEA,
    last_time        TIMESTAMPTZ,
    skipped          BIGINT      NOT NULL DEFAULT 0,
    updated_at       TIMESTAMPTZ NOT NULL DEFAULT now(),
    CONSTRAINT checkpoints_pkey PRIMARY KEY (application_name)
);

COMMENT ON TABLE checkpoints IS
    'How far the log is applied; moves in the transaction that applies it.';
COMMENT ON COLUMN checkpoints.notification_id IS 'The applied log position.';
COMMENT ON COLUMN checkpoints.last_sequence IS 'Highest config_revisions.sequence so far.';
COMMENT ON COLUMN checkpoints.change_position IS 'Position of the last entry that is a change set.';
COMMENT ON COLUMN checkpoints.change_digest IS
    'Digest of the bytes at change_position: tells this log from another one.';
COMMENT ON COLUMN checkpoints.last_time IS 'Latest time recorded; times never run backwards.';
COMMENT ON COLUMN checkpoints.skipped IS
    'Entries of projects that this database does not hold, or no longer.';

CREATE TABLE rejected_changes (
    change_id  VARCHAR     NOT NULL,
    project_id VARCHAR     NOT NULL,
    position   BIGINT      NOT NULL,
    conflicts  JSONB       NOT NULL,
    created_at TIMESTAMPTZ NOT NULL,
    CONSTRAINT rejected_changes_pkey PRIMARY KEY (change_id),
    CONSTRAINT rejected_changes_project_id_fkey
        FOREIGN KEY (project_id) REFERENCES projects (id) ON DELETE CASCADE
);
CREATE INDEX rejected_changes_project_id_idx ON rejected_changes (project_id);
CREATE INDEX rejected_changes_position_idx ON rejected_changes (position);

COMMENT ON TABLE rejected_changes IS
    'Change sets that lost a race: committed in the log, refused when they were applied.';

CREATE TABLE audit_heads (
    project_id    VARCHAR NOT NULL,
    revisions     BIGINT  NOT NULL,
    head_hash     BYTEA   NOT NULL,
    head_position BIGINT  NOT NULL,
    head_sequence BIGINT  NOT NULL,
    CONSTRAINT audit_heads_pkey PRIMARY KEY (project_id),
    CONSTRAINT audit_heads_project_id_fkey
        FOREIGN KEY (project_id) REFERENCES projects (id) ON DELETE CASCADE
);

COMMENT ON TABLE audit_heads IS
    'The last link of each project''s hash chain, so that a cut-off tail is noticed.';

-- migrate:down
DROP TABLE audit_heads;
DROP TABLE rejected_changes;
DROP TABLE checkpoints;
