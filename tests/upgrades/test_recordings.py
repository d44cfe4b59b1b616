"""Goal: what an old release wrote reads the same today, and goes on.

Method: backups that old releases made (make_recording.py) are restored and migrated by today's
code, and every request that the old release answered is sent again. What today's answers have
beside the old ones' is new; nothing may be missing or differ.
"""

from __future__ import annotations

import tarfile
from pathlib import Path
from typing import Any

import asyncpg
import orjson
import pytest

from app.migrations import create_database, pending, up
from app.settings import Settings
from projections.replay import replay
from tests.faults.test_backup import guardian
from tests.support.servers import ask
from tests.support.service import Service, run_service, settings_for
from tests.support.sse import watching

pytestmark = pytest.mark.timeout(240)

RECORDED = Path(__file__).parent / "recorded"
IGNORED = {"request_id", "detail", "title", "last_used_at"}
"""Words for people, and what reading itself changes."""


def differences(old: Any, new: Any, place: str = "") -> list[str]:
    """Where `new` lacks something of `old` or has it otherwise."""
    if isinstance(old, dict) and isinstance(new, dict):
        found = [f"{place}.{name} is missing" for name in old.keys() - new.keys()]
        for name in (old.keys() & new.keys()) - IGNORED:
            found += differences(old[name], new[name], f"{place}.{name}")
        return found
    if isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        pairs = zip(old, new, strict=True)
        return [
            line for n, pair in enumerate(pairs) for line in differences(*pair, f"{place}[{n}]")
        ]
    return [] if repr(old) == repr(new) else [f"{place} was {old!r}, is {new!r}"]


async def sent_again(service: Service, recording: Any, requests: list[Any]) -> list[str]:
    """Send the requests once more; where what is answered differs from what was."""
    callers = {}
    for name, caller in recording["callers"].items():
        if key := caller.get("key"):
            callers[name] = service.anonymous.with_headers(**{"X-API-Key": key})
        else:
            callers[name] = await service.anonymous.sign_in(caller["email"], caller["password"])
    found = []
    for request in requests:
        method, path = request["method"], request["path"]
        client = callers[request["caller"]]
        answer = await client(method, path, data=request["body"], headers=request["headers"])
        told = [answer.status, answer.headers.get("ETag")]
        was = [request["status"], request["etag"]]
        lines = differences(was, told) or differences(orjson.loads(request["answer"]), answer.json)
        found += [f"{method} {path}: {line}" for line in lines]
    return found


@pytest.fixture(params=sorted(file.stem.removesuffix(".tar") for file in RECORDED.glob("*.xz")))
def name(request: pytest.FixtureRequest) -> str:
    """A recording's, which is its stream's, too: it stands in every entry's subject."""
    return str(request.param)


async def test_an_old_releases_backup_is_read_the_same(
    name: str, nats_url: str, database_url: str, empty_database_url: str, short_path: Path
) -> None:
    with tarfile.open(RECORDED / f"{name}.tar.xz") as archive:
        archive.extractall(short_path, filter="data")
    recording = orjson.loads((short_path / "answers.json").read_bytes())
    settings = settings_for(empty_database_url, nats_url, name)
    ask("delete_streams", name)
    try:
        code, output, errors = await guardian(settings, "restore", str(short_path / "backup"))
        assert code == 0, errors
        behind = len(await pending(empty_database_url))
        assert behind > 0
        assert f"run `guardian migrate up` ({behind} pending)" in output
        await up(empty_database_url)
        await _keys_of_today(empty_database_url)
        async with run_service(settings) as service:
            await _reads_the_same(service, recording)
            await _goes_on(service, recording)
        for command in (("projections", "rebuild"), ("projections", "verify"), ("audit", "verify")):
            code, output, errors = await guardian(settings, *command)
            assert code == 0, output + errors
        await _is_replayed(settings, database_url)
    finally:
        ask("delete_streams", name)


async def _keys_of_today(dsn: str) -> None:
    """An Idempotency-Key is kept for a week, a recording for ever."""
    connection = await asyncpg.connect(dsn)
    await connection.execute("UPDATE idempotency_keys SET created_at = now()")
    await connection.close()


async def _reads_the_same(service: Service, recording: Any) -> None:
    assert await sent_again(service, recording, recording["reads"]) == []
    # Nothing is done a second time, so all reads the same once more.
    assert await sent_again(service, recording, recording["writes"]) == []
    assert await sent_again(service, recording, recording["reads"]) == []


async def _goes_on(service: Service, recording: Any) -> None:
    """A watch from an old position, and behind it what is written today."""
    admin = await service.anonymous.sign_in()
    project = recording["project"]
    old = sorted(
        (entry["position"], entry["key"], entry["version"])
        for request in recording["reads"]
        if request["path"].startswith(f"{project}/revisions?")
        for entry in orjson.loads(request["answer"])["items"]
    )
    begin = old[len(old) // 2][0]
    later = [change for change in old if change[0] > begin]
    async with watching(admin, f"{project}/watch?from={begin}") as stream:
        events = await stream.take(len(later))
        answer = await admin(
            "PUT", f"{project}/configs/today", json={"content": "\u2603", "version": 0}
        )
        assert answer.status == 201, answer.body
        events += await stream.take(1)
    seen = sorted((e.data["position"], e.data["key"], e.data["version"]) for e in events)
    position = int(answer.headers["Guardian-Position"])
    assert position > old[-1][0]
    assert seen == [*later, (position, "today", 1)]


async def _is_replayed(settings: Settings, target: str) -> None:
    """The log alone makes the same database."""
    await create_database(target)
    async with run_service(settings) as service:
        report = await replay(service.log, target, settings.require_database_url())
    assert report.differences == []
