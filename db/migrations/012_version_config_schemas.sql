-- migrate:up
ALTER TABLE config_schemas
    ADD COLUMN project_id VARCHAR,
    ADD COLUMN version    INT NOT NULL DEFAULT 1,
    ADD CONSTRAINT config_schemas_version_check CHECK (version >= 1),
    ADD CONSTRAINT config_schemas_project_id_fkey
        FOREIGN KEY (project_id) REFERENCES projects (id) ON DELETE CASCADE;
CREATE INDEX config_schemas_project_id_idx ON config_schemas (project_id);

COMMENT ON COLUMN config_schemas.project_id IS
    'The project that it belongs to; NULL: shared by all.';

CREATE TABLE config_schema_versions (
    schema_id          VARCHAR     NOT NULL,
    version            INT         NOT NULL,
    schema_content     TEXT        NOT NULL,
    created_by_user_id VARCHAR,
    created_at         TIMESTAMPTZ NOT NULL DEFAULT now(),
    CONSTRAINT config_schema_versions_pkey PRIMARY KEY (schema_id, version),
    CONSTRAINT config_schema_versions_version_check CHECK (version >= 1),
    CONSTRAINT config_schema_versions_schema_id_fkey
        FOREIGN KEY (schema_id) REFERENCES config_schemas (id) ON DELETE CASCADE,
    CONSTRAINT config_schema_versions_created_by_user_id_fkey
        FOREIGN KEY (created_by_user_id) REFERENCES users (id) ON DELETE SET NULL
);
CREATE INDEX config_schema_versions_created_by_user_id_idx
    ON config_schema_versions (created_by_user_id);

COMMENT ON TABLE config_schema_versions IS
    'Every version of each schema, the current one included: a revision names the one it passed.';

INSERT INTO config_schema_versions
    (schema_id, version, schema_content, created_by_user_id, created_at)
SELECT id, version, schema_content, created_by_user_id, updated_at FROM config_schemas;

-- migrate:down
DROP TABLE config_schema_versions;
ALTER TABLE config_schemas
    DROP CONSTRAINT config_schemas_project_id_fkey,
    DROP CONSTRAINT config_schemas_version_check,
    DROP COLUMN version,
    DROP COLUMN project_id;
