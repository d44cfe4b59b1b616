-- migrate:up
CREATE TABLE projects (
    id            VARCHAR     NOT NULL,
    name          VARCHAR     NOT NULL,
    api_key       VARCHAR     NOT NULL,
    owner_user_id VARCHAR     NOT NULL,
    created_at    TIMESTAMPTZ NOT NULL DEFAULT now(),
    updated_at    TIMESTAMPTZ NOT NULL DEFAULT now(),
    CONSTRAINT projects_pkey PRIMARY KEY (id),
    CONSTRAINT projects_api_key_key UNIQUE (api_key),
    CONSTRAINT projects_owner_user_id_fkey
        FOREIGN KEY (owner_user_id) REFERENCES users (id) ON DELETE CASCADE
);
CREATE INDEX projects_owner_user_id_idx ON projects (owner_user_id);
CREATE INDEX projects_created_at_idx ON projects (created_at);

COMMENT ON TABLE projects IS 'Tenants: each holds configs of its own.';
COMMENT ON COLUMN projects.api_key IS
    'SHA-256 of the key in hexadecimal; the key itself is shown once and stored nowhere.';

-- migrate:down
DROP TABLE projects;
