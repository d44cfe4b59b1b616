"""Every list is the same page by page as at once: nothing twice, nothing left out, no empty end."""

from __future__ import annotations

from math import ceil
from typing import Any

from tests.app.api.test_history import put
from tests.app.api.test_projects import make_key, make_user
from tests.support.service import Client, Service


async def test_each_list_is_the_same_page_by_page(service: Service, admin: Client) -> None:
    first, _ = await service.project(admin, "first")
    second, _ = await service.project(admin, "second")
    made = {name: await make_user(service, admin, name) for name in ("ann", "bob", "cid")}
    ann = made["ann"][1]
    for name in ("third", "fourth"):
        await service.project(ann, name)
    for user_id, _ in made.values():
        for project in (first, second):
            body = {"role_level": "viewer"}
            assert (await admin("PUT", f"{project}/roles/{user_id}", json=body)).status == 201
    for name in ("one", "two", "three"):
        await make_key(admin, first, name)
    schemas = [
        await admin("POST", "/v1/schemas", json={"name": "any", "schema": {}}) for _ in range(3)
    ]
    schema_id = schemas[0].json["id"]
    for key in ("a", "b"):
        await put(admin, f"{first}/configs/{key}", {"n": 1}, schema_id=schema_id)
    last = await put(admin, f"{first}/configs/c", {"n": 1}, schema_id=schema_id)
    for version in (1, 2):
        await put(admin, f"{first}/configs/a", {"n": 1}, version)
    then = last.headers["Guardian-Position"]
    mine = await listed(ann, "/v1/projects", 4)
    assert [item["role"] for item in mine] == ["viewer", "viewer", "owner", "owner"]
    every = await listed(admin, "/v1/projects", 4)
    assert [item["role"] for item in every] == ["owner", "owner", "superuser", "superuser"]
    await listed(admin, "/v1/users", 4)
    await listed(admin, f"{first}/roles", 3)
    await listed(admin, f"{first}/keys", 3)
    await listed(admin, "/v1/schemas", 3)
    await listed(admin, f"/v1/schemas/{schema_id}/usage", 3)
    await listed(admin, f"{first}/configs", 3)
    await listed(admin, f"{first}/configs?position={then}", 3)
    await listed(admin, f'{first}/configs?match={{"n":1}}', 3)
    await listed(admin, f"{first}/configs/a/revisions", 3)
    await listed(admin, f"{first}/revisions", 5)


async def listed(client: Client, path: str, count: int) -> list[Any]:
    """The whole list, which is `count` long, once it was compared with its pages."""
    whole = (await client("GET", path)).json
    assert (len(whole["items"]), whole["next"]) == (count, None), path
    for limit in (1, 2, count):
        items: list[Any] = []
        pages, following = 0, f"{path}{'&' if '?' in path else '?'}limit={limit}"
        while following and pages <= count:  # a page that repeats itself never ends
            page = (await client("GET", following)).json
            pages, items, following = pages + 1, items + page["items"], page["next"]
        assert items == whole["items"], f"{path} by {limit}"
        assert pages == ceil(count / limit), f"{path} by {limit}"
    return list(whole["items"])
