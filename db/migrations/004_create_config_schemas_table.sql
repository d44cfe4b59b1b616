-- migrate:up
CREATE TABLE config_schemas (
    id                 VARCHAR     NOT NULL,
    name               VARCHAR     NOT NULL,
    schema_content     TEXT        NOT NULL,
    created_by_user_id VARCHAR     NOT NULL,
    created_at         TIMESTAMPTZ NOT NULL DEFAULT now(),
    updated_at         TIMESTAMPTZ NOT NULL DEFAULT now(),
    CONSTRAINT config_schemas_pkey PRIMARY KEY (id),
    CONSTRAINT config_schemas_created_by_user_id_fkey
        FOREIGN KEY (created_by_user_id) REFERENCES users (id) ON DELETE CASCADE
);
CREATE INDEX config_schemas_created_by_user_id_idx ON config_schemas (created_by_user_id);
CREATE INDEX config_schemas_name_idx ON config_schemas (name);
CREATE INDEX config_schemas_created_at_idx ON config_schemas (created_at);

COMMENT ON TABLE config_schemas IS 'JSON Schemas that configs may be bound to.';
COMMENT ON COLUMN config_schemas.schema_content IS
    'TEXT, not JSONB: a schema comes back exactly as it was given.';

-- migrate:down
DROP TABLE config_schemas;
