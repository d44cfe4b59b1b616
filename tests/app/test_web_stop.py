"""Goal: who had asked when a web process was told to stop is answered.

Method: the real command, stopped while a change waits for a projector that comes later.
"""

from __future__ import annotations

import asyncio
import json
import signal
import socket
from functools import partial
from urllib.parse import urlsplit

import aiohttp
import pytest

from app.raft_log import connect_log
from app.serve import serve
from projections.projector import Projector
from tests.app.test_web_start import run_web_command
from tests.consensus.contract import eventually
from tests.support.leaks import LogCollector
from tests.support.processes import Command
from tests.support.service import Client, ensure_superuser, settings_for


def _refused(address: str) -> bool:
    """Whether nobody listens there any more."""
    place = urlsplit(address)
    with socket.socket() as probe:
        return probe.connect_ex((place.hostname, place.port)) != 0


@pytest.mark.parametrize("signals", [[signal.SIGTERM], [signal.SIGINT, signal.SIGTERM]])
async def test_a_change_that_is_under_way_is_answered(
    database_url: str,
    nats_url: str,
    stream_name: str,
    started: list[Command],
    signals: list[signal.Signals],
) -> None:
    """It was committed, and the connection closed without a word. Ctrl-C in a terminal reaches a
    process beside the SIGTERM of whoever started it."""
    await ensure_superuser(database_url)
    settings = settings_for(database_url, nats_url, stream_name)
    web = run_web_command(started, database_url, nats_url, stream_name)
    address = "http://" + json.loads(web.wait_for('"event":"listening"'))["address"]
    log = await connect_log(settings)
    async with aiohttp.ClientSession() as session:
        admin = await Client(session, address).sign_in()
        project = (await admin("POST", "/v1/projects", json={"name": "shop"})).json["id"]
        path = f"/v1/projects/{project}/configs/a"
        asked = asyncio.create_task(admin("PUT", path, json={"content": 1, "version": 0}))

        async def appended() -> bool:
            return (await log.status()).last_position > 0

        await eventually(appended)
        for number in signals:
            web.process.send_signal(number)
            await eventually(partial(asyncio.to_thread, _refused, address))
        projector = asyncio.create_task(Projector(log, database_url).run())
        try:
            answer = await asked
            assert (answer.status, answer.headers["ETag"]) == (201, '"1"')
            # Else the next request is sent into a connection that ends.
            assert answer.headers.get("Connection") == "close"
            assert await asyncio.to_thread(web.process.wait, 30) == 0
        finally:
            projector.cancel()
            await asyncio.gather(projector, return_exceptions=True)
            await log.close()


async def test_clients_that_ask_all_the_time_are_told_to_go_elsewhere(
    database_url: str,
    nats_url: str,
    stream_name: str,
    logs: LogCollector,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A connection that was idle for this one moment ended under the client's next request.

    Method: the server in this process, so that none of its times runs while the clients do not.
    """
    monkeypatch.setattr("app.serve.GOODBYE_S", 30.0)
    serving = asyncio.create_task(serve(settings_for(database_url, nats_url, stream_name)))

    async def listens() -> bool:
        return any(line["event"] == "listening" for line in logs.lines)

    await eventually(listens)
    address = next(line["address"] for line in logs.lines if line["event"] == "listening")
    asked, all_ask = 0, asyncio.Event()

    async def ask_until_told() -> None:
        nonlocal asked
        async with aiohttp.ClientSession() as session:
            told = None
            while told != "close":
                async with session.get(f"http://{address}/healthz") as answer:
                    assert answer.status == 200
                    told = answer.headers.get("Connection")
                asked += 1
                if asked > 100:
                    all_ask.set()

    clients = [asyncio.create_task(ask_until_told()) for _ in range(10)]
    await all_ask.wait()
    signal.raise_signal(signal.SIGTERM)
    await asyncio.gather(*clients)
    await serving
