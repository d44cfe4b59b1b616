"""Roll backs against a dictionary, while schemas are made, changed and deleted in between.

Goal: a roll back of a config or a project makes contents and bindings what they were, as far as
the schemas of today are there and hold them, or changes nothing; with `unchanged_since` it does
what was rehearsed or nothing; and a key with a prefix reaches its configs only. Method: hypothesis
drives the HTTP interface of a running service and the model side by side.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    rule,
)

from tests.properties.service_model import Project, Version, World, holds, run_machine
from tests.support.service import Answer, Client

PREFIX = "a."
KEYS = ("a.x", "a.y", "b")
CONTENTS: tuple[Any, ...] = (1, 2, "x")
TYPES = ("integer", "string")
GONE = Version(None, deleted=True)


@dataclass(frozen=True)
class Rehearsal:
    """What was told of a roll back, and what was there when it was."""

    moment: tuple[int, dict[str, Version]]
    """Where the roll back would lead."""
    position: int
    versions: dict[str, int]
    schemas: frozenset[str]


class RollBackMachine(RuleBasedStateMachine):
    """The steps. `world` is shared by all examples; each has a project and schemas of its own."""

    world: ClassVar[World]

    def __init__(self) -> None:
        super().__init__()
        self.schemas: dict[str, str] = {}
        """From id to type."""
        self.rehearsals: list[Rehearsal] = []

    def ask(self, method: str, path: str, body: Any = None, by: Client | None = None) -> Answer:
        # For whatever is there, unless the body names a version.
        headers = {} if body and "version" in body else {"If-Match": "*"}
        caller = by or self.world.admin
        return self.world.run(caller(method, path, json=body, headers=headers))

    @initialize()
    def begin(self) -> None:
        made = self.ask("POST", "/v1/projects", {"name": "p"}).json
        self.project = Project(f"/v1/projects/{made['id']}", moments=[(0, {})])
        body = {"name": "k", "role_level": "editor", "prefix": PREFIX}
        key = self.ask("POST", f"{self.project.path}/keys", body).json["api_key"]
        self.prefixed = self.world.admin.with_headers(**{"X-API-Key": key})
        for kind in TYPES:
            self.create_schema(kind)

    # What lies between

    def create_schema(self, kind: str) -> None:
        made = self.ask("POST", "/v1/schemas", {"name": "s", "schema": {"type": kind}})
        self.schemas[made.json["id"]] = kind

    @rule(data=st.data(), kind=st.sampled_from(TYPES))
    def change_schema(self, data: st.DataObject, kind: str) -> None:
        schema_id = data.draw(st.sampled_from(sorted(self.schemas)))
        body = {"schema": {"type": kind}}
        if self.ask("PUT", f"/v1/schemas/{schema_id}", body).status == 200:
            self.schemas[schema_id] = kind

    @rule(data=st.data())
    def delete_schema(self, data: st.DataObject) -> None:
        schema_id = data.draw(st.sampled_from(sorted(self.schemas)))
        used = any(v.schema_id == schema_id for v in self.project.all_live().values())
        assert self.ask("DELETE", f"/v1/schemas/{schema_id}").status == (409 if used else 200)
        if not used:
            self.create_schema(self.schemas.pop(schema_id))

    @rule(data=st.data(), key=st.sampled_from(KEYS))
    def put(self, data: st.DataObject, key: str) -> None:
        schema_id = data.draw(st.sampled_from([*sorted(self.schemas), None]))
        kind = None if schema_id is None else self.schemas[schema_id]
        content = data.draw(st.sampled_from([c for c in CONTENTS if holds(kind, c)]))
        new = Version(content, schema_id)
        version = self.project.version(key) if self.project.live(key) else 0
        body = {"content": content, "schema_id": schema_id, "version": version}
        answer = self.ask("PUT", f"{self.project.path}/configs/{key}", body)
        self.check(answer, {key: new})

    @rule(key=st.sampled_from(KEYS))
    def delete(self, key: str) -> None:
        if self.project.live(key):
            self.check(self.ask("DELETE", f"{self.project.path}/configs/{key}"), {key: GONE})

    # Roll backs

    @rule(data=st.data())
    def roll_back_config(self, data: st.DataObject) -> None:
        """Also a tombstone, which lives again as it was bound."""
        if not self.project.histories:
            return
        key = data.draw(st.sampled_from(sorted(self.project.histories)))
        history, live = self.project.histories[key], self.project.live(key)
        to_version = data.draw(st.integers(1, len(history)))
        old = history[to_version - 1]
        body = {"to_version": to_version}
        answer = self.ask("POST", f"{self.project.path}/configs/{key}/rollback", body)
        if old.deleted:
            assert answer.status == 400, answer.body
        else:
            new = replace(old, schema_id=live.schema_id) if live else self.bound_if_there(old)
            self.check(answer, {key: new})

    @rule(data=st.data(), prefixed=st.booleans(), told=st.booleans())
    def roll_back_project(self, data: st.DataObject, prefixed: bool, told: bool) -> None:
        moment = data.draw(st.sampled_from(self.project.moments))
        rehearsal = None
        if told and self.rehearsals:
            rehearsal = data.draw(st.sampled_from(self.rehearsals[-3:]))
            moment = rehearsal.moment
        position, then = moment
        by, path = self.prefixed if prefixed else None, f"{self.project.path}/rollback"
        seen = [key for key in self.project.histories if not prefixed or key.startswith(PREFIX)]
        moved = self.moved_to(then, seen)
        body: dict[str, Any] = {"position": position}
        if rehearsal is not None:
            body["unchanged_since"] = rehearsal.position
            lost = {
                old.schema_id
                for key in seen
                if (old := then.get(key)) and old.schema_id in rehearsal.schemas
            } - self.schemas.keys()
            changed = any(self.project.version(k) != rehearsal.versions.get(k, 0) for k in seen)
            if changed or lost:
                assert self.ask("POST", path, body, by).status == 409
                return
        answer = self.ask("POST", path, body, by)
        if self.allowed(moved):
            assert [line["key"] for line in answer.json["changes"]] == sorted(moved)
        self.check(answer, moved)

    @rule(data=st.data())
    def rehearse(self, data: st.DataObject) -> None:
        moment = data.draw(st.sampled_from(self.project.moments))
        position, then = moment
        path = f"{self.project.path}/rollback?dry_run=true"
        answer = self.ask("POST", path, {"position": position})
        moved = self.moved_to(then, list(self.project.histories))
        assert answer.status == (200 if self.allowed(moved) else 422), answer.body
        if answer.status == 200:
            lines = {line["key"]: line["schema_id"] for line in answer.json["changes"]}
            assert lines == {key: version.schema_id for key, version in moved.items()}
            versions = {key: self.project.version(key) for key in self.project.histories}
            told = answer.json["position"]
            self.rehearsals.append(Rehearsal(moment, told, versions, frozenset(self.schemas)))

    # What must hold

    def moved_to(self, then: dict[str, Version], seen: list[str]) -> dict[str, Version]:
        """What a roll back makes of the configs that it reaches and that differ."""
        moved: dict[str, Version] = {}
        for key in seen:
            old, now = then.get(key), self.project.live(key)
            new = GONE if old is None else self.bound_if_there(old)
            if new != (now or GONE) or type(new.content) is not type((now or GONE).content):
                moved[key] = new
        return moved

    def bound_if_there(self, version: Version) -> Version:
        """As an old version is made new: its schema may be gone."""
        there = version.schema_id in self.schemas
        return version if there else replace(version, schema_id=None)

    def allowed(self, moved: dict[str, Version]) -> bool:
        return all(
            v.schema_id is None or holds(self.schemas[v.schema_id], v.content)
            for v in moved.values()
        )

    def check(self, answer: Answer, moved: dict[str, Version]) -> None:
        """All of it happened, or nothing where a schema refuses a content."""
        if not self.allowed(moved):
            assert answer.status == 422, answer.body
        else:
            assert answer.status in (200, 201), answer.body
            for key, version in moved.items():
                self.project.push(key, version)
            if moved:
                position = int(answer.headers["Guardian-Position"])
                self.project.moments.append((position, self.project.all_live()))

    def teardown(self) -> None:
        if not hasattr(self, "project"):
            return
        listed = self.ask("GET", f"{self.project.path}/configs?consistency=linearizable").json
        found = {c["key"]: (c["version"], c["content"], c["schema_id"]) for c in listed["items"]}
        assert found == {
            key: (self.project.version(key), version.content, version.schema_id)
            for key, version in self.project.all_live().items()
        }
        assert self.ask("DELETE", self.project.path).status == 200


@pytest.mark.timeout(300)
def test_a_roll_back_is_what_the_model_says(
    database_url: str, nats_url: str, stream_name: str
) -> None:
    world = World(database_url, nats_url, stream_name)
    run_machine(RollBackMachine, world, examples=25, steps=50)
