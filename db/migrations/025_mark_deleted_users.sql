-- migrate:up
-- A user who is deleted takes their projects along, which may take long (migration 023). So they are
-- marked first as well: from that commit on neither they nor their schemas are there for anybody, and
-- the row goes behind those of the projects.
ALTER TABLE users ADD COLUMN deleted_at TIMESTAMPTZ;
CREATE INDEX users_deleted_at_idx ON users (deleted_at) WHERE deleted_at IS NOT NULL;

COMMENT ON COLUMN users.deleted_at IS
    'The user is gone since then, and a web process takes the row away; its email is free again. Never NULL again.';

-- migrate:down
-- The release before does not know the mark: it would show who is gone.
DELETE FROM users WHERE deleted_at IS NOT NULL;
-- The deletion queued checks of deferred constraints, which ALTER TABLE refuses to pass.
SET CONSTRAINTS ALL IMMEDIATE;
ALTER TABLE users DROP COLUMN deleted_at;
