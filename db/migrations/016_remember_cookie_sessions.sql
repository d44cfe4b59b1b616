-- migrate:up
-- A change of password ends every token of the user and hands the caller new ones, the way that
-- their session gets them; the cookie itself is not sent there (its path is /v1/auth).
ALTER TABLE refresh_tokens ADD COLUMN cookie BOOLEAN NOT NULL DEFAULT false;

COMMENT ON COLUMN refresh_tokens.cookie IS
    'Whether this token was handed out as a cookie only: never in an answer that a script reads.';

-- migrate:down
ALTER TABLE refresh_tokens DROP COLUMN cookie;
