"""What several tests of projections share."""

from __future__ import annotations

from collections.abc import AsyncIterator

import asyncpg
import pytest

from tests.projections.projector_world import World
from tests.support.rows import insert_project, insert_schema, insert_user


@pytest.fixture
async def world(database_url: str) -> AsyncIterator[World]:
    connection = await asyncpg.connect(database_url)
    await insert_user(connection, "u")
    await insert_project(connection, "p", "u")
    await insert_schema(connection, "s", "u")
    yield World(database_url, connection)
    await connection.close()
