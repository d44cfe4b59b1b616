-- migrate:up
-- Why the projector halted, for every web process's /readyz: it must be readable when the
-- projector is not there any more. No row: it never halted, or runs again.
CREATE TABLE projector_halts (
    application_name VARCHAR PRIMARY KEY,
    reason VARCHAR NOT NULL,
    detail TEXT NOT NULL,
    position BIGINT,
    halted_at TIMESTAMPTZ NOT NULL
);

-- migrate:down
DROP TABLE projector_halts;
