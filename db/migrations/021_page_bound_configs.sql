-- migrate:up
-- The configs that are bound to a schema are read in pages by project and key; with an index of the
-- schema alone each page sorted all of them, or walked over the configs of all schemas. Most
-- configs are bound to none: they need no place in it.
CREATE INDEX configs_schema_id_project_id_key_idx ON configs (schema_id, project_id, key)
    WHERE schema_id IS NOT NULL;
DROP INDEX configs_schema_id_idx;

-- migrate:down
CREATE INDEX configs_schema_id_idx ON configs (schema_id);
DROP INDEX configs_schema_id_project_id_key_idx;
