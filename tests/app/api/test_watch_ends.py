"""When a watch ends: access lost, project gone, the process stopped, a client too slow or gone."""

from __future__ import annotations

import asyncio
import secrets
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from app.access.api_keys import generate_api_key, hash_api_key
from app.services import SERVICES
from app.watch_hub import WatchHub
from tests.app.api.test_watch import put, watch_of
from tests.app.api.test_watch_once import commit
from tests.support.service import Client, Service, run_web
from tests.support.sse import Stream, watching


async def named_key(service: Service, configs: str, prefix: str | None = None) -> Client:
    """A caller with a viewer's key, straight from the table that the API's keys live in."""
    plain = generate_api_key().plain
    await service.app[SERVICES].pool.execute(
        "INSERT INTO api_keys (id, project_id, name, role_level, key_hash, prefix)"
        " VALUES ($1, $2, $1, 'viewer', $3, $4)",
        secrets.token_hex(8),
        configs.split("/")[3],
        hash_api_key(plain),
        prefix,
    )
    return service.anonymous.with_headers(**{"X-API-Key": plain})


async def ended(stream: Stream) -> None:
    """Read to the end, which only word of it brings: no timer looks for streams to end."""
    async with asyncio.timeout(30):
        async for _ in stream:
            pass


async def test_a_revoked_key_ends_its_streams_and_no_others(
    service: Service, admin: Client, configs: str
) -> None:
    revoked, kept = await named_key(service, configs), await named_key(service, configs)
    async with (
        watching(revoked, watch_of(configs)) as one,
        watching(revoked, watch_of(configs)) as two,
        watching(kept, watch_of(configs)) as other,
    ):
        await service.app[SERVICES].pool.execute(
            "UPDATE api_keys SET revoked_at = now() WHERE key_hash = $1",
            hash_api_key(revoked.headers["X-API-Key"]),
        )
        await ended(one)
        await ended(two)
        await put(admin, configs, "a", 1)
        assert (await other.next()).data["key"] == "a"
    assert (await revoked("GET", watch_of(configs))).status == 401
    narrowed = await named_key(service, configs)
    async with watching(narrowed, watch_of(configs)) as stream:
        await service.app[SERVICES].pool.execute("UPDATE api_keys SET prefix = 'team.'")
        await ended(stream)


async def test_who_lost_a_role_watches_on_elsewhere_and_others_go_on(
    service: Service, admin: Client, configs: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each caller is asked for by themselves, and in each project."""
    services, project = service.app[SERVICES], configs.removesuffix("/configs")
    elsewhere = f"{(await service.project(admin, 'other'))[0]}/configs"
    ann, bob = await service.user(admin, "ann"), await service.user(admin, "bob")
    ids = [(await user("GET", "/v1/me")).json["id"] for user in (ann, bob)]
    for user_id in ids:
        for place in (configs, elsewhere):
            role = f"{place.removesuffix('configs')}roles/{user_id}"
            assert (await admin("PUT", role, json={"role_level": "viewer"})).status == 201
    async with (
        watching(ann, watch_of(elsewhere)) as anns_other,
        watching(ann, watch_of(configs)) as anns,
        watching(bob, watch_of(configs)) as bobs,
    ):
        assert (await admin("DELETE", f"{project}/roles/{ids[1]}")).status == 204
        await ended(bobs)
        await put(admin, configs, "a", 1)
        assert (await anns.next()).data["key"] == "a"
        assert (await admin("DELETE", f"{project}/roles/{ids[0]}")).status == 204
        await ended(anns)

        # While the database is away nobody can say, and who watches goes on; who would change
        # something has changed nothing.
        asked = asyncio.Event()

        async def away(*_: object) -> None:
            asked.set()
            raise ConnectionRefusedError

        for question in ("user_of_token", "role_in"):
            with monkeypatch.context() as patched:
                patched.setattr(services.directory, question, away)
                services.directory.invalidate()
                await asked.wait()
                asked.clear()
                body = {"content": 1, "version": 0}
                refused = await ann("PUT", f"{elsewhere}/b", json=body)
            assert (refused.status, refused.json["type"]) == (503, "/problems/unavailable")
            await commit(service, elsewhere, {question: 1})
            assert (await anns_other.next()).data["key"] == question


async def test_a_deleted_project_ends_its_streams(
    service: Service, admin: Client, configs: str
) -> None:
    async with watching(admin, watch_of(configs)) as stream:
        await put(admin, configs, "a", 1)
        await stream.next()
        await service.app[SERVICES].pool.execute(
            "DELETE FROM projects WHERE id = $1", configs.split("/")[3]
        )
        await ended(stream)


async def test_a_key_with_a_prefix_hears_of_nothing_beside_it(
    service: Service, admin: Client, configs: str
) -> None:
    limited = await named_key(service, configs, prefix="team.")
    await put(admin, configs, "other.team.a", 0)
    await put(admin, configs, "team.a", 0)
    path = watch_of(configs)
    async with (
        watching(limited, path + "?from=0") as replayed,
        watching(limited, path + "?snapshot=true") as snapshot,
        watching(limited, path + "?snapshot=true&prefix=o") as beside,
        watching(limited, path + "?keys=other.team.a,team.a") as keyed,
    ):
        await put(admin, configs, "other.team.a", 1)
        await put(admin, configs, "team.a", 1)
        assert [e.data["key"] for e in await replayed.take(2)] == ["team.a", "team.a"]
        assert [i["key"] for i in (await snapshot.next()).data["items"]] == ["team.a"]
        assert (await beside.next()).data["items"] == []
        assert (await snapshot.next()).data["key"] == "team.a"
        assert (await keyed.next()).data["key"] == "team.a"


async def test_a_stopped_process_ends_its_streams_at_once_and_another_goes_on(
    service: Service, admin: Client, configs: str
) -> None:
    async with run_web(service.settings) as (_, elsewhere):
        # The runner would wait 600 s for a handler.
        async with asyncio.timeout(60):
            async with run_web(service.settings, shutdown_timeout=600) as (_, base_url):
                client = Client(admin.session, base_url, admin.headers)
                manager = watching(client, watch_of(configs))
                stream = await manager.__aenter__()
                await put(admin, configs, "a", 1)
                await stream.next()
        await ended(stream)
        await manager.__aexit__(None, None, None)
        await put(admin, configs, "a", 2)
        client = Client(admin.session, elsewhere, admin.headers)
        async with watching(client, watch_of(configs), stream.last_event_id) as resumed:
            assert (await resumed.next()).data["content"] == 2


@pytest.fixture
def quick_ticks(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same timers, faster."""
    monkeypatch.setattr("app.watch_hub.TICK_S", 0.02)
    monkeypatch.setattr("app.watch_hub.HEARTBEAT_S", 0.05)


async def until_empty(hub: WatchHub) -> None:
    async with asyncio.timeout(5):
        while len(hub):  # noqa: ASYNC110 - the tick that notices has no event of its own
            await asyncio.sleep(0.01)


@pytest.mark.usefixtures("quick_ticks")
async def test_a_client_that_left_is_forgotten(
    service: Service, admin: Client, configs: str
) -> None:
    hub = service.app[SERVICES].watch_hub
    async with watching(admin, watch_of(configs)) as stream:
        await put(admin, configs, "a", 1)
        await stream.next()
        (watcher,) = hub._watchers
        # One that vanished without a word is noticed by the kernel.
        connection = watcher.transport.get_extra_info("socket")
        assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 60_000
        stream.response.close()
        await until_empty(hub)
    assert not service.app[SERVICES].watch_guard._groups, "nobody is asked about for ever"


@pytest.mark.usefixtures("quick_ticks")
async def test_heartbeats_are_comments_that_move_the_id_on(
    service: Service, admin: Client, configs: str
) -> None:
    other, _ = await service.project(admin, "other")
    async with watching(admin, watch_of(configs)) as stream:
        elsewhere = await put(admin, f"{other}/configs", "x", 1)
        while int(stream.last_event_id or 0) < elsewhere:
            line = await stream.response.content.readline()
            assert line
            assert stream.line(line.decode().rstrip("\n")) is None
        assert "still here" in stream.comments
        await put(admin, configs, "a", 1)
        assert (await stream.next()).data["key"] == "a"


@asynccontextmanager
async def unread(client: Client, path: str) -> AsyncIterator[asyncio.StreamReader]:
    """A watch over a connection with small buffers, of which nothing is read by itself."""
    host, _, port = client.base_url.removeprefix("http://").partition(":")
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    connection.setblocking(False)
    await asyncio.get_running_loop().sock_connect(connection, (host, int(port)))
    reader, writer = await asyncio.open_connection(sock=connection, limit=2048)
    headers = "".join(f"{name}: {value}\r\n" for name, value in client.headers.items())
    # HTTP/1.0: no chunks, the stream ends with the connection.
    writer.write(f"GET {path} HTTP/1.0\r\nHost: x\r\n{headers}\r\n".encode())
    head = await reader.readuntil(b"\r\n\r\n")
    assert b" 200 " in head
    try:
        yield reader
    finally:
        writer.transport.abort()


async def test_a_watcher_that_does_not_read_is_told_so_and_resumes_without_a_gap(
    service: Service, admin: Client, configs: str
) -> None:
    contents = [f"{n}:" + "x" * 200_000 for n in range(60)]
    hub = service.app[SERVICES].watch_hub
    async with unread(admin, watch_of(configs)) as reader:
        (watcher,) = hub._watchers
        for content in contents:
            await put(admin, configs, "a", content)
            held = watcher.transport.get_write_buffer_size()
            assert held < 500_000, "more was written to a connection that was full"
        assert len(hub) == 0
        body = await reader.read(-1)
    events = [block for block in body.decode().split("\n\n") if "event: " in block]
    assert events[-1].startswith("event: lagging\n")
    received = [block for block in events if "event: change" in block]
    assert 0 < len(received) < len(contents)
    last_id = received[-1].split("\n")[0].removeprefix("id: ")
    async with watching(admin, watch_of(configs), last_id) as stream:
        rest = await stream.take(len(contents) - len(received))
    assert [e.data["content"] for e in rest] == contents[len(received) :]


async def test_a_change_set_carries_one_id_at_its_end(
    service: Service, admin: Client, configs: str
) -> None:
    async with watching(admin, watch_of(configs)) as stream:
        before = await put(admin, configs, "a", 0)
        position = await commit(service, configs, {"a": 1, "b": 1, "c": 1})
        events = await stream.take(4)
    assert [e.last_event_id for e in events] == [str(n) for n in (before, before, before, position)]
    assert [e.data["position"] for e in events[1:]] == [position] * 3
    for resumed_from, missed in ((before, ["a", "b", "c"]), (position, ["d"])):
        async with watching(admin, watch_of(configs), str(resumed_from)) as stream:
            await put(admin, configs, "d", 1)
            assert [(await stream.next()).data["key"] for _ in missed] == missed


async def test_a_client_that_cannot_be_served_here_is_sent_away(
    service: Service, admin: Client, configs: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that is ahead of this process; one that missed something while the database is away."""
    position = await put(admin, configs, "a", 1)
    answer = await admin("GET", f"{watch_of(configs)}?from={position + 1000}&timeout=0")
    assert answer.status == 503
    assert "Retry-After" in answer.headers

    async def away(*_: object) -> None:
        raise ConnectionRefusedError

    monkeypatch.setattr(service.app[SERVICES].watch_history, "page", away)
    answer = await admin("GET", f"{watch_of(configs)}?from=0")
    assert answer.status == 503
    assert "Retry-After" in answer.headers


async def test_without_credentials_there_is_nothing_to_watch(
    service: Service, configs: str
) -> None:
    assert (await service.anonymous("GET", watch_of(configs))).status == 401


async def test_a_burst_that_nobody_could_take_at_once_makes_nobody_lag(
    service: Service, admin: Client, configs: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.watch_hub.MAX_BLOCKS", 1)
    async with watching(admin, watch_of(configs)) as stream:
        # Committed side by side: the projector applies many of them in one batch.
        for round_ in range(3):
            await asyncio.gather(*(put(admin, configs, f"k{n}", round_) for n in range(30)))
        events = await stream.take(90)
    assert {event.type for event in events} == {"change"}
    assert len({(event.data["key"], event.data["version"]) for event in events}) == 90
    positions = [event.data["position"] for event in events]
    assert positions == sorted(positions)
