-- migrate:up
DO $$
BEGIN
    IF EXISTS (SELECT FROM configs) OR EXISTS (SELECT FROM config_revisions) THEN
        RAISE EXCEPTION 'configs and config_revisions must be empty: their rows have no entry '
            'in the log that the new columns could be filled from'
            USING HINT = 'Write the configs through the API after the migration.';
    END IF;
END
$$;

ALTER TABLE configs
    ALTER COLUMN content DROP NOT NULL,
    ADD COLUMN deleted        BOOLEAN NOT NULL DEFAULT false,
    ADD COLUMN position       BIGINT  NOT NULL,
    ADD COLUMN schema_version INT,
    ADD CONSTRAINT configs_content_check CHECK (deleted OR content IS NOT NULL);

COMMENT ON COLUMN configs.deleted IS
    'A tombstone: its versions go on counting when the config is set again.';
COMMENT ON COLUMN configs.position IS 'Log position of the change that made this version.';
COMMENT ON COLUMN configs.schema_version IS 'Version of the schema that the content was checked against.';

ALTER TABLE config_revisions
    ALTER COLUMN content DROP NOT NULL,
    ADD COLUMN event            VARCHAR NOT NULL,
    ADD COLUMN state            BYTEA   NOT NULL,
    ADD COLUMN hash             BYTEA   NOT NULL,
    ADD COLUMN position         BIGINT  NOT NULL,
    ADD COLUMN change_id        VARCHAR NOT NULL,
    ADD COLUMN change_index     INT     NOT NULL,
    ADD COLUMN sequence         BIGINT  NOT NULL,
    ADD COLUMN comment          TEXT,
    ADD COLUMN created_by_email VARCHAR,
    ADD COLUMN schema_id        VARCHAR,
    ADD COLUMN schema_version   INT,
    ADD CONSTRAINT config_revisions_sequence_key UNIQUE (sequence),
    ADD CONSTRAINT config_revisions_change_id_change_index_key UNIQUE (change_id, change_index);
CREATE INDEX config_revisions_position_idx ON config_revisions (position);
CREATE INDEX config_revisions_project_id_sequence_idx ON config_revisions (project_id, sequence);
CREATE INDEX config_revisions_project_id_created_by_user_id_sequence_idx
    ON config_revisions (project_id, created_by_user_id, sequence);
CREATE INDEX config_revisions_project_id_config_key_sequence_idx
    ON config_revisions (project_id, config_key, sequence);

COMMENT ON COLUMN config_revisions.event IS 'The event''s topic, for example config:updated.';
COMMENT ON COLUMN config_revisions.state IS 'The exact bytes of the event as the log holds them.';
COMMENT ON COLUMN config_revisions.hash IS 'Chains the revisions of a project: see docs/ARCHITECTURE.md.';
COMMENT ON COLUMN config_revisions.position IS 'Log position of the change set; has gaps.';
COMMENT ON COLUMN config_revisions.change_index IS 'Place of the event in its change set, from 0.';
COMMENT ON COLUMN config_revisions.sequence IS 'Order of recording in this database: 1, 2, 3 …';
COMMENT ON COLUMN config_revisions.schema_id IS 'No foreign key: history outlives schemas.';

-- migrate:down
DROP INDEX config_revisions_project_id_config_key_sequence_idx;
DROP INDEX config_revisions_project_id_created_by_user_id_sequence_idx;
DROP INDEX config_revisions_project_id_sequence_idx;
DROP INDEX config_revisions_position_idx;

-- JSON null is the nearest thing to a deletion that the old tables can hold.
UPDATE config_revisions SET content = 'null' WHERE content IS NULL;
UPDATE configs SET content = 'null' WHERE content IS NULL;
-- The updates queued checks of deferred constraints, which ALTER TABLE refuses to pass.
SET CONSTRAINTS ALL IMMEDIATE;

ALTER TABLE config_revisions
    DROP CONSTRAINT config_revisions_change_id_change_index_key,
    DROP CONSTRAINT config_revisions_sequence_key,
    DROP COLUMN schema_version,
    DROP COLUMN schema_id,
    DROP COLUMN created_by_email,
    DROP COLUMN comment,
    DROP COLUMN sequence,
    DROP COLUMN change_index,
    DROP COLUMN change_id,
    DROP COLUMN position,
    DROP COLUMN hash,
    DROP COLUMN state,
    DROP COLUMN event,
    ALTER COLUMN content SET NOT NULL;

ALTER TABLE configs
    DROP CONSTRAINT configs_content_check,
    DROP COLUMN schema_version,
    DROP COLUMN position,
    DROP COLUMN deleted,
    ALTER COLUMN content SET NOT NULL;
