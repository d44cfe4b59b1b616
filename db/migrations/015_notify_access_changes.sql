-- migrate:up
-- Every web process keeps who may do what in memory. A change of any of these rows is told to
-- all of them when it commits, whoever made it (another process, an operator with psql).
CREATE FUNCTION notify_access_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('guardian_access', '');
    RETURN NULL;
END
$$;

CREATE TRIGGER users_access AFTER INSERT OR DELETE OR TRUNCATE OR UPDATE OF
    email, is_superuser, disabled, password_generation ON users
    FOR EACH STATEMENT EXECUTE FUNCTION notify_access_change();
CREATE TRIGGER projects_access AFTER INSERT OR DELETE OR TRUNCATE OR UPDATE ON projects
    FOR EACH STATEMENT EXECUTE FUNCTION notify_access_change();
CREATE TRIGGER roles_access AFTER INSERT OR DELETE OR TRUNCATE OR UPDATE ON roles
    FOR EACH STATEMENT EXECUTE FUNCTION notify_access_change();
CREATE TRIGGER api_keys_access AFTER INSERT OR DELETE OR TRUNCATE OR UPDATE OF
    role_level, key_hash, prefix, expires_at, revoked_at, name ON api_keys
    FOR EACH STATEMENT EXECUTE FUNCTION notify_access_change();
CREATE TRIGGER refresh_tokens_access AFTER DELETE OR TRUNCATE OR UPDATE OF
    revoked_at ON refresh_tokens
    FOR EACH STATEMENT EXECUTE FUNCTION notify_access_change();

-- migrate:down
DROP TRIGGER refresh_tokens_access ON refresh_tokens;
DROP TRIGGER api_keys_access ON api_keys;
DROP TRIGGER roles_access ON roles;
DROP TRIGGER projects_access ON projects;
DROP TRIGGER users_access ON users;
DROP FUNCTION notify_access_change();
