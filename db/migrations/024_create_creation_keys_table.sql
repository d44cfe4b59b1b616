-- migrate:up
-- Beside idempotency_keys, whose rows belong to a project that is there before: who makes a project
-- has none yet.
CREATE TABLE creation_keys (
    user_id        VARCHAR     NOT NULL,
    key            VARCHAR     NOT NULL,
    request_digest VARCHAR     NOT NULL,
    status         INT,
    headers        TEXT,
    body           BYTEA,
    created_at     TIMESTAMPTZ NOT NULL DEFAULT now(),
    CONSTRAINT creation_keys_pkey PRIMARY KEY (user_id, key),
    CONSTRAINT creation_keys_user_id_fkey
        FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE CASCADE
);
CREATE INDEX creation_keys_created_at_idx ON creation_keys (created_at);

COMMENT ON TABLE creation_keys IS
    'What was made under an Idempotency-Key, written in the transaction that made it.';
COMMENT ON COLUMN creation_keys.request_digest IS 'Tells the same request from another one under a used key.';
COMMENT ON COLUMN creation_keys.headers IS 'Of the answer, as a JSON object.';
COMMENT ON COLUMN creation_keys.body IS 'NULL where the answer showed a secret, which is kept nowhere.';

-- migrate:down
DROP TABLE creation_keys;
