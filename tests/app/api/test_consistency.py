"""Goal: a read is as new as it was promised, whatever is away (DESIGN.md's failure table).

Method: two web processes over one database under concurrent writers; then PostgreSQL or the
quorum is really taken away and given back.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import asyncpg
import pytest

from app import migrations
from app.embedded.postgres import Postgres
from app.embedded.raft import RaftGroup
from app.services import SERVICES
from tests.app.api.test_watch import put, watch_of
from tests.app.api.test_watch_ends import named_key
from tests.support.service import Answer, Client, Service, run_service, run_web, settings_for
from tests.support.sse import watching

READS = 3_000
READERS = 16
WRITERS = 4


async def test_linearizable_reads_never_go_back_on_any_process(
    service: Service, admin: Client, configs: str
) -> None:
    path = f"{configs}/a?consistency=linearizable"
    newest = await version_of(await admin("PUT", f"{configs}/a", json=content(0, version=0)))
    seen, reads, back = newest, 0, 0

    async def write() -> None:
        nonlocal seen
        while reads < READS:
            answer = await admin(
                "PUT", f"{configs}/a", json=content(seen), headers={"If-Match": "*"}
            )
            seen = max(seen, await version_of(answer))

    async def read(client: Client) -> None:
        nonlocal seen, reads, back
        while reads < READS:
            # What anybody knew before the read began: an answer below it went back in time.
            known = seen
            found = await version_of(await client("GET", path))
            reads += 1
            back += found < known
            seen = max(seen, found)

    async with run_web(service.settings) as (_, elsewhere):
        other = Client(admin.session, elsewhere, admin.headers)
        async with asyncio.TaskGroup() as tasks:
            for _ in range(WRITERS):
                tasks.create_task(write())
            for number in range(READERS):
                tasks.create_task(read((admin, other)[number % 2]))
    assert back == 0
    assert seen > 50, "there was hardly a writer"


def content(value: int, **members: int) -> dict[str, int]:
    return {"content": value, **members}


async def version_of(answer: Answer) -> int:
    assert answer.status in (200, 201), answer.body
    return int(answer.json["version"])


async def test_a_position_makes_a_write_readable_on_another_process(
    service: Service, admin: Client, configs: str
) -> None:
    position = 0
    async with run_web(service.settings) as (_, elsewhere):
        other = Client(admin.session, elsewhere, admin.headers)
        for number in range(30):
            position = await put(admin, configs, "a", number)
            answer = await other(
                "GET", f"{configs}/a", headers={"Guardian-Min-Position": str(position)}
            )
            assert answer.json["content"] == number
            assert int(answer.headers["Guardian-Position"]) >= position
    far = {"Guardian-Min-Position": str(position + 1000)}
    answer = await admin("GET", f"{configs}/a?timeout=0", headers=far)
    assert answer.status == 503
    assert "Retry-After" in answer.headers


CREATE = {"json": {"content": 1, "version": 0}}
ROLL_BACK = {"json": {"to_version": 1, "version": 1}}
PATCH = {"data": b"{}", "headers": {"Content-Type": "application/merge-patch+json"}}
CHANGES = {"json": {"changes": [{"op": "put", "key": "b", "content": 1, "version": 0}]}}
HEEDING: tuple[tuple[str, str, dict[str, Any]], ...] = (
    ("GET", "/configs/a?", {}),
    ("GET", "/configs?", {}),
    ("GET", "/configs?position=1", {}),
    ("GET", "/configs/a/revisions?", {}),
    ("GET", "/configs/a/revisions/1?", {}),
    ("GET", "/configs/a/diff?from=1&to=1", {}),
    ("GET", "/revisions?", {}),
    ("GET", "/audit/verify?", {}),
    ("GET", "/watch?snapshot=true", {}),
    ("GET", "/watch?", {}),
    ("PUT", "/configs/b?dry_run=true", CREATE),
    ("PUT", "/configs/b?", CREATE),
    ("PATCH", "/configs/a?dry_run=true", PATCH),
    ("DELETE", "/configs/a?dry_run=true", {"headers": {"If-Match": '"1"'}}),
    ("POST", "/configs/a/rollback?dry_run=true", ROLL_BACK),
    ("POST", "/changes?dry_run=true", CHANGES),
    ("POST", "/rollback?dry_run=true", {"json": {"position": 0}}),
    ("GET", "change", {}),
)
"""A path of the project, or of a change set."""


@pytest.mark.parametrize(("method", "path", "request_"), HEEDING)
async def test_nothing_is_answered_from_an_older_state_than_the_caller_has_seen(
    admin: Client, configs: str, method: str, path: str, request_: dict[str, Any]
) -> None:
    made = await admin("PUT", f"{configs}/a", json=content(1, version=0))
    line = (await admin("GET", f"{configs}/a/revisions")).json["items"][0]
    url = configs.removesuffix("/configs") + path + "&timeout=0"
    if path == "change":
        url = f"/v1/changes/{line['change_id']}?timeout=0"

    async def status(min_position: str) -> tuple[int, str | None]:
        """Of the answer; and the position that it reflects. A stream's is not read."""
        headers = request_.get("headers", {}) | admin.headers
        headers |= {"Guardian-Min-Position": min_position}
        async with admin.session.request(
            method, admin.base_url + url, **{**request_, "headers": headers}
        ) as answer:
            return answer.status, answer.headers.get("Guardian-Position")

    seen = made.json["position"]
    assert await status(str(seen + 1000)) == (503, None)
    assert await status("soon") == (400, None)
    found, position = await status(str(seen))
    assert found in (200, 201)
    if position is not None and "position=1" not in path:
        assert int(position) >= seen
    assert position is not None or path in ("change", "/audit/verify?")


async def test_a_snapshot_and_a_rehearsal_on_another_process_know_of_the_write_before(
    service: Service, admin: Client, configs: str
) -> None:
    async with run_web(service.settings) as (_, elsewhere):
        for number in range(1, 11):
            position = await put(admin, configs, "a", number)
            headers = admin.headers | {"Guardian-Min-Position": str(position)}
            other = Client(admin.session, elsewhere, headers)
            tried = await other(
                "PATCH", f"{configs}/a?dry_run=true", **{**PATCH, "data": b'{"new":0}'}
            )
            assert (tried.status, tried.json["version"]) == (200, number + 1)
            async with watching(other, f"{watch_of(configs)}?snapshot=true") as stream:
                snapshot = await stream.next()
            assert [item["content"] for item in snapshot.data["items"]] == [number]


async def test_a_reader_without_patience_does_not_spoil_the_barrier_of_the_others(
    service: Service, admin: Client, configs: str
) -> None:
    await put(admin, configs, "a", 1)
    path = f"{configs}/a?consistency=linearizable"
    for _ in range(20):
        hasty = asyncio.create_task(admin("GET", f"{path}&timeout=0"))
        answers = await asyncio.gather(*(admin("GET", path) for _ in range(5)))
        assert {answer.status for answer in answers} == {200}
        await hasty


async def until(status: int, ask: Callable[[], Awaitable[Answer]], within_s: float) -> Answer:
    """Ask until the answer has this status."""
    async with asyncio.timeout(within_s):
        while (answer := await ask()).status != status:  # noqa: ASYNC110 - it is asked over HTTP
            await asyncio.sleep(0.05)
    return answer


@pytest.mark.faults
async def test_without_postgres_stale_reads_go_on_and_nothing_is_proposed(
    private_postgres: Postgres, nats_url: str, stream_name: str
) -> None:
    await migrations.up(private_postgres.url())
    async with run_service(settings_for(private_postgres.url(), nats_url, stream_name)) as service:
        admin = await service.anonymous.sign_in()
        project, key = await service.project(admin)
        configs, reader = f"{project}/configs", service.anonymous.with_headers(**{"X-API-Key": key})
        position = await put(admin, configs, "a", 1)
        assert (await reader("GET", f"{configs}/a")).status == 200
        async with watching(reader, watch_of(configs)) as stream:
            private_postgres.child.kill()
            refused = await until(503, lambda: reader("GET", f"{configs}/a"), 10)
            assert refused.json["type"] == "/problems/unavailable"
            stale = await reader("GET", f"{configs}/a?consistency=stale")
            assert (stale.status, stale.json["content"]) == (200, 1)
            assert int(stale.headers["Guardian-Position"]) >= position
            listed = await reader("GET", f"{configs}?consistency=stale")
            assert [item["key"] for item in listed.json["items"]] == ["a"]

            before = (await service.log.status()).last_position
            write = {"json": {"content": 2, "version": 1}}
            answer = await admin("PUT", f"{configs}/a", **write)
            assert answer.status == 503, answer.body
            assert "Retry-After" in answer.headers
            assert (await service.log.status()).last_position == before
            # The log still says that nothing came which is not in memory …
            linearizable = f"{configs}/a?consistency=linearizable&timeout=1"
            answer = await until(200, lambda: reader("GET", linearizable), 10)
            assert answer.json["content"] == 1
            # … until something comes that this process cannot tell from a change.
            await service.log.barrier(timeout=5)
            assert (await reader("GET", linearizable)).status == 503

            private_postgres.start()
            await until(200, lambda: admin("PUT", f"{configs}/a", **write), 60)
            assert (await reader("GET", f"{configs}/a")).json["version"] == 2
            # The stream was open all the time.
            assert (await stream.next()).data["version"] == 2


@pytest.mark.faults
async def test_without_a_quorum_reads_go_on_and_nothing_is_half_done(
    private_raft_group: RaftGroup, database_url: str, stream_name: str
) -> None:
    group = private_raft_group
    async with run_service(settings_for(database_url, group.url, stream_name)) as service:
        admin = await service.anonymous.sign_in()
        project, _ = await service.project(admin)
        configs = f"{project}/configs"
        await put(admin, configs, "a", 1)
        for index in (0, 1):
            group.kill_member(index)
        linearizable = f"{configs}/a?consistency=linearizable&timeout=1"
        refused = await until(503, lambda: admin("GET", linearizable), 30)
        assert "Retry-After" in refused.headers
        for consistency in ("default", "stale"):
            answer = await admin("GET", f"{configs}/a?consistency={consistency}")
            assert (answer.status, answer.json["content"]) == (200, 1)
        write = {"json": {"content": 2, "version": 1}}
        answer = await admin("PUT", f"{configs}/a", **write)
        assert answer.status in (202, 503), answer.body
        answer = await until(503, lambda: admin("PUT", f"{configs}/a", **write), 60)
        assert "Retry-After" in answer.headers
        assert (await admin("GET", f"{configs}/a")).json["version"] == 1

        for index in (0, 1):
            group.start_member(index)
        answer = await until(200, lambda: admin("GET", linearizable), 60)
        # At most the one whose outcome was not known is there, whole; then the next goes on top.
        version = answer.json["version"]
        assert version in (1, 2)
        answer = await until(
            200,
            lambda: admin("PUT", f"{configs}/a", json={"content": 3}, headers={"If-Match": "*"}),
            60,
        )
        assert answer.json["version"] > version
        assert service.app[SERVICES].model.live


@pytest.mark.faults
async def test_what_a_process_that_is_cut_off_did_not_hear_ends_when_it_hears_again(
    private_postgres: Postgres, nats_url: str, stream_name: str
) -> None:
    """SECURITY.md says what a key that was revoked meanwhile still reads, and for how long."""
    await migrations.up(private_postgres.url())
    async with run_service(settings_for(private_postgres.url(), nats_url, stream_name)) as service:
        admin = await service.anonymous.sign_in()
        project, _ = await service.project(admin)
        await put(admin, f"{project}/configs", "a", 1)
        reader = await named_key(service, f"{project}/configs")
        path = f"{project}/configs/a"
        assert (await reader("GET", path)).status == 200
        connection = await asyncpg.connect(private_postgres.url())
        # Without its trigger: as if the notification were lost with the connection.
        await connection.execute("SET session_replication_role = replica")
        await connection.execute("UPDATE api_keys SET revoked_at = now()")
        await connection.close()
        private_postgres.child.kill()
        assert (await until(503, lambda: reader("GET", path), 30)).json["type"].endswith("able")
        assert (await reader("GET", f"{path}?consistency=stale")).json["content"] == 1
        # Who was not known before cannot be asked for now, and nothing can be changed.
        assert (await service.anonymous("GET", f"{path}?consistency=stale")).status == 401
        refused = await admin("PUT", path, json={"content": 2, "version": 1})
        assert (refused.status, refused.json["type"]) == (503, "/problems/unavailable")
        private_postgres.start()
        await until(401, lambda: reader("GET", f"{path}?consistency=stale"), 60)
