"""Who sees a schema, who changes it, and what they are told of projects that are not theirs."""

from __future__ import annotations

import uuid

import asyncpg
import pytest_asyncio

from app.access.api_keys import generate_api_key
from tests.app.api.test_schemas import LIMITS, id_of, new_schema, put
from tests.support.service import PASSWORD, Client, Service


class People:
    """Signed-in callers, and what they are in projects."""

    def __init__(self, service: Service, admin: Client) -> None:
        self._service = service
        self._admin = admin
        self.ids: dict[str, str] = {}

    async def user(self, name: str, **roles: str) -> Client:
        """A user with a role in each of these projects (ids with _ for -)."""
        email = f"{name}@example.org"
        body = {"email": email, "password": PASSWORD}
        answer = await self._admin("POST", "/v1/users", json=body)
        assert answer.status == 201, answer.body
        self.ids[name] = answer.json["id"]
        for project_id, role in roles.items():
            await self._execute(
                "INSERT INTO roles (user_id, project_id, role_level) VALUES ($1, $2, $3)",
                *(answer.json["id"], project_id.replace("_", "-"), role),
            )
        return await self._service.anonymous.sign_in(email)

    async def named_key(self, project: str, role: str, prefix: str | None) -> Client:
        """An application with a named key."""
        key = generate_api_key()
        await self._execute(
            "INSERT INTO api_keys (id, project_id, name, role_level, key_hash, prefix)"
            " VALUES ($1, $2, $1, $3, $4, $5)",
            *(uuid.uuid4().hex, id_of(project), role, key.hash, prefix),
        )
        return self._service.anonymous.with_headers(**{"X-API-Key": key.plain})

    async def _execute(self, statement: str, *values: object) -> None:
        connection = await asyncpg.connect(self._service.settings.require_database_url())
        try:
            await connection.execute(statement, *values)
        finally:
            await connection.close()


@pytest_asyncio.fixture
async def people(service: Service, admin: Client) -> People:
    """Makes callers."""
    return People(service, admin)


def role_in(project: str, role: str) -> dict[str, str]:
    return {id_of(project).replace("-", "_"): role}


async def statuses(client: Client, path: str) -> dict[str, int]:
    """What each request to a schema is answered."""
    body = {"schema": LIMITS}
    return {
        "get": (await client("GET", path)).status,
        "usage": (await client("GET", f"{path}/usage")).status,
        "validate": (await client("POST", f"{path}/validate", json={"content": 1})).status,
        "put": (await client("PUT", f"{path}?dry_run=true", json=body)).status,
        "delete": (await client("DELETE", path)).status,
    }


def reads(change: int) -> dict[str, int]:
    return {"get": 200, "usage": 200, "validate": 200, "put": change, "delete": change}


NOTHING = {"get": 404, "usage": 404, "validate": 404, "put": 404, "delete": 404}


async def test_a_projects_schema_is_its_members_and_changed_by_its_editors(
    service: Service, admin: Client, people: People
) -> None:
    project, key = await service.project(admin)
    other, other_key = await service.project(admin, "other")
    viewer = await people.user("viewer", **role_in(project, "viewer"))
    editor = await people.user("editor", **role_in(project, "editor"))
    stranger = await people.user("stranger", **role_in(other, "admin"))
    body = {"name": "n", "schema": {}, "project_id": id_of(project)}
    assert (await viewer("POST", "/v1/schemas", json=body)).status == 403
    assert (await stranger("POST", "/v1/schemas", json=body)).status == 404
    path = await new_schema(editor, LIMITS, project_id=id_of(project))
    assert await statuses(viewer, path) == reads(403)
    assert await statuses(stranger, path) == NOTHING
    application = service.anonymous.with_headers(**{"X-API-Key": key})
    assert await statuses(application, path) == reads(403)
    theirs = service.anonymous.with_headers(**{"X-API-Key": other_key})
    # Keys change no schemas at all, so what they may not do hides nothing.
    assert await statuses(theirs, path) == {**NOTHING, "put": 403, "delete": 403}
    nobody = service.anonymous
    assert set((await statuses(nobody, path)).values()) == {401}
    for client, seen in ((viewer, 1), (editor, 1), (stranger, 0), (application, 1), (theirs, 0)):
        assert len((await client("GET", "/v1/schemas")).json["items"]) == seen
        filtered = await client("GET", f"/v1/schemas?project_id={id_of(project)}")
        assert filtered.status == (200 if seen else 404)
    assert await statuses(editor, path) == reads(200)


async def test_a_shared_schema_is_everybodys_and_changed_by_its_creator_or_a_superuser(
    service: Service, admin: Client, people: People
) -> None:
    project, key = await service.project(admin)
    creator = await people.user("creator")
    editor = await people.user("editor", **role_in(project, "editor"))
    path = await new_schema(creator, LIMITS)
    application = service.anonymous.with_headers(**{"X-API-Key": key})
    for client in (editor, application):
        assert await statuses(client, path) == reads(403)
        assert len((await client("GET", "/v1/schemas")).json["items"]) == 1
    mine = f"/v1/schemas?project_id={id_of(project)}"
    assert (await editor("GET", mine)).json["items"] == []
    assert (await admin("PUT", path, json={"schema": {}})).json["version"] == 2
    assert await statuses(creator, path) == reads(200)


async def test_who_made_a_shared_schema_is_known_to_them_and_superusers_only(
    service: Service, admin: Client, people: People
) -> None:
    """It is everybody's to see, and an id is an e-mail address to whoever has a project."""
    project, key = await service.project(admin)
    creator = await people.user("creator")
    editor = await people.user("editor", **role_in(project, "editor"))
    creator_id = (await creator("GET", "/v1/me")).json["id"]
    shared = await new_schema(creator, LIMITS)
    application = service.anonymous.with_headers(**{"X-API-Key": key})
    for client, told in (
        (creator, creator_id),
        (admin, creator_id),
        (editor, None),
        (application, None),
    ):
        answers = [(await client("GET", path)).json for path in (shared, f"{shared}?version=1")]
        answers += (await client("GET", "/v1/schemas")).json["items"]
        assert [answer["created_by_user_id"] for answer in answers] == [told] * 3
    # Of a project's own, its members know.
    own = await new_schema(editor, LIMITS, project_id=id_of(project))
    editor_id = (await editor("GET", "/v1/me")).json["id"]
    assert (await application("GET", own)).json["created_by_user_id"] == editor_id


async def test_of_projects_that_are_not_theirs_a_caller_learns_only_how_many(
    service: Service, admin: Client, people: People
) -> None:
    mine, _ = await service.project(admin)
    other, _ = await service.project(admin, "other")
    creator = await people.user("creator", **role_in(mine, "viewer"))
    limited = await people.named_key(mine, "viewer", "shown.")
    path = await new_schema(creator, LIMITS)
    for project, config in ((mine, "shown.a"), (mine, "b"), (other, "secret")):
        content = {"limit": 9}
        answer = await put(admin, f"{project}/configs", config, content, schema_id=id_of(path))
        assert answer.status == 201, answer.body
    narrow = {"schema": {"properties": {"limit": {"maximum": 1}}}}
    for answer in (
        await creator("PUT", path, json=narrow),
        await creator("PUT", f"{path}?dry_run=true", json=narrow),
        await creator("DELETE", path),
        await creator("GET", f"{path}/usage"),
    ):
        listed = answer.json.get("configs") or answer.json["items"]
        assert [config["key"] for config in listed] == ["b", "shown.a"]
        assert (answer.json["hidden"], answer.json["total"]) == (1, 3)
        assert b"secret" not in answer.body
        assert id_of(other).encode() not in answer.body
    usage = await limited("GET", f"{path}/usage")
    assert [config["key"] for config in usage.json["items"]] == ["shown.a"]
    assert (usage.json["hidden"], usage.json["total"]) == (2, 3)
    everything = await admin("GET", f"{path}/usage")
    assert everything.json["hidden"] == 0


async def test_whoever_writes_a_shared_schema_cannot_ask_it_for_others_contents(
    service: Service, admin: Client, people: People
) -> None:
    """Goal: what is in a config that they may not see changes nothing of the answer."""
    other, _ = await service.project(admin, "other")
    creator = await people.user("creator")
    path = await new_schema(creator, {})
    bound = await put(
        admin, f"{other}/configs", "db", {"password": "s3cr3t"}, schema_id=id_of(path)
    )
    assert bound.status == 201, bound.body
    told = []
    for pattern in ("^s", "^x"):
        guess = {"schema": {"properties": {"password": {"pattern": pattern}}}}
        asked = await creator("PUT", f"{path}?dry_run=true", json=guess)
        assert (asked.json["total"], asked.json["hidden"], asked.json["checked"]) == (1, 1, 0)
        refused = await creator("PUT", path, json=guess)
        assert refused.status == 409
        told.append((asked.json, {**refused.json, "request_id": ""}))
    assert told[0] == told[1]
    # Who sees the config is told the truth.
    assert (await admin("PUT", path, json={"schema": {"type": "object"}})).status == 200
    assert (await creator("PUT", f"{path}?force=true", json={"schema": {}})).status == 200


async def test_a_user_whose_schema_others_use_stays(
    service: Service, admin: Client, people: People, configs: str
) -> None:
    creator = await people.user("creator")
    used, unused = await new_schema(creator, LIMITS), await new_schema(creator, LIMITS)
    await put(admin, configs, "a", {}, schema_id=id_of(used))
    user = f"/v1/users/{people.ids['creator']}"
    for refused in (await admin("DELETE", f"{user}?dry_run=true"), await admin("DELETE", user)):
        assert (refused.status, refused.json["type"]) == (409, "/problems/in-use")
    assert (await admin("GET", unused)).status == 200
    await put(admin, configs, "a", {}, 1, schema_id=None)
    own, _ = await service.project(creator, "own")
    await put(creator, f"{own}/configs", "a", {}, schema_id=id_of(used))
    assert (await admin("DELETE", f"{user}?dry_run=true")).status == 200
    assert (await admin("DELETE", user)).status == 200
    for path in (used, unused):
        assert (await admin("GET", path)).status == 404
