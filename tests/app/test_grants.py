"""Goal: the service works with the rights of db/grants.sql, and those rights are not more."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import aiohttp
import asyncpg
import pytest
import pytest_asyncio

from app import migrations
from app.first_user import ensure_first_superuser
from app.raft_log import connect_log
from projections.projector import Projector
from tests.support.processes import Command
from tests.support.service import Client, run_web, settings_for

SCRIPT = Path(__file__).resolve().parents[2] / "db" / "grants.sql"
PASSWORD = "only for a test"


@dataclass
class Databases:
    """The same database, as three users."""

    owner: str
    web: str
    projector: str


@pytest_asyncio.fixture
async def databases(database_url: str) -> AsyncIterator[Databases]:
    """A database with the rights given out, and a user of each kind."""
    names = {kind: f"t_{kind}_{uuid.uuid4().hex[:12]}" for kind in ("web", "projector")}
    owner = await asyncpg.connect(database_url)
    try:
        for _ in range(2):  # it can be run again
            await owner.execute(SCRIPT.read_text(encoding="utf-8"))
        for kind, name in names.items():
            await owner.execute(
                f"CREATE ROLE {name} LOGIN PASSWORD '{PASSWORD}' IN ROLE guardian_{kind}"
            )
        yield Databases(database_url, *(_as_user(database_url, name) for name in names.values()))
    finally:
        for name in names.values():
            await owner.execute(f"DROP ROLE IF EXISTS {name}")
        await owner.close()


def _as_user(url: str, name: str) -> str:
    parts = urlsplit(url)
    place = parts.netloc.rpartition("@")[2]
    return urlunsplit(parts._replace(netloc=f"{name}:{PASSWORD.replace(' ', '%20')}@{place}"))


async def test_the_service_works_with_these_rights(
    databases: Databases, nats_url: str, stream_name: str
) -> None:
    settings = replace(
        settings_for(databases.owner, nats_url, stream_name), database_url=databases.web
    )
    # What `guardian users create` does: with the rights of web.
    await ensure_first_superuser(databases.web, settings)
    log = await connect_log(settings)
    projector = asyncio.create_task(Projector(log, databases.projector).run())
    try:
        async with run_web(settings) as (_, url), aiohttp.ClientSession() as session:
            await _use_everything(Client(session, url))
    finally:
        projector.cancel()
        await asyncio.gather(projector, return_exceptions=True)
        await log.close()


async def _use_everything(anonymous: Client) -> None:
    async def done(client: Client, method: str, path: str, body: object = None) -> dict[str, str]:
        answer = await client(method, path, json=body)
        assert answer.status < 300, f"{method} {path}: {answer.body!r}"
        return answer.json if answer.body else {}

    admin = await anonymous.sign_in()
    assert (await anonymous("GET", "/readyz")).status == 200
    person = {"email": "ann@example.org", "password": "a password of ann"}
    ann = (await done(admin, "POST", "/v1/users", person))["id"]
    project = "/v1/projects/" + (await done(admin, "POST", "/v1/projects", {"name": "p"}))["id"]
    await done(admin, "PUT", f"{project}/roles/{ann}", {"role_level": "editor"})
    key = await done(admin, "POST", f"{project}/keys", {"name": "k", "role_level": "viewer"})
    await done(admin, "POST", f"{project}/api-key")
    schema = await done(admin, "POST", "/v1/schemas", {"name": "s", "schema": {"type": "integer"}})
    again = {"json": {"name": "q"}, "headers": {"Idempotency-Key": "once"}}
    for status in (201, 409):
        assert (await admin("POST", "/v1/projects", **again)).status == status
    for version in (0, 1):
        body = {"content": version, "version": version, "schema_id": schema["id"]}
        await done(admin, "PUT", f"{project}/configs/a", body)
    await done(admin, "PUT", f"/v1/schemas/{schema['id']}", {"schema": {"type": "number"}})
    put = {"op": "put", "key": "b", "version": 0, "content": 1}
    await done(admin, "POST", f"{project}/changes", {"changes": [put]})
    for path in ("", "/keys", "/roles", "/configs", "/revisions", "/audit/verify"):
        await done(admin, "GET", project + path)
    conflict = await admin(
        "PUT",
        f"{project}/configs/a",
        json={"content": 7, "version": 1},
        headers={"Idempotency-Key": "once"},
    )
    assert conflict.status == 409
    await done(admin, "DELETE", f"{project}/keys/{key['id']}")
    await done(admin, "DELETE", f"{project}/roles/{ann}")
    await done(admin, "DELETE", f"/v1/users/{ann}")
    await done(admin, "DELETE", project)
    await done(admin, "DELETE", f"/v1/schemas/{schema['id']}")
    await done(admin, "POST", "/v1/auth/logout")


FORBIDDEN = {
    "web": (
        "INSERT INTO configs SELECT * FROM configs",
        "UPDATE configs SET version = 1",
        "DELETE FROM configs",
        "INSERT INTO config_revisions SELECT * FROM config_revisions",
        "UPDATE config_revisions SET comment = ''",
        "DELETE FROM config_revisions",
        "TRUNCATE config_revisions",
        "UPDATE checkpoints SET notification_id = 0",
        "UPDATE audit_heads SET revisions = 0",
        "UPDATE config_schema_versions SET schema_content = ''",
        "ALTER TABLE config_revisions DISABLE TRIGGER ALL",
        "DROP TRIGGER config_revisions_immutable ON config_revisions",
        "CREATE TABLE t (x int)",
        "CREATE TEMPORARY TABLE t (x int)",
        "DROP TABLE users",
        "SET ROLE guardian_projector",
        "COPY users TO PROGRAM 'cat'",
    ),
    "projector": (
        "SELECT password_hash FROM users",
        "SELECT token_hash FROM refresh_tokens",
        "SELECT key_hash FROM api_keys",
        "SELECT api_key FROM projects",
        "UPDATE users SET is_superuser = true",
        "INSERT INTO projects SELECT * FROM projects",
        "UPDATE config_revisions SET comment = ''",
        "DELETE FROM config_revisions",
        "DELETE FROM configs",
        "TRUNCATE config_revisions",
        "CREATE TABLE t (x int)",
        "DROP TABLE configs",
        "SET ROLE guardian_web",
    ),
}


@pytest.mark.parametrize("kind", FORBIDDEN)
async def test_these_rights_are_not_more(databases: Databases, kind: str) -> None:
    connection = await asyncpg.connect(getattr(databases, kind))
    try:
        for statement in FORBIDDEN[kind]:
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await connection.execute(statement)
    finally:
        await connection.close()


@pytest.mark.parametrize(
    ("kind", "command", "down_to", "lacks"),
    [
        ("web", ("web", "--embedded"), 23, "DELETE, INSERT, SELECT, UPDATE on creation_keys"),
        (
            "projector",
            ("projector",),
            22,
            "SELECT on projects.deleted_at; SELECT on users.deleted_at",
        ),
    ],
)
async def test_a_process_does_not_start_without_what_a_migration_needs(
    databases: Databases,
    nats_url: str,
    stream_name: str,
    started: list[Command],
    kind: str,
    command: tuple[str, ...],
    down_to: int,
    lacks: str,
) -> None:
    """A migration was applied and the script not run again: to create under an Idempotency-Key was
    a 500, and the projector ended at the first change."""
    await migrations.down(databases.owner, len(migrations.migrations()) - down_to)
    await migrations.up(databases.owner)
    environ = {
        "DATABASE_URL": getattr(databases, kind),
        "NATS_URL": nats_url,
        "GUARDIAN_STREAM": stream_name,
        "GUARDIAN_PORT": "0",
        "GUARDIAN_SECRET_KEY": "a secret key of the tests that is long enough",
    }
    process = Command(*command, environ=environ)
    started.append(process)
    line = await asyncio.to_thread(process.wait_for, "error: the database user t_")
    assert f"lacks rights ({lacks}): run db/grants.sql as the owner" in line
    assert await asyncio.to_thread(process.process.wait, 30) == 1
    assert not any("Traceback" in line for line in process.lines)


async def test_every_table_was_thought_of(databases: Databases) -> None:
    """A new table that no process can read is noticed here, not in production."""
    connection = await asyncpg.connect(databases.owner)
    try:
        tables = await connection.fetch(
            "SELECT relname AS name FROM pg_class WHERE relkind = 'r'"
            " AND relnamespace = 'public'::regnamespace"
        )
    finally:
        await connection.close()
    script = SCRIPT.read_text(encoding="utf-8")
    # The web reads all; who writes a table must stand in the script by its name.
    assert [row["name"] for row in tables if row["name"] not in script] == []
