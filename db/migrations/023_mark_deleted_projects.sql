-- migrate:up
-- While a long history goes with its project, the project's row is locked, and the projector, which
-- applies the changes of all projects in order, must not wait for it. So a project is marked first,
-- and from that commit on it is not there for anybody; its rows go behind that.
ALTER TABLE projects ADD COLUMN deleted_at TIMESTAMPTZ;
CREATE INDEX projects_deleted_at_idx ON projects (deleted_at) WHERE deleted_at IS NOT NULL;

COMMENT ON COLUMN projects.deleted_at IS
    'The project is gone since then: nobody sees it, entries of the log skip it, and a web process takes its rows away. Never NULL again.';

-- migrate:down
-- The release before does not know the mark: it would show what is gone.
DELETE FROM projects WHERE deleted_at IS NOT NULL;
-- The deletion queued checks of deferred constraints, which ALTER TABLE refuses to pass.
SET CONSTRAINTS ALL IMMEDIATE;
ALTER TABLE projects DROP COLUMN deleted_at;
