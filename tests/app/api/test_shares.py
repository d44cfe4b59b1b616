"""Goal: a share is an account's; no number of projects or keys makes more of it.

Method: a content that says "slow" keeps its validator until it is let go.
"""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from app.services import SERVICES
from app.validation.pool import ValidatorPool
from app.validation.wire import Outcome, Request
from tests.app.api.test_schemas import id_of, new_schema
from tests.support.service import Answer, Client, Service
from tests.support.waiting import until


async def editors_key(service: Service, client: Client, project: str) -> Client:
    """An application that may change the project's configs."""
    made = await client("POST", f"{project}/keys", json={"name": "k", "role_level": "editor"})
    assert made.status == 201, made.body
    return service.anonymous.with_headers(**{"X-API-Key": made.json["api_key"]})


async def create(client: Client, project: str, key: str, content: Any, schema: str) -> Answer:
    body = {"content": content, "version": 0, "schema_id": id_of(schema)}
    return await client("PUT", f"{project}/configs/{key}", json=body)


async def test_projects_and_keys_do_not_multiply_a_share(
    service: Service, admin: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Three projects had three shares, and so all workers: nobody else's content was checked."""
    pool = service.app[SERVICES].validators
    let_go, answer = asyncio.Event(), pool._answer

    async def held(request: Request) -> tuple[Outcome, Any]:
        if b"slow" in request.content:
            await let_go.wait()
        return await answer(request)

    monkeypatch.setattr(pool, "_answer", held)
    ann, bob = await service.user(admin, "ann"), await service.user(admin, "bob")
    schema = await new_schema(admin, {"type": "string"})
    projects = [(await service.project(ann))[0] for _ in range(3)]
    callers = [ann, ann, await editors_key(service, ann, projects[2])]
    asked = [
        asyncio.create_task(create(caller, project, "a", "slow", schema))
        for caller, project in zip(callers, projects, strict=True)
    ]
    await until(lambda: pool.waiting == 2)
    project, _ = await service.project(bob)
    assert (await create(bob, project, "a", "quick", schema)).status == 201
    assert not any(task.done() for task in asked)
    let_go.set()
    assert {each.status for each in await asyncio.gather(*asked)} == {201}


async def test_whatever_is_checked_is_of_the_callers_account(
    service: Service, admin: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    tenants: set[str] = set()
    run = ValidatorPool._run

    async def noted(pool: ValidatorPool, tenant: str, request: Request, expected: Outcome) -> Any:
        tenants.add(tenant)
        return await run(pool, tenant, request, expected)

    monkeypatch.setattr(ValidatorPool, "_run", noted)
    ann, bob = await service.user(admin, "ann"), await service.user(admin, "bob")
    made = [await each("POST", "/v1/projects", json={"name": "mine"}) for each in (ann, bob)]
    anns, bobs = (f"user:{each.json['owner_user_id']}" for each in made)
    project = f"/v1/projects/{made[0].json['id']}"
    key = await editors_key(service, ann, project)
    bob_id = bobs.removeprefix("user:")
    await ann("PUT", f"{project}/roles/{bob_id}", json={"role_level": "editor"})
    large = "x" * 5000

    schema = ""
    for name, caller, account in (("ann", ann, anns), ("key", key, anns), ("bob", bob, bobs)):
        tenants.clear()
        if caller is not key:
            schema = await new_schema(caller, {"title": large}, project_id=id_of(project))
            newer = {"schema": {"title": "shorter"}}
            assert (await caller("PUT", schema, json=newer)).status == 200
            assert tenants == {account}, name
            tenants.clear()
        assert (await create(caller, project, name, large, schema)).status == 201
        assert tenants == {account}, name
        changed = {"content": 1, "version": 1}
        for method, url, body in (
            ("POST", f"{schema}/validate", {"content": 1}),
            ("PUT", f"{project}/configs/{name}?dry_run=true", changed),
        ):
            tenants.clear()
            assert (await caller(method, url, json=body)).status == 200
            assert tenants == {account}, (name, url)
