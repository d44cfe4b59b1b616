-- migrate:up
-- A roll back brings back the bindings of then, where their schemas are still there. So that one is
-- done as it was rehearsed or not at all, what was deleted behind the rehearsal must be known.
CREATE TABLE deleted_schemas (
    id         VARCHAR     NOT NULL,
    position   BIGINT      NOT NULL,
    deleted_at TIMESTAMPTZ NOT NULL DEFAULT now(),
    CONSTRAINT deleted_schemas_pkey PRIMARY KEY (id)
);

COMMENT ON TABLE deleted_schemas IS 'Schemas that are gone, whoever deleted them.';
COMMENT ON COLUMN deleted_schemas.position IS
    'How far the log was applied. A deletion by the service is behind a barrier of its own, so every rehearsal that knew the schema names a lower position.';

CREATE FUNCTION remember_deleted_schemas() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO deleted_schemas (id, position)
    SELECT id, (SELECT coalesce(max(notification_id), 0) FROM checkpoints) FROM gone
    ON CONFLICT (id) DO UPDATE SET position = excluded.position, deleted_at = excluded.deleted_at;
    RETURN NULL;
END
$$;

CREATE TRIGGER config_schemas_deleted AFTER DELETE ON config_schemas
    REFERENCING OLD TABLE AS gone
    FOR EACH STATEMENT EXECUTE FUNCTION remember_deleted_schemas();

-- migrate:down
DROP TRIGGER config_schemas_deleted ON config_schemas;
DROP FUNCTION remember_deleted_schemas();
DROP TABLE deleted_schemas;
