-- migrate:up
CREATE TABLE config_revisions (
    id                 VARCHAR     NOT NULL,
    project_id         VARCHAR     NOT NULL,
    config_key         VARCHAR     NOT NULL,
    version            BIGINT      NOT NULL,
    content            JSONB       NOT NULL,
    created_by_user_id VARCHAR,
    created_at         TIMESTAMPTZ NOT NULL,
    CONSTRAINT config_revisions_pkey PRIMARY KEY (id),
    CONSTRAINT config_revisions_project_id_config_key_version_key
        UNIQUE (project_id, config_key, version),
    CONSTRAINT config_revisions_version_check CHECK (version >= 1),
    CONSTRAINT config_revisions_project_id_fkey
        FOREIGN KEY (project_id) REFERENCES projects (id) ON DELETE CASCADE,
    -- Deferred: a revision is written before the row of configs that is made from it.
    CONSTRAINT config_revisions_project_id_config_key_fkey
        FOREIGN KEY (project_id, config_key) REFERENCES configs (project_id, key)
        ON DELETE NO ACTION DEFERRABLE INITIALLY DEFERRED,
    CONSTRAINT config_revisions_created_by_user_id_fkey
        FOREIGN KEY (created_by_user_id) REFERENCES users (id) ON DELETE SET NULL
);
CREATE INDEX config_revisions_created_by_user_id_idx ON config_revisions (created_by_user_id);
CREATE INDEX config_revisions_project_id_created_at_idx
    ON config_revisions (project_id, created_at);
CREATE INDEX config_revisions_content_idx
    ON config_revisions USING gin (content jsonb_path_ops);

COMMENT ON TABLE config_revisions IS 'The audit log: every change of every config, for ever.';

-- migrate:down
DROP TABLE config_revisions;
