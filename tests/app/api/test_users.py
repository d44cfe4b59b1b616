"""Goal: superusers manage who may sign in, and can never lock everybody out."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys

import pytest

from app.access.tokens import EMBEDDED_SECRET_KEY
from app.services import SERVICES
from tests.support.commands import run_here
from tests.support.service import EMAIL, Client, Service, run_web

PASSWORD = "a password of somebody else"


async def make(admin: Client, email: str, **extra: object) -> str:
    answer = await admin("POST", "/v1/users", json={"email": email, "password": PASSWORD, **extra})
    assert answer.status == 201, answer.body
    return str(answer.json["id"])


async def test_a_user_is_made_found_changed_and_deleted(service: Service, admin: Client) -> None:
    user = await make(admin, " Ann@Example.org ")
    assert (await admin("GET", f"/v1/users/{user}")).json["email"] == "ann@example.org"
    found = await admin("GET", "/v1/users?email=ANN@example.org")
    assert [item["id"] for item in found.json["items"]] == [user]
    duplicate = await admin(
        "POST", "/v1/users", json={"email": "ann@example.org", "password": PASSWORD}
    )
    assert duplicate.status == 409
    ann = await service.anonymous.sign_in("ann@example.org", PASSWORD)
    assert (await ann("GET", "/v1/users")).status == 403
    disabled = await admin("PATCH", f"/v1/users/{user}", json={"disabled": True})
    assert disabled.json["disabled"] is True
    assert (await ann("GET", "/v1/me")).status == 401
    await admin("PATCH", f"/v1/users/{user}", json={"disabled": False, "password": PASSWORD * 2})
    await service.anonymous.sign_in("ann@example.org", PASSWORD * 2)
    assert (await admin("DELETE", f"/v1/users/{user}")).json["deleted"] is True
    assert (await admin("GET", f"/v1/users/{user}")).status == 404


async def test_the_list_is_paged(admin: Client) -> None:
    made = [await make(admin, f"u{n}@example.org") for n in range(4)]
    seen: list[str] = []
    path: str | None = "/v1/users?limit=2"
    while path:
        answer = await admin("GET", path)
        seen += [item["id"] for item in answer.json["items"]]
        path = answer.json["next"]
    assert seen[1:] == made


@pytest.mark.parametrize(
    ("method", "body"),
    [("PATCH", {"is_superuser": False}), ("PATCH", {"disabled": True}), ("DELETE", None)],
)
async def test_the_last_superuser_stays(
    admin: Client, method: str, body: dict[str, bool] | None
) -> None:
    me = (await admin("GET", "/v1/me")).json["id"]
    refused = await admin(method, f"/v1/users/{me}", json=body)
    assert (refused.status, refused.json["type"]) == (409, "/problems/last-superuser")


async def test_two_superusers_cannot_remove_each_other_at_once(
    service: Service, admin: Client
) -> None:
    me = (await admin("GET", "/v1/me")).json["id"]
    other = await make(admin, "second@example.org", is_superuser=True)
    second = await service.anonymous.sign_in("second@example.org", PASSWORD)
    answers = await asyncio.gather(
        admin("PATCH", f"/v1/users/{other}", json={"is_superuser": False}),
        second("PATCH", f"/v1/users/{me}", json={"is_superuser": False}),
    )
    assert sorted(answer.status for answer in answers) in ([200, 403], [200, 409])


async def test_a_deletion_says_what_goes_and_can_be_tried_first(
    service: Service, admin: Client
) -> None:
    user = await make(admin, "ann@example.org")
    ann = await service.anonymous.sign_in("ann@example.org", PASSWORD)
    project, _ = await service.project(ann, "anns")
    await ann("PUT", f"{project}/configs/a", json={"content": 1, "version": 0})
    tried = await admin("DELETE", f"/v1/users/{user}?dry_run=true")
    assert tried.json["deleted"] is False
    assert [item["name"] for item in tried.json["projects"]] == ["anns"]
    assert (await admin("GET", project)).status == 200
    done = await admin("DELETE", f"/v1/users/{user}")
    assert done.json == {**tried.json, "deleted": True}
    assert (await admin("GET", project)).status == 404
    assert (await admin("GET", f"{project}/configs/a")).status == 404


async def test_what_a_deleted_user_made_looks_the_same_for_ever(
    service: Service, admin: Client
) -> None:
    """From memory, from the table and in another process: one version, one representation."""
    project, _ = await service.project(admin)
    path, user = f"{project}/configs/a", await make(admin, "ann@example.org")
    await admin("PUT", f"{project}/roles/{user}", json={"role_level": "editor"})
    ann = await service.anonymous.sign_in("ann@example.org", PASSWORD)
    made = await ann("PUT", path, json={"content": {"n": 1}, "version": 0})
    line = (await admin("GET", f"{path}/revisions")).json["items"]
    await admin("PUT", f"{project}/configs/b", json={"content": 0, "version": 0})
    assert (await admin("DELETE", f"/v1/users/{user}")).json["deleted"] is True
    column = "SELECT created_by_user_id FROM config_revisions WHERE config_key = 'a'"
    assert await service.app[SERVICES].pool.fetchval(column) is None
    assert made.json["updated_by_user_id"] == user

    async with run_web(service.settings) as (_, elsewhere):
        for ask in (admin, Client(admin.session, elsewhere, admin.headers)):
            for query in ("", "?version=1", f"?position={made.json['position']}"):
                assert (await ask("GET", path + query)).body == made.body, query
            for query in ("limit=1", 'match={"n":1}', f"position={made.json['position']}"):
                listed = await ask("GET", f"{project}/configs?{query}")
                assert listed.json["items"] == [made.json], query
            for place in (path + "/revisions", f"{project}/revisions?limit=1"):
                assert (await ask("GET", place)).json["items"] == line, place
            for query in (f"user={user}", f"user={user}&order=desc", f"user={user}&key=a"):
                found = await ask("GET", f"{project}/revisions?{query}")
                assert (found.json["items"], found.json["next"]) == (line, None), query
    assert (await admin("GET", f"{project}/audit/verify")).json["intact"] is True


@pytest.mark.parametrize("email", ["", "no-at", "a@b@c", "a b@example.org", "x" * 321 + "@y"])
async def test_what_is_no_address_is_refused(admin: Client, email: str) -> None:
    answer = await admin("POST", "/v1/users", json={"email": email, "password": PASSWORD})
    assert answer.status == 400


async def test_a_short_password_is_refused(admin: Client) -> None:
    answer = await admin("POST", "/v1/users", json={"email": "a@example.org", "password": "short"})
    assert (answer.status, answer.json["type"]) == (422, "/problems/password-refused")


def guardian(*arguments: str, stdin: str = "", **environ: str) -> subprocess.CompletedProcess[str]:
    """The real command."""
    clean = {k: v for k, v in os.environ.items() if not k.startswith("GUARDIAN_ADMIN")}
    return subprocess.run(
        [sys.executable, "-m", "app.cli", *arguments],
        input=stdin,
        env=clean | environ,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


async def test_the_command_line_makes_users(service: Service, database_url: str) -> None:
    environ = {"DATABASE_URL": database_url, "NATS_URL": "nats://127.0.0.1:1"}
    made = await asyncio.to_thread(
        guardian, "users", "create", "ops@example.org", "--superuser", "--json", **environ
    )
    assert made.returncode == 0, made.stderr
    shown = json.loads(made.stdout)
    ops = await service.anonymous.sign_in("ops@example.org", shown["password"])
    assert (await ops("GET", "/v1/me")).json["is_superuser"] is True
    given = await asyncio.to_thread(
        guardian,
        *("users", "create", "dev@example.org", "--password-stdin"),
        stdin=f"{PASSWORD}\n",
        **environ,
    )
    assert given.returncode == 0, given.stderr
    assert PASSWORD not in given.stdout + given.stderr
    await service.anonymous.sign_in("dev@example.org", PASSWORD)
    twice = await asyncio.to_thread(guardian, "users", "create", EMAIL, **environ)
    assert (twice.returncode, "already" in twice.stderr) == (1, True)
    misused = await asyncio.to_thread(guardian, "users", "create", "no-at", **environ)
    assert misused.returncode == 2


@pytest.mark.parametrize(
    "key", [EMBEDDED_SECRET_KEY, "change-me-change-me-change-me-now!", "a" * 40]
)
def test_the_service_refuses_to_start_with_a_key_that_others_know(key: str) -> None:
    """Before it asks for anything else: the servers named here are not there."""
    environ = {
        "DATABASE_URL": "postgresql://nobody@127.0.0.1:1/none",
        "NATS_URL": "nats://127.0.0.1:1",
        "GUARDIAN_SECRET_KEY": key,
    }
    started = run_here("web", environ=environ)
    assert started.code == 2
    assert "key" in started.err
    assert key not in started.err + started.out
    assert "Traceback" not in started.err
