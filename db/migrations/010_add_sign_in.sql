-- migrate:up
ALTER TABLE users
    ADD COLUMN is_superuser        BOOLEAN NOT NULL DEFAULT false,
    ADD COLUMN password_changed_at TIMESTAMPTZ,
    ADD COLUMN password_generation INT NOT NULL DEFAULT 1,
    ADD COLUMN disabled            BOOLEAN NOT NULL DEFAULT false;

COMMENT ON COLUMN users.password_generation IS
    'Counts password changes: an access token of an older generation is void.';

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
    subject VARCHAR     NOT NULL,
    full_at TIMESTAMPTZ NOT NULL,
    CONSTRAINT login_attempts_pkey PRIMARY KEY (subject)
);
CREATE INDEX login_attempts_full_at_idx ON login_attempts (full_at);

COMMENT ON TABLE login_attempts IS
    'Failed sign-ins by subject (an address or an account), to slow guessing: app/access/throttle.py.';

-- migrate:down
DROP TABLE login_attempts;
DROP TABLE refresh_tokens;
ALTER TABLE users
    DROP COLUMN disabled,
    DROP COLUMN password_generation,
    DROP COLUMN password_changed_at,
    DROP COLUMN is_superuser;
