-- migrate:up
CREATE TABLE configs (
    project_id         VARCHAR     NOT NULL,
    key                VARCHAR     NOT NULL,
    version            BIGINT      NOT NULL,
    content            JSONB       NOT NULL,
    schema_id          VARCHAR,
    updated_by_user_id VARCHAR,
    created_at         TIMESTAMPTZ NOT NULL,
    updated_at         TIMESTAMPTZ NOT NULL,
    CONSTRAINT configs_pkey PRIMARY KEY (project_id, key),
    CONSTRAINT configs_version_check CHECK (version >= 1),
    CONSTRAINT configs_project_id_fkey
        FOREIGN KEY (project_id) REFERENCES projects (id) ON DELETE CASCADE,
    -- A schema in use cannot be deleted, and deleting a user deletes their projects and
    -- schemas. PostgreSQL fires cascades in the order in which the constraints were made
    -- (a restored dump makes them in another one), so RESTRICT would refuse the second
    -- statement as soon as the schemas go first. Checked at commit, both hold in any order.
    CONSTRAINT configs_schema_id_fkey
        FOREIGN KEY (schema_id) REFERENCES config_schemas (id)
        ON DELETE NO ACTION DEFERRABLE INITIALLY DEFERRED,
    CONSTRAINT configs_updated_by_user_id_fkey
        FOREIGN KEY (updated_by_user_id) REFERENCES users (id) ON DELETE SET NULL
);
CREATE INDEX configs_schema_id_idx ON configs (schema_id);
CREATE INDEX configs_updated_by_user_id_idx ON configs (updated_by_user_id);
CREATE INDEX configs_project_id_updated_at_idx ON configs (project_id, updated_at);
CREATE INDEX configs_content_idx ON configs USING gin (content jsonb_path_ops);

COMMENT ON TABLE configs IS
    'The current state of each config: a projection of the Raft log, written by the projector only.';
COMMENT ON COLUMN configs.version IS '1, 2, 3 …: the optimistic lock.';

-- migrate:down
DROP TABLE configs;
