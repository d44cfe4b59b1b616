"""Connections that are full, stalled, ended or left behind: what the hub does with each.

Method: a transport that holds what it is given for as long as the test likes; no socket, no clock.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Iterable

import pytest

from app.errors import Unavailable
from app.watch_events import Filter
from app.watch_hub import End, Watcher, WatchHub
from domain.config import Config
from projections.read_model import ReadModel
from tests.support.recorded import recorded
from tests.support.waiting import until

START = 100
EVERYTHING = Filter()


class Connection(asyncio.Transport):
    """Its peer takes nothing until told, or `takes` bytes whenever somebody looks."""

    def __init__(self, *, open_: bool = True) -> None:
        super().__init__()
        self.open = open_
        self.sent = b""
        self.held = 0
        self.takes = 0
        self.aborted = False
        self.on_write: Callable[[], None] = lambda: None

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.sent += data
        self.held += 0 if self.open else len(data)
        self.on_write()

    def writelines(self, list_of_data: Iterable[bytes | bytearray | memoryview]) -> None:
        self.write(b"".join(list_of_data))

    def get_write_buffer_size(self) -> int:
        self.held = max(0, self.held - self.takes)
        return self.held

    def is_closing(self) -> bool:
        return self.aborted

    def close(self) -> None: ...

    def abort(self) -> None:
        self.aborted = True

    def empty(self) -> None:
        """The peer has read all, and goes on reading."""
        self.open, self.held = True, 0

    @property
    def ids(self) -> list[int]:
        lines = self.sent.decode().split("\n")
        return [int(line.removeprefix("id: ")) for line in lines if line.startswith("id: ")]


@pytest.fixture
def model() -> ReadModel:
    model = ReadModel(10**6)
    model.start(START, START)
    return model


@pytest.fixture
async def hub(model: ReadModel, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[WatchHub]:
    """A hub for which each byte that is not taken fills its connection."""
    monkeypatch.setattr("app.watch_hub.BUFFER_BYTES", 1)
    monkeypatch.setattr("app.watch_hub.RETRY_S", 0)
    hub = WatchHub(model)
    running = asyncio.create_task(hub.run())
    yield hub
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


def joined(
    hub: WatchHub, connection: Connection, after: int = START, wanted: Filter = EVERYTHING
) -> Watcher:
    watcher = Watcher(connection, chunked=False)
    hub.enter(watcher)
    assert hub.join(watcher, "p", wanted, after)
    return watcher


def publish(model: ReadModel, *positions: int) -> None:
    """At once, as a batch of the follower's."""
    model.advance([recorded(position) for position in positions], [], positions[-1])


async def test_a_connection_that_takes_nothing_is_cut(
    hub: WatchHub, model: ReadModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.watch_hub.STALL_S", 0)
    connection = Connection(open_=False)
    watcher = joined(hub, connection)
    publish(model, 101, 102)
    async with asyncio.timeout(30):
        await watcher.left()
    assert (watcher.ended, connection.aborted, connection.ids) == (End.GONE, True, [101])


async def test_a_connection_that_takes_little_gets_all(
    hub: WatchHub, model: ReadModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor does what others were sent before count as waiting for it."""
    monkeypatch.setattr("app.watch_hub.STALL_S", 0)
    connection = Connection()
    watcher = joined(hub, connection)
    channel = watcher.channel
    assert channel is not None
    publish(model, 101)
    await until(lambda: connection.ids == [101])
    monkeypatch.setattr("app.watch_hub.MAX_BLOCK_BYTES", 3 * len(connection.sent))
    for position in range(102, 110):
        publish(model, position)
        await until(lambda last=position: connection.ids[-1] == last)  # type: ignore[misc]
    connection.open, connection.takes = False, 1
    publish(model, 110)
    publish(model, 111, 112)
    await until(lambda: watcher.ended is not None or connection.ids == [*range(101, 113)])
    assert (watcher.ended, watcher.channel) == (None, channel)
    # What all have is not kept, and nobody is written to again and again.
    await until(lambda: not channel.blocks)
    await until(lambda: not hub._behind and not hub._dirty)


async def test_a_connection_that_was_full_once_does_not_lag_in_a_burst(
    hub: WatchHub, model: ReadModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    connection = Connection(open_=False)
    watcher = joined(hub, connection)
    publish(model, 101, 102)
    await until(lambda: watcher.behind_since is not None)
    connection.empty()
    await until(lambda: connection.ids == [101, 102])
    monkeypatch.setattr("app.watch_hub.MAX_BLOCKS", 1)
    publish(model, 103, 104)
    async with asyncio.timeout(30):
        await watcher.left()
    assert (watcher.ended, watcher.channel, connection.ids) == (None, None, [101, 102])


@pytest.mark.parametrize("bound", ["MAX_BLOCKS", "MAX_BLOCK_BYTES"])
async def test_a_connection_that_is_full_when_too_much_comes_lags(
    hub: WatchHub, model: ReadModel, monkeypatch: pytest.MonkeyPatch, bound: str
) -> None:
    monkeypatch.setattr(f"app.watch_hub.{bound}", 1)
    connection = Connection(open_=False)
    watcher = joined(hub, connection)
    publish(model, 101)
    await until(lambda: connection.ids == [101])
    publish(model, 102)
    await until(lambda: watcher.behind_since is not None)
    publish(model, 103)
    async with asyncio.timeout(30):
        await watcher.left()
    watcher.finish()
    assert watcher.ended is End.LAGGING
    assert connection.sent.endswith(b'event: lagging\ndata: {"position":101}\n\n')


async def test_a_change_that_is_more_than_is_kept_is_sent(
    hub: WatchHub, model: ReadModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.watch_hub.MAX_BLOCK_BYTES", 1)
    connection = Connection()
    watcher = joined(hub, connection)
    publish(model, 101)
    await until(lambda: connection.ids == [101] or watcher.channel is None)
    assert connection.ids == [101]


async def test_a_heartbeat_names_no_position_before_all_up_to_it_was_written(
    model: ReadModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its id is where the client resumes: what is still to be written would be lost."""
    monkeypatch.setattr("app.watch_hub.YIELD_EVERY", 1)
    hub = WatchHub(model)
    first, second = Connection(), Connection()
    joined(hub, first)
    parting = joined(hub, second)
    # One goes back to history while the others get theirs.
    first.on_write = lambda: hub.leave(parting)
    model.advance([], [], 200)
    await hub._beat()
    assert (first.ids, second.sent) == ([200], b"")
    publish(model, 201)  # nothing broadcasts it yet
    await hub._beat()
    assert first.ids == [200]
    full = Connection(open_=False)
    joined(hub, full, 201)
    full.held = 1
    await hub._beat()
    assert full.sent == b"", "beats pile up for whom nobody reads"


async def test_no_more_connections_than_there_may_be_and_none_at_the_end(
    model: ReadModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.watch_hub.MAX_WATCHERS", 2)
    hub = WatchHub(model)
    first, _ = joined(hub, Connection()), joined(hub, Connection())
    with pytest.raises(Unavailable, match="no more watchers"):
        joined(hub, Connection())
    hub.leave(first)
    joined(hub, Connection())
    for watcher in tuple(hub._watchers):
        hub.leave(watcher)
    assert not hub._channels, "nobody watches, and changes are kept all the same"
    hub.close()
    with pytest.raises(Unavailable, match="no more watchers"):
        joined(hub, Connection())


async def test_only_who_missed_something_is_sent_to_history(model: ReadModel) -> None:
    """A deletion is something; what happened in other projects is not. Before the model holds all,
    nobody knows what was."""
    newcomer = Watcher(Connection(), chunked=False)
    assert not WatchHub(model).join(newcomer, "p", EVERYTHING, START - 1)
    model.warmed()
    hub, watcher = WatchHub(model), Watcher(Connection(), chunked=False)
    publish(model, 101)
    model.advance([recorded(102, event=Config.Deleted.TOPIC, content=None)], [], 102)
    model.advance([recorded(103, project_id="q")], [], 103)
    assert not hub.join(watcher, "p", EVERYTHING, 101)
    assert hub.join(watcher, "p", EVERYTHING, 102)


async def test_of_a_change_set_each_is_sent_what_they_watch(
    hub: WatchHub, model: ReadModel
) -> None:
    """Whoever comes first: what is made once is made for all who watch the same."""
    watched = {"b": Filter("b"), "abc": Filter(), "ac": Filter(keys=frozenset({"a", "c"}))}
    connections = {keys: Connection() for keys in watched}
    for keys, wanted in watched.items():
        joined(hub, connections[keys], wanted=wanted)
    in_one = {"change_id": "one", "position": 101}
    model.advance([recorded(101 + n, key=key, **in_one) for n, key in enumerate("abc")], [], 101)
    await until(lambda: all(connection.sent for connection in connections.values()))
    for keys, connection in connections.items():
        assert "".join(re.findall(r'"key":"(\w)"', connection.sent.decode())) == keys
        assert connection.ids == [101], "one id, at the end"


@pytest.mark.parametrize("in_history", [True, False])
async def test_the_end_waits_for_no_client(
    model: ReadModel, monkeypatch: pytest.MonkeyPatch, in_history: bool
) -> None:
    monkeypatch.setattr("app.watch_hub.LINGER_S", 0)
    hub, connection = WatchHub(model), Connection(open_=False)
    if in_history:  # its handler waits until the connection has room
        watcher = Watcher(connection, chunked=False)
        hub.enter(watcher)
        hub.close()
    else:
        watcher = joined(hub, connection)
        hub.close()
        assert not connection.aborted, "it may still take what was written"
        watcher.finish()
        await until(lambda: connection.aborted)
    assert (watcher.ended, connection.aborted) == (End.SHUTDOWN, True)
