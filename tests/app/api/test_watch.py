"""Watch through the public door: what is sent, what a resume sends, when a stream ends."""

from __future__ import annotations

import asyncio
from typing import Any

import orjson

from app.services import SERVICES
from tests.support.service import Client, Service
from tests.support.sse import Reader, watching
from tests.support.waiting import until


async def put(client: Client, configs: str, key: str, content: Any) -> int:
    """Set a config whatever its version; the position."""
    path = f"{configs}/{key}"
    answer = await client("PUT", path, json={"content": content}, headers={"If-Match": "*"})
    if answer.status == 404:
        answer = await client("PUT", path, json={"content": content, "version": 0})
    assert answer.status in (200, 201), answer.body
    return int(answer.headers["Guardian-Position"])


def watch_of(configs: str) -> str:
    return configs.removesuffix("configs") + "watch"


async def test_a_watcher_hears_of_every_change_with_its_position(
    admin: Client, configs: str
) -> None:
    known = Client(admin.session, admin.base_url, {**admin.headers, "X-Request-Id": "mine"})
    async with watching(known, watch_of(configs)) as stream:
        assert stream.response.headers["X-Request-Id"] == "mine"
        # Or a proxy of this kind keeps events back until there are many.
        assert stream.response.headers["X-Accel-Buffering"] == "no"
        first = await put(admin, configs, "a", {"n": 1.50, "text": "ü\u2028\n"})
        second = await put(admin, configs, "b", None)
        await admin("DELETE", f"{configs}/a?comment=old", headers={"If-Match": '"1"'})
        events = await stream.take(3)
    assert [event.type for event in events] == ["change"] * 3
    assert [event.last_event_id for event in events[:2]] == [str(first), str(second)]
    a, b, gone = (event.data for event in events)
    assert (a["key"], a["version"], a["deleted"]) == ("a", 1, False)
    assert a["content"] == {"n": 1.5, "text": "ü\u2028\n"}
    assert (b["content"], b["deleted"]) == (None, False)
    assert (gone["key"], gone["version"], gone["deleted"]) == ("a", 2, True)
    told = [(data["event"], data["comment"]) for data in (a, b, gone)]
    assert told == [("ConfigCreated", None), ("ConfigCreated", None), ("ConfigDeleted", "old")]
    assert a["updated_by_email"] == "admin@example.org"
    assert a["position"] == first


async def test_a_resume_starts_exactly_behind_the_last_id_or_from(
    service: Service, admin: Client, configs: str
) -> None:
    positions = [await put(admin, configs, f"k{n}", n) for n in range(5)]
    watch = watch_of(configs)
    async with watching(admin, watch, str(positions[1])) as stream:
        assert [e.data["content"] for e in await stream.take(3)] == [2, 3, 4]
        # It does not go on asking the database.
        (watcher,) = service.app[SERVICES].watch_hub._watchers
        await until(lambda: watcher.channel is not None)
    async with watching(admin, f"{watch}?from={positions[3]}") as stream:
        assert (await stream.next()).data["content"] == 4
        live = await put(admin, configs, "k0", "live")
        event = await stream.next()
        assert (event.data["content"], event.last_event_id) == ("live", str(live))
    async with watching(admin, f"{watch}?from=0", str(positions[4])) as stream:
        assert (await stream.next()).data["content"] == "live"


async def test_a_client_that_is_cut_before_the_first_event_resumes_from_its_start(
    admin: Client, configs: str
) -> None:
    position = await put(admin, configs, "a", 1)
    async with watching(admin, watch_of(configs)) as stream:
        assert stream.response.headers["Guardian-Position"] == str(position)
        async with watching(admin, watch_of(configs), "0") as other:
            await other.next()
        await put(admin, configs, "a", 2)
        assert (await stream.next()).data["content"] == 2
    async with watching(admin, watch_of(configs), str(position)) as stream:
        assert (await stream.next()).data["content"] == 2


async def test_prefix_and_keys_filter_history_and_the_live_feed(
    admin: Client, configs: str
) -> None:
    watch = watch_of(configs)
    for key in ("app.a", "app.b", "lib.a"):
        await put(admin, configs, key, "old")
    async with (
        watching(admin, f"{watch}?prefix=app.&from=0") as prefixed,
        watching(admin, f"{watch}?keys=lib.a,app.a,new&from=0") as keyed,
        watching(admin, f"{watch}?keys=lib.a,app.a&prefix=app.") as both,
    ):
        for key in ("lib.a", "new", "app.a"):
            await put(admin, configs, key, "live")
        seen = [(e.data["key"], e.data["content"]) for e in await prefixed.take(3)]
        assert seen == [("app.a", "old"), ("app.b", "old"), ("app.a", "live")]
        seen = [(e.data["key"], e.data["content"]) for e in await keyed.take(5)]
        assert seen == [
            ("app.a", "old"),
            ("lib.a", "old"),
            ("lib.a", "live"),
            ("new", "live"),
            ("app.a", "live"),
        ]
        assert (await both.next()).data["key"] == "app.a"


async def test_a_snapshot_comes_first_and_the_changes_behind_it(
    admin: Client, configs: str
) -> None:
    watch = watch_of(configs) + "?snapshot=true&prefix=a"
    async with watching(admin, watch) as stream:
        assert (await stream.next()).data["items"] == []
    for key in ("a2", "a1", "b", "a3"):
        await put(admin, configs, key, key)
    await admin("DELETE", f"{configs}/a3", headers={"If-Match": '"1"'})
    async with watching(admin, watch) as stream:
        first = await stream.next()
        assert first.type == "snapshot"
        assert [item["key"] for item in first.data["items"]] == ["a1", "a2"]
        assert str(first.data["position"]) == first.last_event_id
        await put(admin, configs, "a1", "new")
        assert (await stream.next()).data["content"] == "new"
    # A browser that reconnects repeats the query: it gets what it missed, not all of it.
    async with watching(admin, watch, first.last_event_id) as stream:
        assert (await stream.next()).type == "change"


async def _body(admin: Client, path: str, count: int) -> bytes:
    """The first bytes of a stream's body; then the connection is cut."""
    host, port = admin.base_url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    try:
        # HTTP/1.0 knows no chunks: the body is the stream as it is.
        asked = [f"GET {path} HTTP/1.0", *(": ".join(each) for each in admin.headers.items())]
        writer.write("\r\n".join([*asked, "", ""]).encode())
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.0 200")
        return await reader.readexactly(count)
    finally:
        writer.transport.abort()


async def test_a_client_that_is_cut_before_its_snapshot_is_whole_gets_it_when_it_comes_back(
    admin: Client, configs: str
) -> None:
    """An id came first: a browser came back with it, and never got the snapshot."""
    keys = [f"k{n}" for n in range(4)]
    for key in keys:
        await put(admin, configs, key, key * 50_000)
    path, room = watch_of(configs) + "?snapshot=true", 2**20
    async with watching(admin, path, read_bufsize=room) as stream:
        whole = (await stream.next()).data
    size = len(orjson.dumps(whole))
    hello = len(b"retry: 1000\n\n")
    for count in (hello, hello + size // 2, hello + size):
        got = await _body(admin, path, count)
        assert got.startswith(b"retry: 1000\n")
        client = Reader()
        for line in got.decode().split("\n")[:-1]:
            assert client.line(line) is None
        assert client.last_event_id == ""
        assert b"\nid:" not in got  # nor for a client that does not wait for the blank line
        async with watching(admin, path, client.last_event_id or None, read_bufsize=room) as stream:
            again = await stream.next()
        assert again.type == "snapshot"
        assert again.last_event_id == str(again.data["position"])
        assert [item["key"] for item in again.data["items"]] == keys


async def test_bad_parameters_are_named(admin: Client, configs: str) -> None:
    watch = watch_of(configs)
    for query, name in {
        "from=-1": "from",
        "snapshot=yes": "snapshot",
        "snapshot=true&from=1": "snapshot",
        "form=1": "form",
    }.items():
        answer = await admin("GET", f"{watch}?{query}")
        assert (answer.status, answer.json["parameter"]) == (400, name)
    for keys in ("a,,b", "k" * 5000):
        answer = await admin("GET", f"{watch}?keys={keys}")
        assert answer.json["type"] == "/problems/invalid-key"
        assert len(answer.body) < 1000, "what was sent is repeated, however long it is"
    for text in ("x", "-1", "9" * 19):
        bad_id = await admin("GET", watch, headers={"Last-Event-ID": text})
        assert (bad_id.status, bad_id.json["parameter"]) == (400, "Last-Event-ID")
