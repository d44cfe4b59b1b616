-- migrate:up
CREATE TABLE users (
    id            VARCHAR     NOT NULL,
    email         VARCHAR     NOT NULL,
    password_hash VARCHAR     NOT NULL,
    created_at    TIMESTAMPTZ NOT NULL DEFAULT now(),
    updated_at    TIMESTAMPTZ NOT NULL DEFAULT now(),
    CONSTRAINT users_pkey PRIMARY KEY (id),
    CONSTRAINT users_email_key UNIQUE (email)
);
CREATE INDEX users_created_at_idx ON users (created_at);

COMMENT ON TABLE users IS 'People who may sign in to the management UI.';

-- migrate:down
DROP TABLE users;
