"""Goal: a user goes at once with their projects and schemas, however long the rows take to follow.

Method: a row of their project is locked, so that the deletion is under way for as long as we like.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from functools import partial

import asyncpg
import pytest
import pytest_asyncio

from app import project_deletions
from app.errors import NotFound, NotSignedIn
from app.services import SERVICES
from app.tables import keys, projects, roles, schemas
from projections.projector import Projector
from projections.rebuild import rebuild_configs, verify_configs
from tests.app.api.test_history import put
from tests.app.api.test_project_deletions import append, held, id_of, under_way
from tests.app.api.test_projects import make_key, make_user
from tests.app.api.test_schemas import new_schema
from tests.consensus.contract import eventually
from tests.support.service import Client, Service, run_web

HAS_ROW = "SELECT EXISTS (SELECT FROM users WHERE id = $1)"


@dataclass
class Owner:
    """A user with a project that has a config."""

    user_id: str
    path: str
    client: Client
    project: str


@pytest_asyncio.fixture
async def ann(service: Service, admin: Client) -> Owner:
    user_id, client = await make_user(service, admin, "ann")
    project, _ = await service.project(client, "anns")
    await put(client, f"{project}/configs/a", 1)
    return Owner(user_id, f"/v1/users/{user_id}", client, project)


async def test_others_write_while_a_user_goes_whose_project_is_written_to(
    service: Service, admin: Client, ann: Owner
) -> None:
    # The projector waited for the deletion at the entry of this project, and everybody behind it.
    other, _ = await service.project(admin, "other")
    async with held(service, admin, ann.project, ann.path) as deletion:
        await append(service, id_of(ann.project), "b")
        await put(admin, f"{other}/configs/a", 1)
        assert not deletion.done()


async def test_nobody_waits_at_what_a_user_who_goes_changed_elsewhere(
    service: Service, admin: Client, ann: Owner
) -> None:
    # Their deletion held each config that they had changed last until their history was done, and
    # the projector waited there, and everybody behind it.
    other, _ = await service.project(admin, "other")
    await admin("PUT", f"{other}/roles/{ann.user_id}", json={"role_level": "admin"})
    await make_key(ann.client, other)
    await put(ann.client, f"{other}/configs/a", 1)
    await put(ann.client, f"{other}/configs/b", 1)
    database_url = service.settings.require_database_url()
    async with under_way(service, admin, other, ann.path) as deletion, asyncio.timeout(30):
        await put(admin, f"{other}/configs/a", 2, version=1)
        actor = {"user_id": ann.user_id, "email": "ann@example.org"}
        for key, version in (("b", 2), ("late", 1)):  # the projector remembers the one
            await append(service, id_of(other), key, version, actor=actor)
        await put(admin, f"{other}/configs/c", 1)
        # What is there already is as it will be.
        assert (await verify_configs(database_url)).differences == 0
        assert (await rebuild_configs(database_url)).differences == 0
        audit = await admin("GET", f"{other}/audit/verify")
        assert (audit.json["intact"], audit.json["revisions"]) == (True, 6)
        assert not deletion.done()
    feed = (await admin("GET", f"{other}/revisions")).json["items"]
    hers = [each for each in feed if each["created_by_user_id"] == ann.user_id]
    assert sorted((each["key"], each["version"]) for each in hers) == [
        ("a", 1),
        ("b", 1),
        ("b", 2),
        ("late", 1),
    ]
    assert (await verify_configs(database_url)).differences == 0


async def test_a_user_is_gone_for_everybody_before_their_rows_are(
    service: Service, admin: Client, ann: Owner
) -> None:
    other, _ = await service.project(admin, "other")
    await admin("PUT", f"{other}/roles/{ann.user_id}", json={"role_level": "editor"})
    shared = await new_schema(ann.client, {"type": "integer"})
    # This process knows its text: only the lock's look at it tells that it is going.
    bound = {"content": 1, "version": 0, "schema_id": id_of(shared)}
    assert (await admin("PUT", f"{other}/configs/b", json=bound)).status == 201
    gone = await admin("DELETE", f"{other}/configs/b", headers={"If-Match": '"1"'})
    assert gone.status == 200
    pool = service.app[SERVICES].pool
    async with held(service, admin, ann.project, ann.path):
        for method, path, body in (
            ("GET", ann.path, None),
            ("PATCH", ann.path, {"disabled": False}),
            ("DELETE", ann.path, None),
            ("GET", ann.project, None),
            ("GET", shared, None),
            ("PUT", f"{other}/roles/{ann.user_id}", {"role_level": "viewer"}),
        ):
            assert (await admin(method, path, json=body)).status == 404, (method, path)
        refused = await admin("PUT", f"{other}/configs/a", json=bound)
        assert (refused.status, refused.json["type"]) == (422, "/problems/unknown-schema")
        # A roll back that was rehearsed before must notice it now.
        assert await pool.fetchval("SELECT array_agg(id) FROM deleted_schemas") == [id_of(shared)]
        assert len((await admin("GET", "/v1/users")).json["items"]) == 1
        assert (await admin("GET", f"{other}/roles")).json["items"] == []
        assert (await ann.client("GET", "/v1/me")).status == 401
        # What stands in for their address is none.
        assert (await admin("GET", f"/v1/users?email={ann.user_id}")).json["items"] == []
        guess = {"email": ann.user_id, "password": "a password of ann"}
        assert (await service.anonymous("POST", "/v1/auth/login", json=guess)).status == 401
        # The address is free at once.
        _, again = await make_user(service, admin, "ann")
        assert (await again("GET", "/v1/projects")).json["items"] == []
        # What a request leaves that was let in before.
        with pytest.raises(NotSignedIn):
            await projects.insert_project(pool, "late", "late", ann.user_id, "hash")
        with pytest.raises(NotSignedIn):
            await schemas.insert_schema(pool, "late", "late", None, "{}", ann.user_id)
        assert await roles.put_role(pool, id_of(other), ann.user_id, "viewer") is None
    assert not await pool.fetchval(HAS_ROW, ann.user_id)
    # And once the rows are gone too.
    boss = (await admin("GET", "/v1/me")).json["id"]
    assert await roles.put_role(pool, id_of(ann.project), boss, "viewer") is None
    with pytest.raises(NotFound):
        await keys.insert_key(
            pool, "late", id_of(ann.project), "late", "viewer", "hash", None, boss, None
        )


async def test_a_user_goes_whose_own_configs_are_bound_to_their_schema(
    service: Service, admin: Client, ann: Owner
) -> None:
    schema = await new_schema(ann.client, {"type": "integer"})
    body = {"content": 1, "version": 0, "schema_id": id_of(schema)}
    assert (await ann.client("PUT", f"{ann.project}/configs/b", json=body)).status == 201
    assert (await admin("DELETE", ann.path)).status == 200
    pool = service.app[SERVICES].pool
    assert not await pool.fetchval(HAS_ROW, ann.user_id)
    assert await pool.fetchval("SELECT array_agg(id) FROM deleted_schemas") == [id_of(schema)]


async def test_a_user_whose_schema_others_need_stays_with_all_that_is_theirs(
    service: Service, admin: Client, ann: Owner
) -> None:
    schema = await new_schema(ann.client, {"type": "integer"})
    other, _ = await service.project(admin, "other")
    body = {"content": 1, "version": 0, "schema_id": id_of(schema)}
    assert (await admin("PUT", f"{other}/configs/a", json=body)).status == 201
    refused = await admin("DELETE", ann.path)
    assert (refused.status, refused.json["type"]) == (409, "/problems/in-use")
    assert (await ann.client("GET", f"{ann.project}/configs/a")).status == 200
    assert (await ann.client("GET", schema)).status == 200


async def test_a_deletion_that_could_not_be_finished_is_finished_by_the_next_process(
    service: Service, admin: Client, ann: Owner, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Method: without a projector nobody knows what it has begun.
    other, _ = await service.project(admin, "other")
    await admin("PUT", f"{other}/roles/{ann.user_id}", json={"role_level": "editor"})
    await put(ann.client, f"{other}/configs/a", 1)
    # Whoever may call this cannot take a living user out of anything.
    released = "SELECT release_configs_of_deleted_user($1, 9)"
    assert await service.app[SERVICES].pool.fetchval(released, ann.user_id) == 0
    monkeypatch.setattr(project_deletions, "BARRIER_TIMEOUT_S", 0.2)
    service.projector_task.cancel()
    await asyncio.gather(service.projector_task, return_exceptions=True)
    answer = await admin("DELETE", ann.path)
    assert (answer.status, answer.json["deleted"]) == (200, True)
    assert (await admin("GET", ann.path)).status == 404
    database_url = service.settings.require_database_url()
    connection = await asyncpg.connect(database_url)
    assert await connection.fetchval(HAS_ROW, ann.user_id)
    # No row that still names them is wrong for that.
    assert (await verify_configs(database_url)).differences == 0

    monkeypatch.undo()
    projector = Projector(service.log, database_url)
    service.projector_task = asyncio.create_task(projector.run())

    async def is_gone() -> bool:
        return not await connection.fetchval(HAS_ROW, ann.user_id)

    async with run_web(service.settings):
        await eventually(is_gone)
    await connection.close()
    service.projector_task.cancel()


async def test_of_two_deletions_at_once_one_finds_nobody(admin: Client, ann: Owner) -> None:
    delete = partial(admin, "DELETE", ann.path)
    answers = await asyncio.gather(delete(), delete())
    assert sorted(answer.status for answer in answers) == [200, 404]
