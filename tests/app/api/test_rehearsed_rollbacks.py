"""A project's roll-back does what its rehearsal showed, or nothing."""

from __future__ import annotations

from typing import Any

import pytest

from app.services import SERVICES
from tests.app.api.test_history import put
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
