-- migrate:up
-- A user who is deleted must not stay where they are named as who changed a config last. Done by the
-- foreign key, that holds the rows of all those configs until the last of their revisions is done,
-- and the projector waits, with everybody behind it. So a web process lets them go in pieces first.
-- It has no right to write configs; this function has its owner's, and does no more than this.
CREATE FUNCTION release_configs_of_deleted_user(gone VARCHAR, at_most INT) RETURNS BIGINT
LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp AS $$
    WITH held AS (
        SELECT project_id, key FROM configs
        WHERE updated_by_user_id = gone
            AND EXISTS (SELECT FROM users WHERE id = gone AND deleted_at IS NOT NULL)
        LIMIT at_most FOR NO KEY UPDATE SKIP LOCKED),
    released AS (
        UPDATE configs c SET updated_by_user_id = NULL FROM held h
        WHERE c.project_id = h.project_id AND c.key = h.key RETURNING 1)
    SELECT count(*) FROM released
$$;

COMMENT ON FUNCTION release_configs_of_deleted_user IS
    'Takes a user who is marked as deleted out of so many rows of configs; how many they were.';

-- migrate:down
DROP FUNCTION release_configs_of_deleted_user;
