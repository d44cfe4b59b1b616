"""The whole service against a dictionary.

Goal: whatever people do in whatever order, and whatever is rebuilt, replayed or restarted in
between, every config is what a few lines of Python say. Method: hypothesis drives the HTTP
interface of a running service and the model side by side.
"""

from __future__ import annotations

import asyncio
import uuid
from typing import Any, ClassVar

import asyncpg
import orjson
import pytest
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    precondition,
    rule,
)

from projections.projector import Projector
from projections.rebuild import rebuild_configs, verify_configs
from projections.replay import replay
from tests.domain.test_json_document import same
from tests.properties.documents import documents
from tests.properties.service_model import Project, Version, World, holds, run_machine
from tests.support.servers import ask
from tests.support.service import Answer, Service

KEYS = ("a", "a.b", "c-_9")
TYPES = ("integer", "string", "object")
CONTENTS = st.one_of(st.integers(0, 9), st.sampled_from(["x", {}, {"n": 1}]), documents())


class ServiceMachine(RuleBasedStateMachine):
    """The steps. `world` is shared by all examples; each has projects and schemas of its own."""

    world: ClassVar[World]
    replays: ClassVar[int] = 0

    def __init__(self) -> None:
        super().__init__()
        self.projects: dict[str, Project] = {}
        self.gone: list[str] = []
        self.schemas: dict[str, str] = {}
        """From id to type."""

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> Answer:
        data = None if body is None else orjson.dumps(body)
        if data is not None:
            headers["Content-Type"] = "application/json"
        headers = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.world.run(self.world.admin(method, path, data=data, headers=headers))

    # Steps

    @initialize()
    def begin(self) -> None:
        self.create_project()

    @precondition(lambda self: len(self.projects) < 2)
    @rule()
    def create_project(self) -> None:
        answer = self.ask("POST", "/v1/projects", {"name": "p"})
        assert answer.status == 201, answer.body
        self.projects[answer.json["id"]] = Project(f"/v1/projects/{answer.json['id']}")

    @precondition(lambda self: len(self.projects) > 1)
    @rule(data=st.data())
    def delete_project(self, data: st.DataObject) -> None:
        project_id = data.draw(st.sampled_from(sorted(self.projects)))
        project = self.projects.pop(project_id)
        assert self.ask("DELETE", project.path).status == 200
        self.gone.append(project.path)
        assert self.ask("GET", f"{project.path}/configs/a").status == 404
        assert (
            self.ask("PUT", f"{project.path}/configs/a", {"content": 1, "version": 0}).status == 404
        )

    @precondition(lambda self: len(self.schemas) < 2)
    @rule(kind=st.sampled_from(TYPES))
    def create_schema(self, kind: str) -> None:
        answer = self.ask("POST", "/v1/schemas", {"name": "s", "schema": {"type": kind}})
        assert answer.status == 201, answer.body
        self.schemas[answer.json["id"]] = kind

    @precondition(lambda self: self.schemas)
    @rule(data=st.data(), kind=st.sampled_from(TYPES))
    def change_schema(self, data: st.DataObject, kind: str) -> None:
        schema_id = data.draw(st.sampled_from(sorted(self.schemas)))
        answer = self.ask("PUT", f"/v1/schemas/{schema_id}", {"schema": {"type": kind}})
        if all(holds(kind, version.content) for version in self.bound(schema_id)):
            assert answer.status == 200, answer.body
            self.schemas[schema_id] = kind
        else:
            assert answer.status == 409, answer.body

    @precondition(lambda self: self.schemas)
    @rule(data=st.data())
    def delete_schema(self, data: st.DataObject) -> None:
        schema_id = data.draw(st.sampled_from(sorted(self.schemas)))
        answer = self.ask("DELETE", f"/v1/schemas/{schema_id}")
        if self.bound(schema_id):
            assert answer.status == 409, answer.body
        else:
            assert answer.status == 200, answer.body
            del self.schemas[schema_id]

    def bound(self, schema_id: str) -> list[Version]:
        return [
            version
            for project in self.projects.values()
            for version in project.all_live().values()
            if version.schema_id == schema_id
        ]

    @rule(
        data=st.data(),
        key=st.sampled_from(KEYS),
        content=CONTENTS,
        off=st.sampled_from([0, 0, 0, 1, -1]),
    )
    def put(self, data: st.DataObject, key: str, content: Any, off: int) -> None:
        project = self.pick(data)
        binding = data.draw(st.sampled_from(["keep", None, *sorted(self.schemas)]))
        live = project.live(key)
        expected = (project.version(key) if live else 0) + off
        if expected < 0:
            return
        body = {"content": content, "version": expected}
        if binding != "keep":
            body["schema_id"] = binding
        answer = self.ask("PUT", f"{project.path}/configs/{key}", body)
        new = Version(content, (live.schema_id if live else None) if binding == "keep" else binding)
        if off:
            assert answer.status == 409, answer.body
            assert answer.json["current_version"] == project.version(key)
        elif not self.valid(new):
            assert answer.status == 422, answer.body
        else:
            assert answer.status == (200 if live else 201), answer.body
            project.push(key, new)
            self.accepted(project, answer, {key: project.version(key)})

    @rule(data=st.data(), key=st.sampled_from(KEYS), stale=st.booleans())
    def delete(self, data: st.DataObject, key: str, stale: bool) -> None:
        project = self.pick(data)
        match = f'"{project.version(key) + stale}"'
        if project.version(key) == 0 and not stale:
            return
        answer = self.ask("DELETE", f"{project.path}/configs/{key}", If_Match=match)
        if project.live(key) is None:
            assert answer.status == 404, answer.body
        elif stale:
            assert answer.status == 409, answer.body
        else:
            assert answer.status == 200, answer.body
            project.push(key, Version(None, deleted=True))
            self.accepted(project, answer, {key: project.version(key)})

    @rule(data=st.data())
    def roll_back_config(self, data: st.DataObject) -> None:
        project = self.pick(data)
        keys = [key for key in project.histories if project.live(key)]
        if not keys:
            return
        key = data.draw(st.sampled_from(sorted(keys)))
        history, live = project.histories[key], project.live(key)
        assert live is not None
        to_version = data.draw(st.integers(1, len(history) + 1))
        answer = self.ask(
            "POST",
            f"{project.path}/configs/{key}/rollback",
            {"to_version": to_version},
            If_Match=f'"{len(history)}"',
        )
        if to_version > len(history):
            assert answer.status == 404, answer.body
            return
        old = history[to_version - 1]
        new = Version(old.content, live.schema_id)
        if old.deleted:
            assert answer.status == 400, answer.body
        elif not self.valid(new):
            assert answer.status == 422, answer.body
        else:
            assert answer.status == 200, answer.body
            project.push(key, new)
            self.accepted(project, answer, {key: project.version(key)})

    @rule(data=st.data())
    def roll_back_project(self, data: st.DataObject) -> None:
        project = self.pick(data)
        if not project.moments:
            return
        position, then = data.draw(st.sampled_from(project.moments))
        if any(version.schema_id for version in then.values()):
            return  # schemas may have changed since: the rules of that are tested elsewhere
        answer = self.ask("POST", f"{project.path}/rollback", {"position": position})
        assert answer.status == 200, answer.body
        for key in [line["key"] for line in answer.json["changes"]]:
            project.push(key, then.get(key) or Version(None, deleted=True))
        now = project.all_live()
        assert now.keys() == then.keys()
        for key, version in then.items():
            assert same(now[key].content, version.content)
        if answer.json["changes"]:
            self.accepted(
                project,
                answer,
                {line["key"]: project.version(line["key"]) for line in answer.json["changes"]},
            )

    @rule(
        data=st.data(),
        keys=st.lists(st.sampled_from(KEYS), min_size=1, max_size=3, unique=True),
        content=CONTENTS,
        wrong=st.sampled_from([False, False, True]),
    )
    def change_set(self, data: st.DataObject, keys: list[str], content: Any, wrong: bool) -> None:
        project = self.pick(data)
        changes: list[dict[str, Any]] = []
        new: dict[str, Version] = {}
        for index, key in enumerate(keys):
            live = project.live(key)
            version = project.version(key) if live else 0
            if live and data.draw(st.integers(0, 3)) == 0:
                changes.append({"op": "delete", "key": key, "version": version})
                new[key] = Version(None, deleted=True)
            else:
                bad = wrong and index == len(keys) - 1
                changes.append(
                    {"op": "put", "key": key, "content": content, "version": version + bad}
                )
                new[key] = Version(content, live.schema_id if live else None)
        broken = wrong and changes[-1]["op"] == "put"
        answer = self.ask("POST", f"{project.path}/changes", {"changes": changes})
        if broken:
            assert answer.status == 409, answer.body
        elif not all(version.deleted or self.valid(version) for version in new.values()):
            assert answer.status == 422, answer.body
        else:
            assert answer.status == 200, answer.body
            for key, made in new.items():
                project.push(key, made)
            self.accepted(project, answer, {key: project.version(key) for key in new})

    # What must change nothing

    @rule()
    def restart_the_projector(self) -> None:
        async def restart(service: Service) -> None:
            service.projector_task.cancel()
            await asyncio.gather(service.projector_task, return_exceptions=True)
            service.projector = Projector(service.log, service.settings.require_database_url())
            service.projector_task = asyncio.create_task(service.projector.run())

        self.world.run(restart(self.world.service))

    @rule(damage=st.booleans())
    def rebuild(self, damage: bool) -> None:
        async def run() -> int:
            if damage:
                connection = await asyncpg.connect(self.world.url)
                await connection.execute("SET session_replication_role = replica")
                await connection.execute("DELETE FROM configs")
                await connection.close()
            found = (await rebuild_configs(self.world.url)).differences
            return 0 if damage else found

        assert self.world.run(run()) == 0

    @precondition(lambda self: type(self).replays < 4)
    @rule()
    def replay_the_log(self) -> None:
        type(self).replays += 1
        name = f"test_{uuid.uuid4().hex}"
        into = ask("create_database", name)
        try:
            report = self.world.run(replay(self.world.service.log, into, self.world.url))
            assert report.differences == []
        finally:
            ask("drop_database", name)

    # What must hold

    def pick(self, data: st.DataObject) -> Project:
        return self.projects[data.draw(st.sampled_from(sorted(self.projects)))]

    def valid(self, version: Version) -> bool:
        kind = self.schemas.get(version.schema_id) if version.schema_id else None
        return holds(kind, version.content)

    def accepted(self, project: Project, answer: Answer, versions: dict[str, int]) -> None:
        """The answer says what was made; the moment is kept for later."""
        lines = answer.json.get("changes") or [answer.json]
        assert {line["key"]: line["version"] for line in lines} == versions
        position = int(answer.headers["Guardian-Position"])
        assert not project.moments or position > project.moments[-1][0]
        project.moments.append((position, project.all_live()))

    @rule(data=st.data())
    def look_back(self, data: st.DataObject) -> None:
        """A config as it stood at some moment, and a version of it."""
        project = self.pick(data)
        if not project.moments:
            return
        position, then = data.draw(st.sampled_from(project.moments))
        key = data.draw(st.sampled_from(KEYS))
        answer = self.ask("GET", f"{project.path}/configs/{key}?position={position}")
        if key in then:
            assert answer.status == 200, answer.body
            assert same(answer.json["content"], then[key].content)
        else:
            assert answer.status == 404, answer.body

    def teardown(self) -> None:
        """Every live config and every version of it, as the model has it."""
        for project in self.projects.values():
            listed = self.ask("GET", f"{project.path}/configs?consistency=linearizable").json
            live = project.all_live()
            assert [item["key"] for item in listed["items"]] == sorted(live)
            for key, version in live.items():
                found = self.ask("GET", f"{project.path}/configs/{key}").json
                assert same(found["content"], version.content)
                assert found["version"] == project.version(key)
                assert found["schema_id"] == version.schema_id
            for key, history in project.histories.items():
                revisions = self.ask("GET", f"{project.path}/configs/{key}/revisions").json["items"]
                assert [r["version"] for r in revisions] == list(range(len(history), 0, -1))
                for number in (1, len(history)):
                    answer = self.ask("GET", f"{project.path}/configs/{key}/revisions/{number}")
                    expected = history[number - 1]
                    assert same(answer.json.get("content"), expected.content)
            verdict = self.ask("GET", f"{project.path}/audit/verify").json
            assert verdict["intact"], verdict
            assert verdict["revisions"] == sum(map(len, project.histories.values()))
            assert self.ask("DELETE", project.path).status == 200
        assert self.world.run(verify_configs(self.world.url)).differences == 0
        for schema_id in self.schemas:
            assert self.ask("DELETE", f"/v1/schemas/{schema_id}").status == 200


@pytest.mark.timeout(300)
def test_the_service_is_a_dictionary(database_url: str, nats_url: str, stream_name: str) -> None:
    world = World(database_url, nats_url, stream_name)
    run_machine(ServiceMachine, world, examples=10, steps=25)
