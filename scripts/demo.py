"""`make demo`: the promise, shown against a running `make run`.

Creates a project, loads examples/, lets 8 writers race 500 changes on the same keys, deletes the
rows of `configs` behind the service's back, shows that `verify` finds it, rebuilds, and shows
that every config and version is as before. Signs in with GUARDIAN_ADMIN_EMAIL and
GUARDIAN_ADMIN_PASSWORD, or makes a superuser of its own in the data folder's database.
"""

from __future__ import annotations

import asyncio
import json
import random
import secrets
from collections import Counter
from pathlib import Path
from typing import Any

import aiohttp
import asyncpg
import click
import uuid_utils

from app.access.passwords import PasswordHashing
from app.commands import Failure, KnownFailures, Misuse, attached_settings
from app.settings import Settings
from app.tables.users import insert_user
from projections.rebuild import rebuild_configs, verify_configs

EXAMPLES = Path(__file__).parent.parent / "examples"
WRITERS, CHANGES = 8, 500
HOT_KEYS = 6
RETRY_FOR_S = 60.0


class Demo:
    """One run against one service."""

    def __init__(self, session: aiohttp.ClientSession, base_url: str) -> None:
        self._session = session
        self._base_url = base_url
        self.outcomes: Counter[str] = Counter()
        self.acknowledged: dict[str, set[int]] = {}
        """By key, the versions that the service said are committed."""

    async def look(self) -> None:
        """Raise Failure where nobody answers yet, Misuse where nobody can."""
        try:
            async with self._session.get(f"{self._base_url}/healthz"):
                pass
        except (aiohttp.InvalidURL, aiohttp.NonHttpUrlClientError) as error:
            raise Misuse(f"--url: {self._base_url} is not an http address") from error
        except (aiohttp.ClientError, OSError) as error:
            raise Failure(
                f"no service answers at {self._base_url};"
                " is `make run` running, with the same GUARDIAN_PORT?"
            ) from error

    async def call(self, method: str, path: str, **kwargs: Any) -> tuple[int, Any]:
        """One request; while the service is away (somebody kills it on purpose) it waits."""
        loop = asyncio.get_running_loop()
        give_up = loop.time() + RETRY_FOR_S
        while True:
            try:
                url = self._base_url + path
                async with self._session.request(method, url, **kwargs) as response:
                    if response.status != 503 or loop.time() > give_up:
                        return response.status, await response.json(content_type=None)
            except (aiohttp.ClientError, OSError) as error:
                if loop.time() > give_up:
                    raise Failure(f"the service did not come back: {error}") from error
                self.outcomes["no answer, tried again"] += 1
            await asyncio.sleep(0.2)

    async def sign_in(self, email: str, password: str) -> None:
        """Use this account from here on."""
        body = {"email": email, "password": password}
        status, answer = await self.call("POST", "/v1/auth/login", json=body)
        if status != 200:
            raise Failure(f"cannot sign in as {email}: {answer}")
        self._session.headers["Authorization"] = f"Bearer {answer['access_token']}"

    async def load_examples(self, project: str) -> list[str]:
        """Create a config for each file of examples/."""
        keys = []
        for path in sorted(EXAMPLES.glob("*.json")):
            content = json.loads(path.read_text(encoding="utf-8"))
            status, answer = await self.call(
                "PUT",
                f"{project}/configs/{path.stem}",
                json={"content": content, "comment": "from examples/"},
                headers={"If-None-Match": "*"},
            )
            if status != 201:
                raise SystemExit(f"{path.name}: {status} {answer}")
            self.acknowledged.setdefault(path.stem, set()).add(1)
            keys.append(path.stem)
        return keys

    async def race(self, project: str, keys: list[str], writer: int, changes: int) -> None:
        """One writer: read a version, change it, be told whether somebody was first."""
        chosen = random.Random(writer)
        for number in range(changes):
            key = chosen.choice(keys)
            path = f"{project}/configs/{key}"
            _, config = await self.call("GET", path)
            status, answer = await self.call(
                "PUT",
                path,
                json={"content": {"writer": writer, "change": number, "was": config["content"]}}
                if not isinstance(config["content"], dict)
                else {"content": {**config["content"], "demo": [writer, number]}},
                headers={"If-Match": f'"{config["version"]}"'},
            )
            self.outcomes[{200: "won", 409: "409 conflict"}.get(status, str(status))] += 1
            if status == 200:
                self.acknowledged.setdefault(key, set()).add(answer["version"])

    async def all_configs(self, project: str) -> dict[str, Any]:
        """Every config with version and content."""
        _, answer = await self.call("GET", f"{project}/configs?limit=500&consistency=linearizable")
        return {item["key"]: (item["version"], item["content"]) for item in answer["items"]}


async def own_account(dsn: str) -> tuple[str, str]:
    """A superuser for this run, where nobody told us a sign-in."""
    email, password = f"demo-{secrets.token_hex(4)}@guardian.local", secrets.token_urlsafe(18)
    connection = await asyncpg.connect(dsn)
    try:
        password_hash = PasswordHashing().hash_password(password)
        await insert_user(connection, str(uuid_utils.uuid7()), email, password_hash, True)
    finally:
        await connection.close()
    return email, password


async def delete_rows(dsn: str, project_id: str) -> int:
    """What nobody should be able to do: delete `configs` rows, past triggers and foreign keys."""
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute("SET session_replication_role = replica")
        done = await connection.execute("DELETE FROM configs WHERE project_id = $1", project_id)
        return int(done.split()[-1])
    finally:
        await connection.close()


async def check_history(dsn: str, project_id: str, acknowledged: dict[str, set[int]]) -> None:
    """Every acknowledged change is recorded once, and versions have no gap."""
    connection = await asyncpg.connect(dsn)
    try:
        rows = await connection.fetch(
            "SELECT config_key, array_agg(version ORDER BY version) AS versions"
            " FROM config_revisions WHERE project_id = $1 GROUP BY config_key",
            project_id,
        )
    finally:
        await connection.close()
    recorded = {row["config_key"]: row["versions"] for row in rows}
    for key, versions in recorded.items():
        assert versions == list(range(1, len(versions) + 1)), f"{key}: versions {versions}"
    lost = [
        (key, version)
        for key, versions in acknowledged.items()
        for version in versions
        if version not in recorded.get(key, [])
    ]
    total = sum(map(len, acknowledged.values()))
    print(
        f"acknowledged {total} changes; lost {len(lost)}; recorded twice 0 (versions have no gap)"
    )
    if lost:
        raise SystemExit(f"LOST: {lost}")


async def run(settings: Settings, base_url: str, changes: int) -> None:
    """The whole show. Raises Failure, and SystemExit where the promise is not kept."""
    dsn = settings.require_database_url()
    async with aiohttp.ClientSession() as session:
        demo = Demo(session, base_url)
        await demo.look()
        if settings.admin_email and settings.admin_password:
            await demo.sign_in(settings.admin_email, settings.admin_password)
        else:
            await demo.sign_in(*await own_account(dsn))
        _, created = await demo.call("POST", "/v1/projects", json={"name": "demo shop"})
        project = f"/v1/projects/{created['id']}"
        print(f"project {created['id']}")
        keys = await demo.load_examples(project)
        print(f"loaded {len(keys)} configs from examples/")
        each = changes // WRITERS
        rest = changes - each * WRITERS
        hot = keys[:HOT_KEYS]
        await asyncio.gather(
            *(demo.race(project, hot, writer, each + (writer < rest)) for writer in range(WRITERS))
        )
        print(f"{changes} changes by {WRITERS} writers on {len(hot)} keys: {dict(demo.outcomes)}")
        before = await demo.all_configs(project)
        await check_history(dsn, created["id"], demo.acknowledged)
        print(f"deleted {await delete_rows(dsn, created['id'])} rows of configs behind its back")
        found = await verify_configs(dsn)
        assert found.first is not None, "verify found nothing"
        print(
            f"verify: {found.differences} rows differ; first: {found.first.what} {found.first.key}"
        )
        rebuilt = await rebuild_configs(dsn)
        print(f"rebuild: {rebuilt.configs} configs made again, {rebuilt.differences} put right")
        assert (await verify_configs(dsn)).differences == 0
        after = await demo.all_configs(project)
        same = before == after == await table_of(dsn, created["id"])
        print(f"every config and version as before: {'yes' if same else 'NO'}")
        if not same:
            raise SystemExit(1)


async def table_of(dsn: str, project_id: str) -> dict[str, Any]:
    """The rows of `configs`, as the API shows them."""
    connection = await asyncpg.connect(dsn)
    try:
        rows = await connection.fetch(
            "SELECT key, version, content::text FROM configs WHERE project_id = $1 AND NOT deleted",
            project_id,
        )
    finally:
        await connection.close()
    return {row["key"]: (row["version"], json.loads(row["content"])) for row in rows}


@click.command(help=__doc__)
@click.option("--url", help="Where the service is [default: GUARDIAN_HOST and GUARDIAN_PORT].")
@click.option("--changes", type=click.IntRange(min=1), default=CHANGES, show_default=True)
def main(url: str | None, changes: int) -> None:
    settings = attached_settings()
    base_url = url or f"http://{settings.host}:{settings.port}"
    with KnownFailures():
        asyncio.run(run(settings, base_url, changes))


if __name__ == "__main__":
    main()
