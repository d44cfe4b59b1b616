"""Queries of `users` and `refresh_tokens`. Static SQL only; driver errors are named here.

A user with `deleted_at` is gone, whatever rows they still have (`app.project_deletions`).
"""

from __future__ import annotations

import re
from typing import Any

import asyncpg

from app.errors import Duplicate
from projections.revisions import Connection

Source = asyncpg.Pool | Connection

_INSERT = """
INSERT INTO users (id, email, password_hash, is_superuser) VALUES ($1, $2, $3, $4)
RETURNING id, email, is_superuser, disabled, created_at, updated_at
"""
_BY_EMAIL = """
SELECT id, email, password_hash, is_superuser, disabled, password_generation
FROM users WHERE email = $1 AND deleted_at IS NULL
"""
_COLUMNS = "id, email, is_superuser, disabled, created_at, updated_at"
# Not IS NULL, for the reason that is told in app/tables/projects.py.
_LIST = f"""
SELECT {_COLUMNS} FROM users
WHERE id > $1 AND coalesce(deleted_at, 'infinity') >= 'infinity' ORDER BY id LIMIT $2
"""  # noqa: S608
_LIST_OF_EMAIL = f"""
SELECT {_COLUMNS} FROM users
WHERE id > $1 AND email = $2 AND deleted_at IS NULL LIMIT $3
"""  # noqa: S608
_ONE = f"SELECT {_COLUMNS} FROM users WHERE id = $1 AND deleted_at IS NULL"  # noqa: S608
_UPDATE = f"""
UPDATE users SET email = coalesce($2, email), is_superuser = coalesce($3, is_superuser),
    disabled = coalesce($4, disabled), updated_at = now()
WHERE id = $1 AND deleted_at IS NULL RETURNING {_COLUMNS}
"""  # noqa: S608
_REPLACE_HASH = """
UPDATE users SET password_hash = $2, password_generation = password_generation + 1,
    password_changed_at = now(), updated_at = now()
WHERE id = $1 AND ($3::int IS NULL OR password_generation = $3) RETURNING password_generation
"""
_REPLACE_OLD_HASH = """
UPDATE users SET password_hash = $3, updated_at = now() WHERE id = $1 AND password_hash = $2
"""
_PROJECTS_OF = """
SELECT id, name FROM projects WHERE owner_user_id = $1 AND deleted_at IS NULL ORDER BY id
"""
_SCHEMAS_OF = "SELECT id, name FROM config_schemas WHERE created_by_user_id = $1 ORDER BY id"
_ROLES_OF = "SELECT count(*) FROM roles WHERE user_id = $1"
_MARK_PROJECTS = """
UPDATE projects SET deleted_at = now() WHERE owner_user_id = $1 AND deleted_at IS NULL
"""
# A schema of a project binds configs of that project only, so who made it is all that matters.
_BOUND_ELSEWHERE = """
SELECT EXISTS (SELECT FROM config_schemas s
    JOIN configs c ON c.schema_id = s.id JOIN projects p ON p.id = c.project_id
    WHERE s.created_by_user_id = $1 AND p.owner_user_id <> $1 AND p.deleted_at IS NULL)
"""
# As the trigger of migration 022 does when the rows go: whoever rehearsed before must see it now.
_NOTE_SCHEMAS = """
INSERT INTO deleted_schemas (id, position)
SELECT id, (SELECT coalesce(max(notification_id), 0) FROM checkpoints)
FROM config_schemas WHERE created_by_user_id = $1
ON CONFLICT (id) DO UPDATE SET position = excluded.position, deleted_at = now()
"""
# An id is no address, so nobody has it or signs in with it.
_MARK = """
UPDATE users SET deleted_at = now(), email = id, password_hash = '', is_superuser = false,
    disabled = true, updated_at = now()
WHERE id = $1
"""
_MARKED = "SELECT id FROM users WHERE deleted_at IS NOT NULL ORDER BY deleted_at, id"
_RELEASE_CONFIGS = "SELECT release_configs_of_deleted_user($1, $2)"
_REMOVABLE = """
SELECT id FROM users WHERE id = $1 AND deleted_at IS NOT NULL
    AND NOT EXISTS (SELECT FROM projects WHERE owner_user_id = $1)
FOR UPDATE
"""
_REMOVE = f"DELETE FROM users WHERE id = ({_REMOVABLE})"  # noqa: S608
_REMOVE_UNLESS_LOCKED = f"DELETE FROM users WHERE id = ({_REMOVABLE} SKIP LOCKED)"  # noqa: S608
_OTHER_SUPERUSER = """
SELECT EXISTS (SELECT FROM users WHERE is_superuser AND NOT disabled AND id <> $1)
"""

RELEASED_AT_ONCE = 500
"""Configs that a user who goes changed last; a write of one of them waits for as many."""
MAX_EMAIL = 320
"""Characters: RFC 3696, with its erratum."""
_EMAIL = re.compile(r"[^@\s\x00-\x1f\x7f]+@[^@\s\x00-\x1f\x7f]+")


def normalise_email(email: str) -> str:
    """Addresses are compared without regard to case or surrounding white space."""
    return email.strip().lower()


def is_email(email: str) -> bool:
    """Whether a normalised address has the form of one; nobody checks that mail arrives."""
    return len(email) <= MAX_EMAIL and _EMAIL.fullmatch(email) is not None


async def insert_user(
    source: Source, user_id: str, email: str, password_hash: str, is_superuser: bool
) -> Any:
    """Add a user; the row. Raises Duplicate for an address that is there."""
    try:
        return await source.fetchrow(_INSERT, user_id, email, password_hash, is_superuser)
    except asyncpg.UniqueViolationError as error:
        raise Duplicate(f"there is a user {email} already") from error


async def find_by_email(source: Source, email: str) -> Any:
    """The user of this (normalised) address, with the password's hash; None if there is none."""
    return await source.fetchrow(_BY_EMAIL, email)


async def replace_hash(source: Source, user_id: str, old: str, new: str) -> None:
    """Store the same password under newer parameters, unless it was changed meanwhile: no session
    ends."""
    await source.execute(_REPLACE_OLD_HASH, user_id, old, new)


async def count_superusers(source: Source) -> int:
    """How many superusers there are."""
    count: int = await source.fetchval("SELECT count(*) FROM users WHERE is_superuser")
    return count


async def list_users(source: Source, after: str, email: str | None, limit: int) -> list[Any]:
    """Users by id, behind `after`; of one address if it is given."""
    if email is not None:
        return list(await source.fetch(_LIST_OF_EMAIL, after, email, limit))
    return list(await source.fetch(_LIST, after, limit))


async def find_user(source: Source, user_id: str) -> Any:
    """One user; None if it is not there."""
    return await source.fetchrow(_ONE, user_id)


async def update_user(
    source: Source,
    user_id: str,
    *,
    email: str | None = None,
    is_superuser: bool | None = None,
    disabled: bool | None = None,
) -> Any:
    """Change what is not None; the row, None if there is none. Raises Duplicate."""
    try:
        return await source.fetchrow(_UPDATE, user_id, email, is_superuser, disabled)
    except asyncpg.UniqueViolationError as error:
        raise Duplicate(f"there is a user {email} already") from error


async def change_password(
    source: Source, user_id: str, password_hash: str, generation: int | None = None
) -> int | None:
    """Store a new password; its generation. None if there is no such user, or not any more
    of the generation that the caller knows."""
    number: int | None = await source.fetchval(_REPLACE_HASH, user_id, password_hash, generation)
    return number


async def lock_superusers(connection: Connection) -> None:
    """Until the transaction ends nobody else changes users: the last superuser stays one."""
    await connection.execute("LOCK TABLE users IN SHARE ROW EXCLUSIVE MODE")


async def has_other_superuser(connection: Connection, user_id: str) -> bool:
    """Whether somebody else can manage users."""
    return bool(await connection.fetchval(_OTHER_SUPERUSER, user_id))


async def belongings(source: Source, user_id: str) -> dict[str, Any]:
    """What goes with a user who is deleted, beside the configs and the history of the projects."""
    return {
        "projects": [dict(row) for row in await source.fetch(_PROJECTS_OF, user_id)],
        "schemas": [dict(row) for row in await source.fetch(_SCHEMAS_OF, user_id)],
        "roles": await source.fetchval(_ROLES_OF, user_id),
    }


async def is_bound_elsewhere(source: Source, user_id: str) -> bool:
    """Whether a config that would remain is bound to a schema that would go with this user."""
    return bool(await source.fetchval(_BOUND_ELSEWHERE, user_id))


async def mark_deleted(connection: Connection, user_id: str) -> list[str]:
    """From the commit on the user is gone, and so are their projects and schemas; the ids of the
    projects that still have rows.

    Under the exclusive locks on their schemas. Not to be committed where `is_bound_elsewhere`.
    """
    await connection.execute(_MARK_PROJECTS, user_id)
    await connection.execute(_NOTE_SCHEMAS, user_id)
    await connection.execute("DELETE FROM roles WHERE user_id = $1", user_id)
    await connection.execute("DELETE FROM refresh_tokens WHERE user_id = $1", user_id)
    await connection.execute(_MARK, user_id)
    rows = await connection.fetch("SELECT id FROM projects WHERE owner_user_id = $1", user_id)
    return [row["id"] for row in rows]


async def marked_users(source: Source) -> list[str]:
    """The ids of those who are gone and still have rows, by the time of their deletion."""
    return [row["id"] for row in await source.fetch(_MARKED)]


async def remove_marked(source: Source, user_id: str, *, wait: bool, timeout: float) -> None:
    """Take away the row of a user who is marked, once the rows of their projects are gone.

    `wait` where another process is doing it, else return.
    """
    # The rest of what refers to them nobody waits for: history, which is only read, and so on.
    while await source.fetchval(_RELEASE_CONFIGS, user_id, RELEASED_AT_ONCE, timeout=timeout):
        pass
    await source.execute(_REMOVE if wait else _REMOVE_UNLESS_LOCKED, user_id, timeout=timeout)
