"""The whole stream into a file and back: positions, times and bytes stay as they are.

The servers' own snapshot API, which the client library lacks. Must never restore over a stream
that exists, unless a restore that was interrupted left it.
"""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Final

import nats.errors
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.js import api

from consensus.jetstream_connection import Connection
from consensus.jetstream_layout import Layout
from consensus.jetstream_stream import RESTORING, stream_config
from consensus.log import LogError, LogUnavailable

_API: Final = api.DEFAULT_PREFIX
_CHUNK_BYTES: Final = 128 * 1024
_ANSWER_TIMEOUT_S: Final = 30.0
_SILENCE_S: Final = 60.0
"""A snapshot that brings nothing for this long has failed."""
_PAUSE_S: Final = 0.02
_NOT_FOUND: Final = 10059
_NO_MESSAGE_FOUND: Final = 10037
_BEING_RESTORED: Final = 10130


class StreamExists(LogError):
    """There is a stream of this name; it may hold the only truth of a running product."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What a snapshot holds, as the servers described it."""

    config: dict[str, Any]
    state: dict[str, Any]
    bytes: int

    @property
    def groups(self) -> bool:
        """Whether its messages hold groups of entries."""
        return _layout(self.config).groups

    @property
    def last_position(self) -> int:
        """The last position that it certainly holds."""
        return _layout(self.config).position(int(self.state["last_seq"]))


@dataclass(frozen=True, slots=True)
class StreamEnd:
    """How far a stream goes, seen from a position."""

    last_position: int
    change_behind: int | None
    """The first change set behind that position; None if only barriers come there."""
    groups: bool
    """Whether its messages hold groups of entries; if not, its positions count messages."""
    position_step: int
    """How far apart the last positions of two messages are."""
    begun_behind: int
    """Nothing up to this position was ever in it; 0 unless it was begun anew."""


@dataclass(frozen=True, slots=True)
class Access:
    """How to reach the group."""

    servers: Sequence[str]
    credentials: Path | None = None
    tls: ssl.SSLContext | None = None

    async def connect(self) -> Connection:
        """A connection, without any stream. Raises LogUnavailable."""
        connection = Connection(
            self.servers, name="guardian-backup", credentials=self.credentials, tls=self.tls
        )
        await connection.open(_ANSWER_TIMEOUT_S)
        return connection


async def save_stream(access: Access, stream: str, sink: BinaryIO) -> Snapshot:
    """Write the stream to `sink` while it goes on. Raises LogUnavailable, LogError."""
    connection = await access.connect()
    try:
        return await _save(connection.client, stream, sink)
    except (nats.errors.Error, TimeoutError) as error:
        raise LogUnavailable(f"the snapshot was interrupted: {error!r}") from error
    finally:
        await connection.close()


async def _save(client: Client, stream: str, sink: BinaryIO) -> Snapshot:
    inbox = client.new_inbox()
    chunks: asyncio.Queue[Msg] = asyncio.Queue()
    subscription = await client.subscribe(inbox, cb=chunks.put)
    request = {"deliver_subject": inbox, "no_consumers": True, "chunk_size": _CHUNK_BYTES}
    answer = await _ask(client, f"{_API}.STREAM.SNAPSHOT.{stream}", request)
    size = 0
    while True:
        async with asyncio.timeout(_SILENCE_S):
            message = await chunks.get()
        status = (message.headers or {}).get("Status", "")
        if status.startswith(("4", "5")):
            text = (message.headers or {}).get("Description", "")
            raise LogUnavailable(f"the servers gave the snapshot up: {status} {text}")
        if not message.data:
            break
        await asyncio.to_thread(sink.write, message.data)
        size += len(message.data)
        if message.reply:
            await client.publish(message.reply)  # the servers send on when it was taken
    await subscription.unsubscribe()
    return Snapshot(answer["config"], answer["state"], size)


async def load_stream(access: Access, stream: str, snapshot: Snapshot, source: BinaryIO) -> int:
    """Make the stream anew from `source`; its last position.

    Raises StreamExists, LogUnavailable, LogError.
    """
    connection = await access.connect()
    try:
        if (there := await _info(connection.client, stream)) is not None:
            if not _half_made(there):
                raise StreamExists(f"there is a stream {stream!r} already")
            await _ask(connection.client, f"{_API}.STREAM.DELETE.{stream}", {})
        return await _load(connection.client, stream, snapshot, source)
    except (nats.errors.Error, TimeoutError) as error:
        raise LogUnavailable(f"the restore was interrupted: {error!r}") from error
    finally:
        await connection.close()


async def _load(client: Client, stream: str, snapshot: Snapshot, source: BinaryIO) -> int:
    config = {**snapshot.config, "name": stream}
    metadata = {**(config.get("metadata") or {}), RESTORING: "true"}
    begun = await _ask(
        client,
        f"{_API}.STREAM.RESTORE.{stream}",
        {"config": {**config, "metadata": metadata}, "state": snapshot.state},
    )
    subject = begun["deliver_subject"]
    while data := await asyncio.to_thread(source.read, _CHUNK_BYTES):
        answer = await _hand_over(client, subject, data)
        if answer.data:
            raise LogError(f"the servers refuse the snapshot: {answer.data.decode()[:500]}")
    done = await _hand_over(client, subject, b"", timeout=10 * _SILENCE_S)
    _checked(done.data)
    made = await _ask(client, f"{_API}.STREAM.UPDATE.{stream}", config)
    return _layout(made["config"]).position(int(made["state"]["last_seq"]))


async def _hand_over(
    client: Client, subject: str, data: bytes, *, timeout: float = _SILENCE_S
) -> Msg:
    """Send one piece to the server that restores, or nothing as the end; its answer."""
    deadline = asyncio.get_running_loop().time() + _ANSWER_TIMEOUT_S
    while True:
        try:
            return await client.request(subject, data, timeout=timeout)
        except nats.errors.NoRespondersError:
            # Our server has not heard yet that another one listens: nobody got it.
            if asyncio.get_running_loop().time() > deadline:
                raise
            await asyncio.sleep(_PAUSE_S)


async def begin_stream(
    access: Access, stream: str, first_position: int, *, replicas: int = 3, replace: bool = False
) -> None:
    """Make an empty stream with no entry before `first_position`.

    With `replace`, one that is there is deleted with all it holds. Raises StreamExists,
    LogUnavailable, LogError.
    """
    connection = await access.connect()
    try:
        engine = connection.jetstream(_ANSWER_TIMEOUT_S)
        if await _info(connection.client, stream) is not None:
            if not replace:
                raise StreamExists(f"there is a stream {stream!r} already")
            await engine.delete_stream(stream)
        config = stream_config(stream, replicas)
        # Every position of the message before is behind those of the lost log too.
        config.first_seq = Layout.of(stream, config.subjects).sequence(first_position - 1) + 1
        await engine.add_stream(config)
    except (nats.errors.Error, TimeoutError) as error:
        raise LogUnavailable(f"the stream was not made: {error!r}") from error
    finally:
        await connection.close()


async def stream_end(access: Access, stream: str, position: int) -> StreamEnd | None:
    """Where a stream ends, and what it holds behind `position`; None if there is no stream, or what
    a restore that was interrupted left of one.

    Raises LogUnavailable, LogError.
    """
    connection = await access.connect()
    try:
        info = await _info(connection.client, stream)
        if info is None or _half_made(info):
            return None
        layout = _layout(info["config"])
        number = await _change_behind(connection.client, layout, layout.sequence_behind(position))
    except (nats.errors.Error, TimeoutError) as error:
        raise LogUnavailable(f"the Raft group does not answer: {error!r}") from error
    finally:
        await connection.close()
    # Where it was told to begin: its first message of now is a later one, as barriers expire.
    begun = int(info["config"].get("first_seq") or 1)
    return StreamEnd(
        layout.position(int(info["state"]["last_seq"])),
        None if number is None else layout.position(number),
        layout.groups,
        layout.room,
        layout.position(begun - 1),
    )


def _half_made(info: dict[str, Any]) -> bool:
    return RESTORING in (info["config"].get("metadata") or {})


def _layout(config: dict[str, Any]) -> Layout:
    return Layout.of(config["name"], config["subjects"])


async def _change_behind(client: Client, layout: Layout, start: int) -> int | None:
    """The first message with change sets from message `start` on."""
    found = [
        number
        for subject in layout.change_subjects
        if (number := await _next(client, layout.stream, subject, start)) is not None
    ]
    return min(found, default=None)


async def _next(client: Client, stream: str, subject: str, start: int) -> int | None:
    # The leader answers, which has applied all that it said the stream holds.
    question = {"seq": start, "next_by_subj": subject}
    answer = await client.request(
        f"{_API}.STREAM.MSG.GET.{stream}", json.dumps(question).encode(), timeout=_ANSWER_TIMEOUT_S
    )
    if json.loads(answer.data).get("error", {}).get("err_code") == _NO_MESSAGE_FOUND:
        return None
    return int(_checked(answer.data)["message"]["seq"])


async def _info(client: Client, stream: str) -> dict[str, Any] | None:
    answer = await client.request(f"{_API}.STREAM.INFO.{stream}", b"", timeout=_ANSWER_TIMEOUT_S)
    found: dict[str, Any] = json.loads(answer.data)
    if found.get("error", {}).get("err_code") == _NOT_FOUND:
        return None
    return _checked(answer.data)


async def _ask(client: Client, subject: str, request: dict[str, Any]) -> dict[str, Any]:
    answer = await client.request(subject, json.dumps(request).encode(), timeout=_ANSWER_TIMEOUT_S)
    return _checked(answer.data)


def _checked(data: bytes) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(data)
    if error := found.get("error"):
        text = f"{error.get('description')} ({error.get('err_code')})"
        if error.get("err_code") == _BEING_RESTORED:
            raise StreamExists(
                "the servers still wait for another restore of the stream; if that was interrupted,"
                f" call again in half a minute: {text}"
            )
        raise LogUnavailable(text) if error.get("code", 500) >= 500 else LogError(text)
    return found
