"""The proof of history, through HTTP and on the command line."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path
from typing import Any

import orjson
import pytest

from app.services import SERVICES
from projections.audit_verify import verify_project
from tests.app.api.test_watch import put
from tests.app.api.test_watch_ends import named_key
from tests.support.commands import run_here
from tests.support.rows import tamper
from tests.support.service import Client, Service
from tests.support.waiting import until

ROOT = Path(__file__).parents[3]


async def guardian(service: Service, *arguments: str) -> tuple[int, str, str]:
    """Run the command; exit code, standard output and error."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "app.cli",
        *arguments,
        cwd=ROOT,
        env={**os.environ, "DATABASE_URL": service.settings.require_database_url()},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    assert process.returncode is not None
    return process.returncode, out.decode(), err.decode()


async def forge(service: Service, key: str) -> None:
    statement = "UPDATE config_revisions SET content = '\"forged\"' WHERE config_key = $1"
    await tamper(service.settings.require_database_url(), statement, key)


async def test_the_chain_is_walked_and_the_first_bad_revision_named(
    service: Service, admin: Client, configs: str
) -> None:
    path = configs.removesuffix("configs") + "audit/verify"
    *_, last = [await put(admin, configs, key, 1) for key in ("a", "b", "c")]
    answer = await admin("GET", path)
    assert answer.status == 200, answer.body
    body = answer.json
    assert (body["intact"], body["revisions"], body["head_position"]) == (True, 3, last)
    assert "first_bad" not in body
    code, out, _ = await guardian(service, "audit", "verify")
    assert code == 0
    assert body["head_hash"] in out

    await forge(service, "b")
    body = (await admin("GET", path)).json
    assert (body["intact"], body["revisions"]) == (False, 1)
    bad = body["first_bad"]
    assert (bad["number"], bad["key"], bad["version"]) == (2, "b", 1)
    assert bad["reason"] == "content is not what was committed"
    project = configs.split("/")[3]
    code, out, _ = await guardian(service, "audit", "verify", "--json", "--project", project)
    assert code == 1
    assert orjson.loads(out)["projects"] == [body]
    code, out, _ = await guardian(service, "audit", "verify")
    assert (code, "BAD at revision 2, b version 1" in out) == (1, True)


def test_misuse_is_told_from_what_was_found(database_url: str) -> None:
    environ = {"PATH": os.defpath, "DATABASE_URL": database_url}
    for command in (("audit", "verify"), ("projections", "verify"), ("projections", "rebuild")):
        ended = run_here(*command, "--project", "none", environ=environ)
        assert (ended.code, ended.out) == (2, "")
        assert ended.err.splitlines()[-1] == "error: there is no project 'none'"
    assert run_here("audit", "verify", "--nonsense", environ=environ).code == 2


async def test_a_key_that_sees_a_part_may_not_walk_the_whole(
    service: Service, configs: str
) -> None:
    path = configs.removesuffix("configs") + "audit/verify"
    assert (await (await named_key(service, configs))("GET", path)).status == 200
    assert (await (await named_key(service, configs, prefix="a"))("GET", path)).status == 403


async def test_one_tenants_walks_hold_nobody_elses_up(
    service: Service, admin: Client, configs: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Method: the walks of one project take until they are let through."""
    ann = await service.user(admin, "ann")
    hers = (await service.project(ann))[0]
    theirs, walks = configs.removesuffix("/configs"), service.app[SERVICES].audit_walks
    go_on = asyncio.Event()

    async def held(connection: Any, project_id: str) -> Any:
        if theirs.endswith(project_id):
            await go_on.wait()
        return await verify_project(connection, project_id)

    monkeypatch.setattr("app.api.audit.verify_project", held)
    backlog = [asyncio.create_task(admin("GET", f"{theirs}/audit/verify")) for _ in range(3)]
    await until(lambda: walks.waiting == 2)
    assert (await admin("GET", f"{theirs}/audit/verify")).status == 429
    assert (await ann("GET", f"{hers}/audit/verify")).status == 200
    go_on.set()
    assert {answer.status for answer in await asyncio.gather(*backlog)} == {200}
