-- What a web process and a projector may do in the database, and nothing more.
-- Run it as the owner of the tables (who runs the migrations), after each migration:
--     psql "$DATABASE_URL" -f db/grants.sql
-- It can be run again at any time. Then make users that log in, one for each kind of process:
--     CREATE ROLE web_1 LOGIN PASSWORD '…' IN ROLE guardian_web;
--     CREATE ROLE projector_1 LOGIN PASSWORD '…' IN ROLE guardian_projector;
-- The owner stays for migrations and the operator's commands (guardian projections, log, audit).
-- tests/app/test_grants.py runs the whole service with these two.

DO $$
BEGIN
    CREATE ROLE guardian_web NOLOGIN;
EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL;
END
$$;
DO $$
BEGIN
    CREATE ROLE guardian_projector NOLOGIN;
EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL;
END
$$;

DO $$
BEGIN
    EXECUTE format('REVOKE ALL ON DATABASE %I FROM PUBLIC', current_database());
    EXECUTE format(
        'GRANT CONNECT ON DATABASE %I TO guardian_web, guardian_projector', current_database());
END
$$;
REVOKE ALL ON SCHEMA public FROM PUBLIC;
GRANT USAGE ON SCHEMA public TO guardian_web, guardian_projector;
REVOKE ALL ON ALL TABLES IN SCHEMA public FROM PUBLIC, guardian_web, guardian_projector;

-- Web reads everything and writes the ordinary tables. It cannot write a config, a revision or a
-- checkpoint: those come from the Raft log, through the projector alone. A project that it deletes
-- takes them along by its foreign keys, which act with the owner's rights.
GRANT SELECT ON ALL TABLES IN SCHEMA public TO guardian_web;
REVOKE SELECT ON schema_migrations FROM guardian_web;
GRANT INSERT, UPDATE, DELETE ON
    users, refresh_tokens, login_attempts,
    projects, roles, api_keys,
    config_schemas, idempotency_keys, creation_keys
    TO guardian_web;
GRANT INSERT ON config_schema_versions TO guardian_web;
-- A trigger writes what of config_schemas is deleted.
GRANT INSERT, UPDATE ON deleted_schemas TO guardian_web;

-- The owner alone writes retired_skips (guardian log begin-anew).

-- The projector appends to the history and projects it. It reads no password, token or key.
GRANT SELECT, INSERT ON
    config_revisions, rejected_changes, skipped_entries, log_beginnings TO guardian_projector;
GRANT SELECT, INSERT, UPDATE ON configs, audit_heads, checkpoints TO guardian_projector;
GRANT SELECT, INSERT, UPDATE, DELETE ON projector_halts TO guardian_projector;
-- It holds the rows that its own refer to (FOR KEY SHARE), which takes the right to update a column.
GRANT SELECT (id), UPDATE (updated_at) ON users, projects, config_schemas TO guardian_projector;
GRANT SELECT (deleted_at) ON users, projects TO guardian_projector;
