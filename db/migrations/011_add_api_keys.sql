-- migrate:up
CREATE TABLE api_keys (
    id                 VARCHAR     NOT NULL,
    project_id         VARCHAR     NOT NULL,
    name               VARCHAR     NOT NULL,
    role_level         role_level  NOT NULL,
    key_hash           VARCHAR     NOT NULL,
    prefix             VARCHAR,
    created_by_user_id VARCHAR,
    created_at         TIMESTAMPTZ NOT NULL DEFAULT now(),
    expires_at         TIMESTAMPTZ,
    last_used_at       TIMESTAMPTZ,
    revoked_at         TIMESTAMPTZ,
    CONSTRAINT api_keys_pkey PRIMARY KEY (id),
    CONSTRAINT api_keys_key_hash_key UNIQUE (key_hash),
    CONSTRAINT api_keys_project_id_name_key UNIQUE (project_id, name),
    CONSTRAINT api_keys_project_id_fkey
        FOREIGN KEY (project_id) REFERENCES projects (id) ON DELETE CASCADE,
    CONSTRAINT api_keys_created_by_user_id_fkey
        FOREIGN KEY (created_by_user_id) REFERENCES users (id) ON DELETE SET NULL
);
CREATE INDEX api_keys_created_by_user_id_idx ON api_keys (created_by_user_id);

COMMENT ON TABLE api_keys IS 'Named keys of a project, for pipelines and single services.';
COMMENT ON COLUMN api_keys.key_hash IS 'SHA-256 of the key in hexadecimal.';
COMMENT ON COLUMN api_keys.prefix IS 'Limits the key to configs whose key starts with it.';

ALTER TABLE projects
    ADD COLUMN previous_api_key            VARCHAR,
    ADD COLUMN previous_api_key_expires_at TIMESTAMPTZ,
    ADD CONSTRAINT projects_previous_api_key_key UNIQUE (previous_api_key);

COMMENT ON COLUMN projects.previous_api_key IS
    'Hash of the key before the current one, valid until previous_api_key_expires_at.';

-- migrate:down
ALTER TABLE projects
    DROP CONSTRAINT projects_previous_api_key_key,
    DROP COLUMN previous_api_key_expires_at,
    DROP COLUMN previous_api_key;
DROP TABLE api_keys;
