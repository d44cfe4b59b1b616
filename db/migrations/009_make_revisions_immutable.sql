-- migrate:up
-- A revision changes in two cases only, both the work of a foreign key and never of a
-- statement of ours (pg_trigger_depth() counts the key's own trigger as the first):
-- its project is gone, or its author is and the reference to them becomes NULL.
CREATE FUNCTION config_revisions_refuse_change() RETURNS trigger
LANGUAGE plpgsql AS $$
DECLARE
    expected config_revisions;
BEGIN
    IF TG_OP = 'DELETE' THEN
        IF pg_trigger_depth() > 1
            AND NOT EXISTS (SELECT FROM projects WHERE id = OLD.project_id)
        THEN
            RETURN OLD;
        END IF;
    ELSIF TG_OP = 'UPDATE' THEN
        expected := OLD;
        expected.created_by_user_id := NULL;
        IF pg_trigger_depth() > 1
            AND OLD.created_by_user_id IS NOT NULL
            AND NEW *= expected
            AND NOT EXISTS (SELECT FROM users WHERE id = OLD.created_by_user_id)
        THEN
            RETURN NEW;
        END IF;
    END IF;
    RAISE EXCEPTION 'config_revisions is append-only: % is refused', TG_OP
        USING ERRCODE = 'restrict_violation',
            HINT = 'History is never edited; a correction is a new version.';
END
$$;

CREATE TRIGGER config_revisions_immutable
    BEFORE UPDATE OR DELETE ON config_revisions
    FOR EACH ROW EXECUTE FUNCTION config_revisions_refuse_change();

CREATE TRIGGER config_revisions_no_truncate
    BEFORE TRUNCATE ON config_revisions
    FOR EACH STATEMENT EXECUTE FUNCTION config_revisions_refuse_change();

-- migrate:down
DROP TRIGGER config_revisions_no_truncate ON config_revisions;
DROP TRIGGER config_revisions_immutable ON config_revisions;
DROP FUNCTION config_revisions_refuse_change();
