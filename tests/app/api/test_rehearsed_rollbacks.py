"""A project's roll-back does what its rehearsal showed, or nothing."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from app.services import SERVICES
from app.tables.history import existing_schemas
from projections.projector import Projector
from tests.app.api.test_history import put
from tests.app.api.test_projects import make_user
from tests.support.service import Client, Service


async def test_a_project_is_rolled_back_as_it_was_rehearsed_or_not_at_all(
    service: Service, admin: Client, configs: str
) -> None:
    # Goal: what comes between a rehearsal and its act is not taken back unseen, whatever it is.
    path = f"{configs.removesuffix('/configs')}/rollback"
    for key in ("limit", "gone"):
        await put(admin, f"{configs}/{key}", 1)
    then = {"position": service.app[SERVICES].model.position}
    await put(admin, f"{configs}/limit", 2, 1)
    shown = (await admin("POST", f"{path}?dry_run=true", json=then)).json
    as_shown = {**then, "unchanged_since": shown["position"]}
    await put(admin, f"{configs}/made", 1)
    await admin("DELETE", f"{configs}/gone", headers={"If-Match": '"1"'})
    for query in ("", "?dry_run=true"):
        refused = await admin("POST", path + query, json=as_shown)
        assert (refused.status, refused.json["type"]) == (409, "/problems/version-conflict")
        assert refused.json["conflicts"] == [
            {"key": "gone", "expected_version": 1, "current_version": 2, "deleted": True},
            {"key": "made", "expected_version": 0, "current_version": 1, "deleted": False},
        ]
    shown = (await admin("POST", f"{path}?dry_run=true", json=then)).json
    as_shown["unchanged_since"] = shown["position"]
    keyed = {"Idempotency-Key": "as-shown"}
    done = await admin("POST", path, json=as_shown, headers=keyed)
    assert done.status == 200, done.body
    assert [line["key"] for line in done.json["changes"]] == ["gone", "limit", "made"]
    # Its own change is not in its way when it is sent again.
    assert (await admin("POST", path, json=as_shown, headers=keyed)).body == done.body
    to_come = {**then, "unchanged_since": done.json["position"] + 10**6}
    assert (await admin("POST", f"{path}?timeout=0", json=to_come)).status == 503


async def test_a_rehearsal_names_a_position_that_nothing_it_saw_is_missing_behind(
    service: Service, admin: Client, configs: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Method: somebody commits after the plan was made and before the rehearsal is answered.
    path = f"{configs.removesuffix('/configs')}/rollback"
    await put(admin, f"{configs}/limit", 1)
    then = {"position": service.app[SERVICES].model.position}
    await put(admin, f"{configs}/limit", 2, 1)
    differ = service.app[SERVICES].differ
    usual = differ.diffs

    async def late(*given: Any, **more: Any) -> Any:
        await put(admin, f"{configs}/made", 1)
        return await usual(*given, **more)

    monkeypatch.setattr(differ, "diffs", late)
    shown = (await admin("POST", f"{path}?dry_run=true", json=then)).json
    assert [line["key"] for line in shown["changes"]] == ["limit"]
    as_shown = {**then, "unchanged_since": shown["position"]}
    refused = await admin("POST", path, json=as_shown)
    assert (refused.status, refused.json["conflicts"][0]["key"]) == (409, "made")


async def test_before_a_projects_first_change_nothing_of_it_is_kept(
    service: Service, admin: Client, configs: str
) -> None:
    # What others changed later says nothing of what this project changed.
    project, _ = await service.project(admin, "younger")
    then = {"position": service.app[SERVICES].model.position}
    await put(admin, f"{project}/configs/a", 1)
    await put(admin, f"{configs}/other", 1)
    done = await admin("POST", f"{project}/rollback", json=then)
    assert done.status == 200, done.body
    assert [(line["key"], line["version"]) for line in done.json["changes"]] == [("a", 2)]


async def unbound(
    admin: Client, configs: str, maker: Client | None = None
) -> tuple[str, dict[str, int]]:
    """A schema that nothing is bound to any more, and a moment at which `limit` was."""
    body = {"name": "numbers", "schema": {"type": "integer"}}
    schema_id = (await (maker or admin)("POST", "/v1/schemas", json=body)).json["id"]
    bound = await put(admin, f"{configs}/limit", 1, schema_id=schema_id)
    await put(admin, f"{configs}/limit", 2, 1, schema_id=None)
    return schema_id, {"position": bound.json["position"]}


async def test_a_schema_that_is_deleted_behind_the_rehearsal_takes_no_binding_away_unseen(
    service: Service, admin: Client, configs: str
) -> None:
    # The roll back was done all the same, and the config that the rehearsal bound was free.
    path = f"{configs.removesuffix('/configs')}/rollback"
    schema_id, then = await unbound(admin, configs)
    shown = (await admin("POST", f"{path}?dry_run=true", json=then)).json
    assert [line["schema_id"] for line in shown["changes"]] == [schema_id]
    assert (await admin("DELETE", f"/v1/schemas/{schema_id}")).status == 200
    as_shown = {**then, "unchanged_since": shown["position"]}
    for query in ("", "?dry_run=true"):
        refused = await admin("POST", path + query, json=as_shown)
        assert (refused.status, refused.json["type"]) == (409, "/problems/version-conflict")
        assert (refused.json["schema_id"], refused.json["key"]) == (schema_id, "limit")
    shown = (await admin("POST", f"{path}?dry_run=true", json=then)).json
    assert [line["schema_id"] for line in shown["changes"]] == [None]
    done = await admin("POST", path, json={**then, "unchanged_since": shown["position"]})
    assert done.status == 200, done.body
    back = (await admin("GET", f"{configs}/limit")).json
    assert (back["content"], back["schema_id"]) == (1, None)


async def test_a_binding_that_alone_would_come_back_is_refused_too_when_its_schema_goes(
    service: Service, admin: Client, configs: str
) -> None:
    # The content is as it was: without the schema there would be nothing to do, and 200 for it.
    path = f"{configs.removesuffix('/configs')}/rollback"
    schema_id, then = await unbound(admin, configs)
    await put(admin, f"{configs}/limit", 1, 2)
    shown = (await admin("POST", f"{path}?dry_run=true", json=then)).json
    assert [(line["key"], line["patch"]) for line in shown["changes"]] == [("limit", [])]
    assert (await admin("DELETE", f"/v1/schemas/{schema_id}")).status == 200
    as_shown = {**then, "unchanged_since": shown["position"]}
    refused = await admin("POST", path, json=as_shown)
    assert refused.status == 409, refused.body
    assert refused.json["schema_id"] == schema_id


async def test_a_deleted_config_comes_back_as_it_was_rehearsed_or_not_at_all(
    service: Service, admin: Client, configs: str
) -> None:
    # Bound in the rehearsal, it came back free; and version 0 is there again after a whole life.
    path = f"{configs}/limit"
    schema_id, _ = await unbound(admin, configs)
    await admin("DELETE", path, headers={"If-Match": '"2"'})
    back = {"to_version": 1, "version": 0}

    async def rehearsed() -> tuple[str | None, dict[str, int]]:
        shown = (await admin("POST", f"{path}/rollback?dry_run=true", json=back)).json
        return shown["schema_id"], {**back, "unchanged_since": shown["position"]}

    bound_to, as_shown = await rehearsed()
    assert bound_to == schema_id
    assert (await admin("DELETE", f"/v1/schemas/{schema_id}")).status == 200
    refused = await admin("POST", f"{path}/rollback", json=as_shown)
    assert (refused.status, refused.json["type"]) == (409, "/problems/version-conflict")
    assert (refused.json["schema_id"], refused.json["key"]) == (schema_id, "limit")

    bound_to, as_shown = await rehearsed()
    assert bound_to is None
    await put(admin, path, 7)
    await admin("DELETE", path, headers={"If-Match": '"4"'})
    refused = await admin("POST", f"{path}/rollback", json=as_shown)
    assert refused.status == 409, refused.body
    assert refused.json["conflicts"] == [
        {"key": "limit", "expected_version": 0, "current_version": 5, "deleted": True}
    ]

    _, as_shown = await rehearsed()
    keyed = {"Idempotency-Key": "as-shown"}
    done = await admin("POST", f"{path}/rollback", json=as_shown, headers=keyed)
    assert (done.status, done.json["content"]) == (200, 1)
    # Its own change is not in its way when it is sent again.
    again = await admin("POST", f"{path}/rollback", json=as_shown, headers=keyed)
    assert again.body == done.body
    to_come = {**back, "unchanged_since": done.json["position"] + 10**6}
    assert (await admin("POST", f"{path}/rollback?timeout=0", json=to_come)).status == 503


@pytest.mark.parametrize("whole", [True, False])
async def test_a_schema_that_goes_while_a_roll_back_is_made_is_another_change_that_came_first(
    service: Service, admin: Client, configs: str, monkeypatch: pytest.MonkeyPatch, whole: bool
) -> None:
    # It was 422, as if the caller had named a schema that is not there.
    # Method: the schema is deleted when the plan has just seen it.
    schema_id, then = await unbound(admin, configs)
    await admin("DELETE", f"{configs}/limit", headers={"If-Match": '"2"'})

    async def seen(*given: Any) -> set[str]:
        found = await existing_schemas(*given)
        await admin("DELETE", f"/v1/schemas/{schema_id}")
        return found

    monkeypatch.setattr("app.api.rollbacks.existing_schemas", seen)
    path, body = f"{configs}/limit/rollback", {"to_version": 1, "version": 0}
    if whole:
        path, body = f"{configs.removesuffix('/configs')}/rollback", then
    refused = await admin("POST", path, json=body)
    assert (refused.status, refused.json["type"]) == (409, "/problems/version-conflict")
    assert (refused.json["schema_id"], refused.json["key"]) == (schema_id, "limit")
    done = await admin("POST", path, json=body)
    assert done.status in (200, 201), done.body
    assert (await admin("GET", f"{configs}/limit")).json["schema_id"] is None


async def test_a_deletion_is_behind_every_rehearsal_that_knew_the_schema(
    service: Service, admin: Client, configs: str
) -> None:
    # Method: the projector comes when the deletion's barrier is in the log already.
    path = f"{configs.removesuffix('/configs')}/rollback"
    schema_id, then = await unbound(admin, configs)
    shown = (await admin("POST", f"{path}?dry_run=true", json=then)).json
    service.projector_task.cancel()
    await asyncio.gather(service.projector_task, return_exceptions=True)
    deletion = asyncio.create_task(admin("DELETE", f"/v1/schemas/{schema_id}"))
    while (await service.log.status()).last_position == shown["position"]:  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    projector = Projector(service.log, service.settings.require_database_url())
    service.projector_task = asyncio.create_task(projector.run())
    assert (await deletion).status == 200
    refused = await admin("POST", path, json={**then, "unchanged_since": shown["position"]})
    assert refused.status == 409, refused.body
    service.projector_task.cancel()


async def test_a_schema_that_goes_with_its_owner_is_missed_too(
    service: Service, admin: Client, configs: str
) -> None:
    path = f"{configs.removesuffix('/configs')}/rollback"
    user_id, user = await make_user(service, admin, "ann")
    schema_id, then = await unbound(admin, configs, maker=user)
    shown = (await admin("POST", f"{path}?dry_run=true", json=then)).json
    assert (await admin("DELETE", f"/v1/users/{user_id}")).status == 200
    as_shown = {**then, "unchanged_since": shown["position"]}
    refused = await admin("POST", path, json=as_shown)
    assert refused.status == 409, refused.body
    assert refused.json["schema_id"] == schema_id
