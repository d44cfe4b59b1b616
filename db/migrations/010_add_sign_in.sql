-- migrate:up
ALTER TABLE users
    ADD COLUMN is_superuser        BOOLEAN NOT NULL DEFAULT false,
    ADD COLUMN password_changed_at TIMESTAMPTZ,
    ADD COLUMN disabled            BOOLEAN NOT NULL DEFAULT false;

COMMENT ON COLUMN users.password_changed_at IS 'Tokens issued before this moment are void.';

CREATE TABLE refresh_tokens (
    id         VARCHAR     NOT NULL,
    family_id  VARCHAR     NOT NULL,
    user_id    VARCHAR     NOT NULL,
    token_hash VARCHAR     NOT NULL,
    created_at TIMESTAMPTZ NOT NULL DEFAULT now(),
    expires_at TIMESTAMPTZ NOT NULL,
    used_at    TIMESTAMPTZ,
    revoked_at TIMESTAMPTZ,
    CONSTRAINT refresh_tokens_pkey PRIMARY KEY (id),
    CONSTRAINT refresh_tokens_token_hash_key UNIQUE (token_hash),
    CONSTRAINT refresh_tokens_user_id_fkey
        FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE CASCADE
);
CREATE INDEX refresh_tokens_family_id_idx ON refresh_tokens (family_id);
CREATE INDEX refresh_tokens_user_id_idx ON refresh_tokens (user_id);
CREATE INDEX refresh_tokens_expires_at_idx ON refresh_tokens (expires_at);

COMMENT ON TABLE refresh_tokens IS
    'One row for each refresh token; a family is one sign-in. A token used twice ends its family.';

CREATE TABLE login_attempts (
    subject      VARCHAR     NOT NULL,
    window_start TIMESTAMPTZ NOT NULL,
    failures     INT         NOT NULL,
    CONSTRAINT login_attempts_pkey PRIMARY KEY (subject, window_start)
);
CREATE INDEX login_attempts_window_start_idx ON login_attempts (window_start);

COMMENT ON TABLE login_attempts IS 'Failed sign-ins by subject (an address or an account), to slow guessing.';

-- migrate:down
DROP TABLE login_attempts;
DROP TABLE refresh_tokens;
ALTER TABLE users
    DROP COLUMN disabled,
    DROP COLUMN password_changed_at,
    DROP COLUMN is_superuser;
