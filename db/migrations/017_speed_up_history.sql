-- migrate:up
-- A moment is resolved to the last revision before it. Many revisions share a time or a
-- position (a change set, a clock that was set back), so both indexes end in the sequence:
-- the last one of them is found in one step.
CREATE INDEX config_revisions_project_id_created_at_sequence_idx
    ON config_revisions (project_id, created_at, sequence);
DROP INDEX config_revisions_project_id_created_at_idx;
CREATE INDEX config_revisions_position_sequence_idx ON config_revisions (position, sequence);
DROP INDEX config_revisions_position_idx;

-- Pages of configs are in the order of the bytes, in every collation, as the read model has
-- them; and a prefix is a range of this index.
CREATE INDEX configs_project_id_key_bytes_idx ON configs (project_id, key COLLATE "C");

ALTER TABLE idempotency_keys ADD COLUMN headers TEXT;
COMMENT ON COLUMN idempotency_keys.headers IS 'Of the answer, as a JSON object.';

-- migrate:down
ALTER TABLE idempotency_keys DROP COLUMN headers;
DROP INDEX configs_project_id_key_bytes_idx;
CREATE INDEX config_revisions_position_idx ON config_revisions (position);
DROP INDEX config_revisions_position_sequence_idx;
CREATE INDEX config_revisions_project_id_created_at_idx
    ON config_revisions (project_id, created_at);
DROP INDEX config_revisions_project_id_created_at_sequence_idx;
