"""Goal: who rolls back is told what no `up` brings back, before it is gone.

Method: rows of every kind, and the command as an operator types it.
"""

from __future__ import annotations

import os
import subprocess

import asyncpg

from app import migrations
from app.migration_losses import LOSSES, losses
from tests.app.test_migrations import COUNT, run
from tests.support.processes import ROOT
from tests.support.rows import insert_config, insert_project, insert_schema, insert_user

_FILL = (
    "UPDATE users SET is_superuser = true",
    "INSERT INTO roles (user_id, project_id, role_level) VALUES ('ann', 'shop', 'viewer')",
    "UPDATE config_schemas SET project_id = 'shop', version = 2",
    "INSERT INTO config_schema_versions (schema_id, version, schema_content) VALUES ('s', 2, '')",
    "INSERT INTO audit_heads VALUES ('shop', 1, '', 1, 1)",
    "INSERT INTO rejected_changes VALUES ('c', 'shop', 1, '[]', now())",
    (
        "INSERT INTO refresh_tokens (id, family_id, user_id, token_hash, expires_at, cookie)"
        " VALUES ('t', 'f', 'ann', 'h', now() + interval '1 day', true)"
    ),
    (
        "INSERT INTO api_keys (id, project_id, name, role_level, key_hash)"
        " VALUES ('k', 'shop', 'k', 'viewer', 'h')"
    ),
    # What has ended already is not lost, nor is a note that there is none.
    (
        "INSERT INTO refresh_tokens (id, family_id, user_id, token_hash, expires_at, cookie)"
        " VALUES ('t2', 'f', 'ann', 'h2', now(), true),"
        " ('t3', 'f', 'ann', 'h3', now() + interval '1 day', false)"
    ),
    (
        "INSERT INTO api_keys (id, project_id, name, role_level, key_hash, revoked_at)"
        " VALUES ('k2', 'shop', 'k2', 'viewer', 'h2', now())"
    ),
    (
        "UPDATE projects SET previous_api_key = 'h',"
        " previous_api_key_expires_at = now() + interval '1 day'"
    ),
    "INSERT INTO idempotency_keys VALUES ('shop', 'c', 'k', 'd', 'c', 200, '', now(), '{}')",
    "INSERT INTO skipped_entries VALUES (1, '', 'r', 'ann')",
    "INSERT INTO retired_skips VALUES (1, '', 'r', 'ann', now())",
    "INSERT INTO creation_keys (user_id, key, request_digest) VALUES ('ann', 'k', 'd')",
    "INSERT INTO deleted_schemas VALUES ('gone', 1)",
)
_BEGUN_ANEW = "INSERT INTO log_beginnings VALUES (7, NULL, 'all disks lost', 'ann')"


async def _fill(database_url: str) -> None:
    connection: asyncpg.Connection = await asyncpg.connect(database_url)
    try:
        await insert_user(connection, "ann")
        await insert_project(connection, "shop", "ann")
        await insert_schema(connection, "s", "ann")
        await insert_config(connection, "shop", "a.b", "ann")
        for statement in _FILL:
            await connection.execute(statement)
    finally:
        await connection.close()


async def _query(database_url: str, query: str) -> object:
    connection: asyncpg.Connection = await asyncpg.connect(database_url)
    try:
        return await connection.fetchval(query)
    finally:
        await connection.close()


def test_of_every_migration_it_is_known_what_its_down_loses() -> None:
    assert list(LOSSES) == [migration.name for migration in migrations.migrations()]


async def test_each_loss_is_told_and_one_by_one_all_are_gone(database_url: str) -> None:
    """Every query is tried at the newest version and at its own: both must have what it names."""
    await _fill(database_url)
    connection: asyncpg.Connection = await asyncpg.connect(database_url)
    told = {loss for _, loss in await losses(connection, LOSSES)}
    of_all = {loss for found in LOSSES.values() for loss in found}
    assert of_all - told == {loss for loss in of_all if loss.forbidden}
    for name in reversed(LOSSES):
        lost = await losses(connection, [name])
        assert len(lost) == len([loss for loss in LOSSES[name] if not loss.forbidden]), name
        warnings: list[str] = []
        assert await migrations.down(database_url, warn=warnings.append) == [name]
        assert len(warnings) == bool(lost)
        assert all(f": 1 {lost[0][0][2:]}" in warning for warning in warnings)
    await connection.close()


async def test_the_command_says_what_is_lost_and_asks_at_a_terminal(database_url: str) -> None:
    """The answers that are kept under an Idempotency-Key went without a word."""
    await _fill(database_url)
    down = ("./scripts/migrate.sh", "down", str(COUNT - 21))
    warning = (
        "warning: no `up` will bring these back: 1 creations under an Idempotency-Key (sent again,"
        " they are done again) (024); 1 notes of deleted schemas (roll backs that were rehearsed"
        " before do not notice) (022)\n"
    )
    asked = _at_a_terminal(down, database_url, answer="n\n")
    assert warning.strip() in " ".join(asked.split())
    assert "shall it go on? [y/N]" in asked
    assert len(await migrations.applied(database_url)) == COUNT
    done = run(*down, DATABASE_URL=database_url)
    assert (done.returncode, done.stderr) == (0, warning)
    assert len(await migrations.applied(database_url)) == 21


def _at_a_terminal(command: tuple[str, ...], database_url: str, answer: str) -> str:
    """What the command says to somebody who gives this answer; it must end with 1."""
    ours, theirs = os.openpty()
    try:
        with subprocess.Popen(
            command,
            cwd=ROOT,
            env={**os.environ, "DATABASE_URL": database_url},
            stdin=theirs,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        ) as process:
            os.write(ours, answer.encode())
            said, _ = process.communicate(timeout=60)
        assert process.returncode == 1, said
        return said
    finally:
        os.close(ours)
        os.close(theirs)


async def test_where_the_log_was_begun_anew_is_never_lost(database_url: str) -> None:
    """Lost, a projector would take the log before for this database's own."""
    await _query(database_url, _BEGUN_ANEW)
    done = run(
        *("./guardian", "migrate", "down", str(COUNT - 18)),
        DATABASE_URL=database_url,
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert "nothing can be: 1 places where the log was begun anew (019)" in done.stderr
    assert len(await migrations.applied(database_url)) == COUNT
    assert await _query(database_url, "SELECT first_position FROM log_beginnings") == 7
    # What comes behind it may go.
    await migrations.down(database_url, COUNT - 19)
