"""Who made a change, as history tells it."""

from __future__ import annotations

from tests.app.api.test_history import put
from tests.support.service import Answer, Client


async def test_history_names_the_key_that_made_a_change(admin: Client, configs: str) -> None:
    # A content as large as they come, which speaks of an actor itself; a name of every kind.
    project = configs.removesuffix("/configs")
    name = '"ci" \\ é😀' + "\u0001" * 190
    body = {"name": name, "role_level": "editor"}
    made = (await admin("POST", f"{project}/keys", json=body)).json
    key = admin.with_headers(**{"X-API-Key": made["api_key"]})
    content = {"actor": {"key_id": "x", "key_name": "y"}, "text": "é" * 120_000}
    await put(admin, f"{configs}/a", 1)
    await put(key, f"{configs}/a", content, 1)
    await key("DELETE", f"{configs}/a", headers={"If-Match": '"2"'})
    lines = [(made["id"], name)] * 2 + [(None, None)]

    def keys_of(answer: Answer) -> list[tuple[str | None, str | None]]:
        return [(i["created_by_key_id"], i["created_by_key_name"]) for i in answer.json["items"]]

    assert keys_of(await admin("GET", f"{configs}/a/revisions")) == lines
    for query in ("", "&key=a"):
        feed = await admin("GET", f"{project}/revisions?order=desc{query}")
        assert keys_of(feed) == lines
    for version, (key_id, key_name) in zip((3, 2, 1), lines, strict=True):
        one = (await admin("GET", f"{configs}/a/revisions/{version}")).json
        assert (one["created_by_key_id"], one["created_by_key_name"]) == (key_id, key_name)
    # It is history: the key may be gone.
    assert (await admin("DELETE", f"{project}/keys/{made['id']}")).status == 204
    assert keys_of(await admin("GET", f"{configs}/a/revisions")) == lines
