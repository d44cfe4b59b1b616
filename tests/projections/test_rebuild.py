"""Rebuild and verify: what somebody did to `configs` is found, named and put right."""

from __future__ import annotations

import asyncio
from typing import Any

import asyncpg
import pytest

from domain.errors import BrokenInvariant, UndecodableEntry
from projections import rebuild as rebuild_module
from projections import shadow
from projections.rebuild import rebuild_configs, verify_configs
from projections.shadow import Progress
from tests.projections.projector_world import World, write
from tests.support.rows import insert_user, tamper
from tests.support.service import Client, run_service, settings_for

Tampering = str
TAMPERINGS = {
    "missing": "DELETE FROM configs WHERE key = 'k.3'",
    "changed": "UPDATE configs SET content = '{\"n\": 99}' WHERE key = 'k.3'",
    "surplus": "INSERT INTO configs (project_id, key, version, content, position,"
    " created_at, updated_at)"
    " SELECT project_id, 'k.2x', 1, '1', 1, now(), now() FROM configs LIMIT 1",
}


async def _fill(admin: Client, configs: str) -> None:
    await asyncio.gather(
        *(
            admin("PUT", f"{configs}/k.{n}", json={"content": {"n": n}, "version": 0})
            for n in range(20)
        )
    )
    await admin("PUT", f"{configs}/k.4", json={"content": -0.0, "version": 1})
    await admin("DELETE", f"{configs}/k.5", headers={"If-Match": '"1"'})


async def _rows(database_url: str) -> list[asyncpg.Record]:
    connection = await asyncpg.connect(database_url)
    try:
        return list(await connection.fetch("SELECT * FROM configs ORDER BY project_id, key"))
    finally:
        await connection.close()


@pytest.mark.parametrize("what", TAMPERINGS)
async def test_a_damaged_row_is_found_and_put_right(
    database_url: str, nats_url: str, stream_name: str, what: str
) -> None:
    async with run_service(settings_for(database_url, nats_url, stream_name)) as service:
        admin = await service.anonymous.sign_in()
        project, _ = await service.project(admin)
        await _fill(admin, f"{project}/configs")
        before = await _rows(database_url)
        assert (await verify_configs(database_url)).differences == 0
        await tamper(database_url, TAMPERINGS[what])
        found = await verify_configs(database_url)
        assert found.differences == 1
        assert found.first is not None
        assert found.first.what == what
        report = await rebuild_configs(database_url)
        assert (report.differences, report.configs) == (1, 20)
        assert await _rows(database_url) == before
        assert (await verify_configs(database_url)).differences == 0


async def test_every_column_of_a_row_is_held_to_the_revisions(world: World) -> None:
    await insert_user(world.connection, "v")
    bound: dict[str, Any] = {"schema_id": "s", "schema_version": 1}
    for upto, user in ((2, "u"), (4, "v")):  # two versions in one batch, twice
        await world.append(write("a", upto - 1, **bound), write("b", upto - 1))
        await world.append(write("a", upto, **bound, actor={"user_id": user}))
        await world.append(write("b", upto))
        await world.project_all()
        assert (await verify_configs(world.url)).differences == 0
    assert len(world.batches) == 2
    before = await _rows(world.url)
    for column, value in (
        ("version", "7"),
        ("content", "'true'"),
        ("schema_id", "NULL, schema_version = NULL"),
        ("schema_version", "2"),
        ("deleted", "true"),
        ("position", "position + 1"),
        ("updated_by_user_id", "'u'"),
        ("created_at", "updated_at"),
        ("updated_at", "created_at"),
    ):
        await tamper(world.url, f"UPDATE configs SET {column} = {value} WHERE key = 'a'")
        found = await rebuild_configs(world.url)
        assert (found.differences, found.first and found.first.what) == (1, "changed"), column
        assert await _rows(world.url) == before


async def test_a_lost_table_does_not_change_what_is_accepted(
    database_url: str, nats_url: str, stream_name: str
) -> None:
    async with run_service(settings_for(database_url, nats_url, stream_name)) as service:
        admin = await service.anonymous.sign_in()
        project, _ = await service.project(admin)
        await _fill(admin, f"{project}/configs")
        await tamper(database_url, "DELETE FROM configs")
        answer = await admin("PUT", f"{project}/configs/k.1", json={"content": 2, "version": 1})
        assert (answer.status, answer.json["version"]) == (200, 2)
        assert (await rebuild_configs(database_url)).differences == 20
        assert (await verify_configs(database_url)).differences == 0


async def test_writes_go_on_during_a_rebuild_and_are_in_it(
    database_url: str, nats_url: str, stream_name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A change that comes when the shadow is made already must not be lost by the swap."""
    async with run_service(settings_for(database_url, nats_url, stream_name)) as service:
        admin = await service.anonymous.sign_in()
        project, _ = await service.project(admin)
        await _fill(admin, f"{project}/configs")
        make_shadow = shadow.make_shadow

        async def write_behind(*args: object) -> int:
            count = await make_shadow(*args)  # type: ignore[arg-type]
            for key, version in (("k.1", 1), ("new", 0)):
                answer = await admin(
                    "PUT", f"{project}/configs/{key}", json={"content": "late", "version": version}
                )
                assert answer.status in (200, 201)
            return count

        monkeypatch.setattr(rebuild_module, "make_shadow", write_behind)
        await tamper(database_url, "DELETE FROM configs WHERE key = 'k.7'")
        assert (await rebuild_configs(database_url)).differences == 1
        monkeypatch.undo()
        assert (await verify_configs(database_url)).differences == 0
        assert len(await _rows(database_url)) == 21


async def test_a_rebuild_of_rows_that_are_right_holds_off_nobody(world: World) -> None:
    """Among a million configs all writes waited for seconds, until all were compared again."""
    await world.append(write("a", 1))
    await world.project_all()
    async with world.connection.transaction(), asyncio.timeout(20):
        await world.connection.execute("SELECT FROM checkpoints FOR UPDATE")
        assert (await rebuild_configs(world.url)).differences == 0


async def test_what_puts_rows_right_holds_off_projector_and_deletions(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Or a change that is applied meanwhile is undone by it."""
    await world.append(write("a", 1))
    await world.project_all()
    await tamper(world.url, "DELETE FROM configs")
    replace, held = shadow.replace_by_shadow, []

    async def looked_at(*args: Any) -> Any:
        for table in ("checkpoints", "projects"):
            with pytest.raises(asyncpg.LockNotAvailableError):
                await world.connection.execute(f"SELECT 1 FROM {table} FOR UPDATE NOWAIT")
            held.append(table)
        return await replace(*args)

    monkeypatch.setattr(rebuild_module, "replace_by_shadow", looked_at)
    await rebuild_configs(world.url)
    assert held == ["checkpoints", "projects"]


async def test_an_interrupted_rebuild_leaves_the_old_rows(
    database_url: str, nats_url: str, stream_name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with run_service(settings_for(database_url, nats_url, stream_name)) as service:
        admin = await service.anonymous.sign_in()
        project, _ = await service.project(admin)
        await _fill(admin, f"{project}/configs")
        await tamper(database_url, TAMPERINGS["changed"])
        before = await _rows(database_url)
        replace = shadow.replace_by_shadow

        async def interrupted(*args: object) -> None:
            await replace(*args)  # type: ignore[arg-type]
            raise InterruptedError

        monkeypatch.setattr(rebuild_module, "replace_by_shadow", interrupted)
        with pytest.raises(InterruptedError):
            await rebuild_configs(database_url)
        assert await _rows(database_url) == before
        answer = await admin("PUT", f"{project}/configs/k.9", json={"content": 1, "version": 1})
        assert answer.status == 200


async def test_a_config_may_begin_and_end_in_any_page(
    database_url: str, nats_url: str, stream_name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with run_service(settings_for(database_url, nats_url, stream_name)) as service:
        admin = await service.anonymous.sign_in()
        project, _ = await service.project(admin)
        await _fill(admin, f"{project}/configs")
        # 22 revisions: within a page, pages that are full to the last, and one for each.
        for page in (1, 2, 3, 11, 22, 23):
            monkeypatch.setattr(shadow, "PAGE", page)
            report = await verify_configs(database_url)
            assert (report.configs, report.differences) == (20, 0)


@pytest.mark.parametrize(
    ("bad", "error", "words"),
    [
        ("state = '[]' WHERE config_key = 'k.3'", UndecodableEntry, "config:created: "),
        # What is not the newest any more is held to its place in the history.
        ("event = 'config:moved' WHERE version = 1", UndecodableEntry, "version 1: unknown"),
        ("event = 'config:updated' WHERE config_key = 'k.4'", BrokenInvariant, "k.4 version 1"),
        ("event = 'config:created' WHERE config_key = 'k.4'", BrokenInvariant, "k.4 version 2"),
        (
            "version = 3 WHERE config_key = 'k.4' AND version = 2",
            BrokenInvariant,
            "k.4 has 2 revisions",
        ),
    ],
)
async def test_a_history_that_cannot_be_stops_a_rebuild_and_leaves_the_rows(
    database_url: str,
    nats_url: str,
    stream_name: str,
    monkeypatch: pytest.MonkeyPatch,
    bad: str,
    error: type[Exception],
    words: str,
) -> None:
    """The page that was asked for ahead must not be waited for, or left behind."""
    monkeypatch.setattr(shadow, "PAGE", 3)
    async with run_service(settings_for(database_url, nats_url, stream_name)) as service:
        admin = await service.anonymous.sign_in()
        project, _ = await service.project(admin)
        await _fill(admin, f"{project}/configs")
        before = await _rows(database_url)
        await tamper(database_url, f"UPDATE config_revisions SET {bad}")
        with pytest.raises(error, match=words):
            await rebuild_configs(database_url)
        assert await _rows(database_url) == before
        left = asyncio.all_tasks() - {asyncio.current_task()}
        assert not [task for task in left if "Cursor" in repr(task)]


async def test_progress_reaches_the_number_of_revisions(
    database_url: str, nats_url: str, stream_name: str
) -> None:
    seen: list[tuple[int, int]] = []
    progress: Progress = lambda done, total: seen.append((done, total))  # noqa: E731
    async with run_service(settings_for(database_url, nats_url, stream_name)) as service:
        admin = await service.anonymous.sign_in()
        project, _ = await service.project(admin)
        await _fill(admin, f"{project}/configs")
        await verify_configs(database_url, progress=progress)
    assert seen[-1] == (22, 22)
