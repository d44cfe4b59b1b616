"""Concurrent clients over HTTP that write down what they asked and what they were answered.

Any answer counts for exactly what the contract says about it (shared/API.md): 503 and 4xx that
nothing was changed, 202 and no answer at all that nobody knows.
"""

from __future__ import annotations

import asyncio
import itertools
import random
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import orjson

from tests.faults.history import History, Level, Listing, Outcome, Read, Register, Write

clock = time.monotonic
REQUEST_TIMEOUT_S = 15.0
PAUSE_S = 0.05
"""Before another process is tried, when one does not answer."""
KEYS = [f"app.{n}" for n in range(8)]


@dataclass(slots=True)
class Answer:
    """A whole answer."""

    status: int
    headers: Any
    body: Any


class NoAnswer(Exception):
    """The request was sent, perhaps, and nobody knows."""


class NotSent(Exception):
    """No connection was made: certainly nothing was asked."""


@dataclass
class Clients:
    """All clients of a run. They share a history, and what they believe the versions are."""

    urls: list[str]
    keys: dict[str, str]
    """From a project's id to an editor's API key."""
    seed: int
    history: History = field(default_factory=History)
    acknowledged_at: list[float] = field(default_factory=list)
    """When each write was acknowledged, for the pauses."""
    stale_read_at: list[float] = field(default_factory=list)
    default_read_at: list[float] = field(default_factory=list)
    awake_at: list[float] = field(default_factory=list)
    """When the clients themselves ran: what they could not see, they cannot blame on anybody."""
    _believed: dict[Register, int] = field(default_factory=dict)
    """The last version that any client saw; 0: no live config. May be old."""
    _seeds: random.Random = field(default_factory=random.Random)
    _numbers: Any = field(default_factory=itertools.count)
    _tasks: list[asyncio.Task[None]] = field(default_factory=list)
    _stopping: bool = False
    _session: aiohttp.ClientSession | None = None
    _wrote: asyncio.Event = field(default_factory=asyncio.Event)

    async def start(self, count: int) -> None:
        """Set them to work."""
        self._seeds.seed(self.seed)
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=5),
            timeout=aiohttp.ClientTimeout(total=REQUEST_TIMEOUT_S),
            json_serialize=lambda value: orjson.dumps(value).decode(),
        )
        # aiohttp sends a PUT again by itself when a kept connection breaks: that answer would
        # speak of the second one.
        self._session._retry_connection = False
        self._tasks = [asyncio.create_task(self._work()) for _ in range(count)]
        self._tasks += [
            asyncio.create_task(self._probe(Level.STALE, self.stale_read_at)),
            asyncio.create_task(self._probe(Level.DEFAULT, self.default_read_at)),
            asyncio.create_task(self._tick()),
        ]

    async def stop(self) -> None:
        """Let every open request end, then stop. Raises what a client died of."""
        self._stopping = True
        await asyncio.gather(*self._tasks)
        assert self._session is not None
        await self._session.close()

    def check_alive(self) -> None:
        """Raise what a client died of, if one did."""
        for task in self._tasks:
            if task.done() and not self._stopping:
                task.result()

    async def wait_for_write(self, timeout: float) -> bool:
        """Wait until another write is acknowledged; False after `timeout` seconds."""
        self._wrote.clear()
        try:
            async with asyncio.timeout(timeout):
                await self._wrote.wait()
        except TimeoutError:
            return False
        return True

    # What they do

    async def _work(self) -> None:
        rng = random.Random(self._seeds.random())
        actions = [self._put, self._read, self._delete, self._change_set, self._list, self._blind]
        weights = [45, 35, 5, 8, 5, 2]
        while not self._stopping:
            await rng.choices(actions, weights)[0](rng)
            await asyncio.sleep(rng.uniform(0, 0.02))

    async def _probe(self, level: Level, times: list[float]) -> None:
        """Read again and again, by the other process when one does not answer."""
        rng = random.Random(self._seeds.random())
        while not self._stopping:
            if await self._read_once(rng, level, timeout=1.0):
                times.append(clock())
            await asyncio.sleep(0.02)

    async def _tick(self) -> None:
        while not self._stopping:
            self.awake_at.append(clock())
            await asyncio.sleep(0.02)

    def _pick(self, rng: random.Random) -> Register:
        return rng.choice(list(self.keys)), rng.choice(KEYS)

    async def _put(self, rng: random.Random) -> None:
        register = self._pick(rng)
        expected = self._believed.get(register, 0)
        write = self._new({register: expected})
        body = {
            "content": {"by": write.id, "n": rng.random()},
            "comment": write.id,
            "version": expected,
        }
        headers = {"Idempotency-Key": write.id} if rng.random() < 0.3 else {}
        await self._send_write(rng, write, "PUT", _path(register), json=body, headers=headers)

    async def _blind(self, rng: random.Random) -> None:
        register = self._pick(rng)
        write = self._new({register: None})
        body = {"content": {"by": write.id}, "comment": write.id}
        await self._send_write(
            rng, write, "PUT", _path(register), json=body, headers={"If-Match": "*"}
        )

    async def _delete(self, rng: random.Random) -> None:
        register = self._pick(rng)
        expected = self._believed.get(register, 0)
        if expected == 0:
            return
        write = self._new({register: expected})
        write.deletes = frozenset({register})
        await self._send_write(
            rng,
            write,
            "DELETE",
            f"{_path(register)}?comment={write.id}",
            headers={"If-Match": f'"{expected}"'},
        )

    async def _change_set(self, rng: random.Random) -> None:
        project = rng.choice(list(self.keys))
        registers = [(project, key) for key in rng.sample(KEYS, rng.randint(2, 4))]
        write = self._new({r: self._believed.get(r, 0) for r in registers})
        changes: list[dict[str, Any]] = []
        for register, expected in write.expected.items():
            change: dict[str, Any] = {"key": register[1], "version": expected}
            if expected and rng.random() < 0.1:
                write.deletes |= {register}
                changes.append(change | {"op": "delete"})
            else:
                changes.append(change | {"op": "put", "content": {"by": write.id}})
        body = {"comment": write.id, "changes": changes}
        await self._send_write(
            rng,
            write,
            "POST",
            f"/v1/projects/{project}/changes",
            json=body,
            headers={"Idempotency-Key": write.id} if rng.random() < 0.3 else {},
        )

    async def _read(self, rng: random.Random) -> None:
        level = rng.choices(list(Level), [60, 30, 10])[0]
        await self._read_once(rng, level, timeout=REQUEST_TIMEOUT_S)

    async def _list(self, rng: random.Random) -> None:
        project = rng.choice(list(self.keys))
        begun = clock()
        try:
            answer = await self._send(rng, "GET", f"/v1/projects/{project}/configs?limit=500")
        except (NoAnswer, NotSent):
            self.history.unanswered += 1
            return
        if answer.status != 200:
            self._not_answered(answer)
            return
        versions = {item["key"]: item["version"] for item in answer.body["items"]}
        position = int(answer.headers["Guardian-Position"])
        self.history.listings.append(Listing(project, begun, clock(), position, versions))

    # Requests and what their answers mean

    def _new(self, expected: Mapping[Register, int | None]) -> Write:
        write = Write(f"w{next(self._numbers)}", clock(), dict(expected))
        self.history.writes.append(write)
        return write

    async def _send(
        self,
        rng: random.Random,
        method: str,
        path: str,
        timeout: float = REQUEST_TIMEOUT_S,
        **how: Any,
    ) -> Answer:
        """Ask one process, or another if there is no connection to the first."""
        assert self._session is not None
        project = path.split("/")[3]
        headers = {"X-API-Key": self.keys[project], **how.pop("headers", {})}
        for url in rng.sample(self.urls, len(self.urls)):
            try:
                async with self._session.request(
                    method,
                    url + path,
                    headers=headers,
                    timeout=aiohttp.ClientTimeout(total=timeout),
                    **how,
                ) as response:
                    raw = await response.read()
                    return Answer(response.status, response.headers, _parsed(raw))
            except aiohttp.ClientConnectorError:
                continue  # never connected
            except (aiohttp.ClientError, OSError, TimeoutError) as error:
                raise NoAnswer(repr(error)) from error
        await asyncio.sleep(PAUSE_S)
        raise NotSent

    async def _send_write(
        self, rng: random.Random, write: Write, method: str, path: str, **how: Any
    ) -> None:
        keyed = "Idempotency-Key" in how.get("headers", {})
        uncertain = False
        """An earlier attempt may still happen, whatever a later one is answered."""
        for _ in range(3 if keyed else 1):
            try:
                answer = await self._send(rng, method, path, **how)
            except NotSent:
                continue
            except NoAnswer:
                uncertain = True
                continue
            if answer.status not in (202, 503):
                self._understand(write, answer, uncertain)
                return
            if answer.status == 202:
                write.change_id = answer.body["id"]
                uncertain = True
        if not uncertain:
            write.outcome, write.ended = Outcome.REFUSED, clock()

    def _understand(self, write: Write, answer: Answer, uncertain: bool) -> None:
        project = next(iter(write.expected))[0]
        if answer.status in (200, 201):
            self._acknowledged(write, answer)
        elif answer.status == 409:
            for conflict in answer.body["conflicts"]:
                register = (project, conflict["key"])
                write.conflicts[register] = conflict["current_version"]
                deleted = conflict.get("deleted", False)
                self._believed[register] = 0 if deleted else conflict["current_version"]
            write.ended = clock()
        elif answer.status == 404 and answer.body["type"] == "/problems/config-not-found":
            self._believed[project, answer.body["key"]] = 0
            write.ended = clock()
        else:
            self.history.surprises.append(f"write {write.id}: {answer.status} {answer.body}")
            return
        if write.outcome is not Outcome.DONE and not uncertain:
            write.outcome = Outcome.REFUSED

    def _acknowledged(self, write: Write, answer: Answer) -> None:
        write.ended = clock()
        write.outcome = Outcome.DONE
        write.position = int(answer.headers["Guardian-Position"])
        project = next(iter(write.expected))[0]
        lines = answer.body.get("changes") or [answer.body]
        write.versions = {(project, line["key"]): line["version"] for line in lines}
        if write.versions.keys() != write.expected.keys():
            self.history.surprises.append(f"write {write.id} was answered {answer.body}")
        for register, version in write.versions.items():
            self._believed[register] = 0 if register in write.deletes else version
        self.acknowledged_at.append(write.ended)
        self._wrote.set()

    async def _read_once(self, rng: random.Random, level: Level, timeout: float) -> bool:
        register = self._pick(rng)
        begun = clock()
        try:
            path = f"{_path(register)}?consistency={level.value}"
            answer = await self._send(rng, "GET", path, timeout=timeout)
        except (NoAnswer, NotSent):
            self.history.unanswered += 1
            return False
        if answer.status not in (200, 404):
            self._not_answered(answer)
            return False
        found = answer.status == 200
        if not found and answer.body.get("type") != "/problems/config-not-found":
            self._not_answered(answer)
            return False
        position = answer.headers.get("Guardian-Position")
        version = answer.body["version"] if found else None
        self.history.reads.append(
            Read(
                register=register,
                level=level,
                begun=begun,
                ended=clock(),
                version=version,
                position=int(position) if position else 0,
                writer=answer.body["content"]["by"] if found else None,
            )
        )
        if level is Level.LINEARIZABLE:
            self._believed[register] = version or 0
        return True

    def _not_answered(self, answer: Answer) -> None:
        self.history.unanswered += 1
        if answer.status != 503:
            self.history.surprises.append(f"read: {answer.status} {answer.body}")


def _path(register: Register) -> str:
    return f"/v1/projects/{register[0]}/configs/{register[1]}"


def _parsed(raw: bytes) -> Any:
    try:
        return orjson.loads(raw)
    except orjson.JSONDecodeError:
        return {"unparsed": raw[:200].decode(errors="replace")}
