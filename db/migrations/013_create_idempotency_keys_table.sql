-- migrate:up
CREATE TABLE idempotency_keys (
    project_id     VARCHAR     NOT NULL,
    caller         VARCHAR     NOT NULL,
    key            VARCHAR     NOT NULL,
    request_digest VARCHAR     NOT NULL,
    change_id      VARCHAR     NOT NULL,
    status         INT,
    body           BYTEA,
    created_at     TIMESTAMPTZ NOT NULL DEFAULT now(),
    CONSTRAINT idempotency_keys_pkey PRIMARY KEY (project_id, caller, key),
    CONSTRAINT idempotency_keys_project_id_fkey
        FOREIGN KEY (project_id) REFERENCES projects (id) ON DELETE CASCADE
);
CREATE INDEX idempotency_keys_created_at_idx ON idempotency_keys (created_at);

COMMENT ON TABLE idempotency_keys IS
    'What a write with an Idempotency-Key was answered, to answer the same when it is sent again.';
COMMENT ON COLUMN idempotency_keys.request_digest IS 'Tells the same request from another one under a used key.';
COMMENT ON COLUMN idempotency_keys.status IS 'NULL while the request is under way.';

-- migrate:down
DROP TABLE idempotency_keys;
