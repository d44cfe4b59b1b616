"""Whose revisions a question about the past finds, and from where to where."""

from __future__ import annotations

from collections.abc import AsyncIterator

import asyncpg
import pytest

from app.tables import history
from app.tables.history import Moment
from tests.support.rows import NOON, insert_config, insert_project, insert_user, tamper

ROWS = ("a k.1", "b other", "c k.3", "b k.4", "b k.5", "a k.6", "b other.7", "c other.8")
"""By sequence from 1 on: a project, and a config that was made in it. All at the same time."""


@pytest.fixture
async def pool(database_url: str) -> AsyncIterator[asyncpg.Pool]:
    connection = await asyncpg.connect(database_url)
    await insert_user(connection, "u")
    for project in "abcd":
        await insert_project(connection, project, "u")
    for sequence, row in enumerate(ROWS, 1):
        project, key = row.split()
        await insert_config(connection, project, key, "u", sequence=sequence)
    await connection.close()
    async with asyncpg.create_pool(database_url, min_size=1) as pool:
        yield pool


@pytest.mark.parametrize(
    ("project", "behind", "newest_first", "found"),
    [
        ("a", 0, False, [1, 6]),
        ("b", 0, False, [2, 4, 5, 7]),
        ("b", 4, False, [5, 7]),
        ("b", 5, True, [4, 2]),
        ("c", 99, True, [8, 3]),
        ("d", 0, False, []),
        ("d", 99, True, []),
    ],
)
async def test_a_feed_is_of_its_project_alone(
    pool: asyncpg.Pool, project: str, behind: int, newest_first: bool, found: list[int]
) -> None:
    revisions = await history.feed(pool, project, behind, 9, newest_first=newest_first)
    assert [revision.position for revision in revisions] == found


async def test_a_feed_of_a_key_or_a_user_is_of_its_project_too(pool: asyncpg.Pool) -> None:
    assert [r.position for r in await history.feed(pool, "b", 0, 9, newest_first=False, key="k.5")]
    for options in ({"key": "k.1"}, {"key": "k.6"}, {"user_id": "nobody"}):
        for newest_first in (False, True):
            behind = 99 if newest_first else 0
            assert not await history.feed(
                pool, "b", behind, 9, newest_first=newest_first, **options
            )


@pytest.mark.parametrize(
    ("project", "prefix", "sequence"),
    [
        ("a", "", 6),
        ("a", "k.", 6),
        ("a", "other", 0),
        ("b", "k.", 5),
        ("b", "k.1", 0),
        ("d", "", 0),
    ],
)
@pytest.mark.parametrize("late", [1, 200])
async def test_the_moment_of_a_prefix_is_of_the_projects_last_change_of_it(
    pool: asyncpg.Pool,
    project: str,
    prefix: str,
    sequence: int,
    late: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(history, "LATE", late)
    found = await history.moment_at_time(pool, project, NOON, prefix)
    assert found == Moment(sequence, sequence)


async def test_what_changed_in_the_very_time_of_a_moment_changed_behind_it(
    pool: asyncpg.Pool,
) -> None:
    for after, up_to, keys in (
        (0, 9, {"other", "k.4", "k.5", "other.7"}),
        (2, 9, {"k.4", "k.5", "other.7"}),
        (4, 5, {"k.5"}),
        (7, 9, set()),
    ):
        moments = Moment(after, after), Moment(up_to, up_to)
        assert set(await history.changed_keys(pool, "b", *moments)) == keys


async def test_a_page_that_looks_at_few_keys_leaves_none_out(
    database_url: str, pool: asyncpg.Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    await tamper(database_url, 'UPDATE config_revisions SET state = \'{"content":1,"actor":{}}\'')
    monkeypatch.setattr(history, "MAX_SCANNED", 2)
    keys: list[str] = []
    after: str | None = ""
    while after is not None:
        page = await history.project_at(pool, "b", Moment(99, 99), "", after, 9)
        keys += [revision.key for revision in page.revisions]
        after = page.next_key
    assert keys == ["k.4", "k.5", "other", "other.7"]
