"""Rows of a small installation, written with plain SQL: for tests of the tables themselves."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime

import asyncpg

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


async def insert_user(connection: asyncpg.Connection, user: str) -> None:
    """A user with id `user`."""
    await connection.execute(
        "INSERT INTO users (id, email, password_hash) VALUES ($1, $2, 'x')",
        user,
        f"{user}@example.com",
    )


async def insert_project(connection: asyncpg.Connection, project: str, owner: str) -> None:
    """A project with id `project`."""
    await connection.execute(
        "INSERT INTO projects (id, name, api_key, owner_user_id) VALUES ($1, $1, $2, $3)",
        project,
        hashlib.sha256(project.encode()).hexdigest(),
        owner,
    )


async def insert_schema(connection: asyncpg.Connection, schema: str, creator: str) -> None:
    """A schema with id `schema` and its first version."""
    await connection.execute(
        "INSERT INTO config_schemas (id, name, schema_content, created_by_user_id)"
        " VALUES ($1, $1, '{}', $2)",
        schema,
        creator,
    )
    await connection.execute(
        "INSERT INTO config_schema_versions (schema_id, version, schema_content,"
        " created_by_user_id) VALUES ($1, 1, '{}', $2)",
        schema,
        creator,
    )


async def insert_config(
    connection: asyncpg.Connection,
    project: str,
    key: str,
    author: str,
    schema: str | None = None,
    sequence: int = 1,
) -> None:
    """A config of version 1 and its revision, in the order in which the projector writes."""
    async with connection.transaction():
        await connection.execute(
            "INSERT INTO config_revisions (id, project_id, config_key, version, content,"
            " created_by_user_id, created_at, event, state, hash, position, change_id,"
            " change_index, sequence)"
            " VALUES ($1, $2, $3, 1, '{\"a\": 1.0}', $4, $5, 'config:created', '', '', $6, $1,"
            " 0, $6)",
            f"{project}/{key}",
            project,
            key,
            author,
            NOON,
            sequence,
        )
        await connection.execute(
            "INSERT INTO configs (project_id, key, version, content, schema_id,"
            " updated_by_user_id, created_at, updated_at, position)"
            " VALUES ($1, $2, 1, '{\"a\": 1.0}', $3, $4, $5, $5, $6)",
            project,
            key,
            schema,
            author,
            NOON,
            sequence,
        )


async def tamper(database_url: str, statement: str, *args: object) -> None:
    """As somebody with the superuser's rights would: no trigger, no foreign key."""
    connection = await asyncpg.connect(database_url)
    try:
        await connection.execute("SET session_replication_role = replica")
        await connection.execute(statement, *args)
    finally:
        await connection.close()
