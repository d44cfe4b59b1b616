-- migrate:up
CREATE TYPE role_level AS ENUM ('admin', 'editor', 'viewer');

CREATE TABLE roles (
    user_id    VARCHAR     NOT NULL,
    project_id VARCHAR     NOT NULL,
    role_level role_level  NOT NULL,
    created_at TIMESTAMPTZ NOT NULL DEFAULT now(),
    CONSTRAINT roles_pkey PRIMARY KEY (user_id, project_id),
    CONSTRAINT roles_user_id_fkey
        FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE CASCADE,
    CONSTRAINT roles_project_id_fkey
        FOREIGN KEY (project_id) REFERENCES projects (id) ON DELETE CASCADE
);
CREATE INDEX roles_project_id_idx ON roles (project_id);

COMMENT ON TABLE roles IS 'What a user may do in a project of somebody else.';

-- migrate:down
DROP TABLE roles;
DROP TYPE role_level;
